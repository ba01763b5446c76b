package helm_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const conflict = `document 2 Deployment/train: container "main": mount path /data is taken by volume "scratch": ` +
	`choose another by mount.path, --mount-path or the pod annotation pipeline-storage.io/mount-path`

func TestConflictIsReportedAndCreatesNothing(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		namespace := newNamespace(t)
		assert.Contains(t, h.Fails(t, h.install("rel", testchart("conflict"), namespace)...), conflict)
		assertNothingIn(t, namespace)
	})
}

func TestConflictOnUpgradeRetainsRelease(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		namespace := newNamespace(t)
		h.Must(t, h.install("rel", example("etl-cronjob"), namespace)...)
		uids := storageOf("rel", namespace).uids(t)

		assert.Contains(t, h.Fails(t, h.upgrade("rel", testchart("conflict"), namespace)...), conflict)
		assert.Equal(t, uids, storageOf("rel", namespace).uids(t))
		get(t, cronjobs, namespace, "rel-etl")
		assert.Len(t, list(t, deployments, namespace), 1, "only the API that was there")
	})
}

func TestReportsReasonWithStandardErrorInFile(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
		require.NoError(t, err)
		defer file.Close()

		command := exec.CommandContext(t.Context(), h.Program, h.template(testchart("conflict"))...)
		command.Env, command.Stderr = h.Env, file
		require.Error(t, command.Run())

		output, err := os.ReadFile(file.Name())
		require.NoError(t, err)
		assert.Contains(t, string(output), conflict)
	})
}

func TestReportsArgumentsForMissingRelease(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		output := h.Fails(t, "template", "rel", example("etl-cronjob"), "--post-renderer", h.renderer)
		assert.Contains(t, output, "--post-renderer-args=--namespace=NAMESPACE --post-renderer-args=--release=RELEASE")
	})
}

func TestRefusesToInstallVersionOutput(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		for _, flag := range []string{"--explain", "--diff"} {
			output := h.Fails(t, h.template(example("etl-cronjob"), flag)...)
			assert.Contains(t, output, "--explain and --diff print for people", flag)

			namespace := newNamespace(t)
			h.Fails(t, h.install("rel", example("etl-cronjob"), namespace, flag)...)
			assertNothingIn(t, namespace)
		}
	})
}

func TestUnwritableReportFailsInstallation(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		namespace := newNamespace(t)
		report := filepath.Join(t.TempDir(), "missing", "report.json")
		output := h.Fails(t, h.install("rel", example("etl-cronjob"), namespace, "--report="+report)...)
		assert.Contains(t, output, report)
		assertNothingIn(t, namespace)
	})
}
