package pulumi_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const (
	root = "../.."
	// programs is the directory of the Pulumi programs.
	programs = root + "/examples/pulumi"
)

// registered is what a program registers with Pulumi, and what its stack exports.
type registered struct {
	Resources []resource
	Exports   map[string]string
}

// resource is a resource as a program registers it with Pulumi.
type resource struct {
	Type, Name string
	Inputs     map[string]any
	Retained   bool
}

func readRegistered(t *testing.T, program, file string) registered {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(programs, program, "testdata", file+".json"))
	require.NoError(t, err)
	var all registered
	require.NoError(t, json.Unmarshal(text, &all))
	return all
}

// read returns what a program registers, by type.
func read(t *testing.T, program, file string) map[string]resource {
	t.Helper()
	all := readRegistered(t, program, file)
	byType := map[string]resource{}
	for _, one := range all.Resources {
		byType[one.Type] = one
	}
	require.Len(t, byType, len(all.Resources))
	return byType
}

// chartInputs are the inputs of helm.v4.Chart and helm.v3.Release that the program sets
// (pulumi-kubernetes, provider/pkg/provider/helm/v4/chart.go, ChartArgs;
// provider/pkg/provider/helm_release.go, Release).
type chartInputs struct {
	Name, Namespace, Chart string
	PostRenderer           struct {
		Command string
		Args    []string
	}
	Postrender      string
	CreateNamespace bool
	SkipAwait       bool
}

// readChart returns the inputs of the program's chart or release. An input of another name is an
// error.
func readChart(t *testing.T, file, kind string) chartInputs {
	t.Helper()
	resource, ok := read(t, "storage", file)[kind]
	require.True(t, ok, "%s.json has no %s", file, kind)
	text, err := yaml.Marshal(resource.Inputs)
	require.NoError(t, err)
	var inputs chartInputs
	require.NoError(t, yaml.UnmarshalStrict(text, &inputs))
	inputs.Chart = filepath.Join(programs, "storage", inputs.Chart)
	return inputs
}

// object is the object that a resource stands for.
func (r resource) object() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: r.Inputs}
}
