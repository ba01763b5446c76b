package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/test/bench/figures"
	"github.com/pipeline-storage/pipeline-storage/test/latency"
)

func TestRatios(t *testing.T) {
	assert.Equal(t, []string{
		"RATIO capacity small 2.00",
		"RATIO capacity large 4.00",
		"RATIO allocs small 40",
		"RATIO allocs large 480",
		"RATIO rss-idle-mib 27.5",
		"RATIO ready-ms 90",
	}, example(t).ratios())
}

func TestRatiosUseHTTP1(t *testing.T) {
	r := example(t)
	second := *r.tables[0]
	second.protocol = "HTTP/2"
	second.subjects = []*subject{{name: "small", results: results(samples(1), samples(1))}}
	r.tables = append(r.tables, &second)

	assert.Contains(t, r.ratios(), "RATIO capacity small 2.00")
	assert.NotContains(t, r.ratios(), "RATIO capacity small 1.00")
}

func TestRatiosOfQuickRun(t *testing.T) {
	withoutAllow := example(t)
	for _, s := range withoutAllow.tables[0].subjects {
		delete(s.results, allow)
	}
	assert.Equal(t, "RATIO allocs small 40", withoutAllow.ratios()[0])

	withoutWebhook := example(t)
	delete(withoutWebhook.servers, webhookName)
	assert.Empty(t, withoutWebhook.ratios())
}

func TestTerminal(t *testing.T) {
	text := example(t).figures().Terminal()

	assert.Contains(t, text, "TLS 1.3 and HTTP/1.1, medians of 3 rounds in which the servers took turns\n")
	assert.Regexp(t, `small +4000 +allow +100\.0 +50\.0 +400\.0 +1\.00 +1\.00 +1\.00 +1000 +10 +40 +- +- +0 *\n`, text)
	assert.Regexp(t, `small +4000 +webhook +50\.0 +25\.0 +200\.0 +2\.00 +2\.00 +2\.00 +1000 +5 +40 +300 +4000 +500 *\n`,
		text)
	assert.Regexp(t, `webhook +90 +80 +200 +27\.5 +40\.0 +33\.0 *\n`, text)
	assert.Contains(t, text, "all of the 12000 answers measured were checked")
	assert.Contains(t, text, "go1.0, Linux 6.1, 2 x CPU; experiments of the toolchain: none")
	assert.Contains(t, text, "load average 0.10 0.20 0.30 before, 0.40 0.50 0.60 after")
	assert.NotContains(t, text, "mean nothing")
	assert.True(t, strings.HasSuffix(text, "\n\n"+strings.Join(example(t).ratios(), "\n")+"\n"), text)
}

func TestTerminalWarnsOfSingleCPU(t *testing.T) {
	r := example(t)
	r.isPinned = false
	assert.Contains(t, r.figures().Terminal(), "ONE CPU FOR SERVERS AND CLIENT")
}

func TestTerminalWarnsOfOtherLoad(t *testing.T) {
	r := example(t)
	assert.Contains(t, r.figures().Terminal(), "NOISE: allow had 10 % of its CPU")

	for _, s := range r.tables[0].subjects {
		for i := range s.results[allow].samples {
			s.results[allow].samples[i].cpu = 900 * time.Millisecond
		}
	}
	assert.NotContains(t, r.figures().Terminal(), "NOISE")
}

func TestMarkdown(t *testing.T) {
	markdown := example(t).figures().Markdown()

	assert.Contains(t, markdown,
		"| small | 4000 | webhook | 50.0 | 25.0 | 200.0 | 2.00 | 2.00 | 2.00 | 1000 | 5 | 40 | 300 | 4000 | 500 |\n")
	assert.Contains(t, markdown, "| webhook | 90 | 80 | 200 | 27.5 | 40.0 | 33.0 |\n")
	assert.Contains(t, markdown, "```text\nRATIO capacity small 2.00\n")
}

// The comparison of one round must not be hidden by the medians of all.
func TestComparisonWithinRounds(t *testing.T) {
	s := subject{results: results(samples(100, 100, 300), samples(50, 100, 50))}

	assert.Equal(t, []string{"2.00", "1.00", "6.00"}, s.comparison(webhookName))
}

// example is a report of three rounds, in which the webhook costs half of allow for small reviews
// and a quarter for large ones.
func example(t *testing.T) *report {
	t.Helper()
	o, err := parse([]string{"--servers=allow,webhook", "--rounds=3"})
	require.NoError(t, err)
	large := samples(100, 100, 100)
	for i := range large {
		large[i].allocs *= 12
	}
	small := results(samples(400, 50, 100), samples(200, 25, 50))
	small[webhookName].length = 500
	small[webhookName].latencies = latency.Series{{300 * time.Microsecond, 300 * time.Microsecond, 4 * time.Millisecond}}
	return &report{
		options: o, isPinned: true, experiments: "none",
		machine:    figures.Machine{GoVersion: "go1.0", Kernel: "6.1", CPU: "2 x CPU"},
		loadBefore: "0.10 0.20 0.30", loadAfter: "0.40 0.50 0.60",
		servers: map[string]*serverFigures{
			allow:       {ready: []float64{20, 10, 30}, idle: 20 << 20, loaded: 30 << 20, program: 27e6},
			webhookName: {ready: []float64{200, 80, 90}, idle: 27.5 * (1 << 20), loaded: 40 << 20, program: 33e6},
		},
		tables: []*table{{protocol: "HTTP/1.1", rounds: 3, subjects: []*subject{
			{name: "small", bytes: 4000, results: small},
			{name: "large", bytes: 70000, results: results(samples(400, 400, 400), large)},
		}}},
	}
}

func results(ofAllow, ofWebhook []sample) map[string]*result {
	return map[string]*result{
		allow:       {checker: &checker{}, samples: ofAllow},
		webhookName: {checker: &checker{}, samples: ofWebhook},
	}
}

// samples are of a thousand reviews in a second, with their CPU time in microseconds and 40
// allocations each.
func samples(costs ...int) []sample {
	var all []sample
	for _, cost := range costs {
		all = append(all, sample{
			requests: 1000, elapsed: time.Second, cpu: time.Duration(cost) * time.Millisecond, allocs: 40_000,
		})
	}
	return all
}
