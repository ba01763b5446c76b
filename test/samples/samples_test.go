// Package samples_test lets a real API server validate the objects of the configurations in
// config/samples.
package samples_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	samples = "../../config/samples"
	origin  = "origin-aws-ebs.yaml"
	// golden are the objects of the origin's configuration.
	golden = "testdata/origin-aws-ebs.out.yaml"
	// schedule takes snapshots.
	schedule = samples + "/snapshots/nightly.yaml"

	eventTimeout, poll = time.Minute, 100 * time.Millisecond
)

var update = flag.Bool("update", false, "write the expected files")

// more are samples beside those that every backend has, each with its backend.
var more = map[string]string{
	origin: "aws-ebs", "classes.yaml": "aws-ebs", "labels.yaml": "aws-ebs", "lustre.yaml": "csi", "portworx.yaml": "csi",
}

var resources = map[string]schema.GroupVersionResource{
	"StorageClass":          {Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses"},
	"VolumeAttributesClass": {Group: "storage.k8s.io", Version: "v1", Resource: "volumeattributesclasses"},
	"VolumeSnapshotClass":   suite.SnapshotClasses,
	"PersistentVolume":      {Version: "v1", Resource: "persistentvolumes"},
	"PersistentVolumeClaim": {Version: "v1", Resource: "persistentvolumeclaims"},
}

// TestMain has the controllers: the binder binds the claims.
func TestMain(m *testing.M) { os.Exit(suite.Main(m, controlplane.Options{Controllers: true})) }

// load reads every sample, by file name, and requires that none has a warning.
func load(t *testing.T) map[string]*storage.Config {
	t.Helper()

	files, err := filepath.Glob(filepath.Join(samples, "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)

	configs := map[string]*storage.Config{}

	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)

		config, warnings, err := storage.Load(text)
		require.NoError(t, err, file)
		assert.Empty(t, warnings, file)

		for i := range config.Profiles {
			assert.Empty(t, config.Profiles[i].Warnings(), file)
		}

		configs[filepath.Base(file)] = config
	}

	return configs
}

// TestEveryBackendHasASample also keeps a sample to one backend, most often the one that it is named after.
func TestEveryBackendHasASample(t *testing.T) {
	t.Parallel()

	configs := load(t)

	var expected []string

	for file, backend := range more {
		expected = append(expected, file)

		for _, profile := range configs[file].Profiles {
			assert.Equal(t, backend, profile.StorageClass.Backend, file)
		}
	}

	for _, backend := range storage.Backends {
		file := backend.Name + ".yaml"
		expected = append(expected, file)

		_, hasSample := configs[file]
		if !assert.True(t, hasSample, "the backend %s needs a sample: config/samples/%s", backend.Name, file) {
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

	readme, err := os.ReadFile(filepath.Join(samples, "README.md"))
	require.NoError(t, err)

	for _, file := range files {
		hasRow := strings.Contains(string(readme), "["+file+"]("+file+")")
		assert.True(t, hasRow, "%s needs a row in config/samples/README.md", file)
	}
}

// TestObjectsAreAccepted makes the objects of every sample: as the webhook's claims controller would, in a
// strict dry run, and as a release would, to stay. Volumes that exist are then bound by the real binder.
func TestObjectsAreAccepted(t *testing.T) {
	t.Parallel()

	client := suite.Dynamic(t)
	suite.InstallSnapshots(t)

	configs := load(t)
	// At admission names are the same for every sample, so those objects do not stay.
	for file, config := range configs {
		for _, profile := range config.Profiles {
			use := use(&profile)
			// The dry run requires the namespace.
			createNamespace(t, client, use.Namespace)

			objects, err := storage.Objects(config, storage.Release{}, use)
			require.NoError(t, err)
			require.Len(t, objects.Claims, 1, file)
			require.Len(t, objects.StorageClasses, 1, file)
			create(t, client, &objects, metav1.DryRunAll)
		}
	}

	t.Run("releases", func(t *testing.T) {
		for file, config := range configs {
			t.Run(file, func(t *testing.T) {
				t.Parallel()
				bindsVolumes(t, client, strings.TrimSuffix(file, ".yaml"), config)
			})
		}
	})
	t.Run("documented classes", func(t *testing.T) { acceptsDocumentedClasses(t, client) })
	t.Run("documented command", func(t *testing.T) { takesDocumentedPatch(t, client) })
	t.Run("snapshots", func(t *testing.T) { takesSnapshots(t, client) })
	t.Run("restore", func(t *testing.T) { restores(t, client) })
}

// bindsVolumes makes the objects of a release of a configuration, and waits for the claims of volumes that exist.
func bindsVolumes(t *testing.T, client dynamic.Interface, release string, config *storage.Config) {
	t.Helper()

	var bindable []*corev1.PersistentVolumeClaim

	for _, profile := range config.Profiles {
		use := use(&profile)

		objects, err := storage.Objects(config, storage.Release{Name: release, Namespace: use.Namespace}, use)
		require.NoError(t, err)
		create(t, client, &objects)

		if profile.Volume != nil {
			bindable = append(bindable, objects.Claims[0])
		}
	}

	for _, claim := range bindable {
		bound(t, client, claim)
	}
}

// acceptsDocumentedClasses creates the classes of docs/backends.md.
func acceptsDocumentedClasses(t *testing.T, client dynamic.Interface) {
	t.Helper()

	blocks := suite.Blocks(t, "docs/backends.md", "yaml")
	first := slices.IndexFunc(blocks, func(block string) bool { return strings.HasPrefix(block, "apiVersion:") })
	require.NotEqual(t, -1, first)

	var kinds []string

	for _, object := range parse(t, blocks[first]) {
		kinds = append(kinds, object.GetKind())
		_, err := client.Resource(resources[object.GetKind()]).Create(t.Context(), object,
			metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
		require.NoError(t, err)
	}

	assert.Equal(t, []string{"VolumeAttributesClass", "VolumeSnapshotClass"}, kinds)
}

// takesDocumentedPatch gives the origin's claim another attributes class, as docs/backends.md shows.
func takesDocumentedPatch(t *testing.T, client dynamic.Interface) {
	t.Helper()

	_, command, found := strings.Cut(suite.Document(t, "docs/backends.md"), "`kubectl patch ")
	require.True(t, found)

	command, _, _ = strings.Cut(command, "`")
	kubectl(t).Run(t.Context(), t, "kubectl patch "+command).Must(t)

	claim, err := client.Resource(resources["PersistentVolumeClaim"]).
		Namespace("default").
		Get(t.Context(), "pvc-data-pipeline", metav1.GetOptions{})
	require.NoError(t, err)

	name, _, _ := unstructured.NestedString(claim.Object, "spec", "volumeAttributesClassName")
	assert.Equal(t, "ebs-16k", name)
}

// kubectl is a shell with an administrator's kubectl.
func kubectl(t *testing.T) suite.Shell {
	t.Helper()

	return suite.Shell{Programs: parts.Require(t, "kubectl"), Env: []string{"KUBECONFIG=" + suite.Plane(t).Kubeconfig}}
}

// takesSnapshots creates the objects of the schedule and does by kubectl what its pod would do.
func takesSnapshots(t *testing.T, client dynamic.Interface) {
	t.Helper()

	var manifest string

	var args []string

	for _, object := range documents(t, schedule) {
		mapping := schema.GroupVersionResource{
			Group: object.GroupVersionKind().Group, Version: object.GroupVersionKind().Version,
			Resource: strings.ToLower(object.GetKind()) + "s",
		}
		_, err := client.Resource(mapping).Namespace(object.GetNamespace()).Create(t.Context(), object,
			metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
		require.NoError(t, err)

		switch object.GetKind() {
		case "ConfigMap":
			manifest, _, err = unstructured.NestedString(object.Object, "data", "snapshot.yaml")
		case "CronJob":
			containers, _, _ := unstructured.NestedSlice(
				object.Object,
				"spec",
				"jobTemplate",
				"spec",
				"template",
				"spec",
				"containers",
			)
			args, _, err = unstructured.NestedStringSlice(containers[0].(map[string]any), "args")
		}

		require.NoError(t, err)
	}

	file := filepath.Join(t.TempDir(), "snapshot.yaml")
	require.NoError(t, os.WriteFile(file, []byte(manifest), 0o600))
	require.Contains(t, args, "/snapshot/snapshot.yaml")
	args[slices.Index(args, "/snapshot/snapshot.yaml")] = file

	for range 2 { // every night another one, with the rights of the schedule's account
		kubectl(t).Exec(t.Context(), t, "kubectl",
			append(args, "--as", "system:serviceaccount:research:nightly-snapshot")...).Must(t)
	}

	made, err := client.Resource(suite.Snapshots).
		Namespace("research").
		List(t.Context(), metav1.ListOptions{LabelSelector: "schedule=nightly"})
	require.NoError(t, err)
	assert.Len(t, made.Items, 2)
}

// documents reads the objects of a YAML stream.
func documents(t *testing.T, file string) []*unstructured.Unstructured {
	t.Helper()

	text, err := os.ReadFile(file)
	require.NoError(t, err)

	return parse(t, string(text))
}

func parse(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()

	var objects []*unstructured.Unstructured

	for document := range strings.SplitSeq(text, "\n---\n") {
		object := &unstructured.Unstructured{}
		require.NoError(t, yaml.Unmarshal([]byte(document), object))
		objects = append(objects, object)
	}

	return objects
}

func bound(t *testing.T, client dynamic.Interface, claim *corev1.PersistentVolumeClaim) {
	t.Helper()

	phase := ""

	assert.Eventually(t, func() bool {
		existing, err := client.Resource(resources["PersistentVolumeClaim"]).
			Namespace(claim.Namespace).
			Get(t.Context(), claim.Name, metav1.GetOptions{})
		require.NoError(t, err)

		phase, _, _ = unstructured.NestedString(existing.Object, "status", "phase")

		return phase == string(corev1.ClaimBound)
	}, eventTimeout, poll, "claim %s", claim.Name)
}

// use is a pod in the namespace that the profile's volume serves, or in any.
func use(profile *storage.Profile) storage.ProfileRef {
	if profile.Volume != nil {
		return storage.ProfileRef{Profile: profile.Name, Namespace: profile.Volume.Namespace}
	}

	return storage.ProfileRef{Profile: profile.Name, Namespace: "default"}
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

// create makes objects; unknown fields are errors.
func create(t *testing.T, client dynamic.Interface, objects *storage.ObjectSet, dryRun ...string) {
	t.Helper()

	for _, object := range objects.All() {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object.Object)
		require.NoError(t, err)

		_, err = client.Resource(resources[object.Kind]).Namespace(object.Meta.Namespace).Create(t.Context(),
			&unstructured.Unstructured{Object: content},
			metav1.CreateOptions{DryRun: dryRun, FieldValidation: metav1.FieldValidationStrict})
		assert.NoError(t, err, "%s %s", object.Kind, object.Meta.Name)
	}
}

// TestOrigin compares the origin's objects field by field: the file is what a person reads to see them.
func TestOrigin(t *testing.T) {
	t.Parallel()

	config := load(t)[origin]
	require.NotNil(t, config)
	require.Len(t, config.Profiles, 1)

	objects, err := storage.Objects(config, storage.Release{}, use(&config.Profiles[0]))
	require.NoError(t, err)

	actual := encode(t, &objects)
	if *update {
		require.NoError(t, os.WriteFile(golden, actual, 0o644))
	}

	expected, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(expected), string(actual), "if this is intended: go test ./test/samples -update")

	// With the defaults, a bare profile differs in nothing but the volume that exists, the type of disk and its expansion.
	bare, err := storage.Objects(storage.Default(), storage.Release{}, use(&config.Profiles[0]))
	require.NoError(t, err)

	assert.True(t, *bare.StorageClasses[0].AllowVolumeExpansion)
	bare.StorageClasses[0].AllowVolumeExpansion = objects.StorageClasses[0].AllowVolumeExpansion
	bare.StorageClasses[0].Parameters["type"] = objects.StorageClasses[0].Parameters["type"]
	bare.Claims[0].Spec.VolumeName = objects.Claims[0].Spec.VolumeName
	assert.Equal(t, objects.StorageClasses, bare.StorageClasses)
	assert.Equal(t, objects.Claims, bare.Claims)
	assert.Equal(t, storage.DefaultMountPath, config.Profiles[0].Mount.Path)
}

// encode writes objects as a stream of YAML documents, without the empty status that typed objects have.
func encode(t *testing.T, objects *storage.ObjectSet) []byte {
	t.Helper()

	var documents [][]byte

	for _, object := range objects.All() {
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
