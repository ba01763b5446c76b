package inject_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// remove decides what to remove from the one object of a document.
func remove(t testing.TB, config *storage.Config, document map[string]any) inject.Result {
	t.Helper()
	objects := injecttest.Find(t, config, document)
	require.Len(t, objects, 1)
	return inject.Remove(
		config, inject.Request{Release: injecttest.Release, Namespace: injecttest.Release.Namespace}, &objects[0],
	)
}

// paths writes operations that remove.
func paths(t testing.TB, result inject.Result) []string {
	t.Helper()
	var out []string
	for _, op := range result.Operations {
		require.Equal(t, "remove", op.Operation)
		require.Nil(t, op.Value)
		out = append(out, op.Path)
	}
	return out
}

func TestRemoveOperations(t *testing.T) {
	const (
		injected = "volumes: [" + volume + "]\n"
		mounted  = "containers: [{name: main, volumeMounts: [" + mount + "]}]\n"
		full     = "profiles: [{name: default, fsGroup: 1000, env: DATA}]\n"
		noMount  = "/spec/containers/0/volumeMounts"
	)
	ownTogether := "affinity: {podAffinity: {" + required + ": [" + strings.Replace(
		claimTerm, "CLAIM", "pvc-data-pipeline.demo", 1,
	) + "]}}\n" +
		"volumes: [" + strings.Replace(volume, "pipeline-storage", "mine", 1) +
		"]\ncontainers: [{name: main, volumeMounts: [{name: mine, mountPath: /own}]}]\n"
	for name, tt := range map[string]struct {
		config, pod string
		exp         []string
		reason      inject.Reason
		expWarn     string
	}{
		"what was all that there is goes with its list": {
			one, injected + mounted, []string{noMount, "/spec/volumes"}, inject.ReasonRemoved, "",
		},
		"from a longer list the item goes": {
			one, "volumes: [{name: a}, " + volume + "]\ncontainers: [{name: main, volumeMounts: [" + mount +
				", {name: a, mountPath: /a}]}]",
			[]string{noMount + "/0", "/spec/volumes/1"},
			inject.ReasonRemoved, "",
		},
		"several items go from the end": {
			one, "volumes: [" + volume + "]\ncontainers: [{name: main, volumeMounts: [" + mount +
				", {name: a, mountPath: /a}, " + mount + "]}]",
			[]string{noMount + "/2", noMount + "/0", "/spec/volumes"},
			inject.ReasonRemoved, "",
		},
		"a volume that nothing mounts": {one, injected + main, []string{"/spec/volumes"}, inject.ReasonRemoved, ""},
		"nothing":                      {one, main, nil, inject.ReasonNothingToRemove, ""},
		"the claim under another name": {
			one, "volumes: [" + strings.Replace(volume, "pipeline-storage", "mine", 1) + "]\n" +
				mounted, nil, inject.ReasonNothingToRemove, "",
		},
		"our name with another claim": {
			one, "volumes: [" + strings.Replace(volume, "demo", "other", 1) + "]\n" +
				mounted, nil, inject.ReasonNothingToRemove,
			`volume "pipeline-storage" stays: it is not the claim "pvc-data-pipeline.demo", which profile "default" mounts`,
		},
		"our name with no claim": {
			one, "volumes: [{name: pipeline-storage, emptyDir: {}}]\n" +
				mounted, nil, inject.ReasonNothingToRemove, "is not the claim",
		},
		"a profile that is no more": {
			one, "volumes: [" + strings.Replace(volume, "pipeline-storage", "pipeline-storage-old", 1) + "]\n" + mounted, nil,
			inject.ReasonNothingToRemove, `volume "pipeline-storage-old" stays: no profile of this configuration has that name`,
		},
		"a mount at another path": {
			one, injected + "containers: [{name: main, volumeMounts: [{name: pipeline-storage, mountPath: " +
				"/own}]}]", nil, inject.ReasonRetained,
			`volume "pipeline-storage" stays: container "main" mounts it in a way of its own`,
		},
		"a mount of a directory": {
			one, injected + "containers: [{name: main, volumeMounts: [{name: pipeline-storage, mountPath: /data, " +
				"subPath: x}]}]", nil, inject.ReasonRetained, "stays",
		},
		"a mount in a container that is left out": {
			"profiles: [{name: default, mount: {excludeContainers: [main]}}]\n", injected +
				mounted, nil, inject.ReasonRetained, "stays",
		},
		"a block device": {
			one, injected + "containers: [{name: main, volumeDevices: [{name: pipeline-storage, devicePath: " +
				"/dev/x}]}]", nil, inject.ReasonRetained, "stays",
		},
		"a mount where the pod's annotation wants it": {
			one, "annotations: {pipeline-storage.io/mount-path: /own, pipeline-storage.io/sub-path: x}\n---\n" + injected +
				"containers: [{name: main, volumeMounts: [{name: pipeline-storage, mountPath: /own, subPath: x}]}]",
			[]string{noMount, "/spec/volumes"},
			inject.ReasonRemoved, "",
		},
		"an annotation without a meaning": {
			one, "annotations: {pipeline-storage.io/mount-path: own}\n---\n" + injected +
				mounted, nil, inject.ReasonInvalid, "",
		},
		"nor does it in a pod without us": {
			one, "annotations: {pipeline-storage.io/mount-path: own}\n---\n" + main, nil, inject.ReasonNothingToRemove, "",
		},
		"variables at the head": {
			full, injected + "containers: [{name: main, volumeMounts: [" + mount +
				"], env: [{name: DATA, value: /data}, {name: A}]}]",
			[]string{noMount, "/spec/containers/0/env/0", "/spec/volumes"},
			inject.ReasonRemoved, "",
		},
		"a variable behind another": {
			full, injected + "containers: [{name: main, volumeMounts: [" + mount +
				"], env: [{name: A}, {name: DATA, value: /data}]}]",
			[]string{noMount, "/spec/volumes"},
			inject.ReasonRemoved, `container "main": environment variable DATA stays`,
		},
		"a variable in a container without our mount": {
			full, injected + "containers: [{name: main, env: [{name: DATA, value: /data}]}]",
			[]string{"/spec/volumes"},
			inject.ReasonRemoved, "",
		},
		"the group, alone": {
			full, "securityContext: {fsGroup: 1000, fsGroupChangePolicy: OnRootMismatch}\n" + injected + mounted,
			[]string{noMount, "/spec/volumes", "/spec/securityContext"},
			inject.ReasonRemoved, "",
		},
		"the group beside others": {
			full, "securityContext: {fsGroup: 1000, fsGroupChangePolicy: OnRootMismatch, runAsUser: 1}\n" + injected + mounted,
			[]string{noMount, "/spec/volumes"},
			inject.ReasonRemoved, "fsGroup 1000 stays",
		},
		"another group": {
			full, "securityContext: {fsGroup: 7, fsGroupChangePolicy: OnRootMismatch}\n" + injected + mounted,
			[]string{noMount, "/spec/volumes"},
			inject.ReasonRemoved, "",
		},
		"what stands beside a mount of the claim by another volume": {
			full, "securityContext: {fsGroup: 1000, fsGroupChangePolicy: OnRootMismatch}\nvolumes: [" +
				strings.Replace(volume, "pipeline-storage", "mine", 1) + "]\n" +
				"containers: [{name: main, volumeMounts: [{name: mine, mountPath: /own}], env: [{name: DATA, value: " +
				"/own}]}]", nil, inject.ReasonNothingToRemove,
			"fsGroup 1000 stays: the pod has the claim by its own volume \"mine\", and this may be its own, too\n" +
				"environment variable DATA stays: the pod has the claim by its own volume \"mine\"",
		},
		"the label and the affinity of a pod with its own volume of the claim": {
			together, "labels: {app: x, default.pipeline-storage.io/claim: pvc-data-pipeline.demo}\n---\n" + ownTogether,
			[]string{"/metadata/labels/default.pipeline-storage.io~1claim", "/spec/affinity"},
			inject.ReasonRemoved, "",
		},
		"and of one with two volumes of the claim": {
			together, "labels: {default.pipeline-storage.io/claim: pvc-data-pipeline.demo}\n---\n" +
				strings.Replace(ownTogether, "volumes: [", "volumes: ["+volume+", ", 1),
			[]string{"/metadata/labels", "/spec/affinity", "/spec/volumes/0"},
			inject.ReasonRemoved, "",
		},
		"but not of another claim": {
			together, "labels: {default.pipeline-storage.io/claim: other}\n---\n" +
				strings.ReplaceAll(ownTogether, "demo", "other"), nil,
			inject.ReasonNothingToRemove, "",
		},
		"the group of a pod that keeps the volume": {
			full, "securityContext: {fsGroup: 1000, fsGroupChangePolicy: OnRootMismatch}\n" + injected +
				"containers: [{name: main, volumeMounts: [{name: pipeline-storage, mountPath: /own}]}]", nil, inject.ReasonRetained,
			"stays",
		},
		"the injected annotation decides which claim was added": {
			one, "annotations: {pipeline-storage.io/injected: default}\n---\n" +
				strings.ReplaceAll(injected, ".demo", "") + mounted,
			[]string{noMount, "/spec/volumes", "/metadata/annotations"},
			inject.ReasonRemoved, "",
		},
		"beside other annotations": {
			one, "annotations: {pipeline-storage.io/injected: default, a: b}\n---\n" +
				strings.ReplaceAll(injected, ".demo", "") + mounted,
			[]string{noMount, "/spec/volumes", "/metadata/annotations/pipeline-storage.io~1injected"},
			inject.ReasonRemoved, "",
		},
		"an injected annotation that names more stays": {
			one, "annotations: {pipeline-storage.io/injected: 'default, b'}\n---\n" +
				strings.ReplaceAll(injected, ".demo", "") + mounted,
			[]string{noMount, "/spec/volumes"},
			inject.ReasonRemoved, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			result := remove(t, injecttest.Load(t, tt.config), injecttest.Pod(t, tt.pod))
			require.Len(t, result.Decisions, 1)
			d := result.Decisions[0]
			assert.Equal(t, tt.exp, paths(t, result))
			assert.Equal(t, tt.reason, d.Reason, d.Message)
			if tt.expWarn == "" {
				assert.Empty(t, d.Warnings)
				return
			}
			assert.Contains(t, strings.Join(d.Warnings, "\n"), tt.expWarn)
		})
	}
}

