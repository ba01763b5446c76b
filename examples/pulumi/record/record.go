// Package record writes down what a Pulumi program registers, with no engine and no provider behind it.
package record

import (
	"cmp"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the expected files")

// Registered is all that a program registered. Its JSON is the form of the expected files.
type Registered struct {
	// Resources are sorted by type and name.
	Resources []Resource `json:"resources"`
	// Exports are the outputs of the stack, which other programs read: pulumi stack output NAME.
	Exports map[string]any `json:"exports"`
}

// Resource is a resource as the program registered it.
type Resource struct {
	Type   string         `json:"type"`
	Name   string         `json:"name"`
	Inputs map[string]any `json:"inputs"`
	// Version is that of the provider.
	Version string `json:"version"`
	// Component is true for a resource whose parts the provider registers.
	Component bool `json:"component,omitempty"`
	// Retained is true for a resource whose object stays when it leaves the stack.
	Retained bool `json:"retained,omitempty"`
	// DependsOn are the names of resources that come before it.
	DependsOn []string `json:"dependsOn,omitempty"`
}

// Run runs the program of the test's directory and returns what it registered.
// Settings are over the defaults of the directory's Pulumi.yaml. The mocks of Pulumi's SDK answer
// for the engine: no plugin is started, and no network is used. An error is that of the program.
func Run(t *testing.T, program pulumi.RunFunc, settings map[string]string) (Registered, error) {
	t.Helper()
	project, err := workspace.LoadProject("Pulumi.yaml")
	require.NoError(t, err)
	config := map[string]string{}
	for key, setting := range project.Config {
		if text, ok := setting.Default.(string); ok {
			config[project.Name.String()+":"+key] = text
		}
	}
	for key, value := range settings {
		require.Contains(t, project.Config, key, "Pulumi.yaml does not have it")
		config[project.Name.String()+":"+key] = value
	}

	recorder := recorder{registered: Registered{Exports: map[string]any{}}}
	mocks := pulumi.WithMocks(project.Name.String(), "stack", &recorder)
	err = pulumi.RunErr(recorder.withExports(program), mocks, func(info *pulumi.RunInfo) { info.Config = config })
	slices.SortFunc(recorder.registered.Resources, func(a, b Resource) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name))
	})
	return recorder.registered, err
}

// Equal compares what was registered with a file of expected resources. The repository's other
// tests read these files. The flag -update writes the file instead. Its form is JSON, indented by
// two spaces.
func Equal(t *testing.T, file string, registered Registered) {
	t.Helper()
	text, err := json.MarshalIndent(registered, "", "  ")
	require.NoError(t, err)
	text = append(text, '\n')
	if *update {
		require.NoError(t, os.WriteFile(file, text, 0o644))
	}
	expected, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(expected), string(text), "if this is intended: go test ./... -update")
}

// recorder collects the registrations. The SDK registers resources concurrently, so that a mutex
// guards the list.
type recorder struct {
	mutex      sync.Mutex
	registered Registered
}

// withExports runs a program and then collects its exports. The SDK waits for outputs of resources
// before it ends; a plain value is there at once.
func (r *recorder) withExports(program pulumi.RunFunc) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		if err := program(ctx); err != nil {
			return err
		}
		for name, export := range ctx.GetCurrentExportMap() {
			output, ok := export.(pulumi.Output)
			if !ok {
				r.export(name, export)
				continue
			}
			output.ApplyT(func(value any) any {
				r.export(name, value)
				return value
			})
		}
		return nil
	}
}

func (r *recorder) export(name string, value any) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.registered.Exports[name] = value
}

// NewResource is called for each resource that the program registers; the stack itself is one. It
// answers with the inputs as the state of the resource.
func (r *recorder) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	if args.TypeToken != "pulumi:pulumi:Stack" {
		r.mutex.Lock()
		defer r.mutex.Unlock()
		request := args.RegisterRPC
		r.registered.Resources = append(r.registered.Resources, Resource{
			Type: args.TypeToken, Name: args.Name, Inputs: args.Inputs.Mappable(), Version: request.GetVersion(),
			Component: request.GetRemote(), Retained: request.GetRetainOnDelete(), DependsOn: names(request.GetDependencies()),
		})
	}
	return args.Name, args.Inputs, nil
}

// Call is called for functions of a provider. The programs call none.
func (*recorder) Call(pulumi.MockCallArgs) (resource.PropertyMap, error) {
	return resource.PropertyMap{}, nil
}

// names are the last parts of URNs, which are the names that the program gave.
func names(urns []string) []string {
	var names []string
	for _, urn := range urns {
		names = append(names, resource.URN(urn).Name())
	}
	return names
}
