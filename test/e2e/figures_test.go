package e2e

import (
	"encoding/json"
	"flag"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

var figuresFile = flag.String("figures", "",
	"append the figures of each disaster for docs/reliability.md to this `file`, one JSON object a line")

var figuresMutex sync.Mutex

// figure is one disaster, survived. The tests of package docs make the table of docs/reliability.md of them.
type figure struct {
	// Disaster describes the event, in the words of the document. Test shows it.
	Disaster, Test string
	// Bytes were written before, with checksums, and found again. Lost are those that were not found: it is 0, or the test
	// fails.
	Bytes, Lost int64
	// Seconds passed from the disaster until the next pod had read all bytes.
	Seconds float64
}

func record(t *testing.T, f figure) {
	t.Helper()
	f.Test = t.Name()
	line, err := json.Marshal(f)
	require.NoError(t, err)
	t.Logf("figure: %s", line)
	if *figuresFile == "" {
		return
	}
	figuresMutex.Lock()
	defer figuresMutex.Unlock()
	out, err := os.OpenFile(*figuresFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	_, err = out.Write(append(line, '\n'))
	require.NoError(t, err)
	require.NoError(t, out.Close())
}

// survives runs happen, and then checks that a new pod finds every byte that was written before.
func survives(t *testing.T, disaster string, written []file, reader func() string, happen func()) {
	t.Helper()
	begun := time.Now()
	happen()
	found := last[verified](t, reader())
	require.Equal(t, written, found.Files)
	f := figure{Disaster: disaster, Seconds: time.Since(begun).Seconds()}
	for _, w := range written {
		f.Bytes += w.Bytes
	}
	record(t, f)
}

// writeIn has a new pod write a file of this many bytes.
func writeIn(t *testing.T, namespace, directory string, size string, change ...func(*corev1.Pod)) file {
	t.Helper()
	name := unique("writer")
	pod := boxPod(name, "write", directory, name, size)
	for _, c := range change {
		c(pod)
	}
	written := last[file](t, runPod(t, namespace, pod))
	assert.NotEmpty(t, written.SHA256)
	return written
}

// readIn returns a function that has a new pod verify a directory.
func readIn(t *testing.T, namespace, directory string, change ...func(*corev1.Pod)) func() string {
	return func() string {
		t.Helper()
		pod := boxPod(unique("reader"), "verify", directory)
		for _, c := range change {
			c(pod)
		}
		return runPod(t, namespace, pod)
	}
}
