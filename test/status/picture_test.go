package status

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/hack/terminal"
	"github.com/pipeline-storage/pipeline-storage/internal/status"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

var update = flag.Bool("update", false, "write the picture of README.md")

const picture = "../../docs/pictures/status.svg"

// addPicture makes what the picture of README.md shows: one pod is well, one is older than the
// webhook's configuration, and a Deployment has its label in the wrong place.
func (w *world) addPicture() {
	w.t.Helper()
	w.namespace("ml", map[string]string{"storage": "on"})
	w.bound("ml", "data", "ml-data")
	w.running(w.pod("ml", "train-0", &mounts{"disk", "data"}, on("east-1")))
	w.running(w.pod("ml", "notebook", nil, on("east-1")))
	w.deployment("ml", "api", enabled, nil)
}

// pictured compares the picture of README.md with what the plugin prints.
func (w *world) pictured() {
	t := w.t
	require.NoError(t, w.Patch(t.Context(), webhook(admissionregistrationv1.Ignore), client.Merge))
	const command = "kubectl pipeline-storage status -n ml"
	out, _, code := kubectl(t, suite.Plane(t).Kubeconfig,
		append(strings.Fields(strings.TrimPrefix(command, "kubectl ")), "--color=always")...)
	require.Zero(t, code)
	drawn := terminal.Picture("kubectl pipeline-storage status", terminal.Step{Command: command, Output: out})
	if *update {
		require.NoError(t, os.WriteFile(picture, drawn, 0o644))
	}
	want, err := os.ReadFile(picture)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(drawn), "go test ./test/status -run TestReportsEveryProblem -update draws it")
}

// watches runs --watch: it prints the status again when it has changed, and ends by an interrupt.
func (w *world) watches() {
	t := w.t
	path := filepath.Join(t.TempDir(), "out.yaml")
	out, err := os.Create(path)
	require.NoError(t, err)
	defer out.Close()
	cmd := exec.CommandContext(t.Context(), suite.Program(t, "cmd/kubectl-pipeline_storage"),
		"status", "-n", "ml", "-o", "yaml", "--watch", "--interval=1s", "--exit-code")
	cmd.Env = append(os.Environ(), "KUBECONFIG="+suite.Plane(t).Kubeconfig)
	cmd.Stdout, cmd.Stderr = out, out
	require.NoError(t, cmd.Start())

	statuses := func() []string {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		return strings.Split(string(text), "\n---\n")
	}
	isListed := func() bool { return strings.Contains(statuses()[len(statuses())-1], "name: notebook") }
	assert.Eventually(t, isListed, eventTimeout, poll)
	notebook := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "notebook"}}
	require.NoError(t, w.Delete(t.Context(), notebook, client.GracePeriodSeconds(0)))
	assert.Eventually(t, func() bool { return !isListed() }, eventTimeout, poll)
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	require.ErrorContains(t, cmd.Wait(), "exit status 3", "an interrupt ends it; --exit-code is about the last status")

	all := statuses()
	assert.GreaterOrEqual(t, len(all), 2)
	for i, text := range all {
		var s status.Status
		require.NoError(t, yaml.UnmarshalStrict([]byte(text), &s))
		assert.Equal(t, status.Kind, s.Kind)
		if i > 0 {
			assert.NotEqual(t, all[i-1], text, "it prints what has changed only")
		}
	}
}
