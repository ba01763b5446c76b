package certificates

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	v1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// An upgrade adds webhooks that are off. Until something writes their caBundles, labelled pods are served.
func TestWebhookThatIsOffNeedsNoBundle(t *testing.T) {
	t.Parallel()
	there := metav1.ObjectMeta{Name: "ps", ResourceVersion: "1"}
	bundle := certs(caAt(t, noon)).encode()
	hooks := func(of string) configuration {
		return newConfiguration(&v1.MutatingWebhookConfiguration{ObjectMeta: there, Webhooks: []v1.MutatingWebhook{
			{Name: "label", ClientConfig: v1.WebhookClientConfig{CABundle: bundle}},
			{Name: "namespace", NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
				{Key: of, Operator: metav1.LabelSelectorOpDoesNotExist},
			}}},
		}})
	}
	off := hooks("kubernetes.io/metadata.name")
	require.NoError(t, off.problem())
	assert.Len(t, off.roots(), 1)
	assert.False(t, off.carries(off.roots()), "it is written all the same")

	on := hooks("team")
	require.ErrorContains(t, on.problem(), "webhook namespace of the MutatingWebhookConfiguration")
	assert.Empty(t, on.roots())
}
