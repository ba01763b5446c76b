package inject_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// admit decides about a labelled pod as the webhook does.
func admit(t testing.TB, config *inject.Config, document map[string]any, namespaceLabels map[string]string) inject.Result {
	t.Helper()
	objects := find(t, config, document)
	require.Len(t, objects, 1)
	return inject.Patch(config, inject.Request{Namespace: "ml", Admission: true, NamespaceLabels: namespaceLabels}, objects[0].Pods...)
}

func loadForAdmission(t testing.TB, text string) *inject.Config {
	t.Helper()
	config, _, err := inject.LoadForAdmission([]byte(fileHead + text))
	require.NoError(t, err)
	return config
}

const asks = "labels: {pipeline-storage: enabled}\n"

// one is a profile with every default; the claim of others is one rendered with another configuration.
const (
	one       = "profiles: [{name: default}]\n"
	main      = "containers: [{name: main}]\n"
	ownVolume = `add /spec/volumes [{"name":"pipeline-storage","persistentVolumeClaim":{"claimName":"pvc-data-pipeline"}}]`
	ownMount  = "add /spec/containers/0/volumeMounts [" + mount + "]"
)

func TestAdmissionOperations(t *testing.T) {
	const markKey = "add /metadata/annotations/pipeline-storage.io~1injected "
	for name, tt := range map[string]struct {
		config, pod string
		exp         []string
	}{
		"a pod without annotations gets the mark in a new map": {
			one, asks + "---\n" + main,
			[]string{ownVolume, ownMount, `add /metadata/annotations {"pipeline-storage.io/injected":"default"}`},
		},
		"null annotations are none": {
			one, asks + "annotations: null\n---\n" + main,
			[]string{ownVolume, ownMount, `add /metadata/annotations {"pipeline-storage.io/injected":"default"}`},
		},
		"a pod with annotations gets the mark beside them": {
			one, asks + "annotations: {a: b}\n---\n" + main,
			[]string{ownVolume, ownMount, markKey + `"default"`},
		},
		"what was rendered with another claim is not marked when a sidecar gets the mount": {
			one, asks + `---
containers:
- {name: main, volumeMounts: [{name: pipeline-storage, mountPath: /data}]}
- {name: sidecar}
volumes: [{name: pipeline-storage, persistentVolumeClaim: {claimName: pvc-data-pipeline.demo}}]
`,
			[]string{"add /spec/containers/1/volumeMounts [" + mount + "]"},
		},
		"a second round keeps the mark of the first": {
			one, asks + `annotations: {pipeline-storage.io/injected: default}
---
containers:
- {name: main, volumeMounts: [{name: pipeline-storage, mountPath: /data}]}
- {name: sidecar}
volumes: [{name: pipeline-storage, persistentVolumeClaim: {claimName: pvc-data-pipeline}}]
`,
			[]string{"add /spec/containers/1/volumeMounts [" + mount + "]"},
		},
		"what is mounted already is admitted with an empty patch": {
			one, asks + `---
containers: [{name: main, volumeMounts: [{name: pipeline-storage, mountPath: /data}]}]
volumes: [{name: pipeline-storage, persistentVolumeClaim: {claimName: pvc-data-pipeline}}]
`,
			nil,
		},
		"a pod of a profile that is no more keeps its volume": {
			one, asks + `annotations: {pipeline-storage.io/profiles: old}
---
containers: [{name: main, volumeMounts: [{name: pipeline-storage-old, mountPath: /data}]}]
volumes: [{name: pipeline-storage-old, persistentVolumeClaim: {claimName: old}}]
`,
			nil,
		},
		"a volume that another configuration mounted at our path is no conflict": {
			one, asks + `---
containers: [{name: main, volumeMounts: [{name: pipeline-storage-team, mountPath: /data}]}]
volumes: [{name: pipeline-storage-team, persistentVolumeClaim: {claimName: team}}]
`,
			nil,
		},
		"two profiles are marked in their order": {
			"profiles: [{name: default}, {name: models, mount: {path: /models}}]\n",
			asks + "annotations: {pipeline-storage.io/profiles: 'models,default'}\n---\n" + main,
			[]string{
				`add /spec/volumes [{"name":"pipeline-storage-models","persistentVolumeClaim":{"claimName":"pvc-data-pipeline-models"}},` +
					`{"name":"pipeline-storage","persistentVolumeClaim":{"claimName":"pvc-data-pipeline"}}]`,
				`add /spec/containers/0/volumeMounts [{"mountPath":"/models","name":"pipeline-storage-models"},` + mount + `]`,
				markKey + `"models,default"`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := loadForAdmission(t, tt.config)
			document := pod(t, tt.pod)
			result := admit(t, config, document, nil)
			require.Nil(t, result.Refused())
			assert.Equal(t, tt.exp, lines(t, result))

			again := admit(t, config, apply(t, document, result), nil)
			assert.Empty(t, again.Operations, "a second round should add nothing")
		})
	}
}

