package kinds_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// typesDir has what was read of the published types of projects whose definitions are in no Go
// module: the names of the fields, and which of them are types of core/v1. The API server judges
// such a kind by a definition made of that.
const typesDir = "testdata/types"

// published are the types of one project.
type published struct {
	// Source and Path are as in [definition].
	Source string      `json:"source"`
	Path   string      `json:"path"`
	Kinds  []typedKind `json:"kinds"`
	// Types are objects, by name: their fields with their types. []TYPE is a list.
	Types map[string]fields `json:"types"`
}

// fields are the fields of an object with the names of their types.
type fields map[string]string

// typedKind is a kind with the fields of its spec.
type typedKind struct {
	Group   string `json:"group"`
	Kind    string `json:"kind"`
	Plural  string `json:"plural"`
	Version string `json:"version"`
	Spec    fields `json:"spec"`
}

func readTypes(t *testing.T) []published {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(typesDir, "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	all := make([]published, len(files))
	for i, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, yaml.UnmarshalStrict(text, &all[i]), file)
	}
	return all
}

// sources are the project's kinds, as rows of the definitions.
func (p *published) sources() []sourceOf {
	all := make([]sourceOf, len(p.Kinds))
	for i, kind := range p.Kinds {
		all[i] = sourceOf{file: kind.name(), source: p.Source + " (published types)", path: p.Path}
	}
	return all
}

// name is that of the kind's definition.
func (k *typedKind) name() string { return k.Plural + "." + k.Group }

// define makes the definition of a kind. Types that several projects share are in core.
func (p *published) define(t *testing.T, kind typedKind, core schemas) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	spec := p.object(t, kind.Spec, core)
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: kind.name()},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: kind.Group, Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{
				Kind: kind.Kind, ListKind: kind.Kind + "List", Plural: kind.Plural, Singular: strings.ToLower(kind.Kind),
			},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: kind.Version, Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", Properties: schemas{"spec": spec, "status": core["Open"]},
				}},
			}},
		},
	}
}

// schemas are schemas by the name of a type or field.
type schemas = map[string]apiextensionsv1.JSONSchemaProps

// object is the schema of an object with these fields and no others.
func (p *published) object(t *testing.T, names fields, core schemas) apiextensionsv1.JSONSchemaProps {
	t.Helper()
	properties := schemas{}
	for name, kind := range names {
		properties[name] = p.schema(t, kind, core)
	}
	return apiextensionsv1.JSONSchemaProps{Type: "object", Properties: properties}
}

func (p *published) schema(t *testing.T, kind string, core schemas) apiextensionsv1.JSONSchemaProps {
	t.Helper()
	if item, isList := strings.CutPrefix(kind, "[]"); isList {
		schema := p.schema(t, item, core)
		return apiextensionsv1.JSONSchemaProps{
			Type: "array", Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &schema},
		}
	}
	if names, ok := p.Types[kind]; ok {
		return p.object(t, names, core)
	}
	schema, ok := core[kind]
	require.True(t, ok, "%s: the type %s is not one of %v", p.Source, kind, slices.Sorted(maps.Keys(core)))
	return schema
}

// TestPublishedTypesRefuseOtherFields holds that such a judge refuses what a project's own would: a
// field that a type does not have.
func TestPublishedTypesRefuseOtherFields(t *testing.T) {
	define(t)
	for _, p := range readTypes(t) {
		for _, kind := range p.Kinds {
			t.Run(kind.name(), func(t *testing.T) {
				object := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"volumeMounts": []any{}}}}
				object.SetAPIVersion(kind.Group + "/" + kind.Version)
				object.SetKind(kind.Kind)
				object.SetName("other-field")
				_, err := create(t, object, client.DryRunAll)
				require.ErrorContains(t, err, `unknown field "spec.volumeMounts"`)
			})
		}
	}
}

// coreTypes takes the schemas of core/v1 from a definition with a pod template, and that of an Argo
// workflow from its own.
func coreTypes(t *testing.T, crds map[string]*apiextensionsv1.CustomResourceDefinition) schemas {
	t.Helper()
	pod := schemaAt(
		t, crds["leaderworkerset.x-k8s.io_leaderworkersets.yaml"], "spec", "leaderWorkerTemplate", "workerTemplate", "spec",
	)
	pod.Required = nil // a layer of a pod may leave out its containers
	container := *pod.Properties["containers"].Items.Schema
	preserve := true
	open := apiextensionsv1.JSONSchemaProps{XPreserveUnknownFields: &preserve}
	text := apiextensionsv1.JSONSchemaProps{Type: "string"}
	texts := apiextensionsv1.JSONSchemaProps{
		Type: "object", AdditionalProperties: &apiextensionsv1.JSONSchemaPropsOrBool{Allows: true, Schema: &text},
	}
	return schemas{
		"Open":    open,
		"PodSpec": pod,
		"Pod": {Type: "object", Properties: schemas{
			"apiVersion": text, "kind": text, "metadata": {Type: "object", XPreserveUnknownFields: &preserve}, "spec": pod,
		}},
		"Metadata":           {Type: "object", Properties: schemas{"labels": texts, "annotations": texts}},
		"Affinity":           pod.Properties["affinity"],
		"Containers":         pod.Properties["containers"],
		"InitContainers":     pod.Properties["initContainers"],
		"PodSecurityContext": pod.Properties["securityContext"],
		"Volumes":            pod.Properties["volumes"],
		"VolumeMounts":       container.Properties["volumeMounts"],
		"Env":                container.Properties["env"],
		"WorkflowSpec":       schemaAt(t, crds["argoproj.io_workflows.yaml"], "spec"),
	}
}

// schemaAt returns the schema of a field of a kind's first version.
func schemaAt(
	t *testing.T, crd *apiextensionsv1.CustomResourceDefinition, path ...string,
) apiextensionsv1.JSONSchemaProps {
	t.Helper()
	require.NotNil(t, crd)
	schema := *crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	for _, field := range path {
		require.Contains(t, schema.Properties, field)
		schema = schema.Properties[field]
	}
	return schema
}
