package kinds_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// shared returns the path of data that lies beside the repository, and skips where it does not.
func shared(t *testing.T, elem ...string) string {
	t.Helper()
	path := filepath.Join(append([]string{"..", "..", "..", "shared"}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the data in %s is not part of the repository", filepath.Join(elem...))
	}
	return path
}

// TestInjectedResourcesAreAccepted creates the projects' own examples twice, without and with storage, as a strict dry run.
// What the API server takes without storage it must take with it.
func TestInjectedResourcesAreAccepted(t *testing.T) {
	cases := map[string]struct {
		stream      string
		definitions string
		atLeast     int
	}{
		"Argo Workflows":   {"cr-argo-workflows.yaml", "argoproj.io_*.yaml", 150},
		"Ray":              {"cr-ray-samples.yaml", "ray.io_*.yaml", 60},
		"JobSet":           {"cr-jobset.yaml", "jobset.x-k8s.io_*.yaml", 25},
		"SparkApplication": {"cr-spark-applications.yaml", "sparkoperator.k8s.io_sparkapplications.yaml", 10},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			stream, err := os.ReadFile(shared(t, "corpus", tc.stream))
			require.NoError(t, err)
			resources := define(t, shared(t, "crds"), tc.definitions)
			injected := render(t, stream)
			accepted := 0
			for i, before := range objects(t, stream) {
				resource, ok := resources[before.GroupVersionKind()]
				if !ok || create(t, resource, before) != nil {
					continue
				}
				after := injected[i]
				require.NoError(t, create(t, resource, after), "%s %s", before.GetKind(), before.GetName())
				if !assert.ObjectsAreEqual(before.Object, after.Object) {
					accepted++
				}
			}
			assert.GreaterOrEqual(t, accepted, tc.atLeast, "changed objects that were accepted")
		})
	}
}

// render injects every pod, without storage objects, so that the documents correspond.
func render(t *testing.T, stream []byte) []*unstructured.Unstructured {
	t.Helper()
	config, _, err := inject.New(func(c *inject.Config) error {
		c.Profiles[0].Claim = inject.Claim{Name: "data", Create: new(false)}
		c.Profiles[0].Mount.Path = "/mnt/pipeline"
		c.Profiles[0].Env = "PIPELINE_STORAGE_PATH"
		c.Profiles[0].FSGroup = new(int64(1000))
		return nil
	})
	require.NoError(t, err)
	out, err := (&postrender.Renderer{Config: config, Selector: labels.Everything()}).Render(stream)
	require.NoError(t, err)
	return objects(t, out.Bytes())
}

func objects(t *testing.T, stream []byte) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	for _, doc := range manifest.Split(stream) {
		object := &unstructured.Unstructured{}
		require.NoError(t, yaml.Unmarshal(doc.Body, &object.Object))
		all = append(all, object)
	}
	return all
}

var definitionsResource = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// define installs definitions and returns the resource of every kind and version in them.
func define(t *testing.T, folder, pattern string) map[schema.GroupVersionKind]schema.GroupVersionResource {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, pattern))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	resources := map[schema.GroupVersionKind]schema.GroupVersionResource{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		definition := &unstructured.Unstructured{}
		require.NoError(t, yaml.Unmarshal(text, &definition.Object))
		_, err = cluster.Resource(definitionsResource).Create(t.Context(), definition, metav1.CreateOptions{})
		require.NoError(t, err)
		for kind, resource := range served(t, definition) {
			resources[kind] = resource
			waitFor(t, resource)
		}
	}
	return resources
}

func served(t *testing.T, definition *unstructured.Unstructured) map[schema.GroupVersionKind]schema.GroupVersionResource {
	t.Helper()
	group, _, err := unstructured.NestedString(definition.Object, "spec", "group")
	require.NoError(t, err)
	kind, _, err := unstructured.NestedString(definition.Object, "spec", "names", "kind")
	require.NoError(t, err)
	plural, _, err := unstructured.NestedString(definition.Object, "spec", "names", "plural")
	require.NoError(t, err)
	versions, _, err := unstructured.NestedSlice(definition.Object, "spec", "versions")
	require.NoError(t, err)
	resources := map[schema.GroupVersionKind]schema.GroupVersionResource{}
	for _, v := range versions {
		version := v.(map[string]any)
		if version["served"] == true {
			gv := schema.GroupVersion{Group: group, Version: version["name"].(string)}
			resources[gv.WithKind(kind)] = gv.WithResource(plural)
		}
	}
	return resources
}

// waitFor returns when the API server serves a resource.
func waitFor(t *testing.T, resource schema.GroupVersionResource) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := cluster.Resource(resource).List(t.Context(), metav1.ListOptions{})
		return err == nil
	}, time.Minute, 20*time.Millisecond, "%s is not served", resource)
}

// create lets the API server judge an object without keeping it.
func create(t *testing.T, resource schema.GroupVersionResource, object *unstructured.Unstructured) error {
	t.Helper()
	options := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict}
	object = object.DeepCopy()
	object.SetNamespace("default")
	_, err := cluster.Resource(resource).Namespace("default").Create(t.Context(), object, options)
	if err != nil && (meta.IsNoMatchError(err) || strings.Contains(err.Error(), "could not find the requested resource")) {
		object.SetNamespace("")
		_, err = cluster.Resource(resource).Create(t.Context(), object, options)
	}
	return err
}
