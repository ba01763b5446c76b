package figures

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Report is what a benchmark has found: its tables, how the figures came about, and lines for programs that
// read them.
type Report struct {
	Tables        []Table
	Notes, Ratios []string
}

// Table has cells that are aligned to the right. The title may be empty.
type Table struct {
	Title   string
	Columns []string
	Rows    [][]string
}

// Write writes the report for a terminal, and for the documentation into the file markdown unless that is
// empty.
func (r Report) Write(terminal io.Writer, markdown string) error {
	if markdown != "" {
		if err := os.WriteFile(markdown, []byte(r.Markdown()), 0o644); err != nil {
			return fmt.Errorf("write the tables for the documentation: %w", err)
		}
	}
	_, err := io.WriteString(terminal, r.Terminal())
	return err
}

// Terminal returns the report as text. The ratios are its last lines.
func (r Report) Terminal() string {
	var out strings.Builder
	for _, t := range r.Tables {
		if t.Title != "" {
			fmt.Fprintln(&out, t.Title)
		}
		table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
		for _, row := range append([][]string{t.Columns}, t.Rows...) {
			fmt.Fprintln(table, strings.Join(row, "\t")+"\t")
		}
		_ = table.Flush() // a strings.Builder takes everything
		fmt.Fprintln(&out)
	}
	fmt.Fprintln(&out, strings.Join(r.Notes, "\n")+"\n")
	for _, line := range r.Ratios {
		fmt.Fprintln(&out, line)
	}
	return out.String()
}

// Markdown returns the report with the same figures as Terminal, so that one run makes both.
func (r Report) Markdown() string {
	var out strings.Builder
	for _, t := range r.Tables {
		if t.Title != "" {
			fmt.Fprintf(&out, "%s:\n\n", t.Title)
		}
		for _, row := range slices.Concat([][]string{t.Columns, slices.Repeat([]string{"---"}, len(t.Columns))}, t.Rows) {
			fmt.Fprintf(&out, "| %s |\n", strings.Join(row, " | "))
		}
		fmt.Fprintln(&out)
	}
	fmt.Fprintf(&out, "- %s\n", strings.Join(r.Notes, "\n- "))
	if len(r.Ratios) > 0 {
		fmt.Fprintf(&out, "\n```text\n%s\n```\n", strings.Join(r.Ratios, "\n"))
	}
	return out.String()
}

// Cells are the three columns of one figure: the median, the least and the most.
func (s Spread) Cells(places int) []string {
	return []string{Decimal(s.Median, places), Decimal(s.Least, places), Decimal(s.Most, places)}
}

// Decimal writes a figure with so many decimal places.
func Decimal(figure float64, places int) string { return strconv.FormatFloat(figure, 'f', places, 64) }
