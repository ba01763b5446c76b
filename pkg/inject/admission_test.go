package inject_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// admit decides about a labelled pod as the webhook does.
func admit(t testing.TB, config *storage.Config, document map[string]any,
	namespaceLabels map[string]string,
) inject.Result {
	t.Helper()
	objects := injecttest.Find(t, config, document)
	require.Len(t, objects, 1)
	return inject.Patch(
		config, inject.Request{Namespace: "ml", Admission: true, NamespaceLabels: namespaceLabels},
		objects[0].Pods...,
	)
}

const labeled = "labels: {pipeline-storage: enabled}\n"

// one is a profile with every default; the claim of others is one rendered with another
// configuration.
const (
	one       = "profiles: [{name: default}]\n"
	main      = "containers: [{name: main}]\n"
	ownVolume = `add /spec/volumes [{"name":"pipeline-storage","persistentVolumeClaim":{"claimName":"pvc-data-pipeline"}}]`
	ownMount  = "add /spec/containers/0/volumeMounts [" + mount + "]"
)

func TestAdmissionOperations(t *testing.T) {
	const injectedKey = "add /metadata/annotations/pipeline-storage.io~1injected "
	for name, tt := range map[string]struct {
		config, pod string
		exp         []string
	}{
		"a pod without annotations gets the injected annotation in a new map": {
			one, labeled + "---\n" + main,
			[]string{ownVolume, ownMount, `add /metadata/annotations {"pipeline-storage.io/injected":"default"}`},
		},
		"null annotations count as absent": {
			one, labeled + "annotations: null\n---\n" + main,
			[]string{ownVolume, ownMount, `add /metadata/annotations {"pipeline-storage.io/injected":"default"}`},
		},
		"a pod with annotations gets the injected annotation as well": {
			one, labeled + "annotations: {a: b}\n---\n" + main,
			[]string{ownVolume, ownMount, injectedKey + `"default"`},
		},
		"a volume that was rendered with another claim is not in the injected annotation when a sidecar gets the mount": {
			one, labeled + `---
containers:
- {name: main, volumeMounts: [{name: pipeline-storage, mountPath: /data}]}
- {name: sidecar}
volumes: [{name: pipeline-storage, persistentVolumeClaim: {claimName: pvc-data-pipeline.demo}}]
`,
			[]string{"add /spec/containers/1/volumeMounts [" + mount + "]"},
		},
		"a second round keeps the injected annotation of the first": {
			one, labeled + `annotations: {pipeline-storage.io/injected: default}
---
containers:
- {name: main, volumeMounts: [{name: pipeline-storage, mountPath: /data}]}
- {name: sidecar}
volumes: [{name: pipeline-storage, persistentVolumeClaim: {claimName: pvc-data-pipeline}}]
`,
			[]string{"add /spec/containers/1/volumeMounts [" + mount + "]"},
		},
		"what is mounted already is admitted with an empty patch": {
			one, labeled + `---
containers: [{name: main, volumeMounts: [{name: pipeline-storage, mountPath: /data}]}]
volumes: [{name: pipeline-storage, persistentVolumeClaim: {claimName: pvc-data-pipeline}}]
`,
			nil,
		},
		"a pod of a profile that is no more keeps its volume": {
			one, labeled + `annotations: {pipeline-storage.io/profiles: old}
---
containers: [{name: main, volumeMounts: [{name: pipeline-storage-old, mountPath: /data}]}]
volumes: [{name: pipeline-storage-old, persistentVolumeClaim: {claimName: old}}]
`,
			nil,
		},
		"a volume that another configuration mounted at our path is no conflict": {
			one, labeled + `---
containers: [{name: main, volumeMounts: [{name: pipeline-storage-team, mountPath: /data}]}]
volumes: [{name: pipeline-storage-team, persistentVolumeClaim: {claimName: team}}]
`,
			nil,
		},
		"two profiles are annotated in their order": {
			"profiles: [{name: default}, {name: models, mount: {path: /models}}]\n",
			labeled + "annotations: {pipeline-storage.io/profiles: 'models,default'}\n---\n" + main,
			[]string{
				`add /spec/volumes ` +
					`[{"name":"pipeline-storage-models","persistentVolumeClaim":{"claimName":"pvc-data-pipeline-models"}},` +
					`{"name":"pipeline-storage","persistentVolumeClaim":{"claimName":"pvc-data-pipeline"}}]`,
				`add /spec/containers/0/volumeMounts [{"mountPath":"/models","name":"pipeline-storage-models"},` + mount + `]`,
				injectedKey + `"models,default"`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := injecttest.LoadForAdmission(t, tt.config)
			document := injecttest.Pod(t, tt.pod)
			result := admit(t, config, document, nil)
			require.Nil(t, result.Refused())
			assert.Equal(t, tt.exp, lines(t, result))

			again := admit(t, config, injecttest.Apply(t, document, result), nil)
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
			gpu, labeled + "---\n" + main,
			map[string]string{"team": "web"},
			inject.ReasonInvalid,
			`the administrator does not allow it: the profile "default" is not for the namespace "ml": its namespaceSelector ` +
				`is "team=gpu"`,
		},
		"a volume of another namespace": {
			"profiles: [{name: default, volume: {handle: vol-1, zone: a, namespace: other}}]\n", labeled + "---\n" + main, nil,
			inject.ReasonInvalid, `the profile "default" is not for the namespace "ml": its volume serves "other" only`,
		},
		"a path that another volume has": {
			one, labeled + "---\ncontainers: [{name: main, volumeMounts: [{name: scratch, mountPath: /data}]}]\nvolumes: " +
				"[{name: scratch, emptyDir: {}}]\n", nil,
			inject.ReasonConflict,
			`container "main": mount path /data is taken by volume "scratch": choose another by mount.path, --mount-path or ` +
				`the pod annotation pipeline-storage.io/mount-path`,
		},
		"a profile that never was": {
			one, labeled + "annotations: {pipeline-storage.io/profiles: old}\n---\n" + main, nil,
			inject.ReasonInvalid, `there is no profile "old", only default`,
		},
		"two profiles of this configuration at one path": {
			"profiles: [{name: default}, {name: models, mount: {path: /models}}]\n",
			labeled + "annotations: {pipeline-storage.io/profiles: 'default,models', " +
				"models.pipeline-storage.io/mount-path: /data}\n---\n" + main, nil,
			inject.ReasonConflict,
			`mount path /data is taken by volume "pipeline-storage": choose another by mount.path, --mount-path or the pod ` +
				`annotation pipeline-storage.io/mount-path`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			result := admit(t, injecttest.LoadForAdmission(t, tt.config), injecttest.Pod(t, tt.pod), tt.labels)
			refused := result.Refused()
			require.NotNil(t, refused)
			assert.Equal(t, tt.reason, refused.Reason)
			assert.Contains(t, refused.Message, tt.exp)
			assert.Empty(t, result.Operations)
		})
	}
}

// TestAdmissionKeeps holds that a profile which no longer serves the namespace does not block a pod
// with its claim.
func TestAdmissionKeeps(t *testing.T) {
	config := injecttest.LoadForAdmission(
		t, "profiles: [{name: default, namespaceSelector: {matchLabels: {team: gpu}}}]\n",
	)
	result := admit(t, config, injecttest.Pod(t, labeled+`---
containers: [{name: main}]
volumes: [{name: pipeline-storage, persistentVolumeClaim: {claimName: pvc-data-pipeline}}]
`), map[string]string{"team": "web"})
	require.Nil(t, result.Refused())
	assert.Equal(t, inject.ReasonInjected, result.Decisions[0].Reason)
}
