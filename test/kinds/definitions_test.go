package kinds_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// definitionsFile is the table of the definitions that validate the samples. Those of the projects are
// third-party data and not part of the repository: they are in ../shared and in Go modules.
const definitionsFile = "testdata/definitions.yaml"

// definition is what docs/kinds.md shows of a CustomResourceDefinition.
type definition struct {
	Group    string   `json:"group"`
	Kind     string   `json:"kind"`
	Versions []string `json:"versions"`
	// Source is the project and its commit.
	Source string `json:"source"`
	// Path is its path in the project.
	Path string `json:"path"`
}

// unsampled are kinds that no user writes into a manifest.
var unsampled = map[schema.GroupKind]string{
	{Group: "kueue.x-k8s.io", Kind: "Workload"}: "Kueue makes it from the object that it queues",
}

// builtin are the groups that every API server serves.
var builtin = []string{"", "apps", "batch"}

func readDefinitions(t *testing.T) []definition {
	t.Helper()
	text, err := os.ReadFile(definitionsFile)
	require.NoError(t, err)
	var all []definition
	require.NoError(t, yaml.UnmarshalStrict(text, &all))
	return all
}

// servedVersions are the versions in which the API server serves a kind.
func servedVersions(t *testing.T, row kinds.Kind) []string {
	t.Helper()
	if slices.Contains(builtin, row.Group) {
		return []string{"v1"}
	}
	var versions []string
	for _, d := range readDefinitions(t) {
		if d.Group == row.Group && d.Kind == row.Kind {
			versions = append(versions, d.Versions...)
		}
	}
	return versions
}

// source is a line of the table beside the definitions.
var source = regexp.MustCompile(`(?m)^\| (\S+\.yaml) \| (\S+) \| (\S+) \|$`)

// TestDefinitions compares the repository's table with the definitions.
func TestDefinitions(t *testing.T) {
	list, err := os.ReadFile(filepath.Join(shared(t, "crds"), "README.md"))
	require.NoError(t, err)
	crds := definitions(t)
	var sources []sourceOf
	for _, line := range source.FindAllStringSubmatch(string(list), -1) {
		sources = append(sources, sourceOf{file: line[1], source: line[2], path: line[3]})
	}
	require.NotEmpty(t, sources)
	for _, m := range readModules(t) {
		sources = append(sources, m.sources()...)
	}
	for _, p := range readTypes(t) {
		sources = append(sources, p.sources()...)
	}
	var all []definition
	for _, s := range sources {
		require.Contains(t, crds, s.file)
		all = append(all, s.describe(crds[s.file]))
	}
	text, err := yaml.Marshal(all)
	require.NoError(t, err)
	requireFile(t, definitionsFile, string(text))
}

// sourceOf is where the definition of a file is from.
type sourceOf struct{ file, source, path string }

// describe is the row of a definition.
func (s sourceOf) describe(crd *apiextensionsv1.CustomResourceDefinition) definition {
	d := definition{Group: crd.Spec.Group, Kind: crd.Spec.Names.Kind, Source: s.source, Path: s.path}
	for _, v := range crd.Spec.Versions {
		if v.Served {
			d.Versions = append(d.Versions, v.Name)
		}
	}
	return d
}

// shared returns the path of data beside the repository, and skips the test where it is missing.
func shared(t *testing.T, elem ...string) string {
	t.Helper()
	path := filepath.Join(append([]string{"..", "..", "..", "shared"}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("not covered: the data in ../shared/%s, which is not part of the repository", filepath.Join(elem...))
	}
	return path
}

// loading ends when loaded has the definitions by file name.
var (
	loading sync.Once
	loaded  map[string]*apiextensionsv1.CustomResourceDefinition
)

// definitions returns the projects' definitions by file name, and those made of published types by the
// name of the definition. Do not change them.
func definitions(t *testing.T) map[string]*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	dir := shared(t, "crds")
	loading.Do(func() {
		files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		loaded = map[string]*apiextensionsv1.CustomResourceDefinition{}
		for _, file := range files {
			loaded[filepath.Base(file)] = load(t, file)
		}
		for _, m := range readModules(t) {
			for _, file := range m.Files {
				loaded[filepath.Base(file)] = load(t, filepath.Join(m.dir, file))
			}
		}
		core := coreTypes(t, loaded)
		for _, p := range readTypes(t) {
			for _, kind := range p.Kinds {
				loaded[kind.name()] = p.define(t, kind, core)
			}
		}
	})
	return loaded
}

// load reads a definition without its descriptions, which are most of its text and validate
// nothing.
func load(t *testing.T, file string) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var content map[string]any
	require.NoError(t, yaml.Unmarshal(text, &content))
	walk(content, func(object map[string]any) {
		if _, isText := object["description"].(string); isText {
			delete(object, "description")
		}
	})
	crd := &apiextensionsv1.CustomResourceDefinition{}
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(content, crd))
	return crd
}

// installTimeout is how long a machine that is busy with other work may take.
const installTimeout = 5 * time.Minute

// installing ends when the definitions are installed.
var installing sync.Once

// define installs all definitions together, once, abridged, and returns when their kinds are served: after each change
// of the served kinds the API server builds the OpenAPI document of all of them.
func define(t *testing.T) {
	t.Helper()
	files := definitions(t)
	installing.Do(func() {
		crds, used := merge(files), groupWords(t)
		for _, crd := range crds {
			abridge(t, crd, used[crd.Spec.Group])
		}
		suite.EventuallyWithin(t, installTimeout, "the definitions should be served", func(context.Context) error {
			_, err := envtest.InstallCRDs(suite.RESTConfig(t), envtest.CRDInstallOptions{CRDs: crds, MaxTime: installTimeout})
			return err // a busy API server may answer that it had no time
		})
	})
}

// merge returns one definition for each kind. Versions are converted by their name alone: no webhook
// of a project runs here.
func merge(files map[string]*apiextensionsv1.CustomResourceDefinition) []*apiextensionsv1.CustomResourceDefinition {
	crds := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, file := range files {
		crd := file.DeepCopy()
		crd.Spec.Conversion = nil
		if other := crds[crd.Name]; other != nil { // two projects define MPIJob, each in a version of its own
			addVersions(other, crd)
			continue
		}
		crds[crd.Name] = crd
	}
	return slices.Collect(maps.Values(crds))
}

// addVersions adds the versions of another definition of a kind. Only one version can be the stored
// one.
func addVersions(crd, other *apiextensionsv1.CustomResourceDefinition) {
	for _, v := range other.Spec.Versions {
		v.Storage = false
		crd.Spec.Versions = append(crd.Spec.Versions, v)
	}
}
