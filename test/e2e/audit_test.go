package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/pipeline-storage/pipeline-storage/test/cluster"
	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/node"
)

// dataResources are the resources that hold data.
var dataResources = []string{"persistentvolumes", "persistentvolumeclaims"}

// garbageCollectors delete what is in a deleted namespace: tests delete theirs when they end.
var garbageCollectors = []string{"system:serviceaccount:kube-system:namespace-controller"}

// deletions returns the requests since then to delete what holds data, with their users.
func deletions(t *testing.T, since time.Time) (found []string) {
	t.Helper()
	events, err := shared.Plane.Audit()
	require.NoError(t, err)
	require.NotEmpty(t, events)
	for _, e := range events {
		actor := controlplane.Actor(e)
		if isDeletion(e) && e.RequestReceivedTimestamp.After(since) && !slices.Contains(garbageCollectors, actor) {
			found = append(found, actor+" "+e.Verb+" "+e.RequestURI)
		}
	}
	return found
}

func isDeletion(e auditv1.Event) bool {
	return strings.HasPrefix(e.Verb, "delete") && e.ObjectRef != nil &&
		slices.Contains(dataResources, e.ObjectRef.Resource)
}

// TestComponentsDeleteNothing runs every command of the product, and checks the API server's audit
// log. No other test runs beside it.
func TestComponentsDeleteNothing(t *testing.T) {
	requireNode(t)
	begun := time.Now()
	namespace := newNamespace(t)
	written := []file{writeIn(t, namespace, "/data", bytes)}
	boundClaim(t, namespace, claim)

	// The chart: upgrade, rollback, test, uninstall, install.
	common := []string{"--namespace", releaseNamespace, "--timeout", "3m"}
	wait := append([]string{"--wait"}, common...)
	helmRun(t, "helm4",
		slices.Concat([]string{"upgrade", release, chart, "--values", values, "--set", "replicas=1"}, wait)...)
	helmRun(t, "helm4", slices.Concat([]string{"rollback", release}, wait)...)
	helmRun(t, "helm4", slices.Concat([]string{"test", release}, common)...)
	uninstallShared(t, release)
	installShared(t, release)

	// The post-renderer: install, upgrade without it, upgrade with it, uninstall.
	arguments := []string{"--post-renderer", cluster.Program("postrender")}
	for _, a := range []string{"--namespace=" + namespace, "--release=train", "--backend=local-path", "--size=32Mi"} {
		arguments = append(arguments, "--post-renderer-args="+a)
	}
	of := func(command string, more ...string) []string {
		return slices.Concat([]string{
			command, "train", "testdata/train", "--namespace", namespace, "--set",
			"image=" + node.BoxImage,
		}, more)
	}
	helmRun(t, "helm3", of("install", arguments...)...)
	last[trained](t, jobLog(t, namespace, "train"))
	require.NoError(t, deleteJob(t, namespace, "train"))
	helmRun(t, "helm3", of("upgrade")...)
	require.NoError(t, deleteJob(t, namespace, "train"))
	helmRun(t, "helm3", of("upgrade", arguments...)...)
	assert.Equal(t, trained{From: 1, To: 2}, last[trained](t, jobLog(t, namespace, "train")))
	helmRun(t, "helm3", "uninstall", "train", "--namespace", namespace, "--wait")

	// The filter and the plugin of kubectl.
	stream := filepath.Join(t.TempDir(), "stream.yaml")
	require.NoError(t, os.WriteFile(stream, []byte(helmRun(t, "helm3", of("template")...)), 0o600))
	shell(t, cluster.Program("postrender")+" --namespace "+namespace+" --release train --explain <"+stream)
	shell(t, cluster.Program("kubectl-pipeline_storage")+" status --all-namespaces")
	shell(t, cluster.Program("kubectl-pipeline_storage")+" status --all-namespaces --output json")

	// The controller's part when an administrator deletes a claim: the one deletion.
	deletePods(t, namespace)
	deleteClaim(t, namespace, claim)
	assert.Equal(t, written, last[verified](t, readIn(t, namespace, "/data")()).Files)

	assert.Equal(t, []string{"admin delete /api/v1/namespaces/" + namespace + "/persistentvolumeclaims/" + claim},
		deletions(t, begun))
}

// onlyReadAndNeverDeleted checks the whole run, faults included: no account of the product
// requested the deletion of what holds data, and the plugin of kubectl only read.
func onlyReadAndNeverDeleted(context.Context, *cluster.Cluster) error {
	events, err := shared.Plane.Audit()
	if err != nil {
		return err
	}
	var failed []error
	for _, e := range events {
		actor := controlplane.Actor(e)
		ofProduct := strings.HasPrefix(actor, "system:serviceaccount:") && strings.Contains(actor, "pipeline-storage")
		plugin := strings.HasPrefix(e.UserAgent, "kubectl-pipeline_storage/")
		if ofProduct && isDeletion(e) || plugin && !slices.Contains([]string{"get", "list"}, e.Verb) {
			failed = append(failed, fmt.Errorf("%s (%s) requested to %s %s", actor, e.UserAgent, e.Verb, e.RequestURI))
		}
	}
	return errors.Join(failed...)
}
