package suite

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/process"
)

func TestMain(m *testing.M) { os.Exit(Main(m, controlplane.Options{})) }

// TestReplicasServeTheInstallation shows that the chart is installed unmodified and that the API server
// calls both replicas in place of its pods.
func TestReplicasServeTheInstallation(t *testing.T) {
	client := Kubernetes(t)
	namespace := Namespace(t, client, "pods", nil)
	webhook := InstallWebhook(t.Context(), t, Installation{Release: "ps", Namespace: "storage", Replicas: 2})
	t.Cleanup(webhook.Stop)
	admit := func(ctx context.Context) (*corev1.Pod, error) {
		return client.CoreV1().Pods(namespace).Create(ctx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "a-", Labels: map[string]string{"pipeline-storage": "enabled"}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "example/image"}}},
		}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	}
	Eventually(t, "labeled pods should be mounted", func(ctx context.Context) error {
		made, err := admit(ctx)
		if err == nil && len(made.Spec.Volumes) == 0 {
			err = errors.New("the pod has no volume")
		}
		return err
	})
	webhook.Replicas[0].Kill()
	require.ErrorContains(t, webhook.Replicas[0].Ready(t.Context()), "connection refused")
	require.NoError(t, webhook.Start(t.Context(), 0), "the rest serves")
	// The API server may notice late that a connection to a killed process has ended.
	Eventually(t, "the other replica should answer", func(ctx context.Context) error {
		_, err := admit(ctx)
		return err
	})
	webhook.Stop()
	Eventually(t, "no process should answer", func(ctx context.Context) error {
		_, err := admit(ctx)
		if assert.Error(t, err) && strings.Contains(err.Error(), "502 Bad Gateway") {
			return nil
		}
		return err
	})
}

func TestHelmsHaveHomesOfTheirOwn(t *testing.T) {
	BothHelms(t, func(t *testing.T, helm *HelmCLI) {
		assert.Contains(t, helm.Must(t, "env"), filepath.Join(shared.dir.Path, helm.Name))
		assert.Contains(t, helm.Fails(t, "status", "missing"), "not found")
	})
}

func TestShellRunsBlocksOfADocument(t *testing.T) {
	t.Parallel()
	assert.NotEmpty(t, Blocks(t, "README.md", "sh"))
	assert.Equal(t, []string{"true\n"}, BlocksIn("a\n```sh\ntrue\n```\n```yaml\na: b\n```\n", "sh"))
	shell := Shell{Env: []string{"NAME=value"}}.With(map[string]string{"show": "/bin/echo"})
	assert.Equal(t, "value\n", shell.Run(t.Context(), t, `show "$NAME"`).Must(t))
	assert.Equal(t, "$NAME\n", shell.Exec(t.Context(), t, "show", "$NAME").Must(t), "no shell reads it")
	failed := shell.Run(t.Context(), t, "false | true; echo reached")
	require.ErrorContains(t, failed.Err, "exit status 1")
	assert.Empty(t, failed.Stdout, "the first error ends it")
}

func TestSavesLogsInDirectoryOfPackage(t *testing.T) {
	dir, log := filepath.Join(t.TempDir(), "logs"), filepath.Join(t.TempDir(), "a.log")
	t.Setenv(LogsEnv, dir)
	require.NoError(t, os.WriteFile(log, nil, privateMode))
	var out strings.Builder
	SaveLogs(&out, process.Logs{log})
	SaveLogs(io.Discard, process.Logs{log})
	saved, err := filepath.Glob(filepath.Join(dir, "suite-logs-*", "a.log"))
	require.NoError(t, err)
	assert.Len(t, saved, 2)
	assert.Contains(t, out.String(), "the whole logs are in "+filepath.Join(dir, "suite-logs-"))
	out.Reset()
	SaveLogs(&out, process.Logs{log + ".missing"})
	assert.Contains(t, out.String(), "no such file")
}
