package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/pipeline-storage/pipeline-storage/test/bench/figures"
)

// report holds everything that one run measured.
type report struct {
	options               options
	machine               figures.Machine
	experiments           string
	isPinned              bool
	loadBefore, loadAfter string
	// By the candidate's name: milliseconds until ready, and bytes.
	ready                  map[string][]float64
	idle, loaded, programs map[string]float64
	tables                 []table
}

// Columns. "CPU us" is for one review; "vs allow" is how many times the capacity of allow a server
// has, as CPU time for CPU time, over all rounds and in the worst and the best of them.
var (
	costColumns = []string{
		"review", "bytes", "server", "CPU us", "min", "max", "vs allow", "min", "max", "reviews/s", "busy %", "allocs",
		"p50 us", "p99 us", "answer",
	}
	startColumns = []string{"server", "ready ms", "min", "max", "idle RSS MiB", "loaded RSS MiB", "program MB"}
)

// terminal is the report for a terminal; the lines at its end are for programs that read it.
func (r *report) terminal() string {
	var out strings.Builder
	for _, t := range r.tables {
		fmt.Fprintf(&out, "%s\n", t.title())
		align(&out, costColumns, t.rows())
		out.WriteString("\n")
	}
	align(&out, startColumns, r.starts())
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

// markdown is the report for the documentation.
func (r *report) markdown() string {
	var out strings.Builder
	for _, t := range r.tables {
		fmt.Fprintf(&out, "%s:\n\n", t.title())
		bars(&out, costColumns, t.rows())
		out.WriteString("\n")
	}
	bars(&out, startColumns, r.starts())
	out.WriteString("\n")
	for _, note := range r.notes() {
		out.WriteString("- " + note + "\n")
	}
	if ratios := r.ratios(); len(ratios) > 0 {
		out.WriteString("\n```text\n" + strings.Join(ratios, "\n") + "\n```\n")
	}
	return out.String()
}

func align(out *strings.Builder, columns []string, rows [][]string) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range append([][]string{columns}, rows...) {
		fmt.Fprintln(table, strings.Join(row, "\t")+"\t")
	}
	_ = table.Flush() // a strings.Builder takes everything
}

