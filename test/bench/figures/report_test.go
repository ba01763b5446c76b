package figures

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWritesTerminalAndMarkdown(t *testing.T) {
	var out strings.Builder
	file := filepath.Join(t.TempDir(), "tables.md")
	r := Report{
		Tables: []Table{{Title: "One", Columns: []string{"a", "b"}, Rows: [][]string{{"1", "22"}}}, {Columns: []string{"c"}}},
		Notes:  []string{"first", "second"}, Ratios: []string{"RATIO x 1"},
	}

	require.NoError(t, r.Write(&out, file))

	assert.Equal(t, "One\n  a   b\n  1  22\n\n  c\n\nfirst\nsecond\n\nRATIO x 1\n", out.String())
	markdown, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, "One:\n\n| a | b |\n| --- | --- |\n| 1 | 22 |\n\n| c |\n| --- |\n\n- first\n- second\n\n"+
		"```text\nRATIO x 1\n```\n", string(markdown))
}

func TestSpreadByFigure(t *testing.T) {
	assert.Equal(t, []string{"2.0", "1.0", "3.0"}, SpreadBy([]string{"aaa", "a", "aa"}, func(s string) float64 {
		return float64(len(s))
	}).Cells(1))
}

func TestMainReturnsExitCode(t *testing.T) {
	for err, want := range map[error]int{nil: 0, pflag.ErrHelp: 0, errors.New("torn"): 1} {
		assert.Equal(t, want, Main("test", func(context.Context, []string, io.Writer) error { return err }))
	}
}
