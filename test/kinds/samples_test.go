package kinds_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
)

// project is a file of samples, testdata/NAME.in.yaml, with the definitions that validate them.
type project struct {
	name        string
	definitions []string
}

var projects = []project{
	{"kubernetes", nil},
	{"argo-workflows", []string{"argoproj.io_*.yaml"}},
	{"tekton", []string{"300-*.yaml"}},
	{"ray", []string{"ray.io_*.yaml"}},
	{"spark", []string{"sparkoperator.k8s.io_*.yaml"}},
	{"spark-apache", []string{"spark*.spark.apache.org-v1.yaml"}},
	{"kubeflow-training", kubeflowJobs},
	{"mpi-operator", kubeflowJobs},
	{"kubeflow-trainer", []string{"trainer.kubeflow.org_*.yaml"}},
	{"kubeflow-notebooks", []string{"kubeflow.org_notebooks.yaml"}},
	{"kserve", []string{"serving.kserve.io_*.yaml"}},
	{"jobset", []string{"jobset.x-k8s.io_*.yaml"}},
	{"lws", []string{"leaderworkerset.x-k8s.io_*.yaml"}},
	{"volcano", []string{"batch.volcano.sh_*.yaml", "flow.volcano.sh_*.yaml"}},
	{"appwrapper", []string{"workload.codeflare.dev_*.yaml"}},
}

// TestEverySampleFileHasAProject needs no API server: a file that no project names would be no test.
func TestEverySampleFileHasAProject(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.in.yaml"))
	require.NoError(t, err)
	var expected []string
	for _, p := range projects {
		expected = append(expected, filepath.Join("testdata", p.name+".in.yaml"))
	}
	assert.ElementsMatch(t, expected, files, "projects of test/kinds/samples_test.go names every file of samples once")
}

// kubeflowJobs belong together, because MPIJob is in both.
var kubeflowJobs = []string{"kubeflow.org_*jobs.yaml", "mpi-operator-v2beta1_mpijobs.yaml"}

// sample is one document of a file of samples, with the result that its comment states.
type sample struct {
	name, text string
	// mounts is how many containers mount the claim.
	mounts int
	// reported is the reason for which it is not injected.
	reported string
	// refused is the message of the refusal.
	refused string
}

var expectation = regexp.MustCompile(`(?m)^# (mounts|reported|refused): (.+)$`)

func samples(t *testing.T, project string) []sample {
	t.Helper()
	stream, err := os.ReadFile(filepath.Join("testdata", project+".in.yaml"))
	require.NoError(t, err)
	var all []sample
	for _, doc := range manifest.Split(stream) {
		text := string(doc.Body)
		if all != nil {
			text = text[1:] // behind the separator
		}
		object := decode(t, doc.Body)[0]
		s := sample{
			text: text,
			name: fmt.Sprintf("%s %s %s%s", object.GetAPIVersion(), object.GetKind(), object.GetName(),
				object.GetGenerateName()),
		}
		found := expectation.FindStringSubmatch(text)
		require.NotNil(t, found, "%s needs a comment: mounts, reported or refused", s.name)
		switch found[1] {
		case "mounts":
			s.mounts, err = strconv.Atoi(found[2])
			require.NoError(t, err)
		case "reported":
			s.reported = found[2]
		case "refused":
			s.refused = found[2]
		}
		all = append(all, s)
	}
	return all
}

func requireFile(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got, "run make generate and read the difference")
}
