package inject_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// What the default profile adds for the release demo.
const (
	volume  = `{"name":"pipeline-storage","persistentVolumeClaim":{"claimName":"pvc-data-pipeline.demo"}}`
	mount   = `{"mountPath":"/data","name":"pipeline-storage"}`
	volumes = "add /spec/volumes [" + volume + "]"
)

// patch decides about the one pod of a document, whatever its labels.
func patch(t testing.TB, config *storage.Config, document map[string]any) inject.Result {
	t.Helper()
	objects := injecttest.Find(t, config, document)
	require.Len(t, objects, 1)
	return inject.Patch(
		config,
		inject.Request{Release: injecttest.Release, Namespace: injecttest.Release.Namespace, Selector: labels.Everything()},
		objects[0].Pods...,
	)
}

// lines writes operations as text, with the fields of their values sorted.
func lines(t testing.TB, result inject.Result) []string {
	t.Helper()
	var out []string
	for _, op := range result.Operations {
		text, err := json.Marshal(op.Value)
		require.NoError(t, err)
		var value any
		require.NoError(t, json.Unmarshal(text, &value))
		text, err = json.Marshal(value)
		require.NoError(t, err)
		out = append(out, op.Operation+" "+op.Path+" "+string(text))
	}
	return out
}

func TestPatchOperations(t *testing.T) {
	const (
		fsGroup = "profiles: [{name: default, fsGroup: 1000}]\n"
		env     = "profiles: [{name: default, env: DATA}]\n"
		two     = "profiles: [{name: default}, {name: b, mount: {path: /b}}]\n"
		both    = "annotations: {pipeline-storage.io/profiles: 'default, b'}\n---\n"
		volumeB = `{"name":"pipeline-storage-b","persistentVolumeClaim":{"claimName":"pvc-data-pipeline-b.demo"}}`
		mountB  = `{"mountPath":"/b","name":"pipeline-storage-b"}`
	)
	for name, tt := range map[string]struct {
		config  string // default: one profile with every default
		pod     string
		exp     []string
		expWarn []string
	}{
		"a bare pod": {
			pod: "containers: [{name: main}]",
			exp: []string{volumes, "add /spec/containers/0/volumeMounts [" + mount + "]"},
		},
		"null lists are filled as a whole": {
			pod: "volumes: null\ncontainers: [{name: main, volumeMounts: null}]",
			exp: []string{volumes, "add /spec/containers/0/volumeMounts [" + mount + "]"},
		},
		"empty lists are filled as a whole": {
			pod: "volumes: []\ncontainers: [{name: main, volumeMounts: []}]",
			exp: []string{volumes, "add /spec/containers/0/volumeMounts [" + mount + "]"},
		},
		"lists with items get new ones at their head": {
			pod: "volumes: [{name: scratch, emptyDir: {}}]\ncontainers: [{name: main, volumeMounts: [{name: scratch, " +
				"mountPath: /tmp}]}]",
			exp: []string{"add /spec/volumes/0 " + volume, "add /spec/containers/0/volumeMounts/0 " + mount},
		},
		"init containers and native sidecars are mounted, ephemeral containers are not": {
			pod: "initContainers: [{name: prepare}, {name: proxy, restartPolicy: Always}]\n" +
				"containers: [{name: main}]\nephemeralContainers: [{name: debug}]",
			exp: []string{
				volumes, "add /spec/initContainers/0/volumeMounts [" + mount + "]",
				"add /spec/initContainers/1/volumeMounts [" + mount + "]", "add /spec/containers/0/volumeMounts [" + mount + "]",
			},
		},
		"init containers only": {
			pod: "initContainers: [{name: prepare}]\ncontainers: []",
			exp: []string{volumes, "add /spec/initContainers/0/volumeMounts [" + mount + "]"},
		},
		"three containers get the same, each where it fits": {
			pod: "containers: [{name: a}, {name: b, volumeMounts: [{name: x, mountPath: /x}]}, {name: c}]",
			exp: []string{
				volumes, "add /spec/containers/0/volumeMounts [" + mount + "]",
				"add /spec/containers/1/volumeMounts/0 " + mount, "add /spec/containers/2/volumeMounts [" + mount + "]",
			},
		},
		"a container without a name": {
			pod: "containers: [{image: x}]",
			exp: []string{volumes, "add /spec/containers/0/volumeMounts [" + mount + "]"},
		},
		"two profiles share one new list": {
			config: two, pod: both + "containers: [{name: main}]",
			exp: []string{
				"add /spec/volumes [" + volume + "," + volumeB + "]",
				"add /spec/containers/0/volumeMounts [" + mount + "," + mountB + "]",
			},
		},
		"two profiles in lists with items keep their order": {
			config: two, pod: both + "volumes: [{name: x, emptyDir: {}}]\ncontainers: [{name: main, volumeMounts: " +
				"[{name: x, mountPath: /x}]}]",
			exp: []string{
				"add /spec/volumes/0 " + volume, "add /spec/volumes/1 " + volumeB,
				"add /spec/containers/0/volumeMounts/0 " + mount, "add /spec/containers/0/volumeMounts/1 " + mountB,
			},
		},
		"a container that was added after the first round gets its mount": {
			pod: "volumes: [" + volume + "]\ncontainers: [{name: main, volumeMounts: [" + mount + "]}, {name: late}]",
			exp: []string{"add /spec/containers/1/volumeMounts [" + mount + "]"},
		},
		"the second round adds nothing": {
			pod: "volumes: [" + volume + "]\ncontainers: [{name: main, volumeMounts: [" + mount + "]}]",
		},
		"the claim is in the pod under another name: that volume is used": {
			pod: "volumes: [{name: mine, persistentVolumeClaim: {claimName: pvc-data-pipeline.demo}}]\ncontainers: " +
				"[{name: main}]",
			exp: []string{`add /spec/containers/0/volumeMounts [{"mountPath":"/data","name":"mine"}]`},
		},
		"the claim is mounted at another path: no second mount": {
			pod: "volumes: [{name: mine, persistentVolumeClaim: {claimName: pvc-data-pipeline.demo}}]\n" +
				"containers: [{name: main, volumeMounts: [{name: mine, mountPath: /mine}]}]",
		},
		"the claim is mounted at another path through one of two volumes": {
			pod: "volumes: [" + volume + ", {name: mine, persistentVolumeClaim: {claimName: pvc-data-pipeline.demo}}]\n" +
				"containers: [{name: main, volumeMounts: [{name: mine, mountPath: /mine}]}]",
		},
		"the claim is mounted at two paths": {
			pod: "volumes: [" + volume + "]\ncontainers: [{name: main, volumeMounts: [" +
				"{name: pipeline-storage, mountPath: /a}, {name: pipeline-storage, mountPath: /b}]}]",
		},
		"our name with another claim keeps its claim": {
			pod:     "volumes: [{name: pipeline-storage, persistentVolumeClaim: {claimName: old}}]\ncontainers: [{name: main}]",
			exp:     []string{"add /spec/containers/0/volumeMounts [" + mount + "]"},
			expWarn: []string{`volume "pipeline-storage" keeps the claim "old" instead of "pvc-data-pipeline.demo"`},
		},
		"our name with another claim, and our claim under another name": {
			pod: "volumes: [{name: pipeline-storage, persistentVolumeClaim: {claimName: old}}, " +
				"{name: mine, persistentVolumeClaim: {claimName: pvc-data-pipeline.demo}}]\ncontainers: [{name: main}]",
			exp: []string{`add /spec/containers/0/volumeMounts [{"mountPath":"/data","name":"mine"}]`},
		},
		"our name is no claim, but our claim is there under another name": {
			pod: "volumes: [{name: pipeline-storage, emptyDir: {}}, " +
				"{name: mine, persistentVolumeClaim: {claimName: pvc-data-pipeline.demo}}]\ncontainers: [{name: main}]",
			exp: []string{`add /spec/containers/0/volumeMounts [{"mountPath":"/data","name":"mine"}]`},
		},
		"another volume of another name and claim is no matter": {
			pod: "volumes: [{name: other, persistentVolumeClaim: {claimName: other}}]\ncontainers: [{name: main}]",
			exp: []string{"add /spec/volumes/0 " + volume, "add /spec/containers/0/volumeMounts [" + mount + "]"},
		},
		"a path above another mount is allowed with a warning": {
			pod: "volumes: [{name: x, emptyDir: {}}]\ncontainers: [{name: main, volumeMounts: [{name: x, mountPath: " +
				"/data/cache/}]}]",
			exp:     []string{"add /spec/volumes/0 " + volume, "add /spec/containers/0/volumeMounts/0 " + mount},
			expWarn: []string{`container "main": mount path /data nests with /data/cache/ of volume "x"`},
		},
		"a path below another mount is allowed with a warning": {
			config: "profiles: [{name: default, mount: {path: /x/data}}]\n",
			pod:    "volumes: [{name: x, emptyDir: {}}]\ncontainers: [{name: main, volumeMounts: [{name: x, mountPath: /x}]}]",
			exp: []string{
				"add /spec/volumes/0 " + volume,
				`add /spec/containers/0/volumeMounts/0 {"mountPath":"/x/data","name":"pipeline-storage"}`,
			},
			expWarn: []string{`container "main": mount path /x/data nests with /x of volume "x"`},
		},
		"a path that only begins alike is no matter": {
			pod: "volumes: [{name: x, emptyDir: {}}]\ncontainers: [{name: main, volumeMounts: [{name: x, mountPath: " +
				"/database}]}]",
			exp: []string{"add /spec/volumes/0 " + volume, "add /spec/containers/0/volumeMounts/0 " + mount},
		},
		"subPath and readOnly of the profile": {
			config: "profiles: [{name: default, mount: {subPath: runs, readOnly: true}}]\n",
			pod:    "containers: [{name: main}]",
			exp: []string{
				volumes,
				`add /spec/containers/0/volumeMounts ` +
					`[{"mountPath":"/data","name":"pipeline-storage","readOnly":true,"subPath":"runs"}]`,
			},
		},
		"only the profile's containers": {
			config: "profiles: [{name: default, mount: {containers: [main, absent]}}]\n",
			pod:    "initContainers: [{name: prepare}]\ncontainers: [{name: other}, {name: main}]",
			exp:    []string{volumes, "add /spec/containers/1/volumeMounts [" + mount + "]"},
		},
		"not the excluded containers": {
			config: "profiles: [{name: default, mount: {excludeContainers: [istio-proxy]}}]\n",
			pod:    "initContainers: [{name: istio-proxy, restartPolicy: Always}]\ncontainers: [{name: main}]",
			exp:    []string{volumes, "add /spec/containers/0/volumeMounts [" + mount + "]"},
		},
		"the variable is added to a container without any": {
			config: env, pod: "containers: [{name: main}]",
			exp: []string{
				volumes, "add /spec/containers/0/volumeMounts [" + mount + "]",
				`add /spec/containers/0/env [{"name":"DATA","value":"/data"}]`,
			},
		},
		"the variable comes first, so that others can refer to it": {
			config: env, pod: "containers: [{name: main, env: [{name: OUT, value: $(DATA)/out}]}]",
			exp: []string{
				volumes, "add /spec/containers/0/volumeMounts [" + mount + "]",
				`add /spec/containers/0/env/0 {"name":"DATA","value":"/data"}`,
			},
		},
		"the variable is there with our value": {
			config: env, pod: "volumes: [" + volume + "]\ncontainers: [{name: main, volumeMounts: [" + mount +
				"], env: [{name: DATA, value: /data}]}]",
		},
		"the variable has the path that the container chose itself": {
			config: env, pod: "volumes: [" + volume +
				"]\ncontainers: [{name: main, volumeMounts: [{name: pipeline-storage, mountPath: /mine}]}]",
			exp: []string{`add /spec/containers/0/env [{"name":"DATA","value":"/mine"}]`},
		},
		"fsGroup makes a security context": {
			config: fsGroup, pod: "containers: [{name: main}]",
			exp: []string{
				volumes, "add /spec/containers/0/volumeMounts [" + mount + "]",
				`add /spec/securityContext {"fsGroup":1000,"fsGroupChangePolicy":"OnRootMismatch"}`,
			},
		},
		"fsGroup fills an empty security context": {
			config: fsGroup, pod: "securityContext: {}\ncontainers: [{name: main}]",
			exp: []string{
				volumes, "add /spec/containers/0/volumeMounts [" + mount + "]",
				`add /spec/securityContext {"fsGroup":1000,"fsGroupChangePolicy":"OnRootMismatch"}`,
			},
		},
		"fsGroup is added to a security context and nothing else is touched": {
			config: fsGroup, pod: "securityContext: {runAsUser: 7}\ncontainers: [{name: main}]",
			exp: []string{
				volumes, "add /spec/containers/0/volumeMounts [" + mount + "]",
				"add /spec/securityContext/fsGroup 1000", `add /spec/securityContext/fsGroupChangePolicy "OnRootMismatch"`,
			},
		},
		"fsGroup keeps the policy that is there": {
			config: fsGroup, pod: "securityContext: {fsGroupChangePolicy: Always}\ncontainers: [{name: main}]",
			exp: []string{
				volumes, "add /spec/containers/0/volumeMounts [" + mount + "]", "add /spec/securityContext/fsGroup 1000",
			},
		},
		"fsGroup is never overridden, not even 0": {
			config: fsGroup, pod: "securityContext: {fsGroup: 0}\ncontainers: [{name: main}]",
			exp: []string{volumes, "add /spec/containers/0/volumeMounts [" + mount + "]"},
		},
		"fsGroup with other claims is warned of": {
			config: fsGroup, pod: "volumes: [{name: x, persistentVolumeClaim: {claimName: models}}]\ncontainers: [{name: main}]",
			exp: []string{
				"add /spec/volumes/0 " + volume, "add /spec/containers/0/volumeMounts [" + mount + "]",
				`add /spec/securityContext {"fsGroup":1000,"fsGroupChangePolicy":"OnRootMismatch"}`,
			},
			expWarn: []string{"fsGroup 1000 applies to the pod's other claims too: models"},
		},
		"a kept claim is no other claim": {
			config: fsGroup, pod: "volumes: [{name: pipeline-storage, persistentVolumeClaim: {claimName: " +
				"old}}]\ncontainers: [{name: main}]",
			exp: []string{
				"add /spec/containers/0/volumeMounts [" + mount + "]",
				`add /spec/securityContext {"fsGroup":1000,"fsGroupChangePolicy":"OnRootMismatch"}`,
			},
			expWarn: []string{`volume "pipeline-storage" keeps the claim "old"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := storage.Default()
			if tt.config != "" {
				config = injecttest.Load(t, tt.config)
			}
			result := patch(t, config, injecttest.Pod(t, tt.pod))
			require.Nil(t, result.Refused())
			require.Len(t, result.Decisions, 1)
			decision := result.Decisions[0]
			assert.Equal(t, tt.exp, lines(t, result))
			require.Len(t, decision.Warnings, len(tt.expWarn), "%v", decision.Warnings)
			for i, exp := range tt.expWarn {
				assert.Contains(t, decision.Warnings[i], exp)
			}
			if tt.exp == nil {
				assert.Equal(t, inject.ReasonAlreadyMounted, decision.Reason)
				assert.Empty(t, decision.Added)
				return
			}
			assert.Equal(t, inject.ReasonInjected, decision.Reason)
			assert.NotEmpty(t, decision.Added)
		})
	}
}

func TestPatchRefusesConflicts(t *testing.T) {
	const env = "profiles: [{name: default, env: DATA}]\n"
	for name, tt := range map[string]struct {
		config string
		pod    string
		exp    string
	}{
		"another volume at our path": {
			pod: "containers: [{name: main, volumeMounts: [{name: scratch, mountPath: /data}]}]",
			exp: `container "main": mount path /data is taken by volume "scratch": choose another by mount.path, --mount-path ` +
				`or the pod annotation pipeline-storage.io/mount-path`,
		},
		"another volume at our path, with a slash at its end": {
			pod: "containers: [{name: main, volumeMounts: [{name: scratch, mountPath: /data/}]}]",
			exp: `container "main": mount path /data is taken by volume "scratch": choose another by mount.path, --mount-path ` +
				`or the pod annotation pipeline-storage.io/mount-path`,
		},
		"our path has the slash": {
			config: "profiles: [{name: default, mount: {path: /data/}}]\n",
			pod:    "containers: [{name: main, volumeMounts: [{name: scratch, mountPath: /data}]}]",
			exp: `container "main": mount path /data/ is taken by volume "scratch": choose another by mount.path, ` +
				`--mount-path or the pod annotation pipeline-storage.io/mount-path`,
		},
		"the same path written in another way": {
			pod: "containers: [{name: main, volumeMounts: [{name: scratch, mountPath: /x/..//data/.}]}]",
			exp: `container "main": mount path /data is taken by volume "scratch": choose another by mount.path, --mount-path ` +
				`or the pod annotation pipeline-storage.io/mount-path`,
		},
		"the same path, relative: the kubelet starts it at the root": {
			pod: "containers: [{name: main, volumeMounts: [{name: scratch, mountPath: data}]}]",
			exp: `container "main": mount path /data is taken by volume "scratch": choose another by mount.path, --mount-path ` +
				`or the pod annotation pipeline-storage.io/mount-path`,
		},
		"in an init container": {
			pod: "initContainers: [{name: prepare, volumeMounts: [{name: scratch, mountPath: /data}]}]\ncontainers: " +
				"[{name: main}]",
			exp: `container "prepare": mount path /data is taken by volume "scratch": choose another by mount.path, ` +
				`--mount-path or the pod annotation pipeline-storage.io/mount-path`,
		},
		"in the last of three containers": {
			pod: "containers: [{name: a}, {name: b}, {name: c, volumeMounts: [{name: scratch, mountPath: /data}]}]",
			exp: `container "c": mount path /data is taken by volume "scratch": choose another by mount.path, --mount-path or ` +
				`the pod annotation pipeline-storage.io/mount-path`,
		},
		"a raw block device at our path": {
			pod: "containers: [{name: main, volumeDevices: [{name: raw, devicePath: /data/}]}]",
			exp: `container "main": mount path /data is taken by a raw block device`,
		},
		"another profile at our path, by annotation": {
			config: "profiles: [{name: a}, {name: b, mount: {path: /b}}]\n",
			pod: "annotations: {pipeline-storage.io/profiles: 'a,b', b.pipeline-storage.io/mount-path: /data}\n---\n" +
				"containers: [{name: main}]",
			exp: `container "main": mount path /data is taken by volume "pipeline-storage-a": choose another by mount.path, ` +
				`--mount-path or the pod annotation pipeline-storage.io/mount-path`,
		},
		"our name is taken by a volume that is no claim": {
			pod: "volumes: [{name: pipeline-storage, emptyDir: {}}]\ncontainers: [{name: main}]",
			exp: `the name "pipeline-storage" is taken by a volume that is no claim: rename that volume or the profile`,
		},
		"our name is taken by an ephemeral claim": {
			pod: "volumes: [{name: pipeline-storage, ephemeral: {volumeClaimTemplate: {spec: {}}}}]\ncontainers: [{name: main}]",
			exp: `the name "pipeline-storage" is taken by a volume that is no claim`,
		},
		"the variable has another value": {
			config: env, pod: "containers: [{name: main, env: [{name: DATA, value: /other}]}]",
			exp: `container "main": environment variable DATA is set to something else than /data`,
		},
		"the variable has no value": {
			config: env, pod: "containers: [{name: main, env: [{name: DATA}]}]",
			exp: `container "main": environment variable DATA is set to something else than /data`,
		},
		"the variable comes from another source": {
			config: env, pod: "containers: [{name: main, env: [{name: DATA, valueFrom: {fieldRef: {fieldPath: " +
				"metadata.name}}}]}]",
			exp: `container "main": environment variable DATA is set to something else than /data`,
		},
		"the variable is set twice, and the last one counts": {
			config: env, pod: "containers: [{name: main, env: [{name: DATA, value: /data}, {name: DATA, value: /other}]}]",
			exp: `container "main": environment variable DATA is set to something else than /data`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := storage.Default()
			if tt.config != "" {
				config = injecttest.Load(t, tt.config)
			}
			result := patch(t, config, injecttest.Pod(t, tt.pod))
			refused := result.Refused()
			require.NotNil(t, refused)
			assert.Equal(t, inject.ReasonConflict, refused.Reason)
			assert.Contains(t, refused.Message, tt.exp)
			assert.Empty(t, result.Operations, "nothing is half done")
			assert.Empty(t, refused.Added)
			assert.Empty(t, refused.Profiles)
			assert.Empty(t, refused.Claims)
		})
	}
}

// TestConflictInOnePodRefusesTheObject is about an object with several pods of which one is in
// order.
func TestConflictInOnePodRefusesTheObject(t *testing.T) {
	config := storage.Default()
	document := injecttest.Decode(t, `
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: train}
spec:
  templates:
  - {name: good, container: {image: x}}
  - {name: bad, container: {image: x, volumeMounts: [{name: scratch, mountPath: /data}]}}
`)
	result := patch(t, config, document)
	require.Len(t, result.Decisions, 2)
	assert.Equal(t, inject.ReasonInjected, result.Decisions[0].Reason)
	require.NotNil(t, result.Refused())
	assert.Equal(t, "/spec/templates/1", result.Refused().Pod)
	assert.Equal(
		t,
		`container "main": mount path /data is taken by volume "scratch": choose another by mount.path, --mount-path or `+
			`the pod annotation pipeline-storage.io/mount-path`,
		result.Refused().Message,
	)
	assert.Empty(t, result.Operations)
}

func TestSelection(t *testing.T) {
	team, err := labels.Parse("team in (a, b)")
	require.NoError(t, err)
	for name, tt := range map[string]struct {
		selector labels.Selector
		pod      string
		exp      inject.Reason
		expText  string
	}{
		"no label": {
			nil, "containers: [{name: main}]", inject.ReasonNotSelected, `"pipeline-storage=enabled"`,
		},
		"the label": {
			nil, "labels: {pipeline-storage: enabled}\n---\ncontainers: [{name: main}]", inject.ReasonInjected, "",
		},
		"the label with another value": {
			nil, "labels: {pipeline-storage: disabled}\n---\ncontainers: [{name: main}]", inject.ReasonNotSelected, "",
		},
		"the label as an annotation": {
			nil, "annotations: {pipeline-storage: enabled}\n---\ncontainers: [{name: main}]", inject.ReasonNotSelected,
			"",
		},
		"a selector of its own": {
			team, "labels: {team: b}\n---\ncontainers: [{name: main}]", inject.ReasonInjected, "",
		},
		"a selector replaces the default": {
			team, "labels: {pipeline-storage: enabled}\n---\ncontainers: [{name: main}]", inject.ReasonNotSelected,
			`"team in (a,b)"`,
		},
		"every pod": {labels.Everything(), "containers: [{name: main}]", inject.ReasonInjected, ""},
		"a mirror pod": {
			labels.Everything(), "annotations: {kubernetes.io/config.mirror: abc}\n---\ncontainers: [{name: main}]",
			inject.ReasonMirrorPod, "node",
		},
		"a mirror pod without a hash": {
			labels.Everything(), "annotations: {kubernetes.io/config.mirror: ''}\n---\ncontainers: [{name: main}]",
			inject.ReasonMirrorPod, "",
		},
		"a Windows pod by its os": {
			labels.Everything(), "os: {name: windows}\ncontainers: [{name: main}]", inject.ReasonWindows, "Linux",
		},
		"a Windows pod by its node": {
			labels.Everything(), "nodeSelector: {kubernetes.io/os: windows}\ncontainers: [{name: main}]",
			inject.ReasonWindows, "",
		},
		"a Linux pod by its fields": {
			labels.Everything(),
			"os: {name: linux}\nnodeSelector: {kubernetes.io/os: linux}\ncontainers: [{name: main}]",
			inject.ReasonInjected, "",
		},
		"a pod that was not chosen, for Windows": {
			nil, "os: {name: windows}\ncontainers: [{name: main}]", inject.ReasonNotSelected, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := storage.Default()
			pods := injecttest.Find(t, config, injecttest.Pod(t, tt.pod))[0].Pods
			result := inject.Patch(
				config, inject.Request{Release: injecttest.Release, Namespace: "ml", Selector: tt.selector}, pods...,
			)
			require.Len(t, result.Decisions, 1)
			assert.Equal(t, tt.exp, result.Decisions[0].Reason)
			assert.Contains(t, result.Decisions[0].Message, tt.expText)
			assert.Equal(t, tt.exp == inject.ReasonInjected, len(result.Operations) > 0)
			assert.Nil(t, result.Refused(), "what is left out is not refused")
		})
	}
	assert.Equal(t, "pipeline-storage=enabled", inject.DefaultSelector().String())
}

func TestExcluded(t *testing.T) {
	config := injecttest.Load(t, "profiles: [{name: default, fsGroup: 1, mount: {excludeContainers: [main]}}]\n")
	result := patch(t, config, injecttest.Pod(t, "containers: [{name: main}]"))
	assert.Empty(t, result.Operations, "no volume and no group without a mount")
	assert.Equal(t, inject.ReasonExcluded, result.Decisions[0].Reason)
	assert.Empty(t, result.Decisions[0].Profiles)

	noContainers := inject.Patch(
		config, inject.Request{Selector: labels.Everything()}, kinds.Pod{VolumesPath: "/spec/volumes"},
	)
	assert.Empty(t, noContainers.Operations)
	assert.Equal(t, inject.ReasonExcluded, noContainers.Decisions[0].Reason)
	assert.Empty(t, inject.Patch(config, inject.Request{}).Decisions, "no pods, no decisions")
}

func TestDecisionListsAdditions(t *testing.T) {
	config := injecttest.Load(t, "profiles: [{name: default, env: DATA, fsGroup: 5}, {name: b, mount: {path: /b}}]\n")
	group := int64(5)
	result := patch(
		t, config,
		injecttest.Pod(t, "annotations: {pipeline-storage.io/profiles: 'b, default'}\n---\ncontainers: [{name: main}]"),
	)
	require.Len(t, result.Decisions, 1)
	decision := result.Decisions[0]
	assert.Equal(t, []string{"b", "default"}, decision.Profiles, "in the order of the annotation")
	assert.Equal(t, []string{"pvc-data-pipeline-b.demo", "pvc-data-pipeline.demo"}, decision.Claims)
	assert.Equal(t, []inject.Addition{
		{Profile: "b", Volume: "pipeline-storage-b", Claim: "pvc-data-pipeline-b.demo"},
		{Profile: "b", Container: "main", Volume: "pipeline-storage-b", MountPath: "/b"},
		{Profile: "default", Volume: "pipeline-storage", Claim: "pvc-data-pipeline.demo"},
		{Profile: "default", Container: "main", Volume: "pipeline-storage", MountPath: "/data"},
		{Profile: "default", Container: "main", Env: "DATA"},
		{Profile: "default", FSGroup: &group},
	}, decision.Added)
}
