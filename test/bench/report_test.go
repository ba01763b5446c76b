package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/pipeline-storage/pipeline-storage/test/bench/figures"
)

func TestPrintsRatiosToEveryCandidate(t *testing.T) {
	assert.Equal(t, []string{
		"RATIO postrender small cpu-vs-copy 3.00",
		"RATIO postrender small cpu-vs-imports 1.50",
		"RATIO postrender small cpu-vs-kustomize 20.00",
		"RATIO postrender small cpu-vs-yq 3.33",
		"RATIO postrender small rss-vs-copy 4.00",
		"RATIO postrender small rss-vs-imports 1.14",
	}, example().ratios())
}

func TestPrintsRatiosToMeasuredCandidatesOnly(t *testing.T) {
	r := example()
	for _, name := range []string{imports, yq, kustomize} {
		delete(r.sizes[0].costs, name)
	}
	assert.Equal(t, []string{
		"RATIO postrender small cpu-vs-copy 3.00",
		"RATIO postrender small rss-vs-copy 4.00",
	}, r.ratios())
}

func TestPrintsRatiosToPredecessor(t *testing.T) {
	r := example()
	costs := r.sizes[0].costs
	costs[predecessor] = []cost{{cpu: 4 * time.Millisecond, wall: 8 * time.Millisecond, rss: 8 << 20}}
	assert.Equal(t, []string{
		"RATIO postrender small cpu-vs-predecessor 0.75",
		"RATIO postrender small wall-vs-predecessor 0.50",
	}, r.ratios()[6:])
	assert.Contains(t, r.figures().Terminal(), "predecessor     4.0   4.0   4.0      8.0  8.0  8.0")
}

func TestPrintsNoRatiosWithoutPostrender(t *testing.T) {
	r := example()
	delete(r.sizes[0].costs, postrender)
	assert.Empty(t, r.ratios())
}

func TestPrintsTable(t *testing.T) {
	text := example().figures().Terminal()

	assert.Contains(t, text, "postrender     3.0   2.0   9.0      4.0  4.0  4.0      8.0   8.0   8.0")
	assert.Contains(t, text, "peak RSS of a program that does nothing: 1.0 MiB")
	assert.Contains(t, text, "load average 0.10 0.20 0.30 before, 0.40 0.50 0.60 after")
	assert.True(t, strings.HasSuffix(text, "\nRATIO postrender small rss-vs-imports 1.14\n"), text)
}

func TestPrintsMarkdownTable(t *testing.T) {
	markdown := example().figures().Markdown()

	assert.Contains(t, markdown, "| small | 20000 | postrender | 3.0 | 2.0 | 9.0 | 4.0 | 4.0 | 4.0 | 8.0 | 8.0 | 8.0 |\n")
	assert.Contains(t, markdown, "RATIO postrender small cpu-vs-copy 3.00\n")
}

// example is a report of one stream and three rounds.
func example() report {
	once := func(cpu, rss int) []cost {
		c := cost{cpu: time.Duration(cpu) * time.Millisecond, wall: time.Millisecond, rss: int64(rss) << 20}
		return []cost{c, c, c}
	}
	subject := func(cpu int) cost {
		return cost{cpu: time.Duration(cpu) * time.Millisecond, wall: 4 * time.Millisecond, rss: 8 << 20}
	}
	return report{
		rounds: 3, floor: 1 << 20,
		loadBefore: "0.10 0.20 0.30", loadAfter: "0.40 0.50 0.60",
		machine: figures.Machine{GoVersion: "go1.0", Kernel: "6.1", CPU: "2 x CPU"},
		sizes: []sized{{name: "small", bytes: 20000, costs: map[string][]cost{
			copies:     once(1, 2),
			imports:    once(2, 7),
			postrender: {subject(9), subject(2), subject(3)},
			yq:         once(10, 16),
			kustomize:  once(60, 34),
		}}},
	}
}