func bars(out *strings.Builder, columns []string, rows [][]string) {
	lines := append([][]string{columns, slices.Repeat([]string{"---"}, len(columns))}, rows...)
	for _, cells := range lines {
		out.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
}

func (t table) title() string {
	return fmt.Sprintf("TLS 1.3 and %s, medians of %d rounds in which the servers took turns", t.protocol, t.rounds)
}

func (t table) rows() [][]string {
	var rows [][]string
	for _, s := range t.sizes {
		for _, name := range candidateNames() {
			if len(s.samples[name]) > 0 {
				rows = append(rows, s.row(name))
			}
		}
	}
	return rows
}

func (s *sized) row(name string) []string {
	row := []string{s.name, strconv.Itoa(s.bytes), name}
	row = append(row, cells(s.spread(name, sample.cost), 1)...)
	row = append(row, s.comparison(name)...)
	row = append(row,
		decimal(s.spread(name, sample.rate).Median, 0),
		decimal(s.spread(name, sample.busy).Median, 0),
		decimal(s.spread(name, sample.allocsPerReview).Median, 0),
	)
	row = append(row, s.latencies[name].cells()...)
	return append(row, strconv.Itoa(s.answers[name]))
}

// capacity is how many times the capacity of allow a server has.
func (s *sized) capacity(name string) float64 {
	return s.spread(allow, sample.cost).Median / s.spread(name, sample.cost).Median
}

// comparison returns the capacity, and its minimum and maximum within one round.
func (s *sized) comparison(name string) []string {
	if len(s.samples[allow]) == 0 {
		return []string{"-", "-", "-"}
	}
	var all []float64
	for round, taken := range s.samples[name] {
		all = append(all, s.samples[allow][round].cost()/taken.cost())
	}
	within := figures.SpreadOf(all)
	return []string{decimal(s.capacity(name), 2), decimal(within.Least, 2), decimal(within.Most, 2)}
}

func (l latency) cells() []string {
	if l.rate == 0 {
		return []string{"-", "-"}
	}
	return []string{strconv.FormatInt(l.middle.Microseconds(), 10), strconv.FormatInt(l.slow.Microseconds(), 10)}
}

func (r *report) starts() [][]string {
	var rows [][]string
	for _, name := range candidateNames() {
		if len(r.ready[name]) == 0 {
			continue
		}
		row := append([]string{name}, cells(figures.SpreadOf(r.ready[name]), 0)...)
		rows = append(rows, append(row,
			decimal(figures.Mebibytes(r.idle[name]), 1),
			decimal(figures.Mebibytes(r.loaded[name]), 1),
			decimal(r.programs[name]/1e6, 1),
		))
	}
	return rows
}

// notes describe how the figures were measured.
func (r *report) notes() []string {
	var notes []string
	for _, c := range r.options.candidates() {
		notes = append(notes, c.name+": "+c.what)
	}
	placed := "the servers on one CPU, the client and the control plane on the others"
	if !r.isPinned {
		placed = "ONE CPU FOR SERVERS AND CLIENT: latencies and rates mean nothing"
	}
	if busy := r.leastBusy(); busy < satisfied {
		notes = append(notes,
			fmt.Sprintf("NOISE: %s had %.0f %% of its CPU at some point; other work on this machine had the rest", allow, busy))
	}
	return append(notes,
		fmt.Sprintf("%d requests in flight for %s after a warm-up of %s; GOMAXPROCS=1; %s", inFlight, r.options.duration,
			r.options.warmUp, placed),
		fmt.Sprintf("all of the %d answers measured were checked", r.answers()),
		fmt.Sprintf("p50 and p99 at %.0f %% of the capacity of allow, the same rate for all; - for a server that it would "+
			"drown", 100*offered),
		fmt.Sprintf("idle RSS %s after a start; ready: from its start to the first TLS handshake, and for the webhook to "+
			"/readyz too", r.options.idle),
		fmt.Sprintf("%s; experiments of the toolchain: %s", r.machine, r.experiments),
		fmt.Sprintf("load average %s before, %s after", r.loadBefore, r.loadAfter),
	)
}

// satisfied is the least share of its CPU that the slowest server gets on a quiet machine, in
// percent.
const satisfied = 85

// leastBusy is the smallest share of its CPU that allow got over HTTP/1.1, where the client is
// faster than allow.
func (r *report) leastBusy() float64 {
	least := 100.0
	for _, s := range r.tables[0].sizes {
		if len(s.samples[allow]) > 0 {
			least = min(least, s.spread(allow, sample.busy).Median)
		}
	}
	return least
}

// answers are the answers in the tables.
func (r *report) answers() int {
	all := 0
	for _, t := range r.tables {
		for _, s := range t.sizes {
			for _, samples := range s.samples {
				for _, taken := range samples {
					all += taken.requests
				}
			}
		}
	}
	return all
}

// ratios are the lines for other programs. They are about the webhook, over HTTP/1.1.
func (r *report) ratios() []string {
	var lines []string
	if len(r.ready[webhookName]) == 0 {
		return nil
	}
	for _, s := range r.tables[0].sizes {
		if len(s.samples[allow]) > 0 {
			lines = append(lines, fmt.Sprintf("RATIO capacity %s %.2f", s.name, s.capacity(webhookName)))
		}
	}
	for _, s := range r.tables[0].sizes {
		lines = append(lines,
			fmt.Sprintf("RATIO allocs %s %.0f", s.name, s.spread(webhookName, sample.allocsPerReview).Median))
	}
	return append(lines,
		fmt.Sprintf("RATIO rss-idle-mib %.1f", figures.Mebibytes(r.idle[webhookName])),
		fmt.Sprintf("RATIO ready-ms %.0f", figures.Median(r.ready[webhookName])),
	)
}

func cells(s figures.Spread, places int) []string {
	return []string{decimal(s.Median, places), decimal(s.Least, places), decimal(s.Most, places)}
}

func decimal(figure float64, places int) string { return strconv.FormatFloat(figure, 'f', places, 64) }
