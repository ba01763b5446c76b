package inject_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// FuzzConfig loads arbitrary text. What loads is valid, and prints as text that loads the same.
func FuzzConfig(f *testing.F) {
	files, err := filepath.Glob("testdata/objects/*.in.yaml")
	require.NoError(f, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(text)
	}
	for _, text := range []string{
		"profiles: [{name: a, fsGroup: 0, env: A, namespaceSelector: {matchLabels: {a: b}}}]\n",
		"profiles: [{name: a, claim: {size: 1e3, accessModes: [ReadWriteOncePod]}}]\n",
		"profiles: [{name: a}]\nkinds: [{group: g, kind: K, pods: [{podTemplate: a.b, replicas: ['$.c[*].d']}]}, {kind: L, objects: 'items[*]'}]\n",
		"profiles: [{name: a, default: true, colocate: true, mount: {subPath: \"{namespace}/{pod.name}/{pod.labels['a/b']}\"}}]\n",
		"profiles: [{name: a}]\nkinds: [{kind: K, pods: [{scope: 'a[*]', metadata: [.], spec: ., securityContext: [b], volumes: $.v, containers: [., 'c[*]']}]}]\n",
		"profiles: [{name: a}]\nkinds: [{kind: K, clusterScoped: true, advice: x, pods: [{scope: 'a{*}', labels: $.l, labelPrefix: p., why: w}, " +
			"{podTemplate: t, implied: true, labels: $.l, shared: [{mounts: ['$.m'], env: ['$.e']}], containerMounts: [w], names: {c: n}, mirror: {field: f, of: c}, reference: ref, adds: c}]}, {kind: L, advice: x}]\n",
		"profiles: &p [{name: a, <<: {env: X}}]\nmetadata: {a: 1.5, b: 2026-01-01, c: ~, d: 0x1f, e: !!binary aGk=}\n",
	} {
		f.Add([]byte(fileHead + text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		config, _, err := inject.Load(text)
		if err != nil {
			require.Nil(t, config)
			return
		}
		require.Empty(t, config.Validate())
		requireSameWhenPrinted(t, config)
		for i := range config.Profiles {
			config.Profiles[i].Warnings()
			if _, err := inject.Objects(config, release, inject.Use{Profile: config.Profiles[i].Name, Namespace: "ml"}); err != nil {
				require.NotNil(t, config.Profiles[i].Volume, "only a static volume can be in the wrong namespace")
			}
		}
	})
}

// FuzzPatch patches an arbitrary document with an arbitrary configuration: the operations can be carried out, and what
// they make needs no more of them.
func FuzzPatch(f *testing.F) {
	kinds := "kinds: [{group: example.com, kind: Train, pods: [{scope: 'spec.jobs[*]', metadata: [meta, $.metadata], volumes: '$.spec.volumes', " +
		"securityContext: [$.spec.context], containers: [., 'more[*]'], replicas: ['$.spec.jobs[*].n']}]}]\n"
	for _, document := range []string{
		`{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"main"}]}}`,
		`{"apiVersion":"v1","kind":"Pod","metadata":{"annotations":{"pipeline-storage.io/profiles":"b,default","b.pipeline-storage.io/mount-path":"/x"}},"spec":{"volumes":[` + volume + `],"containers":[{"volumeMounts":[` + mount + `]},{"env":[{"name":"DATA"}]}]}}`,
		`{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"apps/v1","kind":"Deployment","spec":{"template":{"spec":{"securityContext":{},"initContainers":[{}],"containers":[{"volumeDevices":[{"devicePath":"/d"}]}]}}}}]}`,
		`{"apiVersion":"argoproj.io/v1alpha1","kind":"Workflow","spec":{"securityContext":{},"volumes":null,"templates":[{"container":{}},{"containerSet":{"containers":[{},{}]}},{"steps":[]}]}}`,
		`{"apiVersion":"sparkoperator.k8s.io/v1beta2","kind":"SparkApplication","spec":{"driver":{"sidecars":[{}]},"executor":{"instances":2}}}`,
		`{"apiVersion":"ray.io/v1","kind":"RayJob","spec":{"rayClusterSpec":{"workerGroupSpecs":[{"replicas":2,"template":{"spec":{"containers":[{}]}}}]}}}`,
		`{"apiVersion":"apps/v1","kind":"StatefulSet","spec":{"volumeClaimTemplates":[{"metadata":{"name":"pipeline-storage"}}],"template":{"spec":{"containers":[{}]}}}}`,
		`{"apiVersion":"v1","kind":"Pod","metadata":{"annotations":{"pipeline-storage.io/profiles":"b"}},"spec":{"affinity":{"podAffinity":{}},"containers":[{"env":[{"name":"PIPELINE_STORAGE_POD_NAME","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}]}]}}`,
		`{"apiVersion":"argoproj.io/v1alpha1","kind":"Workflow","spec":{"affinity":{"podAffinity":null},"podMetadata":{"labels":{}},"templates":[{"affinity":{},"container":{}},{"metadata":{},"script":{}}]}}`,
		`{"apiVersion":"example.com/v1","kind":"Train","spec":{"jobs":[{"more":[{}],"n":3},{"meta":{}}]}}`,
		`{"apiVersion":"example.com/v1","kind":"Train","spec":{"roles":{"a/b":{"run":[{"name":"own"},{"ref":{}}]},"0":{"meta":null},"c":{"run":[]}},"shared":{"a/b":[{"name":"x","mountPath":"/data"}]},"env":[{"name":"DATA"}]}}`,
		`{"apiVersion":"tekton.dev/v1","kind":"Pipeline","spec":{"tasks":[{"taskRef":{}},{"taskSpec":{"steps":[{"ref":{}},{"name":"a"}],"stepTemplate":{"volumeMounts":[{"mountPath":"/data/x"}]}}}],"finally":[{"taskSpec":{}}]}}`,
		`{"apiVersion":"spark.apache.org/v1","kind":"SparkApplication","metadata":{},"spec":{"sparkConf":{"spark.kubernetes.driver.label.pipeline-storage":"enabled"},"executorSpec":null}}`,
		`{"apiVersion":"serving.kserve.io/v1beta1","kind":"InferenceService","spec":{"predictor":{"model":{},"workerSpec":{}},"canary":[{"predictor":{"sklearn":{}}}]}}`,
	} {
		f.Add(propertyConfig+kinds, document)
		f.Add("profiles: [{name: default}]\n", document)
		f.Add("profiles: [{name: a, default: true, colocate: true}, {name: b, default: true, colocate: true, mount: {path: /b}}]\n"+kinds, document)
	}
	f.Fuzz(func(t *testing.T, profiles, text string) {
		config, _, err := inject.Load([]byte(fileHead + profiles))
		if err != nil {
			return
		}
		document, ok := decodeAny(text)
		if !ok {
			return
		}
		objects, err := inject.NewTable(config.Kinds).Find(document)
		if err != nil {
			return
		}
		for i, object := range objects {
			request := inject.Request{Release: release, Namespace: "ml", Selector: labels.Everything()}
			result := inject.Patch(config, request, object.Pods...)
			require.Len(t, result.Decisions, len(object.Pods))
			if len(result.Operations) == 0 {
				continue
			}
			require.Nil(t, result.Refused())
			patched := apply(t, document, result)
			objectsAgain, err := inject.NewTable(config.Kinds).Find(patched)
			require.NoError(t, err)
			require.Len(t, objectsAgain, len(objects))
			require.Empty(t, inject.Patch(config, request, objectsAgain[i].Pods...).Operations)
		}
	})
}

// decodeAny decodes JSON that is an object.
func decodeAny(text string) (map[string]any, bool) {
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	var content map[string]any
	err := decoder.Decode(&content)
	return content, err == nil && content != nil
}
