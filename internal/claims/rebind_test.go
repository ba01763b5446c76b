package claims

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/pipeline-storage/pipeline-storage/internal/claimtest"
	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// A note has to fit into an Event, with its command.
func TestNotesHaveRoomForTheirCommand(t *testing.T) {
	many := make([]corev1.PersistentVolume, 30)
	for i := range many {
		many[i].Name = "pvc-01234567-89ab-cdef-0123-456789abcdef"
	}
	key := types.NamespacedName{Namespace: strings.Repeat("n", 63), Name: strings.Repeat("c", 100)}
	restored := claimtest.Claim(func(c *corev1.PersistentVolumeClaim) {
		c.Name, c.Namespace = key.Name, key.Namespace
		c.Spec.DataSourceRef = &corev1.TypedObjectReference{Kind: "VolumeSnapshot", Name: strings.Repeat("s", 100)}
	})
	for _, f := range []diagnose.Finding{
		diagnose.EarlierNamespace(restored, many), diagnose.Ambiguous(key.Name, many),
		diagnose.Reserved(key, many[0].Name),
	} {
		assert.LessOrEqual(t, len(f.Note), kube.MaxNote)
		assert.Contains(t, f.Note, "kubectl label persistentvolume pvc-")
	}
}

const gone types.UID = "a-claim-that-is-gone"

// namespaceOf is an API server with the namespace ml, which a finalizer keeps when it is deleted, and
// the volume of a claim. home is the UID of the namespace in the labels of the volume.
func namespaceOf(claim, home types.UID) (client.Client, *corev1.PersistentVolume) {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: "ml", UID: "the-live-namespace", Finalizers: []string{"example.com/keep"},
	}}
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name: "old", Labels: map[string]string{storage.LabelNamespace: "ml", storage.LabelNamespaceUID: string(home)},
		},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			ClaimRef: &corev1.ObjectReference{
				Kind: kube.KindClaim, Namespace: "ml", Name: "pvc-data-pipeline", UID: claim,
			},
		},
		Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeReleased},
	}
	return fake.NewClientBuilder().WithObjects(namespace, volume).Build(), volume
}

// behind is a reconciliation whose caches have a claim that the API server may not have any more.
func behind(api client.Client, phase corev1.PersistentVolumeClaimPhase) *reconciliation {
	claim := claimtest.Claim(claimtest.Label(storage.LabelInstallation, "own"), claimtest.Volume("old"))
	claim.Name, claim.UID, claim.Status.Phase = "pvc-data-pipeline", gone, phase
	return &reconciliation{
		reconciler: &reconciler{Options: Options{Installation: "own"}, live: api, writer: api},
		ref:        storage.ProfileRef{Profile: "default", Namespace: "ml"}, claim: claim,
	}
}

func assertUnchanged(t *testing.T, api client.Client, volume *corev1.PersistentVolume) {
	t.Helper()
	var live corev1.PersistentVolume
	require.NoError(t, api.Get(t.Context(), client.ObjectKeyFromObject(volume), &live))
	assert.Equal(t, volume.Labels, live.Labels)
	assert.Equal(t, volume.Spec, live.Spec)
}

// The namespace was deleted and made again, and the claim of the one before is still in a cache:
// its volume is not this one's.
func TestLabelsNoVolumeByStaleCache(t *testing.T) {
	t.Parallel()

	api, volume := namespaceOf(gone, "the-deleted-namespace")
	require.ErrorIs(t, behind(api, corev1.ClaimBound).maintainVolume(t.Context()), errRequeueSoon)
	assertUnchanged(t, api, volume)
}

func TestRebindsNoVolumeByStaleCache(t *testing.T) {
	t.Parallel()

	api, volume := namespaceOf("another-that-is-gone", "the-live-namespace")
	r := behind(api, corev1.ClaimPending)
	require.ErrorIs(t, r.rebind(t.Context()), errRequeueSoon)

	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ml"}}
	require.NoError(t, api.Delete(t.Context(), namespace)) // it stays, because its finalizer does
	require.ErrorIs(t, r.rebind(t.Context()), errNamespaceTerminating)
	assertUnchanged(t, api, volume)
}
