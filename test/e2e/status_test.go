package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/internal/status"
	"github.com/pipeline-storage/pipeline-storage/test/cluster"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// TestStatusReportsPendingPod has a real kubelet fail to mount, and a real scheduler find no node,
// and runs the plugin for the reason.
func TestStatusReportsPendingPod(t *testing.T) {
	requireNode(t)
	for name, c := range map[string]struct {
		profile, namespace, reason, message string
		repair                              func(t *testing.T)
	}{
		"the node does not have the directory": {
			"missing", "e2e-missing", status.ReasonMountFailed, `path "/opt/e2e-missing" does not exist`,
			func(t *testing.T) {
				t.Helper()
				require.NoError(t, os.Mkdir(shared.Node.Path("/opt/e2e-missing"), 0o755))
			},
		},
		"the volume is on a node that there is not": {
			"another-node", "e2e-another-node", diagnose.ReasonWrongZone, "node-2",
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			place := profileCase{profile: c.profile, namespace: c.namespace, onNode: "/opt/" + c.namespace}
			namespace := place.prepareNamespace(t)
			require.NoError(t, os.RemoveAll(shared.Node.Path(place.onNode)))
			pod := boxPod("waits", "write", "/"+c.profile, "numbers", "1024")
			using(c.profile)(pod)
			created(t, namespace, pod)

			var problem status.Problem
			suite.EventuallyWithin(t, podLimit, "the plugin should report "+c.reason, func(context.Context) error {
				report := reportOf(t, namespace)
				// The kubelet's first try may fail for another reason: its rights for a new pod come later.
				i := slices.IndexFunc(report.Problems, func(p status.Problem) bool {
					return p.Reason == c.reason && strings.Contains(p.Message, c.message)
				})
				if i < 0 {
					return fmt.Errorf("it reports %+v", report.Problems)
				}
				problem = report.Problems[i]
				return nil
			})
			assert.NotEmpty(t, problem.Next)
			if c.repair == nil {
				return
			}

			c.repair(t)
			awaitPod(t, namespace, "waits", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodSucceeded })
			assert.Empty(t, reportOf(t, namespace).Problems)
		})
	}
}

// reportOf is the plugin's report about a namespace.
func reportOf(t *testing.T, namespace string) status.Namespace {
	t.Helper()
	var report status.Status
	out := shell(t, cluster.Program("kubectl-pipeline_storage")+" status --namespace "+namespace+" --output json")
	require.NoError(t, json.Unmarshal([]byte(out), &report), out)
	require.Len(t, report.Namespaces, 1)
	return report.Namespaces[0]
}
