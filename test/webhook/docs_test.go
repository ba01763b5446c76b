package webhook

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/test/cluster"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

// commandBlock is a block of commands to copy from a document.
var commandBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// TestRunbookCommands runs them with real kubectl, as an administrator of the shared installation.
func TestRunbookCommands(t *testing.T) {
	requireWebhook(t)
	bin := t.TempDir()
	require.NoError(t, os.Symlink(parts.Require(t, "kubectl")["kubectl"], filepath.Join(bin, "kubectl")))
	text, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	blocks := commandBlock.FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, blocks)
	namespace := shared.Namespace(t, "runbook", nil) // its claim is the subject of an Event
	create(t, shared.Client, namespace, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{kinds.Label: kinds.LabelEnabled}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "example/image"}}},
	})
	for _, block := range blocks {
		cluster.Eventually(t, block[1], func(ctx context.Context) error {
			command := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", block[1])
			command.Env = []string{
				"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + t.TempDir(),
				"KUBECONFIG=" + shared.Plane.Kubeconfig,
			}
			out, err := command.CombinedOutput()
			if err == nil && strings.Contains(string(out), "No resources found\n") {
				err = errors.New("it finds nothing")
			}
			if err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			return nil
		})
	}
}
