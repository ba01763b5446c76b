package claims

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/internal/claimtest"
)

func TestWaited(t *testing.T) {
	t.Parallel()

	now := time.Now()
	ago := func(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }
	pods := []metav1.PartialObjectMetadata{
		{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: ago(time.Minute)}},
		{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: ago(time.Hour)}},
	}
	created := func(d time.Duration) *corev1.PersistentVolumeClaim {
		return claimtest.Claim(func(c *corev1.PersistentVolumeClaim) { c.CreationTimestamp = ago(d) })
	}
	for name, row := range map[string]struct {
		reconciliation reconciliation
		want           time.Duration
	}{
		"a new pod of an old claim":         {reconciliation{pods: pods[:1], claim: created(24 * time.Hour)}, time.Minute},
		"old pods of a new claim":           {reconciliation{pods: pods, claim: created(time.Second)}, time.Second},
		"the oldest pod counts":             {reconciliation{pods: pods, claim: created(24 * time.Hour)}, time.Hour},
		"pods of a claim that is not there": {reconciliation{pods: pods}, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, row.want, row.reconciliation.waited(now))
		})
	}
}
