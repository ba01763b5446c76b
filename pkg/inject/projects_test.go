package inject_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// TestArgoTemplatesHaveTheirVolumes adds a volume to each template: one that another workflow calls by templateRef does not
// find those of the workflow around it. Source: argo-workflows, workflow/controller/workflowpod.go addVolumeReferences.
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
			"add " + first + "/volumes [" + volume + "]", firstMounted, "add " + second + "/volumes [" + volume + "]", secondMounted,
		}},
		"volumes of its own": {"{name: w}", "{name: v}", []string{
			"add " + first + "/volumes/0 " + volume, firstMounted, "add " + second + "/volumes [" + volume + "]", secondMounted,
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
			result := patch(t, storage.Default(), injecttest.Decode(t, "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec:\n  volumes: ["+tt.workflow+"]\n"+
				"  templates: [{"+own+"container: {image: x}}, {script: {image: x}}]\n"))
			assert.Equal(t, tt.exp, lines(t, result))
			require.Len(t, result.Decisions, 2)
			assert.Equal(t, inject.ReasonInjected, result.Decisions[1].Reason)
		})
	}
}

// TestWhatContainersShare is about mounts and volumes that do not stand in the container or the pod itself.
func TestWhatContainersShare(t *testing.T) {
	const (
		argo       = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\n"
		task       = "apiVersion: tekton.dev/v1\nkind: Task\n"
		taskRun    = "apiVersion: tekton.dev/v1\nkind: TaskRun\n"
		volcano    = "apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\n"
		ownClaim   = "{name: own, persistentVolumeClaim: {claimName: pvc-data-pipeline.demo}}"
		tasks      = "tasks: [{template: {spec: {containers: [{name: a}]}}}, {template: {spec: {containers: [{name: b}]}}}]"
		first      = "/spec/templates/0"
		firstOwn   = "add " + first + "/volumes [" + volume + "]"
		mountsFull = "/volumeMounts [" + mount + "]"
	)
	for name, tt := range map[string]struct {
		object     string
		exp        []string
		expMessage string // of a refusal, or of a first pod that has everything
	}{
		"a sidecar that mirrors the main container is left to it": {
			argo + "spec: {templates: [{container: {image: x}, sidecars: [{name: s, mirrorVolumeMounts: true}, {name: t, mirrorVolumeMounts: false}]}]}",
			[]string{firstOwn, "add " + first + "/container" + mountsFull, "add " + first + "/sidecars/1" + mountsFull},
			"",
		},
		"one whose main container is left out has its own": {
			argo + "spec: {templates: [{metadata: {annotations: {pipeline-storage.io/containers: s}}, script: {image: x}, sidecars: [{name: s, mirrorVolumeMounts: true}]}]}",
			[]string{firstOwn, "add " + first + "/sidecars/0" + mountsFull},
			"",
		},
		"one without a main container has its own": {
			argo + "spec: {templates: [{containerSet: {containers: [{name: a}]}, sidecars: [{name: s, mirrorVolumeMounts: true}]}]}",
			[]string{firstOwn, "add " + first + "/containerSet/containers/0" + mountsFull, "add " + first + "/sidecars/0" + mountsFull},
			"",
		},
		"one with something of its own at the path": {
			argo + "spec: {templates: [{container: {image: x}, sidecars: [{name: s, mirrorVolumeMounts: true, volumeMounts: [{name: w, mountPath: /data}]}]}]}",
			nil, `container "s": mount path /data is taken by volume "w": choose another by mount.path, --mount-path or the pod annotation pipeline-storage.io/mount-path`,
		},
		"a set of containers with a mount at the path": {
			argo + "spec: {templates: [{containerSet: {volumeMounts: [{name: w, mountPath: /data}], containers: [{name: a}]}}]}",
			nil, `container "a": mount path /data is taken by volume "w": choose another by mount.path, --mount-path or the pod annotation pipeline-storage.io/mount-path`,
		},
		"a set of containers that mounts the claim": {
			argo + "spec: {templates: [{volumes: [" + ownClaim + "], containerSet: {volumeMounts: [{name: own, mountPath: /x}], containers: [{name: a}]}}]}", nil, "",
		},
		"the defaults of templates with a mount at the path": {
			argo + "spec: {templateDefaults: {container: {volumeMounts: [{name: w, mountPath: /data}]}}, templates: [{script: {image: x}}, {container: {image: x}}]}",
			nil, `container "main": mount path /data is taken by volume "w": choose another by mount.path, --mount-path or the pod annotation pipeline-storage.io/mount-path`,
		},
		"containers in the defaults of templates only": {
			argo + "spec: {templateDefaults: {container: {image: x}}, templates: [{name: a}]}",
			[]string{"add /spec/templateDefaults/volumes [" + volume + "]", "add /spec/templateDefaults/container" + mountsFull},
			"",
		},
		"a step template is for steps only": {
			task + "spec: {volumes: [" + ownClaim + "], stepTemplate: {volumeMounts: [{name: own, mountPath: /x}]}, steps: [{name: a}], sidecars: [{name: s}]}",
			[]string{`add /spec/sidecars/0/volumeMounts [{"mountPath":"/data","name":"own"}]`},
			"",
		},
		"a workspace of one step at the path": {
			task + "spec: {steps: [{name: a}, {name: b, workspaces: [{name: w, mountPath: /data}]}]}",
			nil, `container "b": mount path /data is taken by volume "w": choose another by mount.path, --mount-path or the pod annotation pipeline-storage.io/mount-path`,
		},
		"the volumes of a run's pod template": {
			taskRun + "spec: {podTemplate: {volumes: [" + ownClaim + "]}, taskSpec: {steps: [{name: a, volumeMounts: [{name: own, mountPath: /data}]}]}}", nil, "",
		},
		"a volume of our name in a run's pod template": {
			taskRun + "spec: {podTemplate: {volumes: [{name: pipeline-storage}]}, taskSpec: {steps: [{name: a}]}}",
			nil, `the name "pipeline-storage" is taken by a volume that is no claim: rename that volume or the profile`,
		},
		"a pipeline inside a pipeline": {
			"apiVersion: tekton.dev/v1\nkind: Pipeline\nspec: {tasks: [{pipelineSpec: {tasks: [{taskSpec: {steps: [{name: a}]}}]}}]}", nil, "",
		},
		"a mount of all tasks that names the claim": {
			volcano + "spec: {volumes: [{mountPath: /data, volumeClaimName: pvc-data-pipeline.demo}], " + tasks + "}", nil, "",
		},
		"a mount of all tasks without a name": {
			volcano + "spec: {volumes: [{mountPath: /x}, {mountPath: /data}], " + tasks + "}",
			nil, `container "a": mount path /data is taken by volume "/spec/volumes/1": choose another by mount.path, --mount-path or the pod annotation pipeline-storage.io/mount-path`,
		},
		"a container that is null is none": {
			"apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nspec: {predictor: {sklearn: null, model: {modelFormat: {name: x}}}}",
			[]string{"add /spec/predictor/volumes [" + volume + "]", "add /spec/predictor/model" + mountsFull},
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			document := injecttest.Decode(t, tt.object+"\n")
			result := patch(t, storage.Default(), document)
			assert.Equal(t, tt.exp, lines(t, result))
			if refused := result.Refused(); tt.expMessage != "" {
				require.NotNil(t, refused)
				assert.Equal(t, tt.expMessage, refused.Message)
				return
			}
			assert.Nil(t, result.Refused())
			assert.Empty(t, patch(t, storage.Default(), injecttest.Apply(t, document, result)).Operations, "what is patched needs nothing more")
		})
	}
}

