package main

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pipeline-storage/pipeline-storage/test/bench/figures"
)

// report holds everything that one run measured.
type report struct {
	options               options
	machine               figures.Machine
	experiments           string // of the toolchain
	isPinned              bool
	loadBefore, loadAfter string
	servers               map[string]*serverFigures
	tables                []*table
}

// serverFigures are those of one server that do not depend on reviews: milliseconds until ready, and bytes.
type serverFigures struct {
	ready                 []float64
	idle, loaded, program float64
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

// figures returns a table for each version of HTTP, and one of the servers.
func (r *report) figures() figures.Report {
	made := figures.Report{Notes: r.notes(), Ratios: r.ratios()}
	for _, t := range r.tables {
		title := fmt.Sprintf("TLS 1.3 and %s, medians of %d rounds in which the servers took turns", t.protocol, t.rounds)
		one := figures.Table{Title: title, Columns: costColumns}
		for _, s := range t.subjects {
			for _, c := range candidates {
				if s.measured(c.name) {
					one.Rows = append(one.Rows, s.row(c.name))
				}
			}
		}
		made.Tables = append(made.Tables, one)
	}
	starts := figures.Table{Columns: startColumns}
	for _, c := range candidates {
		if f := r.servers[c.name]; f != nil {
			starts.Rows = append(starts.Rows, slices.Concat([]string{c.name}, figures.SpreadOf(f.ready).Cells(0), []string{
				figures.Decimal(figures.Mebibytes(f.idle), 1), figures.Decimal(figures.Mebibytes(f.loaded), 1),
				figures.Decimal(f.program/1e6, 1),
			}))
		}
	}
	made.Tables = append(made.Tables, starts)
	return made
}

// row are the cells of one server. A dash is for a figure that was not measured.
func (s *subject) row(name string) []string {
	latencies := []string{"-", "-"}
	if all := s.results[name].latencies; all.Count() > 0 {
		latencies = []string{micros(all.Quantile(0.5)), micros(all.Quantile(0.99))}
	}
	return slices.Concat(
		[]string{s.name, strconv.Itoa(s.bytes), name}, s.spread(name, sample.cost).Cells(1), s.comparison(name),
		[]string{
			figures.Decimal(s.spread(name, sample.rate).Median, 0), figures.Decimal(s.spread(name, sample.busy).Median, 0),
			figures.Decimal(s.spread(name, sample.allocsPerReview).Median, 0),
		},
		latencies, []string{strconv.Itoa(s.results[name].length)},
	)
}

func micros(d time.Duration) string { return strconv.FormatInt(d.Microseconds(), 10) }

// comparison returns the capacity, and its minimum and maximum within one round.
func (s *subject) comparison(name string) []string {
	if !s.measured(allow) {
		return []string{"-", "-", "-"}
	}
	var within []float64
	for round, taken := range s.results[name].samples {
		within = append(within, s.results[allow].samples[round].cost()/taken.cost())
	}
	spread := figures.SpreadOf(within)
	spread.Median = s.capacity(name)
	return spread.Cells(2)
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
	for _, s := range r.tables[0].subjects {
		if s.measured(allow) {
			least = min(least, s.spread(allow, sample.busy).Median)
		}
	}
	return least
}

// answers are the answers in the tables.
func (r *report) answers() int {
	all := 0
	for _, t := range r.tables {
		for _, s := range t.subjects {
			for _, result := range s.results {
				for _, taken := range result.samples {
					all += taken.requests
				}
			}
		}
	}
	return all
}

// ratios are the lines for other programs. They are about the webhook, over HTTP/1.1.
func (r *report) ratios() []string {
	webhook := r.servers[webhookName]
	if webhook == nil {
		return nil
	}
	var capacities, allocs []string
	for _, s := range r.tables[0].subjects {
		if s.measured(allow) {
			capacities = append(capacities, fmt.Sprintf("RATIO capacity %s %.2f", s.name, s.capacity(webhookName)))
		}
		median := s.spread(webhookName, sample.allocsPerReview).Median
		allocs = append(allocs, fmt.Sprintf("RATIO allocs %s %.0f", s.name, median))
	}
	return slices.Concat(capacities, allocs, []string{
		fmt.Sprintf("RATIO rss-idle-mib %.1f", figures.Mebibytes(webhook.idle)),
		fmt.Sprintf("RATIO ready-ms %.0f", figures.Median(webhook.ready)),
	})
}

// experiments are those of the toolchain. They decide which encoding/json is measured.
func experiments(ctx context.Context) (string, error) {
	text, err := exec.CommandContext(ctx, "go", "env", "GOEXPERIMENT").Output()
	if err != nil {
		return "", fmt.Errorf("read Go's experiments: %w", err)
	}
	if found := strings.TrimSpace(string(text)); found != "" {
		return found, nil
	}
	return "none", nil
}
