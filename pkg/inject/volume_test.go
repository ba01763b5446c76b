package inject_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

func TestAVolumeWithoutANameCannotBeMounted(t *testing.T) {
	pod := kinds.Pod{
		VolumesPath: "/spec/volumes", Volumes: []kinds.PodVolume{{Claim: "pvc-data-pipeline"}},
		Labels:     map[string]string{kinds.Label: kinds.LabelEnabled},
		Containers: []kinds.Container{{Path: "/spec/containers/0", Name: "main"}},
	}
	result := inject.Patch(storage.Default(), inject.Request{Namespace: "ml"}, pod)
	assert.Equal(t, inject.ReasonConflict, result.Decisions[0].Reason)
	assert.Equal(
		t, `the volume with the claim "pvc-data-pipeline" has no name to mount it by: give it one`,
		result.Decisions[0].Message,
	)
	assert.Empty(t, result.Operations)
}

func TestClaimTemplates(t *testing.T) {
	const set = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  volumeClaimTemplates: [{metadata: {name: NAME}}]
  template:
    spec:
      containers: [{name: main, volumeMounts: [{name: NAME, mountPath: PATH}]}]
`
	for name, tt := range map[string]struct {
		name, path string
		exp        string
	}{
		"of another name at another path": {"db", "/db", ""},
		"of our name": {
			"pipeline-storage", "/db",
			`the name "pipeline-storage" is taken by a claim template: rename that template or the profile`,
		},
		"of another name, mounted at its path": {
			"db", "/data/",
			`container "main": mount path /data is taken by volume "db": choose another by mount.path, --mount-path or the ` +
				`pod annotation pipeline-storage.io/mount-path`,
		},
		"of our name, mounted at our path": {
			"pipeline-storage", "/data", `the name "pipeline-storage" is taken by a claim template`,
		},
		"of a name that only begins as our": {"pipeline-storage-b", "/db", ""},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.NewReplacer("NAME", tt.name, "PATH", tt.path).Replace(set)
			result := patch(t, storage.Default(), injecttest.Decode(t, text))
			if tt.exp == "" {
				assert.Nil(t, result.Refused())
				assert.Len(t, result.Operations, 2)
				return
			}
			require.NotNil(t, result.Refused())
			assert.Contains(t, result.Refused().Message, tt.exp)
		})
	}
}

// TestReportsTheClaimThatThePodKeeps holds that a decision has the claim that the pod really
// mounts.
func TestReportsTheClaimThatThePodKeeps(t *testing.T) {
	result := patch(
		t, storage.Default(),
		injecttest.Pod(
			t,
			"volumes: [{name: pipeline-storage, persistentVolumeClaim: {claimName: old}}]\ncontainers: [{name: main}]",
		),
	)
	assert.Equal(t, []string{"default"}, result.Decisions[0].Profiles)
	assert.Equal(t, []string{"old"}, result.Decisions[0].Claims)
}

// TestClaimsOfTheNamespace is about names that depend on where the pod lives; the pod's own
// namespace is not written.
func TestClaimsOfTheNamespace(t *testing.T) {
	config := injecttest.Load(t, "profiles: [{name: default, claim: {name: 'data-{namespace}'}}]\n")
	document := injecttest.Decode(
		t, "apiVersion: v1\nkind: Pod\nmetadata: {generateName: train-}\nspec: {containers: [{name: main}]}\n",
	)
	objects := injecttest.Find(t, config, document)
	assert.Equal(t, "train-", objects[0].Name)
	assert.Empty(t, objects[0].Namespace)
	result := inject.Patch(config, inject.Request{Namespace: "ml", Selector: labels.Everything()}, objects[0].Pods...)
	assert.Equal(t, []string{"data-ml"}, result.Decisions[0].Claims)
	for _, op := range result.Operations {
		assert.True(t, strings.HasPrefix(op.Path, "/spec/"), op.Path)
	}
}

// TestArgoTemplatesHaveTheirVolumes adds a volume to each template: one that another workflow calls
// by templateRef does not find those of the workflow around it. Source: argo-workflows,
// workflow/controller/workflowpod.go addVolumeReferences.
func TestArgoTemplatesHaveTheirVolumes(t *testing.T) {
	const (
		first, second   = "/spec/templates/0", "/spec/templates/1"
		firstMounted    = "add " + first + "/container/volumeMounts [" + mount + "]"
		secondMounted   = "add " + second + "/script/volumeMounts [" + mount + "]"
		withTheClaim    = "{name: own, persistentVolumeClaim: {claimName: pvc-data-pipeline.demo}}"
		ownFirstMounted = `add ` + first + `/container/volumeMounts [{"mountPath":"/data","name":"own"}]`
	)
	for name, tt := range map[string]struct {
		workflow, template string
		exp                []string
	}{
		"no volumes yet": {exp: []string{
			"add " + first + "/volumes [" + volume + "]", firstMounted, "add " + second + "/volumes [" + volume +
				"]", secondMounted,
		}},
		"volumes of its own": {"{name: w}", "{name: v}", []string{
			"add " + first + "/volumes/0 " + volume, firstMounted, "add " + second + "/volumes [" + volume +
				"]", secondMounted,
		}},
		"the workflow has the claim: it is mounted by that volume": {withTheClaim, "", []string{
			ownFirstMounted, strings.ReplaceAll(secondMounted, "pipeline-storage", "own"),
		}},
		"a template has the claim": {"", withTheClaim, []string{
			ownFirstMounted, "add " + second + "/volumes [" + volume + "]", secondMounted,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			own := ""
			if tt.template != "" {
				own = "volumes: [" + tt.template + "], "
			}
			result := patch(t, storage.Default(), injecttest.Decode(t, "apiVersion: argoproj.io/v1alpha1\nkind: "+
				"Workflow\nspec:\n  volumes: ["+tt.workflow+"]\n"+
				"  templates: [{"+own+"container: {image: x}}, {script: {image: x}}]\n"))
			assert.Equal(t, tt.exp, lines(t, result))
			require.Len(t, result.Decisions, 2)
			assert.Equal(t, inject.ReasonInjected, result.Decisions[1].Reason)
		})
	}
}
