package samples_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
)

const (
	folder = "../../config/samples"
	origin = "origin-aws-ebs.yaml"
	// golden are the objects of the origin's configuration.
	golden = "testdata/origin-aws-ebs.out.yaml"
)

var update = flag.Bool("update", false, "write the expected files anew")

var resources = map[string]schema.GroupVersionResource{
	"StorageClass":          {Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses"},
	"PersistentVolume":      {Version: "v1", Resource: "persistentvolumes"},
	"PersistentVolumeClaim": {Version: "v1", Resource: "persistentvolumeclaims"},
}

// load reads every sample, by file name, and requires that none has a warning.
func load(t *testing.T) map[string]*inject.Config {
	t.Helper()

	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)

	configs := map[string]*inject.Config{}

	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)

		config, warnings, err := inject.Load(text)
		require.NoError(t, err, file)
		assert.Empty(t, warnings, file)

		for i := range config.Profiles {
			assert.Empty(t, config.Profiles[i].Warnings(), file)
		}

		configs[filepath.Base(file)] = config
	}

	return configs
}

// TestEveryBackendHasASample also keeps a sample to the one backend that it is named after.
func TestEveryBackendHasASample(t *testing.T) {
	t.Parallel()

	configs := load(t)
	expected := []string{origin}

	for _, backend := range inject.Backends {
		file := backend.Name + ".yaml"
		expected = append(expected, file)

		if !assert.Contains(t, configs, file, "a backend without a sample") {
			continue
		}

		static, dynamic := 0, 0

		for _, profile := range configs[file].Profiles {
			assert.Equal(t, backend.Name, profile.StorageClass.Backend, file)

			if profile.Volume != nil {
				static++
			} else {
				dynamic++
			}
		}

		assert.Positive(t, static, "%s shows no volume that exists", file)
		assert.Equal(t, !backend.StaticOnly, dynamic > 0, "%s shows a new volume unless nothing makes one", file)
	}

	var files []string
	for file := range configs {
		files = append(files, file)
	}

	assert.ElementsMatch(t, expected, files)

	readme, err := os.ReadFile(filepath.Join(folder, "README.md"))
	require.NoError(t, err)

	for _, file := range files {
		assert.Contains(t, string(readme), "["+file+"]("+file+")")
	}
}

// TestObjectsAreAccepted creates the objects of every sample as the webhook's claims controller would, in a strict dry run.
func TestObjectsAreAccepted(t *testing.T) {
	t.Parallel()

	plane := controlplane.Require(t)
	client, err := dynamic.NewForConfig(&rest.Config{
		Host: plane.Host, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: plane.CA, CertData: plane.Cert, KeyData: plane.Key},
	})
	require.NoError(t, err)

	for file, config := range load(t) {
		t.Run(file, func(t *testing.T) {
			for _, profile := range config.Profiles {
				storage, err := config.Objects(inject.Release{}, use(&profile))
				require.NoError(t, err)
				require.Len(t, storage.Claims, 1)
				require.Len(t, storage.StorageClasses, 1)

				// The dry run asks whether the namespace is there.
				createNamespace(t, client, use(&profile).Namespace)

				for _, object := range storage.All() {
					dryRun(t, client, object)
				}
			}
		})
	}
}

// use is a pod in the namespace that the profile's volume serves, or in any.
func use(profile *inject.Profile) inject.Use {
	if profile.Volume != nil {
		return inject.Use{Profile: profile.Name, Namespace: profile.Volume.Namespace}
	}

	return inject.Use{Profile: profile.Name, Namespace: "default"}
}

func createNamespace(t *testing.T, client dynamic.Interface, name string) {
	t.Helper()

	namespaces := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
	if _, err := namespaces.Get(t.Context(), name, metav1.GetOptions{}); err == nil {
		return
	}

	_, err := namespaces.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name},
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
}

func dryRun(t *testing.T, client dynamic.Interface, object inject.StorageObject) {
	t.Helper()

	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object.Object)
	require.NoError(t, err)

	_, err = client.Resource(resources[object.Kind]).Namespace(object.Meta.Namespace).Create(t.Context(),
		&unstructured.Unstructured{Object: content},
		metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
	assert.NoError(t, err, "%s %s", object.Kind, object.Meta.Name)
}

// TestOrigin compares the origin's objects field by field: the file is what a person reads to see them.
func TestOrigin(t *testing.T) {
	t.Parallel()

	config := load(t)[origin]
	require.NotNil(t, config)
	require.Len(t, config.Profiles, 1)

	storage, err := config.Objects(inject.Release{}, use(&config.Profiles[0]))
	require.NoError(t, err)

	actual := encode(t, &storage)
	if *update {
		require.NoError(t, os.WriteFile(golden, actual, 0o644))
	}

	expected, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(expected), string(actual), "if this is intended: go test ./test/samples -update")

	// With the defaults, a bare profile differs in nothing but the volume that exists and the type of disk.
	bare, err := inject.Default().Objects(inject.Release{}, use(&config.Profiles[0]))
	require.NoError(t, err)

	bare.StorageClasses[0].Parameters["type"] = storage.StorageClasses[0].Parameters["type"]
	bare.Claims[0].Spec.VolumeName = storage.Claims[0].Spec.VolumeName
	assert.Equal(t, storage.StorageClasses, bare.StorageClasses)
	assert.Equal(t, storage.Claims, bare.Claims)
	assert.Equal(t, inject.DefaultMountPath, config.Profiles[0].Mount.Path)
}

// encode writes objects as a stream of YAML documents, without the empty status that typed objects have.
func encode(t *testing.T, storage *inject.Storage) []byte {
	t.Helper()

	var documents [][]byte

	for _, object := range storage.All() {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object.Object)
		require.NoError(t, err)
		require.Empty(t, content["status"])
		delete(content, "status")

		text, err := yaml.Marshal(content)
		require.NoError(t, err)

		documents = append(documents, []byte(strings.ReplaceAll(string(text), "  creationTimestamp: null\n", "")))
	}

	return bytes.Join(documents, []byte("---\n"))
}
