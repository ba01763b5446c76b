package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/pipeline-storage/pipeline-storage/test/bench/figures"
	"github.com/pipeline-storage/pipeline-storage/test/bench/stream"
)

// report is everything that one run of the benchmark found out. The load averages show whether
// something else ran meanwhile.
type report struct {
	rounds int
	// checked reports whether the outputs were checked.
	checked               bool
	machine               figures.Machine
	loadBefore, loadAfter string
	// floor is the peak memory of a program that does nothing, in bytes.
	floor int64
	sizes []sized
}

// sized is what the candidates cost on one stream. Costs has the costs of every measured round,
// by candidate.
type sized struct {
	size  stream.Size
	bytes int
	costs map[string][]cost
}

// columns of the table; after the first three each holds a spread. Times are in milliseconds of
// one run, memory in MiB.
var columns = []string{
	"stream", "bytes", "program", "CPU ms", "min", "max", "wall ms", "min", "max",
	"RSS MiB", "min", "max",
}

// table is the report for a terminal; the lines at its end are for programs that read it. Figures
// are aligned to the right. Those lines begin with RATIO and have a fixed form.
func (r report) table() string {
	var out strings.Builder
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range append([][]string{columns}, r.rows()...) {
		fmt.Fprintln(table, strings.Join(row, "\t")+"\t")
	}
	_ = table.Flush() // a strings.Builder takes everything
	out.WriteString("\n")
	for _, line := range r.notes() {
		out.WriteString(line + "\n")
	}
	out.WriteString("\n")
	for _, line := range r.ratios() {
		out.WriteString(line + "\n")
	}
	return out.String()
}

// markdown is the report for the documentation. It has the same figures as the table, so that one
// run makes both.
func (r report) markdown() string {
	var out strings.Builder
	line := func(cells []string) { out.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(columns)
	line(slices.Repeat([]string{"---"}, len(columns)))
	for _, row := range r.rows() {
		line(row)
	}
	out.WriteString("\n")
	for _, note := range r.notes() {
		out.WriteString("- " + note + "\n")
	}
	out.WriteString("\n```text\n" + strings.Join(r.ratios(), "\n") + "\n```\n")
	return out.String()
}

// notes are how the figures came about. Figures without them cannot be compared with those of
// another machine.
func (r report) notes() []string {
	notes := []string{
		fmt.Sprintf("medians of %d rounds after %d to warm up; the programs took turns", r.rounds, warmups),
		fmt.Sprintf("peak RSS of a program that does nothing: %.1f MiB", figures.Mebibytes(float64(r.floor))),
		r.machine.String(),
		fmt.Sprintf("load average %s before, %s after", r.loadBefore, r.loadAfter),
	}
	if !r.checked {
		notes = append(notes, "OUTPUTS WERE NOT CHECKED (--skip-check): these figures are for profiling only")
	}
	return notes
}

// rows are the cells of the table without its head: a row for each stream and candidate.
func (r report) rows() [][]string {
	var rows [][]string
	for _, s := range r.sizes {
		for _, name := range s.names() {
			row := []string{s.size.Name, strconv.Itoa(s.bytes), name}
			row = append(row, cells(s.cpu(name))...)
			row = append(row, cells(s.wall(name))...)
			row = append(row, cells(s.rss(name))...)
			rows = append(rows, row)
		}
	}
	return rows
}

// ratios are the lines that other programs read: what postrender costs in units of the others,
// and for the tools that it replaces, how many times less. A ratio is left out when one of the
// two was not measured. Each is of medians.
func (r report) ratios() []string {
	var lines []string
	for _, s := range r.sizes {
		add := func(name, label string, ratio func() float64) {
			if len(s.costs[candidatePostrender]) > 0 && len(s.costs[name]) > 0 {
				lines = append(lines, fmt.Sprintf("RATIO postrender %s %s-vs-%s %.2f", s.size.Name, label, name, ratio()))
			}
		}
		cpu := func(name string) float64 { return s.cpu(name).Median }
		rss := func(name string) float64 { return s.rss(name).Median }
		wall := func(name string) float64 { return s.wall(name).Median }
		subject := candidatePostrender
		add(candidateCopy, "cpu", func() float64 { return cpu(subject) / cpu(candidateCopy) })
		add(candidateImports, "cpu", func() float64 { return cpu(subject) / cpu(candidateImports) })
		add(candidateKustomize, "cpu", func() float64 { return cpu(candidateKustomize) / cpu(subject) })
		add(candidateYq, "cpu", func() float64 { return cpu(candidateYq) / cpu(subject) })
		add(candidateCopy, "rss", func() float64 { return rss(subject) / rss(candidateCopy) })
		add(candidateImports, "rss", func() float64 { return rss(subject) / rss(candidateImports) })
		add(candidatePredecessor, "cpu", func() float64 { return cpu(subject) / cpu(candidatePredecessor) })
		add(candidatePredecessor, "wall", func() float64 { return wall(subject) / wall(candidatePredecessor) })
	}
	return lines
}

// names are the candidates that were measured, in the order of the table. They have at least one
// cost each.
func (s sized) names() []string {
	var names []string
	for _, name := range tableNames {
		if len(s.costs[name]) > 0 {
			names = append(names, name)
		}
	}
	return names
}

// cpu, wall and rss are the spreads of one figure of a candidate, in the units of the table.
func (s sized) cpu(name string) figures.Spread {
	return spreadOf(s.costs[name], func(c cost) float64 { return milliseconds(c.cpu) })
}

func (s sized) wall(name string) figures.Spread {
	return spreadOf(s.costs[name], func(c cost) float64 { return milliseconds(c.wall) })
}

func (s sized) rss(name string) figures.Spread {
	return spreadOf(s.costs[name], func(c cost) float64 { return figures.Mebibytes(float64(c.rss)) })
}

// spreadOf is the spread of one figure of the costs. There must be at least one cost.
func spreadOf(costs []cost, figure func(cost) float64) figures.Spread {
	var all []float64
	for _, c := range costs {
		all = append(all, figure(c))
	}
	return figures.SpreadOf(all)
}

// cells are the columns of one figure. They are the median, the least and the most.
func cells(s figures.Spread) []string {
	return []string{decimal(s.Median), decimal(s.Least), decimal(s.Most)}
}

// decimal writes a figure with one decimal: more would be noise.
func decimal(figure float64) string { return fmt.Sprintf("%.1f", figure) }

// milliseconds keeps the fraction, unlike [time.Duration.Milliseconds].
func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
