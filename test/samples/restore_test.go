package samples_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
	"github.com/pipeline-storage/pipeline-storage/test/process"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	// restore has claims that begin with a snapshot and with another claim.
	restore = samples + "/snapshots/restore.yaml"
	// restoreDriver is the driver of its profiles.
	restoreDriver = "ebs.csi.aws.com"
	restoreIn     = "restore"
)

// restores takes a snapshot of a claim and restores it by the sample, with the programs that every
// CSI driver ships with and the real binder. The driver is the one with which Kubernetes tests
// itself: external-provisioner refuses its answer unless the volume has the requested origin.
func restores(t *testing.T, client dynamic.Interface) {
	t.Helper()

	text, err := os.ReadFile(restore)
	require.NoError(t, err)
	config, warnings, err := storage.Load(text)
	require.NoError(t, err)
	assert.Empty(t, warnings)
	_, _, err = storage.LoadForAdmission(text)
	require.NoError(t, err, "the sample serves both")

	startDriver(t)
	createNamespace(t, client, restoreIn)
	claims := client.Resource(resources["PersistentVolumeClaim"]).Namespace(restoreIn)
	for i, profile := range config.Profiles {
		objects, err := storage.Objects(config, storage.Release{Name: restoreIn, Namespace: restoreIn},
			storage.ProfileRef{Profile: profile.Name, Namespace: restoreIn})
		require.NoError(t, err)
		if i == 0 {
			takeSnapshot(t, client, &objects)
		}
		create(t, client, &objects)
		fill(t, client, objects.Claims[0])
	}

	for name, want := range map[string]corev1.TypedObjectReference{
		"pvc-data-pipeline-restored": {
			APIGroup: new(storage.GroupSnapshots), Kind: "VolumeSnapshot", Name: "pvc-data-pipeline-nightly",
		},
		"pvc-data-pipeline-copy": {Kind: "PersistentVolumeClaim", Name: "pvc-data-pipeline-restored"},
	} {
		claim := readClaim(t, claims, name)
		assert.Equal(t, &want, claim.Spec.DataSourceRef)
		assert.Equal(t, &corev1.TypedLocalObjectReference{APIGroup: want.APIGroup, Kind: want.Kind, Name: want.Name},
			claim.Spec.DataSource, "the API server fills the other field")
		volume, err := client.Resource(resources["PersistentVolume"]).Get(t.Context(), claim.Spec.VolumeName,
			metav1.GetOptions{})
		require.NoError(t, err)
		driver, _, _ := unstructured.NestedString(volume.Object, "spec", "csi", "driver")
		assert.Equal(t, restoreDriver, driver)
	}
	acceptsThatTheSourceGoes(t, claims)
}

// acceptsThatTheSourceGoes: a release that no longer has the dataSource is accepted and changes nothing,
// and one that has another is refused, as docs/backends.md promises.
func acceptsThatTheSourceGoes(t *testing.T, claims dynamic.ResourceInterface) {
	t.Helper()

	const name = "pvc-data-pipeline-restored"

	before := readClaim(t, claims, name).Spec.DataSourceRef
	patch := func(text string) error {
		_, err := claims.Patch(t.Context(), name, types.MergePatchType, []byte(text), metav1.PatchOptions{})
		return err
	}
	require.NoError(t, patch(`{"spec":{"dataSourceRef":null}}`))
	assert.Equal(t, before, readClaim(t, claims, name).Spec.DataSourceRef)
	assert.ErrorContains(t, patch(`{"spec":{"dataSource":null,"dataSourceRef":{"name":"other"}}}`),
		"spec is immutable after creation")
}

// takeSnapshot makes the claim of which the sample has a snapshot, and that snapshot. The class that
// both claims have is created here.
func takeSnapshot(t *testing.T, client dynamic.Interface, objects *storage.ObjectSet) {
	t.Helper()

	source := objects.Claims[0].DeepCopy()
	source.Name, source.Spec.DataSourceRef = "pvc-data-pipeline", nil
	create(t, client, &storage.ObjectSet{
		StorageClasses: objects.StorageClasses, Claims: []*corev1.PersistentVolumeClaim{source},
	})
	objects.StorageClasses = nil
	fill(t, client, source)

	for _, object := range []map[string]any{
		{
			"kind": "VolumeSnapshotClass", "metadata": map[string]any{"name": "restore"},
			"driver": restoreDriver, "deletionPolicy": "Delete",
		},
		{
			"kind": "VolumeSnapshot", "metadata": map[string]any{"name": "pvc-data-pipeline-nightly", "namespace": restoreIn},
			"spec": map[string]any{
				"volumeSnapshotClassName": "restore",
				"source":                  map[string]any{"persistentVolumeClaimName": source.Name},
			},
		},
	} {
		object["apiVersion"] = storage.GroupSnapshots + "/v1"
		made := &unstructured.Unstructured{Object: object}
		resource := suite.SnapshotClasses
		if made.GetKind() == "VolumeSnapshot" {
			resource = suite.Snapshots
		}
		_, err := client.Resource(resource).Namespace(made.GetNamespace()).Create(t.Context(), made,
			metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		made, err := client.Resource(suite.Snapshots).Namespace(restoreIn).Get(t.Context(), "pvc-data-pipeline-nightly",
			metav1.GetOptions{})
		require.NoError(t, err)
		ready, _, _ := unstructured.NestedBool(made.Object, "status", "readyToUse")
		return ready
	}, eventTimeout, poll, "the snapshot is ready")
}

// fill has the part of the scheduler, which chooses a node for the first consumer, and waits for the
// volume.
func fill(t *testing.T, client dynamic.Interface, claim *corev1.PersistentVolumeClaim) {
	t.Helper()

	_, err := client.Resource(resources["PersistentVolumeClaim"]).Namespace(restoreIn).Patch(t.Context(), claim.Name,
		types.MergePatchType, []byte(`{"metadata":{"annotations":{"volume.kubernetes.io/selected-node":"node-1"}}}`),
		metav1.PatchOptions{})
	require.NoError(t, err)
	bound(t, client, claim)
}

// readClaim reads a claim.
func readClaim(t *testing.T, claims dynamic.ResourceInterface, name string) *corev1.PersistentVolumeClaim {
	t.Helper()

	object, err := claims.Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	claim := &corev1.PersistentVolumeClaim{}
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, claim))

	return claim
}

// startDriver starts a driver of the sample's name and the programs that call it, until the test ends.
func startDriver(t *testing.T) {
	t.Helper()

	programs := parts.Require(t, "csi", "csi-provisioner", "csi-snapshotter", "snapshot-controller")
	dir := t.TempDir()
	socket, kubeconfig := filepath.Join(dir, "csi.sock"), "--kubeconfig="+suite.Plane(t).Kubeconfig
	for name, args := range map[string][]string{
		"csi":                 {restoreDriver, socket},
		"csi-provisioner":     {kubeconfig, "--csi-address=" + socket},
		"csi-snapshotter":     {kubeconfig, "--csi-address=" + socket},
		"snapshot-controller": {kubeconfig},
	} {
		started, err := process.Start(process.Options{
			Program: programs[name], Args: args, Log: filepath.Join(dir, name+".log"),
		})
		require.NoError(t, err)
		t.Cleanup(func() {
			started.Kill()
			if t.Failed() {
				t.Log(started.LogTail())
			}
		})
	}
}