func TestRemoveListsWhatItRemoved(t *testing.T) {
	config := injecttest.Load(t, "profiles: [{name: default, fsGroup: 1000, env: DATA}]\n")
	document := injecttest.Pod(t, main)
	result := remove(t, config, injecttest.Apply(t, document, patch(t, config, document)))
	assert.Equal(t, []inject.Addition{
		{Profile: "default", Container: "main", Volume: "pipeline-storage", MountPath: "/data"},
		{Profile: "default", Container: "main", Env: "DATA"},
		{Profile: "default", Volume: "pipeline-storage", Claim: "pvc-data-pipeline.demo"},
		{Profile: "default", FSGroup: new(int64(1000))},
	}, result.Decisions[0].Removed)
	assert.Empty(t, result.Decisions[0].Added)
}

func TestASelectorNarrowsWhatIsRemoved(t *testing.T) {
	document := injecttest.Pod(t, labeled+"---\n"+main)
	config := injecttest.Load(t, one)
	injected := injecttest.Apply(t, document, patch(t, config, document))
	objects := injecttest.Find(t, config, injected)
	require.Len(t, objects, 1)
	request := inject.Request{
		Release: injecttest.Release, Namespace: injecttest.Release.Namespace,
		Selector: labels.SelectorFromSet(labels.Set{"app": "x"}),
	}
	result := inject.Remove(config, request, &objects[0])
	assert.Equal(t, inject.ReasonNotSelected, result.Decisions[0].Reason)
	assert.Empty(t, result.Operations)
}