// TestMirrorsGetNoVariable because nothing of Argo's would give it to them.
func TestMirrorsGetNoVariable(t *testing.T) {
	result := patch(t, injecttest.Load(t, "profiles: [{name: default, env: DATA}]\n"), injecttest.Decode(t,
		"apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec: {templates: [{container: {image: x}, sidecars: [{name: s, mirrorVolumeMounts: true}]}]}\n"))
	assert.Equal(t, []string{`container "s" has the mounts of "main", but gets no variable DATA; the storage is at /data`}, result.Decisions[0].Warnings)
}

// TestAFolderNeedsItsVariables: where a kind refuses them, the folder would never be found.
func TestAFolderNeedsItsVariables(t *testing.T) {
	result := patch(t, injecttest.Load(t, "profiles: [{name: default, mount: {subPath: '{pod.name}'}}]\n"), injecttest.Decode(t, "apiVersion: trainer.kubeflow.org/v1alpha1\n"+
		"kind: TrainJob\nspec: {podTemplateOverrides: [{spec: {containers: [{name: node}]}}]}\n"))
	require.NotNil(t, result.Refused())
	assert.Equal(t, `container "node": this kind refuses the variables here that mount.subPath needs: leave these pods to the webhook, or leave the container out`,
		result.Refused().Message)
}

