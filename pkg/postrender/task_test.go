package postrender

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPanicsInGoroutineOfCaller holds what a caller of Render relies on: recover works around it,
// although documents are parsed in other goroutines.
func TestPanicsInGoroutineOfCaller(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken parser")
	work := start(func() { panic(broken) })

	var recovered any
	func() {
		defer func() { recovered = recover() }()
		work.wait()
	}()

	err, ok := recovered.(error)
	require.True(t, ok)
	require.ErrorIs(t, err, broken)
	assert.Contains(t, err.Error(), "task_test.go", "the stack is that of the task")
}

func TestWaitsForTask(t *testing.T) {
	t.Parallel()
	isDone := false
	work := start(func() { isDone = true })
	work.wait()
	assert.True(t, isDone)
	(*task)(nil).wait()
}
