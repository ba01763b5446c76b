package claims

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestRefused(t *testing.T) {
	t.Parallel()

	claims := schema.GroupResource{Resource: "persistentvolumeclaims"}
	ending := apierrors.NewForbidden(claims, "x", nil)
	ending.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}

	var refusal refusal
	require.ErrorIs(t, asRefusal(ending, "R", "create x"), errNamespaceTerminating)
	require.ErrorAs(t, asRefusal(apierrors.NewForbidden(claims, "x", nil), "R", "create x"), &refusal)
	require.ErrorAs(t, asRefusal(apierrors.NewInvalid(schema.GroupKind{}, "x", nil), "R", "create x"), &refusal)
	require.ErrorAs(t, asRefusal(apierrors.NewBadRequest("x"), "R", "create x"), &refusal)
	assert.Equal(t, "R", refusal.Reason)
	assert.Contains(t, refusal.Note, "the API server refused to create x: ")
	for _, err := range []error{
		apierrors.NewConflict(claims, "x", nil), apierrors.NewServiceUnavailable("x"),
		apierrors.NewTooManyRequests("x", 1),
	} {
		got := asRefusal(err, "R", "create x")
		assert.NotErrorAs(t, got, &refusal)
		assert.ErrorIs(t, got, err)
	}
}
