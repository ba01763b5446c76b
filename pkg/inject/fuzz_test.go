package inject_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// FuzzPatch patches an arbitrary document with an arbitrary configuration: the operations can be
// carried out, and what they make needs no more of them.
func FuzzPatch(f *testing.F) {
	rows := "kinds: [{group: example.com, kind: Train, pods: [{scope: 'spec.jobs[*]', metadata: [meta, " +
		"$.metadata], volumes: '$.spec.volumes', " +
		"securityContext: [$.spec.context], containers: [., 'more[*]'], replicas: ['$.spec.jobs[*].n']}]}]\n"
	for _, document := range []string{
		`{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"main"}]}}`,
		`{"apiVersion":"v1","kind":"Pod","metadata":{"annotations":{"pipeline-storage.io/profiles":"b,default",` +
			`"b.pipeline-storage.io/mount-path":"/x"}},"spec":{"volumes":[` + volume + `],` +
			`"containers":[{"volumeMounts":[` + mount + `]},{"env":[{"name":"DATA"}]}]}}`,
		`{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"apps/v1","kind":"Deployment",` +
			`"spec":{"template":{"spec":{"securityContext":{},"initContainers":[{}],` +
			`"containers":[{"volumeDevices":[{"devicePath":"/d"}]}]}}}}]}`,
		`{"apiVersion":"argoproj.io/v1alpha1","kind":"Workflow","spec":{"securityContext":{},"volumes":null,` +
			`"templates":[{"container":{}},{"containerSet":{"containers":[{},{}]}},{"steps":[]}]}}`,
		`{"apiVersion":"sparkoperator.k8s.io/v1beta2","kind":"SparkApplication","spec":{"driver":{"sidecars":[{}]},` +
			`"executor":{"instances":2}}}`,
		`{"apiVersion":"ray.io/v1","kind":"RayJob","spec":{"rayClusterSpec":{"workerGroupSpecs":[{"replicas":2,` +
			`"template":{"spec":{"containers":[{}]}}}]}}}`,
		`{"apiVersion":"apps/v1","kind":"StatefulSet",` +
			`"spec":{"volumeClaimTemplates":[{"metadata":{"name":"pipeline-storage"}}],` +
			`"template":{"spec":{"containers":[{}]}}}}`,
		`{"apiVersion":"v1","kind":"Pod","metadata":{"annotations":{"pipeline-storage.io/profiles":"b"}},` +
			`"spec":{"affinity":{"podAffinity":{}},"containers":[{"env":[{"name":"PIPELINE_STORAGE_POD_NAME",` +
			`"valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}]}]}}`,
		`{"apiVersion":"argoproj.io/v1alpha1","kind":"Workflow","spec":{"affinity":{"podAffinity":null},` +
			`"podMetadata":{"labels":{}},"templates":[{"affinity":{},"container":{}},{"metadata":{},"script":{}}]}}`,
		`{"apiVersion":"example.com/v1","kind":"Train","spec":{"jobs":[{"more":[{}],"n":3},{"meta":{}}]}}`,
		`{"apiVersion":"example.com/v1","kind":"Train","spec":{"roles":{"a/b":{"run":[{"name":"own"},{"ref":{}}]},` +
			`"0":{"meta":null},"c":{"run":[]}},"shared":{"a/b":[{"name":"x","mountPath":"/data"}]},"env":[{"name":"DATA"}]}}`,
		`{"apiVersion":"tekton.dev/v1","kind":"Pipeline","spec":{"tasks":[{"taskRef":{}},{"taskSpec":{"steps":[{"ref":{}},` +
			`{"name":"a"}],"stepTemplate":{"volumeMounts":[{"mountPath":"/data/x"}]}}}],"finally":[{"taskSpec":{}}]}}`,
		`{"apiVersion":"spark.apache.org/v1","kind":"SparkApplication","metadata":{},` +
			`"spec":{"sparkConf":{"spark.kubernetes.driver.label.pipeline-storage":"enabled"},"executorSpec":null}}`,
		`{"apiVersion":"serving.kserve.io/v1beta1","kind":"InferenceService","spec":{"predictor":{"model":{},` +
			`"workerSpec":{}},"canary":[{"predictor":{"sklearn":{}}}]}}`,
	} {
		f.Add(propertyConfig+rows, document)
		f.Add("profiles: [{name: default}]\n", document)
		f.Add(
			"profiles: [{name: a, default: true, colocate: true}, {name: b, default: true, colocate: true, mount: {path: "+
				"/b}}]\n"+rows,
			document,
		)
	}
	f.Fuzz(func(t *testing.T, profiles, text string) {
		config, _, err := storage.Load([]byte(injecttest.FileHead + profiles))
		if err != nil {
			return
		}
		document, ok := decodeAny(text)
		if !ok {
			return
		}
		objects, err := kinds.NewTable(config.Kinds).Find(document)
		if err != nil {
			return
		}
		for i, object := range objects {
			request := inject.Request{Release: injecttest.Release, Namespace: "ml", Selector: labels.Everything()}
			result := inject.Patch(config, request, object.Pods...)
			require.Len(t, result.Decisions, len(object.Pods))
			if len(result.Operations) == 0 {
				continue
			}
			require.Nil(t, result.Refused())
			patched := injecttest.Apply(t, document, result)
			objectsAgain, err := kinds.NewTable(config.Kinds).Find(patched)
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
