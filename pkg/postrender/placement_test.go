package postrender_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// storageOf returns the storage objects that were put in.
func storageOf(out *postrender.Output) string {
	for _, e := range out.Edits() {
		if bytes.Contains(e.New, []byte("kind: PersistentVolumeClaim")) {
			return string(e.New)
		}
	}
	return ""
}

func TestWritesWhatHelmIdentifiesDocumentsBy(t *testing.T) {
	plain := workload("Deployment", "a")
	fromHelm3 := strings.Replace(plain, "---\n", "---\n# Source: chart/templates/a.yaml\n", 1)
	cases := map[string]struct {
		helm4                    bool
		stream                   string
		expSource, expAnnotation int
	}{
		"a plain stream gets none":             {false, plain, 0, 0},
		"Helm 3's stream gets Source comments": {false, fromHelm3, 2, 0},
		"Helm 4 gets file names":               {true, plain, 0, 2},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := labelled()
			r.Helm4 = tc.helm4
			out, err := r.Render([]byte(tc.stream))
			require.NoError(t, err)
			storage := storageOf(out)
			assert.Equal(t, tc.expSource, strings.Count(storage, "# Source: pipeline-storage/storage.yaml\n"))
			assert.Equal(t, tc.expAnnotation, strings.Count(storage,
				"postrenderer.helm.sh/postrender-filename: pipeline-storage/storage.yaml\n"))
			assert.Equal(t, 2, strings.Count(storage, "helm.sh/resource-policy: keep\n"))
		})
	}
}

func TestExistingVolumeServesOneNamespace(t *testing.T) {
	r := labelled(func(p *storage.Profile) { p.Volume = &storage.Volume{Handle: "vol-1", Zone: "z"} })
	out, err := r.Render([]byte(workload("Deployment", "a")))
	require.NoError(t, err)
	kinds := []string{}
	for _, o := range out.Report.Objects {
		kinds = append(kinds, o.Kind)
	}
	assert.Equal(t, []string{"StorageClass", "PersistentVolume", "PersistentVolumeClaim"}, kinds)
	assert.Contains(t, storageOf(out), "volumeName: pv-data-pipeline.pipelines.rel\n")

	inOther := strings.Replace(workload("Deployment", "a"), "  name: a\n", "  name: a\n  namespace: other\n", 1)
	out, err = r.Render([]byte(inOther))
	require.ErrorContains(t, err, `its volume serves the namespace "pipelines" only, but pods in "other" would mount it`)
	assert.Empty(t, out.Bytes())
}

func TestSecondRunFindsItsObjects(t *testing.T) {
	r := labelled()
	first, err := r.Render([]byte(workload("Deployment", "a")))
	require.NoError(t, err)
	more := append(bytes.Clone(first.Bytes()), workload("Job", "b")...)
	out, err := r.Render(more)
	require.NoError(t, err)
	assert.Equal(t, 1, out.Report.Count(inject.ReasonInjected))
	for _, o := range out.Report.Objects {
		assert.Equal(t, postrender.Present, o.Action)
	}
	assert.Equal(t, 1, strings.Count(string(out.Bytes()), "kind: PersistentVolumeClaim"))

	other := labelled(func(p *storage.Profile) { p.StorageClass.Parameters = map[string]string{"type": "io2"} })
	_, err = other.Render(more)
	require.ErrorContains(t, err, "document 1 StorageClass/fast.pipelines.rel: it was rendered by "+
		"profile \"default\" with another configuration")
}

func TestIgnoresStorageKindsOfOtherGroups(t *testing.T) {
	in := "apiVersion: storage.example.com/v1\nkind: PersistentVolumeClaim\nmetadata: {name: " +
		"pvc-data-pipeline.rel}\n" + workload("Deployment", "a")
	out, err := labelled().Render([]byte(in))
	require.NoError(t, err)
	assert.Len(t, out.Report.Objects, 2)
}

func TestPlacesStorageBehindNamespaceInAnyStyle(t *testing.T) {
	in := `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}}` + "\n" + workload("Deployment", "a")
	out, err := labelled().Render([]byte(in))
	require.NoError(t, err)
	text := string(out.Bytes())
	assert.Less(t, strings.Index(text, "Namespace"), strings.Index(text, "kind: StorageClass"))
	assert.Less(t, strings.Index(text, "kind: PersistentVolumeClaim"), strings.Index(text, "kind: Deployment"))
}

// TestSeparatesRootKeyFromSeparator has a kind whose volumes stand at the root of the document.
func TestSeparatesRootKeyFromSeparator(t *testing.T) {
	r := newRenderer(t, storage.DefaultMountPath)
	r.Config.Kinds = []kinds.Kind{{
		Group: "x.io", Kind: "Task",
		Pods: []kinds.PodPaths{{Scope: ".", Volumes: "volumes", Containers: []string{"steps[*]"}}},
	}}
	for name, head := range map[string]string{
		"a comment":             "---\n# Source: a\n",
		"a comment on the line": "--- # a\n", "nothing": "---\n", "no separator": "",
	} {
		t.Run(name, func(t *testing.T) {
			out := requireProperties(t, r, []byte(head+"apiVersion: x.io/v1\nkind: Task\nsteps:\n- name: a\n"))
			assert.Contains(t, string(out.Bytes()), "\nvolumes:\n- name: pipeline-storage\n")
			assert.NotContains(t, string(out.Bytes()), "---volumes")
		})
	}
}

// TestReadsStorageAsWritten has characters that YAML folds or refuses where JSON lets them stand.
func TestReadsStorageAsWritten(t *testing.T) {
	value := "a\x7fb\u0085c\u2028d\ufeffe\u009ff"
	r := labelled(func(p *storage.Profile) { p.StorageClass.Parameters = map[string]string{"note": value} })
	out, err := r.Render([]byte(workload("Deployment", "a")))
	require.NoError(t, err)
	var class struct{ Parameters map[string]string }
	require.NoError(t, yaml.Unmarshal([]byte(strings.Split(storageOf(out), "---\n")[1]), &class))
	assert.Equal(t, value, class.Parameters["note"])
}
