package kinds_test

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	claimName = "data"
	mountPath = "/mnt/pipeline"
)

// TestSamplesAreInjectedAndAccepted checks every sample of testdata against the comment that it
// begins with: how many containers mount the claim, or why it is refused or not injected. The API
// server must accept it without storage and with it, and return it with every mount: the API server
// prunes what a definition does not have.
func TestSamplesAreInjectedAndAccepted(t *testing.T) {
	for _, project := range projects(t) {
		t.Run(project, func(t *testing.T) {
			t.Parallel()
			if project != builtinProject {
				define(t)
			}
			for _, s := range samples(t, project) {
				t.Run(s.name, func(t *testing.T) { s.accepted(t) })
			}
		})
	}
}

// accepted lets the API server judge a sample.
func (s *sample) accepted(t *testing.T) {
	t.Helper()
	for _, object := range objects(t, []byte(s.text)) {
		_, err := create(t, object, client.DryRunAll)
		require.NoError(t, err, "the sample itself is wrong")
	}
	if s.refused != "" {
		return
	}
	everything, err := renderer(t, labels.Everything()).Render([]byte(s.text))
	require.NoError(t, err)
	for _, object := range objects(t, everything.Bytes()) {
		_, err := create(t, object, client.DryRunAll)
		require.NoError(t, err, "with every pod selected: %s", reasons(everything))
	}
	out, err := renderer(t, inject.DefaultSelector()).Render([]byte(s.text))
	require.NoError(t, err)
	mounts := 0
	for _, object := range objects(t, out.Bytes()) {
		stored, err := create(t, object)
		require.NoError(t, err)
		require.NoError(t, cluster(t).Get(t.Context(), client.ObjectKeyFromObject(stored), stored))
		assert.Equal(t, countMounts(object.Object), countMounts(stored.Object), "mounts that the API server retained")
		mounts += countMounts(stored.Object)
	}
	assert.Equal(t, s.mounts, mounts, "containers that mount the claim: %s", reasons(out))
}

// TestSamplesAreInjectedAsExpected compares with NAME.out.yaml, and needs no API server and no
// definitions.
func TestSamplesAreInjectedAsExpected(t *testing.T) {
	for _, project := range projects(t) {
		t.Run(project, func(t *testing.T) {
			var expected strings.Builder
			for i, s := range samples(t, project) {
				if i > 0 {
					expected.WriteString("---\n")
				}
				expected.WriteString(s.render(t))
			}
			path := filepath.Join("testdata", project+".out.yaml")
			if *update {
				require.NoError(t, os.WriteFile(path, []byte(expected.String()), 0o644))
			}
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.Equal(t, string(text), expected.String(), "run make generate and read the difference")
		})
	}
}

// render injects a sample and checks it against its comment.
func (s *sample) render(t *testing.T) string {
	t.Helper()
	out, err := renderer(t, inject.DefaultSelector()).Render([]byte(s.text))
	if s.refused != "" {
		require.ErrorContains(t, err, s.refused, s.name)
		return s.text
	}
	require.NoError(t, err, s.name)
	require.NotEmpty(t, out.Report.Workloads, "%s is not in the report", s.name)
	mounts := 0
	for _, object := range objects(t, out.Bytes()) {
		mounts += countMounts(object.Object)
		assertClaims(t, object.Object, s.name)
	}
	assert.Equal(t, s.mounts, mounts, "%s: %s", s.name, reasons(out))
	if s.reported != "" {
		for _, w := range out.Report.Workloads {
			assert.Equal(t, s.reported, string(w.Reason), "%s: %s", s.name, w.Message)
			assert.NotEmpty(t, w.Message, s.name)
		}
		assert.Equal(t, s.text, string(out.Bytes()))
	}
	return string(out.Bytes())
}

// TestEveryKindHasASample searches for a sample with a mount of every row, in every version of the
// kind that its definition serves. A row that can mount nothing has its limits written down, and a
// sample that is reported.
func TestEveryKindHasASample(t *testing.T) {
	mounted, reported := map[schema.GroupVersionKind]bool{}, map[schema.GroupVersionKind]bool{}
	for _, project := range projects(t) {
		for _, s := range samples(t, project) {
			for _, object := range decode(t, []byte(s.text)) {
				mounted[object.GroupVersionKind()] = mounted[object.GroupVersionKind()] || s.mounts > 0
				reported[object.GroupVersionKind()] = reported[object.GroupVersionKind()] || s.reported != ""
			}
		}
	}
	for _, row := range kinds.Builtin() {
		if unsampled[schema.GroupKind{Group: row.Group, Kind: row.Kind}] != "" {
			continue
		}
		versions := servedVersions(t, row)
		assert.NotEmpty(t, versions, "no definition of %s/%s is in %s", row.Group, row.Kind, definitionsFile)
		for _, version := range versions {
			kind := schema.GroupVersionKind{Group: row.Group, Version: version, Kind: row.Kind}
			if len(row.Pods)+len(row.Objects) == 0 {
				assert.NotEmpty(t, row.Limits, "%s can mount nothing: add the reason", kind)
				assert.True(t, reported[kind], "no sample of %s is reported", kind)
				continue
			}
			assert.True(t, mounted[kind], "no sample of %s mounts the claim", kind)
		}
	}
}

