package helm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// tool is one Helm.
type tool struct {
	name, program string
	// renderer is the value of --post-renderer: a path for Helm 3, the name of a plugin for Helm 4.
	renderer string
	env      []string
}

// result is the output of a command.
type result struct {
	stdout, stderr string
	err            error
}

func (h tool) run(ctx context.Context, args ...string) result {
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, h.program, args...)
	command.Env, command.Stdout, command.Stderr = h.env, &stdout, &stderr
	err := command.Run()
	return result{stdout.String(), stderr.String(), err}
}

// must runs a command that has to succeed and returns what it prints.
func (h tool) must(t *testing.T, args ...string) string {
	t.Helper()
	r := h.run(t.Context(), args...)
	require.NoError(t, r.err, "%s %v\n%s", h.name, args, r.stderr)
	return r.stdout
}

// fails runs a command that has to fail and returns its output.
func (h tool) fails(t *testing.T, args ...string) string {
	t.Helper()
	r := h.run(t.Context(), args...)
	require.Error(t, r.err, "%s %v\n%s", h.name, args, r.stdout)
	return r.stderr
}

// storage are the arguments that add storage to the release.
func (h tool) storage(release, namespace string, args ...string) []string {
	all := []string{"--namespace", namespace, "--post-renderer", h.renderer}
	for _, arg := range append([]string{"--namespace=" + namespace, "--release=" + release}, args...) {
		all = append(all, "--post-renderer-args="+arg)
	}
	return all
}

// template returns the command that renders a chart with storage, as the release "rel" in "team".
func (h tool) template(chart string, args ...string) []string {
	return append([]string{"template", "rel", chart}, h.storage("rel", "team", args...)...)
}

// install returns the command that installs a chart with storage.
func (h tool) install(release, chart, namespace string, args ...string) []string {
	return append([]string{"install", release, chart}, h.storage(release, namespace, args...)...)
}

// upgrade returns the command that upgrades a release with storage.
func (h tool) upgrade(release, chart, namespace string, args ...string) []string {
	return append([]string{"upgrade", release, chart}, h.storage(release, namespace, args...)...)
}

// withBoth runs a test with either Helm.
func withBoth(t *testing.T, test func(t *testing.T, h tool)) {
	t.Helper()
	t.Parallel()
	for _, h := range []tool{helm3, helm4} {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			test(t, h)
		})
	}
}

// example is one of the repository's own charts.
func example(name string) string { return filepath.Join("..", "..", "examples", name) }

// examples are all of them.
var examples = []string{"etl-cronjob", "training-job", "ray-cluster"}

// testchart is a chart of these tests.
func testchart(name string) string { return filepath.Join("testdata", "charts", name) }

// readReport reads what --report wrote.
func readReport(t *testing.T, file string) postrender.Report {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var report postrender.Report
	require.NoError(t, json.Unmarshal(text, &report))
	return report
}

// reasons are the decisions of a report by kind and name, sorted where an object has several pods.
func reasons(report postrender.Report) map[string][]inject.Reason {
	byName := map[string][]inject.Reason{}
	for _, w := range report.Workloads {
		key := w.Kind + "/" + w.Name
		byName[key] = append(byName[key], w.Reason)
	}
	for _, all := range byName {
		slices.Sort(all)
	}
	return byName
}
