package docs_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	reliability    = "../../docs/reliability.md"
	disastersBegin = "<!-- disasters -->\n"
	disastersEnd   = "<!-- /disasters -->\n"
)

var figuresFile = flag.String("figures", "",
	"write the table of disasters of docs/reliability.md from this `file`: make e2e-full FIGURES=file")

// figure is what test/e2e writes about one disaster, as a line of JSON.
type figure struct {
	Disaster, Test string
	Bytes, Lost    int64
	Seconds        float64
}

// TestDisastersAreInTheTable writes the table when it has figures. Without, it checks that the table has a place.
func TestDisastersAreInTheTable(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile(reliability)
	require.NoError(t, err)
	before, rest, begun := strings.Cut(string(document), disastersBegin)
	_, after, ended := strings.Cut(rest, disastersEnd)
	require.True(t, begun && ended, "the markers are missing")
	if *figuresFile == "" {
		return
	}
	text, err := os.ReadFile(*figuresFile)
	require.NoError(t, err)
	table := before + disastersBegin + tableOf(t, text) + disastersEnd + after
	require.NoError(t, os.WriteFile(reliability, []byte(table), 0o600))
}

func TestTableOfDisastersAddsUpRuns(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "| Disaster | times | bytes written before | lost | seconds until the next pod had read them: "+
		"median, worst | test |\n|---|---|---|---|---|---|\n"+
		"| a happens | 1 | 1 MiB | 0 | 3.1, 3.1 | `TestA` |\n"+
		"| b happens | 2 | 2 MiB | 1 | 2.0, 2.0 | `TestB` |\n",
		tableOf(t, []byte(`{"Disaster":"b happens","Test":"TestB/sub","Bytes":1048576,"Lost":0,"Seconds":2}
{"Disaster":"a happens","Test":"TestA","Bytes":1048576,"Lost":0,"Seconds":3.14}
{"Disaster":"b happens","Test":"TestB/sub","Bytes":1048576,"Lost":1,"Seconds":1}
`)))
}

// tableOf has a row for each disaster, in the order of their tests.
func tableOf(t *testing.T, lines []byte) string {
	t.Helper()
	rows, seconds := map[string]*figure{}, map[string][]float64{}
	for line := range bytes.Lines(lines) {
		var f figure
		require.NoError(t, json.Unmarshal(line, &f))
		f.Test, _, _ = strings.Cut(f.Test, "/")
		key := f.Test + " " + f.Disaster
		if sum := rows[key]; sum != nil {
			f.Bytes, f.Lost = f.Bytes+sum.Bytes, f.Lost+sum.Lost
		}
		rows[key], seconds[key] = &f, append(seconds[key], f.Seconds)
	}
	var out strings.Builder
	out.WriteString("| Disaster | times | bytes written before | lost | seconds until the next pod had read them: " +
		"median, worst | test |\n|---|---|---|---|---|---|\n")
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		r, took := rows[key], seconds[key]
		slices.Sort(took)
		fmt.Fprintf(&out, "| %s | %d | %d MiB | %d | %.1f, %.1f | `%s` |\n",
			r.Disaster, len(took), r.Bytes>>20, r.Lost, took[len(took)/2], took[len(took)-1], r.Test)
	}
	return out.String()
}
