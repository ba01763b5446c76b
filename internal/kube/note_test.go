package kube

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestReadyNoteIsEmptyUntilSet(t *testing.T) {
	t.Parallel()
	var note ReadyNote
	assert.False(t, note.IsSet())
	assert.Empty(t, note.Text())
	note.Set("two installations select the same pods")
	assert.Equal(t, "two installations select the same pods", note.Text())
	note.Set("")
	assert.True(t, note.IsSet(), "nothing to report is a result, too")
	assert.Empty(t, note.Text())
}
