package claims

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// race is an API server in which a third party creates a class between the read and the write.
type race struct {
	client.Reader
	client.Writer
	provisioner string
	reads       int
}

func (r *race) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	r.reads++
	if r.reads == 1 {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "storageclasses"}, key.Name)
	}
	*into.(*storagev1.StorageClass) = storagev1.StorageClass{
		ObjectMeta:  metav1.ObjectMeta{Name: key.Name},
		Provisioner: r.provisioner,
	}
	return nil
}

func (*race) Create(_ context.Context, o client.Object, _ ...client.CreateOption) error {
	return apierrors.NewAlreadyExists(schema.GroupResource{Resource: "storageclasses"}, o.GetName())
}

// TestUsesObjectThatThirdPartyCreatesFirst needs a fake: no real API server loses this race on
// demand.
func TestUsesObjectThatThirdPartyCreatesFirst(t *testing.T) {
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
			r := &reconciliation{reconciler: &reconciler{live: api, writer: api}}
			wanted := &storagev1.StorageClass{
				ObjectMeta:  metav1.ObjectMeta{Name: "fast", Labels: map[string]string{storage.LabelProfile: "default"}},
				Provisioner: "ebs.csi.aws.com",
			}
			err := r.supply(t.Context(), []supplied{r.classSupply(wanted)})
			if row.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, row.want)
			}
			assert.Equal(t, 2, api.reads, "what exists is read again")
		})
	}
}
