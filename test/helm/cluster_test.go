package helm_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// The resources that these tests read.
var (
	classes     = schema.GroupVersionResource{Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses"}
	volumes     = schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumes"}
	claims      = schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumeclaims"}
	namespaces  = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	accounts    = schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}
	configmaps  = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	secrets     = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	services    = schema.GroupVersionResource{Version: "v1", Resource: "services"}
	pods        = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	jobs        = schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}
	cronjobs    = schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "cronjobs"}
	rayclusters = schema.GroupVersionResource{Group: "ray.io", Version: "v1", Resource: "rayclusters"}
	definitions = schema.GroupVersionResource{
		Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
	}
	// workloads are the kinds of the examples that hold pods.
	workloads = []schema.GroupVersionResource{pods, deployments, jobs, cronjobs, rayclusters}
	// ofReleases are the namespaced kinds of the examples and of Helm itself.
	ofReleases = append([]schema.GroupVersionResource{claims, accounts, configmaps, secrets, services}, workloads...)
)

// cluster returns a client for all kinds of a cluster that has RayClusters.
func cluster(t *testing.T) dynamic.Interface {
	t.Helper()
	client := suite.Dynamic(t)
	rayClusters.Do(func() { installRayCluster(t, client) })
	return client
}

// rayProjects is KubeRay's own definition of RayCluster.
const rayProjects = "../../../shared/crds/ray.io_rayclusters.yaml"

// rayDefinition is KubeRay's own definition, if a clone beside this repository has it, or else one
// that accepts any fields.
func rayDefinition() ([]byte, error) {
	text, err := os.ReadFile(rayProjects)
	if errors.Is(err, fs.ErrNotExist) {
		return os.ReadFile("testdata/raycluster.yaml")
	}
	return text, err
}

// installRayCluster adds RayClusters to the API server and returns when its discovery has them.
func installRayCluster(t *testing.T, cluster dynamic.Interface) {
	t.Helper()
	text, err := rayDefinition()
	require.NoError(t, err)
	definition := &unstructured.Unstructured{}
	require.NoError(t, yaml.Unmarshal(text, &definition.Object))
	_, err = cluster.Resource(definitions).Create(t.Context(), definition, metav1.CreateOptions{})
	require.NoError(t, err)
	discovery := suite.Kubernetes(t).Discovery()
	suite.Eventually(t, "the API server should have RayClusters", func(context.Context) error {
		return discovered(discovery, rayclusters)
	})
}

// discovered returns nil when the API server names the resource.
func discovered(client discovery.DiscoveryInterface, kind schema.GroupVersionResource) error {
	list, err := client.ServerResourcesForGroupVersion(kind.GroupVersion().String())
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == kind.Resource }) {
		return fmt.Errorf("%s has no %s", list.GroupVersion, kind.Resource)
	}
	return nil
}

// newNamespace creates a namespace that no other test uses.
func newNamespace(t *testing.T) string {
	t.Helper()
	namespace := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"generateName": "test-"},
	}}
	made, err := cluster(t).Resource(namespaces).Create(t.Context(), namespace, metav1.CreateOptions{})
	require.NoError(t, err)
	return made.GetName()
}

// in returns a client for a namespace; an empty one is for objects of the cluster.
func in(t *testing.T, kind schema.GroupVersionResource, namespace string) dynamic.ResourceInterface {
	t.Helper()
	if namespace == "" {
		return cluster(t).Resource(kind)
	}
	return cluster(t).Resource(kind).Namespace(namespace)
}

func get(t *testing.T, kind schema.GroupVersionResource, namespace, name string) *unstructured.Unstructured {
	t.Helper()
	object, err := in(t, kind, namespace).Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	return object
}

func list(t *testing.T, kind schema.GroupVersionResource, namespace string) []unstructured.Unstructured {
	t.Helper()
	objects, err := in(t, kind, namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	return objects.Items
}

func assertGone(t *testing.T, kind schema.GroupVersionResource, namespace, name string) {
	t.Helper()
	_, err := in(t, kind, namespace).Get(t.Context(), name, metav1.GetOptions{})
	assert.True(t, apierrors.IsNotFound(err), "%s/%s: %v", kind.Resource, name, err)
}

func patchObject(t *testing.T, kind schema.GroupVersionResource, namespace, name, patch string,
	subresources ...string,
) {
	t.Helper()
	_, err := in(t, kind, namespace).Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{},
		subresources...)
	require.NoError(t, err)
}

// revision is the time of an object's last change on the API server's own clock, which counts every
// write of the cluster.
func revision(t *testing.T, object *unstructured.Unstructured) int {
	t.Helper()
	n, err := strconv.Atoi(object.GetResourceVersion())
	require.NoError(t, err)
	return n
}

// storageObjects are the storage objects of a release with default names.
type storageObjects struct {
	namespace, class, claim string
}

func storageOf(release, namespace string) storageObjects {
	return storageObjects{namespace, "fast." + namespace + "." + release, "pvc-data-pipeline." + release}
}

// uids distinguish a retained object from a recreated one.
func (s storageObjects) uids(t *testing.T) []types.UID {
	t.Helper()
	return []types.UID{get(t, classes, "", s.class).GetUID(), get(t, claims, s.namespace, s.claim).GetUID()}
}