// TestRealResourcesAreInjectedAndAccepted creates the projects' own examples twice, without and
// with storage, as a strict dry run. What the API server accepts without storage it must accept
// with it. The results are counted in corpus.txt, which -update writes.
func TestRealResourcesAreInjectedAndAccepted(t *testing.T) {
	streams := []string{
		"cr-argo-workflows", "cr-jobset", "cr-kueue", "cr-ray-samples", "cr-spark-applications", "cr-trainer-runtimes",
	}
	table := make([]string, len(streams))
	t.Run("streams", func(t *testing.T) {
		for i, stream := range streams {
			t.Run(stream, func(t *testing.T) {
				t.Parallel()
				text, err := os.ReadFile(shared(t, "corpus", stream+".yaml"))
				require.NoError(t, err)
				define(t)
				table[i] = fmt.Sprintf("%s: %s\n", stream, validate(t, text))
			})
		}
	})
	if text := strings.Join(table, ""); text != "" {
		requireFile(t, filepath.Join("testdata", "corpus.txt"), text)
	}
}

// validate counts the results for the objects of a stream.
func validate(t *testing.T, stream []byte) string {
	t.Helper()
	out, err := renderer(t, labels.Everything()).Render(stream)
	require.NoError(t, err)
	injected := decode(t, out.Bytes())
	counts := map[string]int{}
	for i, before := range decode(t, stream) {
		after := injected[i]
		isChanged := !assert.ObjectsAreEqual(before.Object, after.Object)
		if _, err := create(t, before, client.DryRunAll); err != nil {
			if isChanged {
				counts["changed, without a judge"]++
			}
			continue
		}
		_, err := create(t, after, client.DryRunAll)
		require.NoError(t, err, "%s %s", before.GetKind(), before.GetName())
		if isChanged {
			counts["changed and accepted"]++
		}
	}
	for _, w := range out.Report.Workloads {
		counts[string(w.Reason)]++
	}
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", what, counts[what]))
	}
	return strings.Join(parts, ", ")
}

// renderer injects without storage objects, so that the documents correspond.
func renderer(t *testing.T, selector labels.Selector) *postrender.Renderer {
	t.Helper()
	config, _, err := storage.New(func(c *storage.Config) error {
		c.Profiles[0].Claim = storage.Claim{Name: claimName, Create: new(false)}
		c.Profiles[0].Mount.Path = mountPath
		c.Profiles[0].Env = storage.VariableNames{"PIPELINE_STORAGE_PATH"}
		c.Profiles[0].FSGroup = new(int64(1000))
		return nil
	})
	require.NoError(t, err)
	return &postrender.Renderer{Config: config, Selector: selector}
}

// reasons are the decisions, for messages.
func reasons(out *postrender.Output) string {
	var all []string
	for _, w := range out.Report.Workloads {
		all = append(all, fmt.Sprintf("%s: %s %s", cmp.Or(w.Pod, "/"), w.Reason, w.Message))
	}
	return strings.Join(all, "; ")
}

// countMounts counts the objects with a mount of the product, wherever they are.
func countMounts(value any) int {
	count := 0
	walk(value, func(object map[string]any) {
		mounts, _ := object["volumeMounts"].([]any)
		if slices.ContainsFunc(mounts, func(m any) bool {
			mount, _ := m.(map[string]any)
			return mount["name"] == "pipeline-storage" && mount["mountPath"] == mountPath
		}) {
			count++
		}
	})
	return count
}

// assertClaims checks that the injected volume is the claim, that each list has it once, and that
// it exists if it is mounted.
func assertClaims(t *testing.T, object map[string]any, name string) {
	t.Helper()
	found := 0
	walk(object, func(object map[string]any) {
		volumes, _ := object["volumes"].([]any)
		here := 0
		for _, v := range volumes {
			if volume, _ := v.(map[string]any); volume["name"] == "pipeline-storage" {
				assert.Equal(t, map[string]any{"claimName": claimName}, volume["persistentVolumeClaim"], name)
				here++
			}
		}
		assert.LessOrEqual(t, here, 1, name)
		found += here
	})
	assert.Equal(t, countMounts(object) > 0, found > 0, "%s: a mount needs its volume", name)
}

// walk calls each for every object in a value.
func walk(value any, each func(map[string]any)) {
	switch value := value.(type) {
	case map[string]any:
		each(value)
		for _, child := range value {
			walk(child, each)
		}
	case []any:
		for _, item := range value {
			walk(item, each)
		}
	}
}

// decode returns the objects of a stream, one for each document.
func decode(t *testing.T, stream []byte) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	for _, doc := range manifest.Split(stream) {
		object := &unstructured.Unstructured{}
		require.NoError(t, yaml.Unmarshal(doc.Body, &object.Object))
		all = append(all, object)
	}
	return all
}

// objects returns those that a client would send: a List is sent item by item.
func objects(t *testing.T, stream []byte) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	for _, object := range decode(t, stream) {
		if !object.IsList() {
			all = append(all, object)
			continue
		}
		require.NoError(t, object.EachListItem(func(item runtime.Object) error {
			all = append(all, item.(*unstructured.Unstructured))
			return nil
		}))
	}
	return all
}

// mapping is the client that the tests share: each one reads which kinds are served.
var mapping struct {
	sync.Once
	client.Client
}

func cluster(t *testing.T) client.Client {
	t.Helper()
	mapping.Do(func() {
		var err error
		mapping.Client, err = client.New(suite.RESTConfig(t), client.Options{})
		require.NoError(t, err)
	})
	return mapping.Client
}

// create lets the API server validate an object, with strict field validation, and returns the API
// server's version of it.
func create(t *testing.T, object *unstructured.Unstructured,
	options ...client.CreateOption,
) (*unstructured.Unstructured, error) {
	t.Helper()
	isNamespaced, err := cluster(t).IsObjectNamespaced(object)
	if err != nil {
		return nil, err
	}
	object = object.DeepCopy()
	if isNamespaced {
		object.SetNamespace("default")
	}
	options = append(options, client.FieldValidation(metav1.FieldValidationStrict))
	return object, cluster(t).Create(t.Context(), object, options...)
}
