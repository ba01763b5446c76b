package helm_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// misplaced is about the chart that has the label on its Deployment and not on its pods.
const misplaced = "Deployment/web: the label is on the Deployment, not on its pods: put it into the labels of its " +
	"pod template, spec.template"

// TestStrictFailsInstallation has the mistake that people make most. With --strict nothing is
// installed, and both Helms show why.
func TestStrictFailsInstallation(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		namespace := newNamespace(t)
		output := h.Fails(t, h.install("rel", testchart("misplaced"), namespace, "--strict")...)
		assert.Contains(t, output, misplaced)
		assert.Contains(t, output, "--strict refuses this")
		assertNothingIn(t, namespace)
	})
}

// TestWarningsReachUserOfHelm4 installs the same chart without --strict. Helm 3 drops the warnings.
// Helm 4 drops them as well, and the plugin writes them past it.
func TestWarningsReachUserOfHelm4(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		isHelm4 := h.Name == "helm4"
		namespace := newNamespace(t)
		install := validated(h.install("rel", testchart("misplaced"), namespace))
		command := exec.CommandContext(t.Context(), h.Program, install...)
		command.Env = h.Env
		output, err := command.CombinedOutput()
		require.NoError(t, err, "%s", output)
		if isHelm4 {
			assert.Contains(t, string(output), "pipeline-storage: warning: document 1 "+misplaced)
		} else {
			assert.NotContains(t, string(output), "warning: document")
		}
		get(t, deployments, namespace, "web")

		file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
		require.NoError(t, err)
		defer file.Close()
		command = exec.CommandContext(t.Context(), h.Program, h.template(testchart("misplaced"))...)
		command.Env, command.Stderr = h.Env, file
		manifests, err := command.Output()
		require.NoError(t, err)
		assert.NotContains(t, string(manifests), "warning")
		written, err := os.ReadFile(file.Name())
		require.NoError(t, err)
		assert.Equal(t, isHelm4, len(written) > 0, "%s", written)
		if isHelm4 {
			assert.Contains(t, string(written), "pipeline-storage: warning: document 1 "+misplaced)
		}
	})
}

// TestRefusesSecondJSONObjectOfTemplate has a template of two JSON objects. Helm 3 sends both and
// would install the first. Helm 4 drops the second before the post-renderer runs.
func TestRefusesSecondJSONObjectOfTemplate(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		if h.Name == "helm3" {
			output := h.Fails(t, h.template(testchart("json-objects"))...)
			assert.Contains(t, output, "a second value begins, but kubectl and Helm read only the first one of a document")
			return
		}
		output := h.Must(t, h.template(testchart("json-objects"))...)
		assert.Contains(t, output, "first")
		assert.NotContains(t, output, "second")
	})
}
