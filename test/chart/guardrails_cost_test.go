package chart_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	manyNamespaces = 1000
	manyVolumes    = 1000
	patches        = 20
	// slowestPatch is far above what a patch takes, and far below the API server's limit of a minute.
	slowestPatch = 2 * time.Second
)

// Every namespace is a parameter of the policy .namespaces, and every volume of .rebinds. Both must decide
// within their budgets, and soon. No other test runs beside it, because it measures durations.
func TestGuardrailsJudgeAmongManyNamespaces(t *testing.T) {
	plane := controlplane.Require(t, controlplane.Options{}) // the others must not wait for so many
	typed, err := kubernetes.NewForConfig(plane.RESTConfig())
	require.NoError(t, err)
	stolen := plane.RESTConfig()
	stolen.Impersonate = rest.ImpersonationConfig{UserName: account("storage")}
	client, err := kubernetes.NewForConfig(stolen)
	require.NoError(t, err)
	helm, err := suite.NewHelm(t.Context(), "helm4", t.TempDir(), plane.Kubeconfig)
	require.NoError(t, err)
	helm.Must(t, "install", "ps", chart, "--namespace", "storage", "--create-namespace", suite.Unvalidated)

	var uid types.UID
	for i := range manyNamespaces {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("team-%d", i)}}
		created, err := typed.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{})
		require.NoError(t, err)
		uid = created.UID
	}
	namespace := fmt.Sprintf("team-%d", manyNamespaces-1)
	volume := otherVolume()
	volume.Spec.ClaimRef = claimRefTo(namespace, "pvc-data-pipeline")
	volume, err = typed.CoreV1().PersistentVolumes().Create(t.Context(), volume, metav1.CreateOptions{})
	require.NoError(t, err)
	volume.Status.Phase = corev1.VolumeBound
	_, err = typed.CoreV1().PersistentVolumes().UpdateStatus(t.Context(), volume, metav1.UpdateOptions{})
	require.NoError(t, err)

	patch := patcherWith(t, client, volume.Name, metav1.PatchOptions{DryRun: dryRun.DryRun})
	wrong := labelPatch(namespace, "of-an-earlier-namespace")
	eventually(t, func() bool {
		err := patch(wrong)
		return apierrors.IsForbidden(err) || apierrors.IsInvalid(err)
	}, "the policy does not see the namespace")
	own := timed(t, func() error { return patch(labelPatch(namespace, uid)) })
	require.ErrorContains(t, patch(wrong), "only with the UID of the namespace "+namespace)
	// Other users write volumes without these labels, and must not wait for the namespaces.
	unlimited := patcherWith(t, typed, volume.Name, metav1.PatchOptions{DryRun: dryRun.DryRun})
	others := timed(t, func() error { return unlimited(`{"metadata":{"labels":{"other":"1"}}}`) })
	t.Logf("a patch among %d namespaces: median %s, slowest "+
		"%s; by others: median %s", manyNamespaces, own[patches/2], own[patches-1], others[patches/2])
	assert.Less(t, own[patches-1], slowestPatch)

	claims := timedClaims(t, typed, client, namespace, uid)
	t.Logf("a claim for one of %d volumes: median %s, slowest %s", manyVolumes, claims[patches/2], claims[patches-1])
	assert.Less(t, claims[patches-1], slowestPatch)
	assert.Less(t, others[patches/2], own[patches/2]/2)
}

// timedClaims makes volumes, and claims for one of them.
func timedClaims(t *testing.T, admin, client kubernetes.Interface, namespace string, uid types.UID) []time.Duration {
	t.Helper()
	for i := range manyVolumes {
		volume := otherVolume()
		volume.Name, volume.Labels = fmt.Sprintf("volume-%d", i), labelsOf(namespace, uid)
		volume.Spec.ClaimRef = claimRefTo(namespace, "pvc-data-pipeline")
		_, err := admin.CoreV1().PersistentVolumes().Create(t.Context(), volume, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	config := storage.Default()
	return timed(t, func() error {
		objects, err := storage.Objects(
			config,
			storage.Release{},
			storage.ProfileRef{Profile: storage.DefaultProfile, Namespace: namespace},
		)
		require.NoError(t, err)
		claim := objects.Claims[0]
		claim.Labels[storage.LabelInstallation], claim.Spec.VolumeName = "storage.ps", fmt.Sprintf("volume-%d", manyVolumes-1)
		return createClaim(t, client, claim)
	})
}

// timed does something a number of times and returns how long each took, sorted.
func timed(t *testing.T, do func() error) []time.Duration {
	t.Helper()
	var took []time.Duration
	for range patches {
		start := time.Now()
		require.NoError(t, do())
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return took
}
