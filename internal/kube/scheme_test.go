package kube

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// TestMapperHasEveryKindOfTheGroups holds Mapper to Scheme: a kind of a group has its type, and the
// place where it is served.
func TestMapperHasEveryKindOfTheGroups(t *testing.T) {
	t.Parallel()
	scheme, mapper := Scheme(Groups()...), Mapper(Groups()...)
	for _, group := range Groups() {
		for scope, kinds := range map[meta.RESTScopeName][]string{
			meta.RESTScopeNameNamespace: group.Namespaced, meta.RESTScopeNameRoot: group.Cluster,
		} {
			for _, kind := range kinds {
				gvk := group.Version.WithKind(kind)
				assert.True(t, scheme.Recognizes(gvk), "%s", gvk)
				mapping, err := mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
				require.NoError(t, err, "%s", gvk)
				assert.Equal(t, scope, mapping.Scope.Name(), "%s", gvk)
			}
		}
	}
}

func TestMapperFindsResources(t *testing.T) {
	t.Parallel()
	for _, object := range []runtime.Object{
		&corev1.Pod{}, &corev1.PersistentVolumeClaim{}, &corev1.PersistentVolume{}, &corev1.Namespace{}, &corev1.Secret{},
		&corev1.ConfigMap{}, MetadataOf("Pod"), MetadataOf("Namespace"), MetadataListOf("Pod"),
	} {
		gvk, err := apiutil.GVKForObject(object, Scheme(Groups()...))
		require.NoError(t, err)
		gvk.Kind = strings.TrimSuffix(gvk.Kind, "List")
		mapping, err := Mapper(Groups()...).RESTMapping(gvk.GroupKind(), gvk.Version)
		require.NoError(t, err)
		assert.Equal(t, strings.ToLower(gvk.Kind)+"s", mapping.Resource.Resource)
	}
}