// TestEverythingIsRemoved injects all that a profile can, by both paths, into pods that have things
// of their own.
func TestEverythingIsRemoved(t *testing.T) {
	const text = "profiles: [{name: default, default: true, fsGroup: 1000, env: [DATA, HF_HOME], colocate: true, mount: " +
		"{subPath: 'runs/{pod.name}'}}, " +
		"{name: b, fsGroup: 7, seLinuxChangePolicy: Recursive, env: B, mount: {path: /b, subPath: x, readOnly: true}}]\n"
	for name, own := range map[string]string{
		"nothing": labeled + "---\n" + main,
		"annotations": labeled + "annotations: {pipeline-storage.io/profiles: 'b, default', " +
			"b.pipeline-storage.io/mount-path: /own}\n---\n" + main,
		"volumes": labeled + "---\nvolumes: [{name: v}]\ncontainers: [{name: main, env: [{name: A}], " +
			"volumeMounts: [{name: v, mountPath: /v}]}, {name: other}]",
		"an affinity": labeled + "---\naffinity: {nodeAffinity: {}, podAffinity: " +
			"{preferredDuringSchedulingIgnoredDuringExecution: []}}\n" + main,
		"another group": labeled + "---\nsecurityContext: {fsGroup: 3}\n" + main,
		"another policy": labeled + "annotations: {pipeline-storage.io/profiles: b}\n---\nsecurityContext: {fsGroup: 3, " +
			"seLinuxChangePolicy: MountOption}\n" + main,
	} {
		document := injecttest.Pod(t, own)
		t.Run(name+", rendered", func(t *testing.T) {
			config := injecttest.Load(t, text)
			injected := injecttest.Apply(t, document, patch(t, config, document))
			assert.Equal(t, document, injecttest.Apply(t, injected, remove(t, config, injected)))
		})
		t.Run(name+", admitted", func(t *testing.T) {
			config := injecttest.LoadForAdmission(t, text)
			injected := injecttest.Apply(t, document, admit(t, config, document, nil))
			assert.Equal(t, document, injecttest.Apply(t, injected, remove(t, config, injected)))
		})
	}
}

// TestEveryFieldOfAProfileIsThoughtOf fails for a new field of a profile. When injection adds
// something to pods for it, remove.go needs a line, and TestEverythingIsRemoved a value.
func TestEveryFieldOfAProfileIsThoughtOf(t *testing.T) {
	var fields []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[storage.Profile]()) {
		if f.IsExported() {
			fields = append(fields, f.Name)
		}
	}
	assert.Equal(t, []string{
		"Name", "Default", "Claim", "StorageClass", "AttributesClass", "SnapshotClass", "Volume", "Mount", "FSGroup",
		"SELinuxChangePolicy", "Env", "Colocate", "NamespaceSelector",
	}, fields)
}
