package inject_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// TestWhatContainersShare is about mounts and volumes that do not stand in the container or the pod
// itself.
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
			argo + "spec: {templates: [{container: {image: x}, sidecars: [{name: s, mirrorVolumeMounts: true}, {name: t, " +
				"mirrorVolumeMounts: false}]}]}",
			[]string{firstOwn, "add " + first + "/container" + mountsFull, "add " + first + "/sidecars/1" + mountsFull},
			"",
		},
		"one whose main container is left out has its own": {
			argo + "spec: {templates: [{metadata: {annotations: {pipeline-storage.io/containers: s}}, script: {image: " +
				"x}, sidecars: [{name: s, mirrorVolumeMounts: true}]}]}",
			[]string{firstOwn, "add " + first + "/sidecars/0" + mountsFull},
			"",
		},
		"one without a main container has its own": {
			argo + "spec: {templates: [{containerSet: {containers: [{name: a}]}, sidecars: [{name: s, " +
				"mirrorVolumeMounts: true}]}]}",
			[]string{
				firstOwn, "add " + first + "/containerSet/containers/0" + mountsFull,
				"add " + first + "/sidecars/0" + mountsFull,
			},
			"",
		},
		"one with something of its own at the path": {
			argo + "spec: {templates: [{container: {image: x}, sidecars: [{name: s, mirrorVolumeMounts: true, " +
				"volumeMounts: [{name: w, mountPath: /data}]}]}]}",
			nil,
			`container "s": mount path /data is taken by volume "w": choose another by mount.path, --mount-path or the pod ` +
				`annotation pipeline-storage.io/mount-path`,
		},
		"a set of containers with a mount at the path": {
			argo + "spec: {templates: [{containerSet: {volumeMounts: [{name: w, mountPath: /data}], containers: [{name: a}]}}]}",
			nil,
			`container "a": mount path /data is taken by volume "w": choose another by mount.path, --mount-path or the pod ` +
				`annotation pipeline-storage.io/mount-path`,
		},
		"a set of containers that mounts the claim": {
			argo + "spec: {templates: [{volumes: [" + ownClaim +
				"], containerSet: {volumeMounts: [{name: own, mountPath: /x}], containers: [{name: a}]}}]}", nil, "",
		},
		"the defaults of templates with a mount at the path": {
			argo + "spec: {templateDefaults: {container: {volumeMounts: [{name: w, mountPath: /data}]}}, templates: " +
				"[{script: {image: x}}, {container: {image: x}}]}",
			nil,
			`container "main": mount path /data is taken by volume "w": choose another by mount.path, --mount-path or the pod ` +
				`annotation pipeline-storage.io/mount-path`,
		},
		"containers in the defaults of templates only": {
			argo + "spec: {templateDefaults: {container: {image: x}}, templates: [{name: a}]}",
			[]string{
				"add /spec/templateDefaults/volumes [" + volume + "]", "add /spec/templateDefaults/container" + mountsFull,
			},
			"",
		},
		"a step template is for steps only": {
			task + "spec: {volumes: [" + ownClaim +
				"], stepTemplate: {volumeMounts: [{name: own, mountPath: /x}]}, steps: [{name: a}], sidecars: [{name: s}]}",
			[]string{`add /spec/sidecars/0/volumeMounts [{"mountPath":"/data","name":"own"}]`},
			"",
		},
		"a workspace of one step at the path": {
			task + "spec: {steps: [{name: a}, {name: b, workspaces: [{name: w, mountPath: /data}]}]}",
			nil,
			`container "b": mount path /data is taken by volume "w": choose another by mount.path, --mount-path or the pod ` +
				`annotation pipeline-storage.io/mount-path`,
		},
		"the volumes of a run's pod template": {
			taskRun + "spec: {podTemplate: {volumes: [" + ownClaim +
				"]}, taskSpec: {steps: [{name: a, volumeMounts: [{name: own, mountPath: /data}]}]}}", nil, "",
		},
		"a volume of our name in a run's pod template": {
			taskRun + "spec: {podTemplate: {volumes: [{name: pipeline-storage}]}, taskSpec: {steps: [{name: a}]}}",
			nil, `the name "pipeline-storage" is taken by a volume that is no claim: rename that volume or the profile`,
		},
		"a pipeline inside a pipeline": {
			"apiVersion: tekton.dev/v1\nkind: Pipeline\nspec: {tasks: [{pipelineSpec: {tasks: [{taskSpec: {steps: " +
				"[{name: a}]}}]}}]}", nil, "",
		},
		"a mount of all tasks that names the claim": {
			volcano + "spec: {volumes: [{mountPath: /data, volumeClaimName: pvc-data-pipeline.demo}], " + tasks + "}", nil, "",
		},
		"a mount of all tasks without a name": {
			volcano + "spec: {volumes: [{mountPath: /x}, {mountPath: /data}], " + tasks + "}",
			nil,
			`container "a": mount path /data is taken by volume "/spec/volumes/1": choose another by mount.path, --mount-path ` +
				`or the pod annotation pipeline-storage.io/mount-path`,
		},
		"a null container counts as absent": {
			"apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nspec: {predictor: {sklearn: null, model: " +
				"{modelFormat: {name: x}}}}",
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
			assert.Empty(
				t, patch(t, storage.Default(), injecttest.Apply(t, document, result)).Operations,
				"what is patched needs nothing more",
			)
		})
	}
}

