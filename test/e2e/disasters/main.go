// Command disasters writes the table of docs/reliability.md from the figures of runs:
//
//	make e2e-full FIGURES=figures.json
//	go run ./test/e2e/disasters figures.json [DOCUMENT]
//
// With a document it replaces the text between the markers, otherwise it prints the table.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/pipeline-storage/pipeline-storage/test/e2e/figure"
)

const (
	begin = "<!-- disasters -->\n"
	end   = "<!-- /disasters -->\n"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "disasters:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	if len(args) == 0 || len(args) > 2 {
		return errors.New("give the file with the figures, and the document to write them into")
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	figures, err := read(text)
	if err != nil {
		return err
	}
	if len(args) == 1 {
		_, err = io.WriteString(stdout, table(figures))
		return err
	}
	document, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}
	document, err = replace(document, table(figures))
	if err != nil {
		return fmt.Errorf("%s: %w", args[1], err)
	}
	return os.WriteFile(args[1], document, 0o644)
}

func read(text []byte) (figures []figure.Figure, err error) {
	for line := range bytes.Lines(text) {
		var f figure.Figure
		if err := json.Unmarshal(line, &f); err != nil {
			return nil, fmt.Errorf("read a figure: %w", err)
		}
		figures = append(figures, f)
	}
	return figures, nil
}

// row is everything about one disaster.
type row struct {
	figure.Figure
	seconds []float64
}

// table has a row for each disaster, in the order of their tests.
func table(figures []figure.Figure) string {
	rows := map[string]*row{}
	for _, f := range figures {
		r := rows[f.Disaster]
		if r == nil {
			r = &row{Figure: figure.Figure{Disaster: f.Disaster, Test: f.Test}}
			rows[f.Disaster] = r
		}
		r.Bytes += f.Bytes
		r.Lost += f.Lost
		r.seconds = append(r.seconds, f.Seconds)
	}
	sorted := make([]*row, 0, len(rows))
	for _, r := range rows {
		slices.Sort(r.seconds)
		sorted = append(sorted, r)
	}
	slices.SortFunc(sorted, func(a, b *row) int { return strings.Compare(a.Test+a.Disaster, b.Test+b.Disaster) })

	var out strings.Builder
	out.WriteString("| Disaster | times | bytes written before | lost | seconds until the next pod had read them: " +
		"median, worst | test |\n|---|---|---|---|---|---|\n")
	for _, r := range sorted {
		test, _, _ := strings.Cut(r.Test, "/")
		fmt.Fprintf(&out, "| %s | %d | %d MiB | %d | %.1f, %.1f | `%s` |\n",
			r.Disaster, len(r.seconds), r.Bytes>>20, r.Lost, r.seconds[len(r.seconds)/2], r.seconds[len(r.seconds)-1], test)
	}
	return out.String()
}

func replace(document []byte, table string) ([]byte, error) {
	before, rest, begun := bytes.Cut(document, []byte(begin))
	_, after, ended := bytes.Cut(rest, []byte(end))
	if !begun || !ended {
		return nil, fmt.Errorf("the markers %s and %s are missing", strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return slices.Concat(before, []byte(begin+table+end), after), nil
}
