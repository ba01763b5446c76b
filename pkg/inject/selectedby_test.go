package inject_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// TestSelectedByEntry has pods as the entries of the MutatingWebhookConfiguration send them.
func TestSelectedByEntry(t *testing.T) {
	const (
		colocated = "profiles: [{name: default, colocate: true}]\n"
		added     = `add /metadata/labels/pipeline-storage "enabled"`
		addedMap  = `add /metadata/labels {"pipeline-storage":"enabled"}`
		bothKeys  = `add /metadata/annotations {"pipeline-storage.io/injected":"default",` +
			`"pipeline-storage.io/selected-by":"namespace"}`
		has = "containers: [{name: main, volumeMounts: [{name: pipeline-storage, mountPath: /data}]}]\n" +
			"volumes: [{name: pipeline-storage, persistentVolumeClaim: {claimName: pvc-data-pipeline}}]\n"
	)
	for name, tt := range map[string]struct {
		config, pod string
		by          inject.SelectedBy
		reason      inject.Reason
		exp         []string
	}{
		"a pod without labels gets storage and the label": {
			one, "---\n" + main, inject.SelectedByNamespace, inject.ReasonInjected,
			[]string{ownVolume, ownMount, bothKeys, addedMap},
		},
		"a pod with labels gets one more": {
			one, "labels: {app: a}\n---\n" + main, inject.SelectedByNamespace, inject.ReasonInjected,
			[]string{ownVolume, ownMount, bothKeys, added},
		},
		"the podSelector is another reason": {
			one, "labels: {app: a}\nannotations: {a: b}\n---\n" + main, inject.SelectedByPodSelector, inject.ReasonInjected,
			[]string{
				ownVolume, ownMount, `add /metadata/annotations/pipeline-storage.io~1injected "default"`,
				`add /metadata/annotations/pipeline-storage.io~1selected-by "pod-selector"`, added,
			},
		},
		"the label comes beside that of the claim": {
			colocated, "---\n" + main, inject.SelectedByNamespace, inject.ReasonInjected,
			[]string{
				ownVolume, ownMount, `add /metadata/labels {"default.pipeline-storage.io/claim":"pvc-data-pipeline",` +
					`"pipeline-storage":"enabled"}`,
				`add /spec/affinity {"podAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{"labelSelector":` +
					`{"matchLabels":{"default.pipeline-storage.io/claim":"pvc-data-pipeline"}},` +
					`"topologyKey":"kubernetes.io/hostname"}]}}`,
				bothKeys,
			},
		},
		"a pod with the label needs no other": {
			one, labeled + "---\n" + main, inject.SelectedByNamespace, inject.ReasonInjected,
			[]string{ownVolume, ownMount, bothKeys},
		},
		"a pod opts out by its label": {
			one, "labels: {pipeline-storage: disabled}\n---\n" + main, inject.SelectedByNamespace, inject.ReasonNotSelected, nil,
		},
		"every other value opts out": {
			one, "labels: {pipeline-storage: \"\"}\n---\n" + main, inject.SelectedByPodSelector, inject.ReasonNotSelected, nil,
		},
		"what a pod states about its selection is no selection": {
			one, "annotations: {pipeline-storage.io/selected-by: namespace}\n---\n" + main, inject.SelectedByLabel,
			inject.ReasonNotSelected, nil,
		},
		"a pod that has everything gets nothing, the label neither": {
			one, "---\n" + has, inject.SelectedByNamespace, inject.ReasonAlreadyMounted, nil,
		},
		"a mirror pod passes": {
			one, "annotations: {kubernetes.io/config.mirror: x}\n---\n" + main, inject.SelectedByNamespace,
			inject.ReasonMirrorPod, nil,
		},
		"a pod for Windows passes": {
			one, "---\n" + main + "nodeSelector: {kubernetes.io/os: windows}\n", inject.SelectedByNamespace,
			inject.ReasonWindows, nil,
		},
		"a conflict refuses as it does with the label": {
			one, "---\ncontainers: [{name: main, volumeMounts: [{name: s, mountPath: /data}]}]\n" +
				"volumes: [{name: s, emptyDir: {}}]\n", inject.SelectedByNamespace, inject.ReasonConflict, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := injecttest.Load(t, tt.config)
			pod := injecttest.Pod(t, tt.pod)
			result := admitBy(t, config, pod, tt.by)
			assert.Equal(t, tt.reason, result.Decisions[0].Reason)
			assert.ElementsMatch(t, tt.exp, lines(t, result))
			assert.Empty(t, result.Decisions[0].Warnings)

			again := injecttest.Apply(t, pod, result)
			second := admitBy(t, config, again, tt.by)
			assert.Empty(t, second.Operations, "a second round changes nothing")
		})
	}
}

// TestRefusalExplainsSelection has pods of authors who did not request storage.
func TestRefusalExplainsSelection(t *testing.T) {
	const sentence = `annotation pipeline-storage.io/profiles: there is no profile "x", only default`
	config := injecttest.Load(t, one)
	for by, exp := range map[inject.SelectedBy]string{
		inject.SelectedByLabel: sentence,
		inject.SelectedByNamespace: sentence + "; the label pipeline-storage.io/all-pods of its namespace selects the pod, " +
			"and the label pipeline-storage: disabled of the pod opts out",
		inject.SelectedByPodSelector: sentence + "; the podSelector of the webhook selects the pod, " +
			"and the label pipeline-storage: disabled of the pod opts out",
	} {
		pod := injecttest.Pod(t, labeled+"annotations: {pipeline-storage.io/profiles: x}\n---\n"+main)
		assert.Equal(t, exp, admitBy(t, config, pod, by).Decisions[0].Message)
	}
}

// TestRemoveUndoesSelection removes what the webhook wrote. The label stays, as every label does that may be the
// pod's own.
func TestRemoveUndoesSelection(t *testing.T) {
	config := injecttest.Load(t, one)
	for _, annotations := range []string{"", "annotations: {a: b}\n"} {
		pod := injecttest.Pod(t, labeled+annotations+"---\n"+main)
		injected := injecttest.Apply(t, pod, admitBy(t, config, pod, inject.SelectedByNamespace))
		require.Contains(t, strings.Join(lines(t, admitBy(t, config, pod, inject.SelectedByNamespace)), "\n"), "selected-by")
		assert.Equal(t, pod, injecttest.Apply(t, injected, remove(t, config, injected)))
	}
}

// admitBy decides about a pod as the webhook does at the path of an entry.
func admitBy(t *testing.T, config *storage.Config, document map[string]any, by inject.SelectedBy) inject.Result {
	t.Helper()
	objects := injecttest.Find(t, config, document)
	require.Len(t, objects, 1)
	return inject.Patch(config, inject.Request{Namespace: "ml", Admission: true, SelectedBy: by}, objects[0].Pods...)
}