// TestUserKindsMayShareAContainer adds one mount to a container that two pods of a row have.
func TestUserKindsMayShareAContainer(t *testing.T) {
	config := injecttest.Load(
		t,
		"profiles: [{name: default, env: DATA}]\nkinds: [{group: example.com, kind: Train, pods: [{scope: 'jobs[*]', "+
			"volumes: $.volumes, containers: [$.run]}]}]\n",
	)
	result := patch(
		t, config, injecttest.Decode(t, "apiVersion: example.com/v1\nkind: Train\nrun: {image: x}\njobs: [{}, {}]\n"),
	)
	assert.Equal(t, []string{
		"add /volumes [" + volume + "]", "add /run/volumeMounts [" + mount +
			"]", `add /run/env [{"name":"DATA","value":"/data"}]`,
	}, lines(t, result))
}

// TestTheTemplateOfASparkDriverCanAsk has the label where the operator takes the driver's pod
// template from.
func TestTheTemplateOfASparkDriverCanAsk(t *testing.T) {
	config := injecttest.Load(t, "profiles: [{name: default}]\n")
	objects := injecttest.Find(t, config, injecttest.Decode(t, "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: "+
		"SparkApplication\nmetadata: {name: s}\n"+
		"spec: {driver: {template: {metadata: {labels: {pipeline-storage: enabled}}}}, executor: {instances: 1}}\n"))
	result := inject.Patch(config, inject.Request{Release: injecttest.Release, Namespace: "ml"}, objects[0].Pods...)
	require.Len(t, result.Decisions, 2)
	assert.Equal(t, inject.ReasonInjected, result.Decisions[0].Reason)
	assert.Equal(t, inject.ReasonNotSelected, result.Decisions[1].Reason)
}

// everyPod selects every pod.
var everyPod = inject.Request{Release: injecttest.Release, Namespace: "ml", Selector: labels.Everything()}

