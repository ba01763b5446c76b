package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/pipeline-storage/pipeline-storage/test/process"
)

// profiles are the kinds of profile: where one is served, and how its top is sorted.
var profiles = []struct{ name, what, sorted string }{
	{"profile", "CPU, with what each calls", "-cum"},
	{"allocs", "allocations, estimated from samples", "-sample_index=alloc_objects"},
}

// runProfile writes profiles of the webhook for each size and prints their tops.
func (b *bench) runProfile(ctx context.Context, out io.Writer) error {
	if err := os.MkdirAll(b.options.profile, 0o755); err != nil {
		return fmt.Errorf("--profile: %w", err)
	}
	b.options.Candidates.Names = []string{webhookName}
	return b.serving(ctx, false, func(servers []*server) error {
		subjects, err := newSubjects(b.options)
		if err != nil {
			return err
		}
		for _, subject := range subjects {
			for _, p := range profiles {
				file := filepath.Join(b.options.profile, subject.name+"."+p.name)
				answered, err := servers[0].profile(ctx, subject.results[webhookName].checker, b.options, p.name, file)
				if err != nil {
					return err
				}
				fmt.Fprintf(out, "%s: %s of %d reviews of %d bytes\n", file, p.what, answered, subject.bytes)
				top := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-nodecount=25", p.sorted, file)
				text, err := top.CombinedOutput()
				if err != nil {
					return fmt.Errorf("read the profile: %w\n%s", err, text)
				}
				fmt.Fprintf(out, "%s\n", text)
			}
		}
		return nil
	})
}

// profile records one under load, for whole seconds, and returns how many reviews were answered meanwhile.
func (s *server) profile(ctx context.Context, check *checker, o options, name, file string) (answered int, err error) {
	const periods = 3 // so that there are enough samples
	profiled := max(time.Second, (periods * o.duration).Round(time.Second))
	return answered, s.loaded(ctx, check, o, func(l load) error {
		ended := make(chan error, 1)
		go func() {
			var err error
			answered, _, err = l.closed(ctx, profiled)
			ended <- err
		}()
		url := fmt.Sprintf("http://%s/debug/pprof/%s?seconds=%.0f", s.profiles, name, profiled.Seconds())
		text, err := process.Get(ctx, url)
		if failed := <-ended; failed != nil {
			return failed
		}
		if err != nil {
			return fmt.Errorf("take a profile: %w", err)
		}
		return os.WriteFile(file, []byte(text), 0o644)
	})
}
