// Package configfile holds the webhook's configuration: a StorageConfig file, most often from a
// mounted ConfigMap, which is read again when it changes. A file that is refused changes nothing:
// the one before stays in force as a whole.
package configfile

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// Interval is how often a file is read. It is read and compared rather than watched: the kubelet
// updates a mounted ConfigMap within a minute or so, by replacing a symbolic link, and a few
// kilobytes a second cost nothing.
const Interval = time.Second

// File is a configuration file that may change. Its methods are safe for concurrent use.
type File struct {
	path     string
	interval time.Duration
	// OnChange is called with a new configuration after it has come into force, and the warnings
	// about it. Set it before Start.
	OnChange func(config *storage.Config, warnings []string)
	// OnRefused is called with the reason why a new file does not come into force. Set it before
	// Start.
	OnRefused func(reason error)

	current atomic.Pointer[storage.Config]
	reason  atomic.Pointer[error]
	// text is the file as it was read last, in force or refused.
	text []byte
}

// Open reads the file for the first time. It must be valid then: no earlier configuration could be
// in force. The warnings are for people. interval is the time between two reads by [File.Start],
// usually [Interval]. Both results of a reload get a metric at once, so that a rate has a first
// value.
func Open(path string, interval time.Duration) (*File, []string, error) {
	f := &File{path: path, interval: interval}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read the configuration: %w", err)
	}
	config, warnings, err := storage.LoadForAdmission(text)
	if err != nil {
		return nil, nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	f.text = text
	f.current.Store(config)
	reloads.WithLabelValues("ok")
	reloads.WithLabelValues("refused")
	return f, warnings, nil
}

// Current returns the configuration in force. It is never changed: a new file makes a new one.
func (f *File) Current() *storage.Config { return f.current.Load() }

// Refused returns why the file as it is now is not in force, or nil when it is.
func (f *File) Refused() error {
	if reason := f.reason.Load(); reason != nil {
		return *reason
	}
	return nil
}

// Start reads the file again and again until the context ends.
func (f *File) Start(ctx context.Context) error {
	tick := time.NewTicker(f.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			f.reload()
		}
	}
}

// NeedLeaderElection is false: every replica decides by its file.
func (f *File) NeedLeaderElection() bool { return false }

// reload reads the file, and puts it in force when it has changed and is valid. Only the goroutine
// of Start calls it.
func (f *File) reload() {
	text, err := os.ReadFile(f.path)
	if err != nil {
		// Reported once, and again when the reason changes.
		if before := f.Refused(); before == nil || before.Error() != err.Error() {
			f.text = nil
			f.refuse(err)
		}
		return
	}
	if f.text != nil && bytes.Equal(text, f.text) {
		return
	}
	f.text = text
	config, warnings, err := storage.LoadForAdmission(text)
	if err != nil {
		f.refuse(fmt.Errorf("configuration %s: %w", f.path, err))
		return
	}
	f.current.Store(config)
	f.reason.Store(nil)
	refused.Set(0)
	reloads.WithLabelValues("ok").Inc()
	if f.OnChange != nil {
		f.OnChange(config, warnings)
	}
}

// refuse keeps the configuration in force, and reports the reason by metric and OnRefused.
func (f *File) refuse(reason error) {
	f.reason.Store(&reason)
	refused.Set(1)
	reloads.WithLabelValues("refused").Inc()
	if f.OnRefused != nil {
		f.OnRefused(reason)
	}
}
