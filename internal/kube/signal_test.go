package kube

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestSignalWakesOnceForSeveralChanges(t *testing.T) {
	t.Parallel()
	signal := NewSignal()
	assert.Empty(t, signal)
	for range 3 {
		signal.Notify()
	}
	assert.Len(t, signal, 1)
	<-signal
	signal.Notify()
	assert.Len(t, signal, 1, "a change after the loop has received is a new one")
}