func TestAdmissionRefuses(t *testing.T) {
	const gpu = "profiles: [{name: default, namespaceSelector: {matchLabels: {team: gpu}}}]\n"
	for name, tt := range map[string]struct {
		config, pod string
		labels      map[string]string
		reason      inject.Reason
		exp         string
	}{
		"a namespace that the profile's selector leaves out": {
			gpu, asks + "---\n" + main,
			map[string]string{"team": "web"},
			inject.ReasonInvalid,
			`the administrator does not allow it: the profile "default" is not for the namespace "ml": its namespaceSelector is "team=gpu"`,
		},
		"a volume of another namespace": {
			"profiles: [{name: default, volume: {handle: vol-1, zone: a, namespace: other}}]\n", asks + "---\n" + main, nil,
			inject.ReasonInvalid, `the profile "default" is not for the namespace "ml": its volume serves "other" only`,
		},
		"a path that another volume has": {
			one, asks + "---\ncontainers: [{name: main, volumeMounts: [{name: scratch, mountPath: /data}]}]\nvolumes: [{name: scratch, emptyDir: {}}]\n", nil,
			inject.ReasonConflict, `container "main": mount path /data is taken by volume "scratch": choose another by mount.path, --mount-path or the pod annotation pipeline-storage.io/mount-path`,
		},
		"a profile that never was": {
			one, asks + "annotations: {pipeline-storage.io/profiles: old}\n---\n" + main, nil,
			inject.ReasonInvalid, `there is no profile "old", only default`,
		},
		"two profiles of this configuration at one path": {
			"profiles: [{name: default}, {name: models, mount: {path: /models}}]\n",
			asks + "annotations: {pipeline-storage.io/profiles: 'default,models', models.pipeline-storage.io/mount-path: /data}\n---\n" + main, nil,
			inject.ReasonConflict, `mount path /data is taken by volume "pipeline-storage": choose another by mount.path, --mount-path or the pod annotation pipeline-storage.io/mount-path`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			result := admit(t, loadForAdmission(t, tt.config), pod(t, tt.pod), tt.labels)
			refused := result.Refused()
			require.NotNil(t, refused)
			assert.Equal(t, tt.reason, refused.Reason)
			assert.Contains(t, refused.Message, tt.exp)
			assert.Empty(t, result.Operations)
		})
	}
}

// TestAdmissionKeeps holds that a profile which no longer serves the namespace does not block a pod with its claim.
func TestAdmissionKeeps(t *testing.T) {
	config := loadForAdmission(t, "profiles: [{name: default, namespaceSelector: {matchLabels: {team: gpu}}}]\n")
	result := admit(t, config, pod(t, asks+`---
containers: [{name: main}]
volumes: [{name: pipeline-storage, persistentVolumeClaim: {claimName: pvc-data-pipeline}}]
`), map[string]string{"team": "web"})
	require.Nil(t, result.Refused())
	assert.Equal(t, inject.ReasonInjected, result.Decisions[0].Reason)
}

