package kinds_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
)

// words are those of a text.
type words map[string]bool

var word = regexp.MustCompile(`[\w-]+`)

func (w words) add(text string) {
	for _, found := range word.FindAllString(text, -1) {
		w[found] = true
	}
}

// abridge removes from a definition the optional fields whose names are in no document of its API group: most of a
// pod's fields, in each of its copies. That hides no mistake: a field that a definition lacks is refused. It spares the
// API server most of its work, because it converts, stores and publishes a definition again after each change of its
// status.
func abridge(t *testing.T, crd *apiextensionsv1.CustomResourceDefinition, used words) {
	t.Helper()
	text, err := json.Marshal(crd.Spec.Versions)
	require.NoError(t, err)
	var versions any
	require.NoError(t, json.Unmarshal(text, &versions))
	needed := maps.Clone(used)
	walk(versions, func(object map[string]any) { addReferences(needed, object) })
	walk(versions, func(object map[string]any) {
		properties, _ := object["properties"].(map[string]any)
		maps.DeleteFunc(properties, func(name string, _ any) bool { return !needed[name] })
	})
	text, err = json.Marshal(versions)
	require.NoError(t, err)
	crd.Spec.Versions = nil
	require.NoError(t, json.Unmarshal(text, &crd.Spec.Versions))
}

// references are the parts of a definition that name fields, which must then exist.
var references = []string{
	"required", "default", "x-kubernetes-list-map-keys", "x-kubernetes-validations", "subresources",
	"additionalPrinterColumns", "selectableFields",
}

func addReferences(needed words, object map[string]any) {
	for _, name := range references {
		if value, ok := object[name]; ok {
			needed.add(fmt.Sprint(value))
		}
	}
}

// groupWords are the words of all documents that the definitions judge, by API group: as they are, and with every pod
// selected.
func groupWords(t *testing.T) map[string]words {
	t.Helper()
	all := map[string]words{}
	for _, pattern := range []string{
		filepath.Join("testdata", "*.in.yaml"), filepath.Join(shared(t, "corpus"), "cr-*.yaml"),
	} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, doc := range manifest.Split(text) {
				addDocument(t, all, doc.Body)
			}
		}
	}
	return all
}

func addDocument(t *testing.T, all map[string]words, doc []byte) {
	t.Helper()
	text := string(doc)
	if out, err := renderer(t, labels.Everything()).Render(doc); err == nil { // or it is a sample of a refusal
		text += string(out.Bytes())
	}
	for _, object := range objects(t, doc) {
		group := schema.FromAPIVersionAndKind(object.GetAPIVersion(), "").Group
		if all[group] == nil {
			all[group] = words{}
		}
		all[group].add(text)
	}
}

// TestAbridgedDefinitionRefusesOtherFields holds what abridging rests on: a field of a project's own definition that
// was removed, because no document has it, is refused.
func TestAbridgedDefinitionRefusesOtherFields(t *testing.T) {
	whole := schemaAt(t, definitions(t)["leaderworkerset.x-k8s.io_leaderworkersets.yaml"],
		"spec", "leaderWorkerTemplate", "workerTemplate", "spec")
	require.Contains(t, whole.Properties, "setHostnameAsFQDN")
	define(t)
	for _, s := range samples(t, "lws") {
		object := objects(t, []byte(s.text))[0]
		if object.GetKind() != "LeaderWorkerSet" {
			continue
		}
		_, err := create(t, object, client.DryRunAll)
		require.NoError(t, err)
		path := []string{"spec", "leaderWorkerTemplate", "workerTemplate", "spec", "setHostnameAsFQDN"}
		require.NoError(t, unstructured.SetNestedField(object.Object, true, path...))
		_, err = create(t, object, client.DryRunAll)
		require.ErrorContains(t, err, `unknown field "`+strings.Join(path, ".")+`"`)
		return
	}
	require.Fail(t, "no sample is a LeaderWorkerSet")
}