// TestConfigurationOfSparkMountsVolumes is about volumes that keys of sparkConf put into the pods of a role,
// by both operators.
func TestConfigurationOfSparkMountsVolumes(t *testing.T) {
	const (
		volumes  = ".volumes.persistentVolumeClaim.d."
		driver   = "spark.kubernetes.driver" + volumes
		executor = "spark.kubernetes.executor" + volumes
		taken    = "mount path /data is taken by %s: choose another by mount.path, --mount-path or the pod annotation " +
			"pipeline-storage.io/mount-path"
	)
	operators := map[string]string{
		"Kubeflow": "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nspec:\n" +
			"  driver: {}\n  executor: {}\n  sparkConf: CONF\n",
		"Kubeflow, scheduled": "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: ScheduledSparkApplication\nspec: " +
			"{template: {driver: {}, executor: {}, sparkConf: CONF}}\n",
		"Apache": "apiVersion: spark.apache.org/v1\nkind: SparkApplication\nspec:\n  sparkConf: CONF\n",
		"Apache, with containers": "apiVersion: spark.apache.org/v1\nkind: SparkApplication\nspec:\n" +
			"  driverSpec: {podTemplateSpec: {spec: {containers: [{name: main}]}}}\n" +
			"  executorSpec: {podTemplateSpec: {spec: {containers: [{name: main}]}}}\n  sparkConf: CONF\n",
	}
	for name, tt := range map[string]struct {
		conf      map[string]string
		expDriver string // a part of the message; empty: it is not refused
		expWorker string
	}{
		"at our path": {
			map[string]string{driver + "mount.path": "/data", executor + "mount.path": "/data/"},
			fmt.Sprintf(taken, driver+"mount.path"), fmt.Sprintf(taken, executor+"mount.path"),
		},
		"of one role": {map[string]string{executor + "mount.path": "/data"}, "", fmt.Sprintf(taken, executor+"mount.path")},
		"at another path": {
			map[string]string{driver + "mount.path": "/scratch", driver + "options.claimName": "c"}, "", "",
		},
		"by our name": {
			map[string]string{"spark.kubernetes.driver.volumes.nfs.pipeline-storage.mount.path": "/x"},
			`the name "pipeline-storage" is taken by spark.kubernetes.driver.volumes.nfs.pipeline-storage.mount.path: rename ` +
				"that volume or the profile",
			"",
		},
		"other keys": {
			map[string]string{
				"spark.kubernetes.driver.volumes.nfs": "/data", driver + "mount.subPath": "/data", "mount.path": "/data",
			},
			"", "",
		},
	} {
		for operator, head := range operators {
			t.Run(operator+" "+name, func(t *testing.T) {
				conf, err := json.Marshal(tt.conf)
				require.NoError(t, err)
				document := injecttest.Decode(t, strings.Replace(head, "CONF", string(conf), 1))
				config := injecttest.Load(t, "profiles: [{name: default}]\n")
				result := inject.Patch(config, everyPod, injecttest.Find(t, config, document)[0].Pods...)
				require.Len(t, result.Decisions, 2)
				for i, exp := range []string{tt.expDriver, tt.expWorker} {
					assert.Equal(t, exp != "", result.Decisions[i].Reason == inject.ReasonConflict, "%+v", result.Decisions[i])
					assert.Contains(t, result.Decisions[i].Message, exp)
				}
			})
		}
	}
}

// TestConfigurationOfSparkMountsTheClaim has the claim in sparkConf: the main container keeps it where it
// is, and Spark's further containers get it too.
func TestConfigurationOfSparkMountsTheClaim(t *testing.T) {
	config := injecttest.Load(t, "profiles: [{name: default, env: DATA}]\n")
	document := injecttest.Decode(t, "apiVersion: spark.apache.org/v1\nkind: SparkApplication\nspec:\n  sparkConf:\n"+
		"    spark.kubernetes.driver.podTemplateContainerName: spark\n"+
		"    spark.kubernetes.driver.volumes.persistentVolumeClaim.d.mount.path: /mine\n"+
		"    spark.kubernetes.driver.volumes.persistentVolumeClaim.d.options.claimName: pvc-data-pipeline.demo\n"+
		"  driverSpec: {podTemplateSpec: {spec: {containers: [{name: log}, {name: spark}]}}}\n")
	pods := injecttest.Find(t, config, document)[0].Pods
	result := inject.Patch(config, everyPod, pods[0])
	var ops []string
	for _, op := range result.Operations {
		ops = append(ops, op.Path)
	}
	const containers = "/spec/driverSpec/podTemplateSpec/spec/containers/"
	assert.ElementsMatch(t, []string{containers + "0/volumeMounts", containers + "0/env", containers + "1/env"}, ops)
	assert.Empty(t, pods[0].Volumes, "Spark adds the volume")
}