func TestLoadForAdmission(t *testing.T) {
	for name, tt := range map[string]struct{ config, exp string }{
		"a release in the claim":             {"profiles:\n- name: default\n  claim: {name: 'c-{release}'}\n", `line 5: profiles[0].claim.name: Invalid value: "c-{release}": at admission nobody knows the release`},
		"a release in the class":             {"profiles: [{name: default, storageClass: {name: '{release}'}}]\n", "profiles[0].storageClass.name"},
		"a release in the volume":            {"profiles: [{name: default, volume: {handle: v, zone: z, namespace: n, name: '{release}'}}]\n", "profiles[0].volume.name"},
		"a volume of no namespace":           {"profiles: [{name: default, volume: {handle: v, zone: z}}]\n", "profiles[0].volume.namespace: Required value: at admission a volume must say which namespace it serves"},
		"a new volume for a claim of others": {"profiles: [{name: default, claim: {name: x, create: false}, volume: {handle: v, zone: z, create: true}}]\n", "profiles[0].volume.namespace: Required value"},
		"a literal name of another's claim":  {"profiles: [{name: default}, {name: b, mount: {path: /b}, claim: {name: pvc-data-pipeline}}]\n", `profiles[1].claim.name: Duplicate value: "pvc-data-pipeline"`},
		"an attributes class to be made":     {"profiles: [{name: default, attributesClass: {parameters: {iops: '6000'}}}]\n", "profiles[0].attributesClass.create: Invalid value: true: at admission no VolumeAttributesClass is made: apply it once by kubectl (docs/backends.md shows one) and say create: false"},
		"a snapshot class to be made":        {"profiles: [{name: default, snapshotClass: {create: true}}]\n", "profiles[0].snapshotClass.create: Invalid value: true: at admission no VolumeSnapshotClass is made"},
		"a release in the attributes class":  {"profiles: [{name: default, attributesClass: {name: '{release}', create: false}}]\n", "profiles[0].attributesClass.name"},
		"what is wrong for the renderer too": {"profiles: [{name: Default}]\n", "profiles[0].name: Invalid value"},
		"no YAML":                            {"\t", "not a YAML document"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := inject.LoadForAdmission([]byte(fileHead + tt.config))
			assert.ErrorContains(t, err, tt.exp)
		})
	}
}

// TestClaimsNameTheAttributesClassAtAdmission is what is left of the optional classes there.
func TestClaimsNameTheAttributesClassAtAdmission(t *testing.T) {
	config := loadForAdmission(t, "profiles: [{name: default, attributesClass: {name: gold, create: false}, snapshotClass: {create: false}}]\n")
	storage, err := inject.Objects(config, inject.Release{}, inject.Use{Profile: "default", Namespace: "a"})
	require.NoError(t, err)
	assert.Len(t, storage.All(), 2, "a StorageClass and a claim")
	assert.Equal(t, new("gold"), storage.Claims[0].Spec.VolumeAttributesClassName)
}

func TestSharedVolume(t *testing.T) {
	const nfs = "storageClass: {backend: nfs, parameters: {server: s, share: /}}"
	config := loadForAdmission(t, "profiles: [{name: default, "+nfs+", claim: {accessModes: [ReadWriteMany]}, volume: {handle: h, shared: true}}]\n")
	storage, err := inject.Objects(config, inject.Release{}, inject.Use{Profile: "default", Namespace: "a"}, inject.Use{Profile: "default", Namespace: "b"})
	require.NoError(t, err)
	require.Len(t, storage.Volumes, 2)
	for i, namespace := range []string{"a", "b"} {
		volume, claim := storage.Volumes[i], storage.Claims[i]
		assert.Equal(t, "pv-data-pipeline."+namespace, volume.Name)
		assert.Equal(t, namespace, volume.Spec.ClaimRef.Namespace)
		assert.Equal(t, "h#"+namespace, volume.Spec.CSI.VolumeHandle, "a node tells volumes apart by their handles")
		assert.Equal(t, volume.Name, claim.Spec.VolumeName)
	}

	for name, tt := range map[string]struct{ config, exp string }{
		"a disk":                     {"profiles: [{name: default, volume: {handle: h, shared: true}}]\n", "profiles[0].volume.shared: Invalid value: true: only one node can mount it"},
		"a name without a namespace": {"profiles: [{name: default, " + nfs + ", volume: {handle: h, shared: true, name: v}}]\n", "needs {namespace}"},
		"a namespace":                {"profiles: [{name: default, " + nfs + ", volume: {handle: h, shared: true, namespace: n}}]\n", "a shared volume serves every namespace"},
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			_, _, err := inject.Load([]byte(fileHead + tt.config))
			assert.ErrorContains(t, err, tt.exp)
		})
	}
}
