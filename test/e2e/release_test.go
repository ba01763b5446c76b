package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/test/cluster"
	"github.com/pipeline-storage/pipeline-storage/test/node"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// helmRun runs a Helm and fails the test if it fails.
func helmRun(t *testing.T, helm string, args ...string) string {
	t.Helper()
	h, err := shared.Helm(t.Context(), helm)
	require.NoError(t, err)
	out, err := h.Output(t.Context(), args...)
	require.NoError(t, err, out)
	return out
}

func installShared(t *testing.T, release string) {
	t.Helper()
	helmRun(t, "helm4", "install", release, chart, "--namespace", releaseNamespace, "--values", values, "--wait",
		"--timeout", "3m")
	awaitWebhook(t, release+"-pipeline-storage")
}

func uninstallShared(t *testing.T, release string) {
	t.Helper()
	helmRun(t, "helm4", "uninstall", release, "--namespace", releaseNamespace, "--wait", "--timeout", "3m")
}

// awaitWebhook waits until the API server calls the webhook of a release: it learns of one by a
// watch.
func awaitWebhook(t *testing.T, name string) {
	t.Helper()
	suite.EventuallyWithin(t, podLimit, "labelled pods should get storage from "+name, func(ctx context.Context) error {
		pod := boxPod("trial", "sleep", "1s")
		made, err := shared.Client.CoreV1().Pods("default").Create(ctx, pod, dryRun)
		if err == nil && !mounted(made) {
			err = errors.New("a pod gets none")
		}
		return err
	})
}

// mounted reports whether each container of a pod has a claim of the installation.
func mounted(pod *corev1.Pod) bool {
	injected := slices.IndexFunc(pod.Spec.Volumes, func(v corev1.Volume) bool {
		return v.PersistentVolumeClaim != nil && strings.HasPrefix(v.PersistentVolumeClaim.ClaimName, claim)
	})
	return injected >= 0 && !slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool {
		return !slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool {
			return m.Name == pod.Spec.Volumes[injected].Name
		})
	})
}

func TestReinstallsWebhook(t *testing.T) {
	requireNode(t)
	namespace := newNamespace(t)
	t.Cleanup(func() { // whatever happens, other tests need the release
		helm, err := shared.Helm(context.WithoutCancel(t.Context()), "helm4")
		require.NoError(t, err)
		ctx := context.WithoutCancel(t.Context())
		_, _ = helm.Output(ctx, "uninstall", "other", "--namespace", releaseNamespace, "--wait", "--ignore-not-found")
		_, err = helm.Output(ctx, "upgrade", "--install", release, chart, "--namespace", releaseNamespace, "--values", values,
			"--wait", "--timeout", "3m")
		assert.NoError(t, err)
	})
	written := []file{writeIn(t, namespace, "/data", bytes)}
	before := boundClaim(t, namespace, claim)

	survives(t, "the webhook is uninstalled and installed under the same name", written, readIn(t, namespace, "/data"),
		func() {
			trusted := sharedInstallation().caBundle(t)
			uninstallShared(t, release)
			phase, log := tryPod(t, namespace, boxPod("between", "stat", "/data"))
			assert.Equal(t, corev1.PodFailed, phase, "without the webhook a pod has no storage: %s", log)
			installShared(t, release)
			sharedInstallation().assertTrusted(t, string(trusted), "the Secret with the CAs is used again")
		})
	survives(t, "the webhook is uninstalled and installed under another name", written, readIn(t, namespace, "/data"),
		func() {
			uninstallShared(t, release)
			installShared(t, "other")
		})
	assert.Equal(t, before.UID, boundClaim(t, namespace, claim).UID, "the claim is retained")

	survives(t, "the claim of an uninstalled release is deleted by mistake", written, readIn(t, namespace, "/data"),
		func() {
			deletePods(t, namespace)
			deleteClaim(t, namespace, claim)
		})
	assert.Equal(t, before.Spec.VolumeName, boundClaim(t, namespace, claim).Spec.VolumeName)
	uninstallShared(t, "other")
	installShared(t, release)
	awaitRelease(t)
}

// TestReinstallsRenderedRelease is the way without a webhook: a third party's chart, and the
// post-renderer. The pods have the label, so the webhook sees what was rendered and does not change
// it.
func TestReinstallsRenderedRelease(t *testing.T) {
	requireNode(t)
	t.Parallel()
	namespace := newNamespace(t)
	run := func(epoch int, release string, more ...string) {
		t.Helper()
		args := []string{
			"install", release, "testdata/train", "--namespace", namespace, "--set", "image=" + node.BoxImage,
			"--post-renderer", cluster.Program("postrender"),
		}
		for _, a := range append([]string{
			"--namespace=" + namespace, "--release=" + release, "--backend=local-path",
		}, more...) {
			args = append(args, "--post-renderer-args="+a)
		}
		helmRun(t, "helm3", args...)
		require.Equal(t, trained{From: epoch - 1, To: epoch}, last[trained](t, jobLog(t, namespace, release)))
	}
	uninstall := func(release string) {
		helmRun(t, "helm3", "uninstall", release, "--namespace", namespace, "--wait")
	}
	figureOf := func(begun time.Time, disaster string) {
		record(t, figure{Disaster: disaster, Bytes: 1 << 20, Seconds: time.Since(begun).Seconds()})
	}

	const size = "--size=32Mi"
	run(1, "train", size)
	begun := time.Now()
	uninstall("train")
	run(2, "train", size)
	figureOf(begun, "a rendered release is uninstalled and installed under the same name")

	begun = time.Now()
	uninstall("train")
	run(3, "again", "--existing-claim="+claim+".train")
	figureOf(begun, "a rendered release is uninstalled and installed under another name, with its claim")
	uninstall("again")
	boundClaim(t, namespace, claim+".train")

	_, err := shared.Client.CoreV1().PersistentVolumeClaims(namespace).Get(t.Context(), claim, metav1.GetOptions{})
	assert.True(t, apierrors.IsNotFound(err), "the webhook adds nothing to what was rendered: %v", err)
}

// jobLog waits until a Job has ended and returns the log of its pod.
func jobLog(t *testing.T, namespace, name string) string {
	t.Helper()
	suite.EventuallyWithin(t, podLimit, "the Job "+namespace+"/"+name+" should end", func(ctx context.Context) error {
		job, err := shared.Client.BatchV1().Jobs(namespace).Get(ctx, name, metav1.GetOptions{})
		if err == nil && job.Status.Succeeded+job.Status.Failed == 0 {
			err = fmt.Errorf("%d of its pods run", job.Status.Active)
		}
		return err
	})
	pods, err := shared.Client.CoreV1().Pods(namespace).List(t.Context(),
		metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + name})
	require.NoError(t, err)
	require.Len(t, pods.Items, 1)
	describeOnFailure(t, namespace, pods.Items[0].Name)
	return logs(t, namespace, pods.Items[0].Name)
}

func deleteJob(t *testing.T, namespace, name string) error {
	t.Helper()
	now := metav1.DeletePropagationForeground
	if err := shared.Client.BatchV1().Jobs(namespace).Delete(t.Context(), name,
		metav1.DeleteOptions{PropagationPolicy: &now}); err != nil {
		return err
	}
	suite.Eventually(t, "the Job "+name+" should go", func(ctx context.Context) error {
		_, err := shared.Client.BatchV1().Jobs(namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is there: %w", err)
	})
	return nil
}
