package diagnose

import (
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/internal/claimtest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

func TestOwnedBy(t *testing.T) {
	t.Parallel()

	own := claimtest.Label(storage.LabelInstallation, "me")
	for name, row := range map[string]struct {
		claim *corev1.PersistentVolumeClaim
		want  bool
	}{
		"our label":              {claimtest.Claim(own), true},
		"no label":               {claimtest.Claim(), false},
		"another installation's": {claimtest.Claim(claimtest.Label(storage.LabelInstallation, "other")), false},
		"our label and Helm's label": {
			claimtest.Claim(own, claimtest.Label(LabelManagedBy, managedByHelm)), false,
		},
		"our label and Helm's annotation": {
			claimtest.Claim(own, func(c *corev1.PersistentVolumeClaim) {
				metav1.SetMetaDataAnnotation(&c.ObjectMeta, AnnotationHelmRelease, "demo")
			}), false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, row.want, OwnedBy("me", row.claim))
		})
	}
}