// TestArgoSecurityContext is about a template without a security context of its own: Argo then takes the workflow's, and
// would lose it to one that we make. Source: argo-workflows, workflow/controller/workflowpod.go.
func TestArgoSecurityContext(t *testing.T) {
	const group = `{"fsGroup":1000,"fsGroupChangePolicy":"OnRootMismatch"}`
	for name, tt := range map[string]struct {
		workflow, first string
		exp             []string
	}{
		"neither has one: each template gets its own": {
			"", "", []string{"add /spec/templates/0/securityContext " + group, "add /spec/templates/1/securityContext " + group},
		},
		"the template has one": {
			"", "securityContext: {runAsUser: 1}, ", []string{
				"add /spec/templates/0/securityContext/fsGroup 1000", `add /spec/templates/0/securityContext/fsGroupChangePolicy "OnRootMismatch"`,
				"add /spec/templates/1/securityContext " + group,
			},
		},
		"the workflow has one: it is extended, once": {
			"  securityContext: {runAsNonRoot: true}\n", "", []string{
				"add /spec/securityContext/fsGroup 1000", `add /spec/securityContext/fsGroupChangePolicy "OnRootMismatch"`,
			},
		},
		"both have one: the template's counts for it": {
			"  securityContext: {runAsNonRoot: true}\n", "securityContext: {runAsUser: 1}, ", []string{
				"add /spec/templates/0/securityContext/fsGroup 1000", `add /spec/templates/0/securityContext/fsGroupChangePolicy "OnRootMismatch"`,
				"add /spec/securityContext/fsGroup 1000", `add /spec/securityContext/fsGroupChangePolicy "OnRootMismatch"`,
			},
		},
		"the defaults of templates have one, which hides the workflow's": {
			"  templateDefaults: {securityContext: {runAsUser: 1}}\n  securityContext: {runAsNonRoot: true}\n", "", []string{
				"add /spec/templateDefaults/securityContext/fsGroup 1000", `add /spec/templateDefaults/securityContext/fsGroupChangePolicy "OnRootMismatch"`,
			},
		},
		"the workflow has a group": {"  securityContext: {fsGroup: 7}\n", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			result := patch(t, injecttest.Load(t, "profiles: [{name: default, fsGroup: 1000}]\n"), injecttest.Decode(t,
				"apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec:\n"+tt.workflow+
					"  templates: [{"+tt.first+"container: {image: x}}, {script: {image: x}}]\n"))
			var contexts []string
			for _, line := range lines(t, result) {
				if strings.Contains(line, "securityContext") {
					contexts = append(contexts, line)
				}
			}
			assert.Equal(t, tt.exp, contexts)
		})
	}
}

// TestUserKindsMayShareAContainer adds one mount to a container that two pods of a row have.
func TestUserKindsMayShareAContainer(t *testing.T) {
	config := injecttest.Load(t, "profiles: [{name: default, env: DATA}]\nkinds: [{group: example.com, kind: Train, pods: [{scope: 'jobs[*]', volumes: $.volumes, containers: [$.run]}]}]\n")
	result := patch(t, config, injecttest.Decode(t, "apiVersion: example.com/v1\nkind: Train\nrun: {image: x}\njobs: [{}, {}]\n"))
	assert.Equal(t, []string{
		"add /volumes [" + volume + "]", "add /run/volumeMounts [" + mount + "]", `add /run/env [{"name":"DATA","value":"/data"}]`,
	}, lines(t, result))
}

// TestATrainJobSetsNoVariableThatTrainerRefuses has the container of the trainer, which takes variables from elsewhere, beside one
// of another name. Trainer refuses the whole TrainJob otherwise.
func TestATrainJobSetsNoVariableThatTrainerRefuses(t *testing.T) {
	const spec = "/spec/podTemplateOverrides/0/spec"
	config := injecttest.Load(t, "profiles: [{name: default, env: DATA}]\n")
	objects := injecttest.Find(t, config, injecttest.Decode(t, "apiVersion: trainer.kubeflow.org/v1alpha1\nkind: TrainJob\nmetadata: {name: t}\n"+
		"spec: {podTemplateOverrides: [{spec: {containers: [{name: node}, {name: metrics}]}}]}\n"))
	result := inject.Patch(config, inject.Request{Release: injecttest.Release, Namespace: "ml", Selector: labels.Everything()}, objects[0].Pods...)
	require.Len(t, result.Decisions, 1)
	assert.Contains(t, result.Decisions[0].Warnings, `container "node" gets no variable DATA, because this kind refuses one here; the storage is at /data`)
	var paths []string
	for _, op := range result.Operations {
		paths = append(paths, op.Path)
	}
	assert.Equal(t, []string{
		spec + "/volumes", spec + "/containers/0/volumeMounts", spec + "/containers/1/volumeMounts", spec + "/containers/1/env",
	}, paths)
}

// TestTheTemplateOfASparkDriverCanAsk has the label where the operator takes the driver's pod template from.
func TestTheTemplateOfASparkDriverCanAsk(t *testing.T) {
	config := injecttest.Load(t, "profiles: [{name: default}]\n")
	objects := injecttest.Find(t, config, injecttest.Decode(t, "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {name: s}\n"+
		"spec: {driver: {template: {metadata: {labels: {pipeline-storage: enabled}}}}, executor: {instances: 1}}\n"))
	result := inject.Patch(config, inject.Request{Release: injecttest.Release, Namespace: "ml"}, objects[0].Pods...)
	require.Len(t, result.Decisions, 2)
	assert.Equal(t, inject.ReasonInjected, result.Decisions[0].Reason)
	assert.Equal(t, inject.ReasonNotSelected, result.Decisions[1].Reason)
}
