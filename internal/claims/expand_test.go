package claims

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/pipeline-storage/pipeline-storage/internal/claimtest"
	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
)

// TestExpandFailsOnNewerClaim: another client has requested more since the claim was read.
func TestExpandFailsOnNewerClaim(t *testing.T) {
	t.Parallel()

	class := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}, AllowVolumeExpansion: new(true)}
	claim := claimtest.Claim(claimtest.Size("10Gi"))
	claim.Status.Phase = corev1.ClaimBound
	api := fake.NewClientBuilder().WithObjects(class, claim).Build()
	key := client.ObjectKeyFromObject(claim)
	var stale, live corev1.PersistentVolumeClaim
	require.NoError(t, api.Get(t.Context(), key, &stale))
	newer := stale.DeepCopy()
	newer.Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse("50Gi")
	require.NoError(t, api.Update(t.Context(), newer))

	r := &reconciliation{
		reconciler: &reconciler{live: api, writer: api}, claim: &stale,
		profile: &claimtest.Config(t, `{name: a}`).Profiles[0],
	}
	err := r.resize(t.Context(), claimtest.Claim(claimtest.Size("20Gi")))
	assert.True(t, apierrors.IsConflict(err), "it is tried again with the newer claim, not refused: %v", err)
	require.NoError(t, api.Get(t.Context(), key, &live))
	assert.Equal(t, "50Gi", live.Spec.Resources.Requests.Storage().String())
}

// TestRequestThatIsNotTakenBack: the API server is older than RecoverVolumeExpansionFailure, or
// something else refuses the request.
func TestRequestThatIsNotTakenBack(t *testing.T) {
	t.Parallel()

	requests := field.NewPath("spec", "resources", "requests", "storage")
	invalid := func(message string) error {
		return apierrors.NewInvalid(schema.GroupKind{Kind: "PersistentVolumeClaim"}, "data",
			field.ErrorList{field.Forbidden(requests, message)})
	}
	for name, row := range map[string]struct {
		answer  error
		refused bool
		note    string
	}{
		"an older API server": {
			invalid("field can not be less than previous value"), false,
			"claim data requests 10Ti, has 1Gi, and the profile a has 2Gi, but this API server takes no request back: " +
				"Kubernetes does since 1.34, and before with the feature gate RecoverVolumeExpansionFailure. Upgrade Kubernetes, " +
				"or restore the size",
		},
		"a policy": {invalid("claims of ml are frozen"), true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			claim := claimtest.Claim(claimtest.Size("10Ti"), withCapacity("1Gi"), claimtest.Volume("v"),
				claimtest.RequestedBy(diagnose.FieldManager))
			claim.Status.Phase = corev1.ClaimBound
			api := fake.NewClientBuilder().WithObjects(claim).WithInterceptorFuncs(interceptor.Funcs{
				Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
					return row.answer
				},
			}).Build()
			recorder := events.NewFakeRecorder(10)
			r := &reconciliation{
				reconciler: &reconciler{live: api, writer: api, events: &kube.Events{Recorder: recorder}}, claim: claim,
				profile: &claimtest.Config(t, `{name: a}`).Profiles[0],
			}
			err := r.resize(t.Context(), claimtest.Claim(claimtest.Size("2Gi")))
			var refused refusal
			assert.Equal(t, row.refused, errors.As(err, &refused), "%v", err)
			if row.refused {
				assert.Equal(t, diagnose.ReasonReduceRefused, refused.Reason)
				assert.Contains(t, refused.Note, "claims of ml are frozen")
				return
			}
			require.NoError(t, err)
			require.Len(t, recorder.Events, 1)
			assert.Equal(t, "Warning "+diagnose.ReasonReduceRefused+" "+row.note, <-recorder.Events)
		})
	}
}
