package chart_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"

	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// unserved are the groups whose definitions the API server of the tests does not have.
var unserved = []string{"cert-manager.io", "monitoring.coreos.com"}

// newNamespace makes a namespace that no other test uses.
func newNamespace(t *testing.T, labels map[string]string) string {
	t.Helper()
	made, err := suite.Kubernetes(t).CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "chart-", Labels: labels},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	return made.Name
}

// restricted is the strictest Pod Security Standard, enforced.
var restricted = map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}

func TestServerAcceptsEveryObject(t *testing.T) {
	t.Parallel()
	for name, file := range valueSets(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			labels := restricted
			if name == "hostnetwork" { // which no Pod Security Standard but privileged allows
				labels = nil
			}
			namespace, restrictedNamespace := newNamespace(t, labels), newNamespace(t, restricted)
			all := render(t, namespace, "--values", file, "--set", "test.namespace="+restrictedNamespace)
			accept(t, all)
			accept(t, []*unstructured.Unstructured{podOf(t, one(t, all, "Deployment")), podOf(t, one(t, all, "Job"))})
		})
	}
}

func TestServerAcceptsConfig(t *testing.T) {
	t.Parallel()
	_, err := suite.Kubernetes(t).CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: "pipeline-storage", Labels: restricted},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	for name, components := range kustomizations {
		t.Run(name, func(t *testing.T) {
			all := slices.DeleteFunc(build(t, components...), func(o *unstructured.Unstructured) bool {
				return o.GetKind() == "Namespace"
			})
			accept(t, all)
			accept(t, []*unstructured.Unstructured{podOf(t, one(t, all, "Deployment"))})
		})
	}
}

// podOf is the pod that a Deployment or a Job would make. Pod Security Standards are enforced on pods only.
func podOf(t *testing.T, workload *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	content, found, err := unstructured.NestedMap(workload.Object, "spec", "template")
	require.NoError(t, err)
	require.True(t, found)
	pod := &unstructured.Unstructured{Object: content}
	pod.SetAPIVersion("v1")
	pod.SetKind("Pod")
	pod.SetName("of-workload")
	pod.SetNamespace(workload.GetNamespace())
	// No admission plugin of these tests finds classes that do not exist yet.
	unstructured.RemoveNestedField(pod.Object, "spec", "priorityClassName")
	return pod
}

// accept has the API server check every object strictly, and create none.
func accept(t *testing.T, all []*unstructured.Unstructured) {
	t.Helper()
	mapper := newMapper(t)
	for _, object := range all {
		where := object.GetKind() + " " + object.GetName()
		group, _, _ := strings.Cut(object.GetAPIVersion(), "/")
		if slices.Contains(unserved, group) {
			looksComplete(t, object)
			continue
		}
		_, err := resourceOf(t, mapper, object).Create(t.Context(), object, metav1.CreateOptions{
			DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
		})
		assert.NoError(t, err, where)
	}
}

// looksComplete checks what can be checked without a definition.
func looksComplete(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	where := object.GetKind() + " " + object.GetName()
	assert.NotEmpty(t, object.GetName(), where)
	assert.NotEmpty(t, object.GetNamespace(), where)
	assert.Equal(t, "pipeline-storage", object.GetLabels()["app.kubernetes.io/name"], where)
	spec, found, err := unstructured.NestedMap(object.Object, "spec")
	require.NoError(t, err, where)
	assert.True(t, found && len(spec) > 0, "%s has no spec", where)
}

// mappers has the kinds of the API server, which no test of this package adds to.
var mappers struct {
	sync.Mutex
	meta.RESTMapper
}

func newMapper(t *testing.T) meta.RESTMapper {
	t.Helper()
	mappers.Lock()
	defer mappers.Unlock()
	if mappers.RESTMapper != nil {
		return mappers.RESTMapper
	}
	client, err := discovery.NewDiscoveryClientForConfig(suite.RESTConfig(t))
	require.NoError(t, err)
	groups, err := restmapper.GetAPIGroupResources(client)
	require.NoError(t, err)
	mappers.RESTMapper = restmapper.NewDiscoveryRESTMapper(groups)
	return mappers.RESTMapper
}

func resourceOf(t *testing.T, mapper meta.RESTMapper, object *unstructured.Unstructured) dynamic.ResourceInterface {
	t.Helper()
	kind := object.GroupVersionKind()
	mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
	require.NoError(t, err, kind.String())
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		return suite.Dynamic(t).Resource(mapping.Resource).Namespace(object.GetNamespace())
	}
	return suite.Dynamic(t).Resource(mapping.Resource)
}

// eventually polls: a policy takes a second or two to take effect.
func eventually(t *testing.T, condition func() bool, message string, args ...any) {
	t.Helper()
	require.Eventually(t, condition, 30*time.Second, 100*time.Millisecond, append([]any{message}, args...)...)
}
