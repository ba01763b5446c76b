package alternatives_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

var update = flag.Bool("update", false, "write testdata/NAME.out.yaml and the tables of docs/alternatives.md")

const (
	claimName = "pvc-data-pipeline"
	mountPath = "/data"
	variable  = "PIPELINE_STORAGE_PATH"
)

// alternative is a way to give pods their storage. Each is a column of the tables.
type alternative struct {
	// name is that of testdata/NAME.out.yaml, title that of the column.
	name, title string
	// files of testdata are what you write once, perNamespace what you write for each namespace in addition, and
	// perApplication for each application.
	files, perNamespace, perApplication []string
	// start installs it for the whole cluster.
	start func(t *testing.T) running
}

// running is an alternative that is installed. The zero value changes nothing.
type running struct {
	// render, if not nil, returns the pod as it is sent to the API server. Its warnings are those that a person sees.
	render func(t *testing.T, namespace string, pod *pod) (*pod, []string, error)
	// prepare, if not nil, creates what a namespace needs. The default is to apply the files for namespaces.
	prepare func(t *testing.T, namespace string)
	// install and uninstall, if not nil, do it to an application with storage of its own.
	install, uninstall func(t *testing.T, namespace string)
	// stop, if not nil, ends its servers, and returns what starts them again.
	stop func() (start func())
	// remove, if not nil, removes it from the cluster.
	remove func()
	// makesClaim is whether a namespace gets its claim when a pod needs it.
	makesClaim bool
	// offline is whether it runs as a command in place of its servers, so that nothing is seen of these.
	offline bool
	// account is the user of its servers.
	account string
	// objects are how many it consists of, by kind, and certificates how many its servers have.
	objects      map[string]int
	certificates int
}

// alternatives are the columns, in their order.
var alternatives = []alternative{
	{
		name: "policy", title: "a policy of your own", start: startPolicy("policy.yaml"),
		files: []string{"policy.yaml", "class.yaml"}, perNamespace: []string{"claim.yaml"},
	},
	{
		name: "filtered-policy", title: "the same with filters", start: startPolicy("filtered-policy.yaml"),
		files: []string{"filtered-policy.yaml", "class.yaml"}, perNamespace: []string{"claim.yaml"},
	},
	{
		name: "kyverno", title: "Kyverno", start: startKyverno,
		files: []string{"kyverno.yaml", "class.yaml"}, perNamespace: []string{"claim.yaml"},
	},
	{
		name: "kustomize", title: "kustomize", start: startKustomize,
		files: []string{"class.yaml"}, perApplication: []string{"kustomize/kustomization.yaml", "claim.yaml"},
	},
	{name: "postrender", title: "our post-renderer", files: []string{"storage.yaml"}, start: startPostrender},
	{name: "webhook", title: "our webhook", files: []string{"values.yaml"}, start: startChart("values.yaml")},
	{
		name: "policy-mode", title: "our policy mode", start: startChart("policy-values.yaml"),
		files: []string{"policy-values.yaml"},
	},
}

// observed is what a test has seen of an alternative, as testdata/NAME.out.yaml has it.
type observed struct {
	// Pods are the outcomes by the names of the pods.
	Pods map[string]string `json:"pods"`
	// Facts are by the keys of the table of facts.
	Facts map[string]string `json:"facts"`
}

// TestAlternatives installs one after the other, because each is for the whole cluster.
func TestAlternatives(t *testing.T) {
	defer removeDirectories(t)
	for _, a := range alternatives {
		t.Run(a.name, func(t *testing.T) {
			r := a.start(t)
			if r.remove != nil {
				defer r.remove() // not by Cleanup: the next alternative must not find it
			}
			seen := observed{Pods: a.outcomes(t, r), Facts: a.facts(t, r)}
			text, err := yaml.Marshal(seen)
			require.NoError(t, err)
			file := filepath.Join("testdata", a.name+".out.yaml")
			if *update {
				require.NoError(t, os.WriteFile(file, text, 0o644))
			}
			expected, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, string(expected), string(text), "if this is intended: go test ./test/alternatives -update")
		})
	}
}

// removeDirectories removes those that the provisioner made, all of them empty, for the volumes that are retained.
func removeDirectories(t *testing.T) {
	t.Helper()
	volumes, err := suite.Kubernetes(t).CoreV1().PersistentVolumes().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, v := range volumes.Items {
		assert.NoError(t, os.Remove(v.Spec.HostPath.Path))
	}
}
