package app

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

const (
	repository = "../../.."
	operations = repository + "/docs/operations.md"
	dashboard  = repository + "/charts/pipeline-storage/files/dashboard.json"
)

var (
	update = flag.Bool("update", false, "write the table of metrics in docs/operations.md")

	metricRows = regexp.MustCompile(`(?s)(\| Metric \|[^\n]*\n\|---[^\n]*\n)(.*?)(\n\n)`)
	eventRows  = regexp.MustCompile(`(?s)\| Reason \| About \|[^\n]*\n\|---[^\n]*\n(.*?)\n\n`)
	firstCell  = regexp.MustCompile("(?m)^\\| `(\\w+)`")
	// described is how prometheus prints a description.
	described = regexp.MustCompile(`fqName: ("[^"]*"), help: ("(?:[^"\\]|\\.)*"), .*variableLabels: \{(.*)\}\}$`)
	ownMetric = regexp.MustCompile(`"(pipeline_storage_\w+)"`)
)

// metric is what the program registers.
type metric struct{ name, labels, help string }

func (m metric) row() string {
	labels := ""
	if m.labels != "" {
		labels = "`" + m.labels + "`"
	}
	return fmt.Sprintf("| `%s` | %s | %s |", m.name, labels, m.help)
}

// registered returns the metrics of this program: all packages of the program register theirs when
// they are imported, but for the gauge of /readyz.
func registered(t *testing.T) []metric {
	t.Helper()
	registry, ok := metrics.Registry.(prometheus.Collector)
	require.True(t, ok)
	descriptions := make(chan *prometheus.Desc, 1000)
	registry.Describe(descriptions)
	(&health{}).gauge().Describe(descriptions)
	close(descriptions)
	var all []metric
	for d := range descriptions {
		match := described.FindStringSubmatch(d.String())
		require.NotNil(t, match, d.String())
		name, err := strconv.Unquote(match[1])
		require.NoError(t, err)
		help, err := strconv.Unquote(match[2])
		require.NoError(t, err)
		if strings.HasPrefix(name, "pipeline_storage_") {
			all = append(all, metric{name, match[3], help})
		}
	}
	slices.SortFunc(all, func(a, b metric) int { return strings.Compare(a.name, b.name) })
	return slices.Compact(all)
}

// sources calls a function with each Go file of the program that is no test.
func sources(t *testing.T, each func(path string)) {
	t.Helper()
	for _, directory := range []string{"internal", "cmd", "pkg"} {
		require.NoError(t, filepath.WalkDir(filepath.Join(repository, directory),
			func(path string, _ fs.DirEntry, err error) error {
				if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
					each(path)
				}
				return err
			}))
	}
}

// TestEveryMetricIsDocumented compares the table in docs/operations.md with the registered metrics.
func TestEveryMetricIsDocumented(t *testing.T) {
	var rows []string
	for _, m := range registered(t) {
		rows = append(rows, m.row())
	}
	text, err := os.ReadFile(operations)
	require.NoError(t, err)
	want := strings.Join(rows, "\n")
	if *update {
		text = metricRows.ReplaceAll(text, []byte("${1}"+want+"${3}"))
		require.NoError(t, os.WriteFile(operations, text, 0o644))
	}
	found := metricRows.FindSubmatch(text)
	require.NotNil(t, found, "docs/operations.md has a table of metrics")
	assert.Equal(t, want, string(found[2]), "write it by go test ./cmd/webhook/app -run Metric -update")
}

// TestEveryMetricIsOnTheDashboard: a metric that no panel shows helps in no incident.
func TestEveryMetricIsOnTheDashboard(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(dashboard)
	require.NoError(t, err)
	for _, m := range registered(t) {
		// A histogram has a suffix there.
		assert.Regexp(t, `\b`+m.name+`(_bucket|_sum|_count)?\{`, string(text), "no panel has the metric %s", m.name)
	}
}

// TestNoMetricIsForgotten holds the two tests above to the source: they must find each metric that
// any file names.
func TestNoMetricIsForgotten(t *testing.T) {
	t.Parallel()
	var named []string
	sources(t, func(path string) {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, match := range ownMetric.FindAllStringSubmatch(string(text), -1) {
			named = append(named, match[1])
		}
	})
	slices.Sort(named)
	var names []string
	for _, m := range registered(t) {
		names = append(names, m.name)
	}
	assert.Equal(t, slices.Compact(named), names)
	assert.Contains(t, names, "pipeline_storage_ready")
}

// eventReasons returns the values of the constants named reason… in the packages that send Events.
func eventReasons(t *testing.T) []string {
	t.Helper()
	var reasons []string
	sources(t, func(path string) {
		name := filepath.ToSlash(filepath.Dir(path))
		if !slices.ContainsFunc(eventPackages, func(p string) bool { return strings.HasSuffix(name, p) }) {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 || !strings.HasPrefix(strings.ToLower(spec.Names[0].Name), "reason") {
				return true
			}
			literal, ok := spec.Values[0].(*ast.BasicLit)
			require.True(t, ok, spec.Names[0].Name)
			reason, err := strconv.Unquote(literal.Value)
			require.NoError(t, err)
			reasons = append(reasons, reason)
			return true
		})
	})
	return reasons
}

// eventPackages have the constants of the reasons of Events.
var eventPackages = []string{"internal/diagnose", "internal/drift", "cmd/webhook/app"}

// TestEveryEventReasonIsDocumented compares the table in docs/operations.md with the constants.
func TestEveryEventReasonIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(operations)
	require.NoError(t, err)
	table := eventRows.FindSubmatch(text)
	require.NotNil(t, table, "docs/operations.md has a table of Events")
	var rows []string
	for _, match := range firstCell.FindAllSubmatch(table[1], -1) {
		rows = append(rows, string(match[1]))
	}
	assert.ElementsMatch(t, eventReasons(t), rows)
	assert.Greater(t, len(rows), 25)
}
