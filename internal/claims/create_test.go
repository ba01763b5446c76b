package claims

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/claimtest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// race is an API server in which somebody else makes a class between the reader's look and the writer's attempt.
type race struct {
	client.Reader
	client.Writer
	provisioner string
	looks       int
}

func (r *race) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	r.looks++
	if r.looks == 1 {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "storageclasses"}, key.Name)
	}
	*into.(*storagev1.StorageClass) = storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: key.Name}, Provisioner: r.provisioner}
	return nil
}

func (*race) Create(_ context.Context, o client.Object, _ ...client.CreateOption) error {
	return apierrors.NewAlreadyExists(schema.GroupResource{Resource: "storageclasses"}, o.GetName())
}

// TestSomebodyElseMakesItFirst needs a fake: no real API server loses this race on demand.
func TestSomebodyElseMakesItFirst(t *testing.T) {
	t.Parallel()

	for name, row := range map[string]struct {
		provisioner string
		want        string
	}{
		"what was wanted": {"ebs.csi.aws.com", ""},
		"another one":     {"example.com/other", "exists with the provisioner example.com/other"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := &race{provisioner: row.provisioner}
			v := &visit{reconciler: &reconciler{live: api, writer: api}}
			wanted := &storagev1.StorageClass{
				ObjectMeta:  metav1.ObjectMeta{Name: "fast", Labels: map[string]string{storage.LabelProfile: "default"}},
				Provisioner: "ebs.csi.aws.com",
			}
			err := v.supply(t.Context(), []supplied{v.classSupply(wanted)})
			if row.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, row.want)
			}
			assert.Equal(t, 2, api.looks, "what exists is read again")
		})
	}
}

// TestExpandLosesToANewerClaim: somebody asked for more since the claim was read.
func TestExpandLosesToANewerClaim(t *testing.T) {
	f := newFixture(t)
	namespace := f.namespace()
	class := "fast." + namespace
	require.NoError(t, f.Create(t.Context(), &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: class}, Provisioner: "example.com/x", AllowVolumeExpansion: new(true),
	}))
	claim := f.claim(namespace, "data", class, "10Gi")
	f.bind(claim, "stale."+namespace)
	stale := get(f, namespace, "data", &corev1.PersistentVolumeClaim{})
	newer := stale.DeepCopy()
	newer.Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse("50Gi")
	require.NoError(t, f.Update(t.Context(), newer))

	v := &visit{reconciler: &reconciler{live: f, writer: f}, claim: stale, profile: &claimtest.Config(t, `{name: a}`).Profiles[0]}
	err := v.expand(t.Context(), claimtest.Claim(claimtest.Size("20Gi")))
	assert.True(t, apierrors.IsConflict(err), "it is tried again with the newer claim, not refused: %v", err)
	assert.Equal(t, "50Gi", get(f, namespace, "data", &corev1.PersistentVolumeClaim{}).Spec.Resources.Requests.Storage().String())
}

func TestWaited(t *testing.T) {
	t.Parallel()

	now := time.Now()
	ago := func(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }
	pods := []metav1.PartialObjectMetadata{
		{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: ago(time.Minute)}}, {ObjectMeta: metav1.ObjectMeta{CreationTimestamp: ago(time.Hour)}},
	}
	created := func(d time.Duration) *corev1.PersistentVolumeClaim {
		return claimtest.Claim(func(c *corev1.PersistentVolumeClaim) { c.CreationTimestamp = ago(d) })
	}
	for name, row := range map[string]struct {
		visit visit
		want  time.Duration
	}{
		"a new pod of an old claim":         {visit{pods: pods[:1], claim: created(24 * time.Hour)}, time.Minute},
		"old pods of a new claim":           {visit{pods: pods, claim: created(time.Second)}, time.Second},
		"the oldest pod counts":             {visit{pods: pods, claim: created(24 * time.Hour)}, time.Hour},
		"pods of a claim that is not there": {visit{pods: pods}, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, row.want, row.visit.waited(now))
		})
	}
}
