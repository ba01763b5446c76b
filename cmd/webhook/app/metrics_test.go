package app

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
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

const dashboard = repository + "/charts/pipeline-storage/files/dashboard.json"

var (
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

// TestEveryMetricIsDocumented compares the table in docs/operations.md with the registered metrics.
func TestEveryMetricIsDocumented(t *testing.T) {
	var rows []string
	for _, m := range registered(t) {
		rows = append(rows, m.row())
	}
	generatedTable(t, "| Metric |", rows)
}

// TestEveryMetricIsOnTheDashboard: a metric that no panel shows helps in no incident.
func TestEveryMetricIsOnTheDashboard(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(dashboard)
	require.NoError(t, err)
	for _, m := range registered(t) {
		// A histogram has a suffix there.
		inQuery := regexp.MustCompile(`\b` + m.name + `(_bucket|_sum|_count)?\{`)
		assert.True(t, inQuery.Match(text), "no panel of charts/pipeline-storage/files/dashboard.json has the metric "+
			"%s: add it to one, with a selector", m.name)
	}
}

// TestNoMetricIsForgotten holds the two tests above to the source: they must find each metric that
// any file names.
func TestNoMetricIsForgotten(t *testing.T) {
	t.Parallel()
	var names []string
	for _, m := range registered(t) {
		names = append(names, m.name)
	}
	sources(t, func(path string) {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, match := range ownMetric.FindAllStringSubmatch(string(text), -1) {
			assert.True(t, slices.Contains(names, match[1]), "%s: %s is not registered: register it in init of metrics.go",
				path, match[1])
		}
	})
	assert.True(t, slices.Contains(names, "pipeline_storage_ready"), "the gauge of /readyz is missing")
}

// TestEveryMetricIsObserved finds metrics that are registered, documented and shown, but always 0.
func TestEveryMetricIsObserved(t *testing.T) {
	t.Parallel()
	packages := map[string][]*ast.File{}
	sources(t, func(path string) {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		packages[filepath.Dir(path)] = append(packages[filepath.Dir(path)], file)
	})
	count := 0
	for path, files := range packages {
		used := map[string]bool{}
		for _, file := range files {
			addObserved(used, file)
		}
		for _, variable := range metricVariables(files) {
			count++
			assert.True(t, used[variable], "%s: the metric %s is never observed: call its Inc, Set or Observe in a "+
				"function other than init", path, variable)
		}
	}
	assert.GreaterOrEqual(t, count, len(registered(t))-1, "declare each metric as a variable of metrics.go, "+
		"NAME = prometheus.New…: this test finds no other one, and only the gauge of /readyz needs none")
}

// metricVariables returns the variables of a package that are made by prometheus.New….
func metricVariables(files []*ast.File) []string {
	var names []string
	for _, file := range files {
		for _, declaration := range file.Decls {
			general, _ := declaration.(*ast.GenDecl)
			if general == nil {
				continue
			}
			for _, s := range general.Specs {
				if spec, ok := s.(*ast.ValueSpec); ok && len(spec.Values) == 1 && isMetric(spec.Values[0]) {
					names = append(names, spec.Names[0].Name)
				}
			}
		}
	}
	return names
}

// isMetric reports whether an expression is a call of prometheus.New….
func isMetric(value ast.Expr) bool {
	call, ok := value.(*ast.CallExpr)
	if !ok {
		return false
	}
	variable, method := selected(call.Fun)
	return variable == "prometheus" && strings.HasPrefix(method, "New")
}

// addObserved adds the variables whose methods a file calls. Two calls do not count, because the
// metric is 0 after them: those in init, and WithLabelValues alone.
func addObserved(used map[string]bool, file *ast.File) {
	for _, declaration := range file.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok || function.Body == nil || function.Name.Name == "init" {
			continue
		}
		ast.Inspect(function.Body, func(n ast.Node) bool {
			if expression, ok := n.(*ast.SelectorExpr); ok {
				variable, _ := selected(expression)
				used[variable] = true
			}
			return !onlyMakesSeries(n)
		})
	}
}

// onlyMakesSeries reports whether a statement is a call of WithLabelValues alone.
func onlyMakesSeries(n ast.Node) bool {
	statement, ok := n.(*ast.ExprStmt)
	if !ok {
		return false
	}
	call, ok := statement.X.(*ast.CallExpr)
	if !ok {
		return false
	}
	_, method := selected(call.Fun)
	return method == "WithLabelValues"
}

// selected returns both sides of variable.method; any other expression has an empty variable.
func selected(expression ast.Expr) (variable, method string) {
	selector, ok := expression.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	if identifier, ok := selector.X.(*ast.Ident); ok {
		variable = identifier.Name
	}
	return variable, selector.Sel.Name
}
