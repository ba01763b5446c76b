package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/pipeline-storage/pipeline-storage/test/bench/figures"
)

// report is everything that one run of the benchmark found out. The load averages show whether something else
// ran meanwhile.
type report struct {
	rounds                int
	machine               figures.Machine
	loadBefore, loadAfter string
	// floor is the peak memory of a program that does nothing, in bytes.
	floor int64
	sizes []sized
}

// sized is what the candidates cost on one stream in every measured round, by the candidate's name.
type sized struct {
	name  string
	bytes int
	costs map[string][]cost
}

// The figures of a cost, in the units of the table.
var (
	cpu  = func(c cost) float64 { return milliseconds(c.cpu) }
	wall = func(c cost) float64 { return milliseconds(c.wall) }
	rss  = func(c cost) float64 { return figures.Mebibytes(float64(c.rss)) }
)

// milliseconds keeps the fraction, unlike [time.Duration.Milliseconds].
func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// columns of the table; after the first three each figure is a spread over the rounds.
var columns = []string{
	"stream", "bytes", "program", "CPU ms", "min", "max", "wall ms", "min", "max", "RSS MiB", "min", "max",
}

// figures returns the table, with a row for each stream and candidate.
func (r report) figures() figures.Report {
	table := figures.Table{Columns: columns}
	for _, s := range r.sizes {
		for _, c := range candidates {
			if costs := s.costs[c.name]; len(costs) > 0 {
				row := []string{s.name, strconv.Itoa(s.bytes), c.name}
				for _, figure := range []func(cost) float64{cpu, wall, rss} {
					row = append(row, figures.SpreadBy(costs, figure).Cells(1)...)
				}
				table.Rows = append(table.Rows, row)
			}
		}
	}
	return figures.Report{Tables: []figures.Table{table}, Notes: r.notes(), Ratios: r.ratios()}
}

// notes are how the figures came about. Figures without them cannot be compared with those of another machine.
func (r report) notes() []string {
	return []string{
		fmt.Sprintf("medians of %d rounds after %d to warm up; the programs took turns", r.rounds, warmups),
		fmt.Sprintf("peak RSS of a program that does nothing: %.1f MiB", figures.Mebibytes(float64(r.floor))),
		r.machine.String(),
		fmt.Sprintf("load average %s before, %s after", r.loadBefore, r.loadAfter),
	}
}

// comparisons are what postrender costs in units of the others, and for the tools that it replaces, how many
// times less.
var comparisons = []struct {
	label  string
	figure func(cost) float64
	other  string
	isLess bool
}{
	{"cpu", cpu, copies, false},
	{"cpu", cpu, imports, false},
	{"cpu", cpu, kustomize, true},
	{"cpu", cpu, yq, true},
	{"rss", rss, copies, false},
	{"rss", rss, imports, false},
	{"cpu", cpu, predecessor, false},
	{"wall", wall, predecessor, false},
}

// ratios are the lines that other programs read, of medians. A ratio is left out when one of the two was not
// measured.
func (r report) ratios() []string {
	var lines []string
	for _, s := range r.sizes {
		for _, c := range comparisons {
			own, others := s.costs[postrender], s.costs[c.other]
			if len(own) == 0 || len(others) == 0 {
				continue
			}
			ratio := figures.SpreadBy(own, c.figure).Median / figures.SpreadBy(others, c.figure).Median
			if c.isLess {
				ratio = 1 / ratio
			}
			lines = append(lines, fmt.Sprintf("RATIO postrender %s %s-vs-%s %.2f", s.name, c.label, c.other, ratio))
		}
	}
	return lines
}
