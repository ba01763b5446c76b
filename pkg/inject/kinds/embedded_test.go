package kinds_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// outer wraps fields of a spec into an object of a kind without a row.
func outer(spec string) string {
	return "{apiVersion: example.com/v1, kind: Trigger, metadata: {name: t, namespace: ml}, spec: {" + spec + "}}"
}

// podObject is a whole pod.
const podObject = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, image: i}]}}"

// describeObjects has the pointer, the kind and the number of pods of each object.
func describeObjects(objects []kinds.Object) []string {
	var all []string
	for i := range objects {
		o := &objects[i]
		text := fmt.Sprintf("%s %s %d", o.Path, o.Kind, len(o.Pods))
		if o.MorePods {
			text += " and more"
		}
		if o.Problem != "" {
			text += ": " + o.Problem
		}
		all = append(all, text)
	}
	return all
}

func TestFindEmbedded(t *testing.T) {
	job := "{apiVersion: batch/v1, kind: Job, spec: {template: " + podTemplate("a", "{name: c, image: i}") + "}}"
	nested := podObject
	for range 12 {
		nested = "{apiVersion: example.com/v1, kind: Step, x: {containers: [{name: own}]}, next: " + nested + "}"
	}
	for name, tt := range map[string]struct {
		text string
		exp  []string
	}{
		"at several places": {
			outer("a: " + podObject + ", b: [" + job + ", 1, {c/d: " + podObject + "}]"),
			[]string{" Trigger 0", "/spec/a Pod 1", "/spec/b/0 Job 1", "/spec/b/2/c~1d Pod 1"},
		},
		"in an object of a known kind": {
			"{apiVersion: apps/v1, kind: Deployment, spec: {template: " + podTemplate("a", "{name: c, image: i}") +
				", hook: " + job + "}}",
			[]string{" Deployment 1", "/spec/hook Job 1"},
		},
		"an unknown kind with a pod": {
			outer("a: {apiVersion: example.com/v1, kind: Training, template: {spec: {containers: [{name: c}]}}}"),
			[]string{" Trigger 0", "/spec/a Training 0 and more"},
		},
		"an unknown kind around a known one": {
			outer("a: {apiVersion: example.com/v1, kind: Step, b: " + podObject + "}"),
			[]string{" Trigger 0", "/spec/a/b Pod 1"},
		},
		"a List": {
			outer("a: {apiVersion: v1, kind: List, items: [" + podObject + "]}"),
			[]string{" Trigger 0", "/spec/a/items/0 Pod 1"},
		},
		"an empty List": {outer("a: {apiVersion: v1, kind: List, items: []}"), []string{" Trigger 0"}},
		"a reference": {
			outer("a: {apiVersion: spark.apache.org/v1, kind: SparkApplication, name: s}"),
			[]string{" Trigger 0"},
		},
		"a deletion": {
			outer("a: {apiVersion: spark.apache.org/v1, kind: SparkApplication, metadata: {name: s}}"),
			[]string{" Trigger 0"},
		},
		"a kind alone": {
			outer("a: {kind: Pod, spec: {containers: [{name: c}]}}"),
			[]string{" Trigger 0 and more"},
		},
		"a pod without spec": {outer("a: {apiVersion: v1, kind: Pod, spec: {}}"), []string{" Trigger 0"}},
		"a kind with advice": {
			outer("a: {apiVersion: kueue.x-k8s.io/v1beta1, kind: Workload, spec: {}}"),
			[]string{" Trigger 0", "/spec/a Workload 0"},
		},
		"metadata and status": {
			"{apiVersion: a/v1, kind: B, metadata: {x: " + podObject + "}, status: {x: " + podObject + "}}",
			[]string{" B 0"},
		},
		"a policy": {
			outer("a: {apiVersion: kyverno.io/v1, kind: Policy, spec: " + podObject + "}"),
			[]string{" Trigger 0", "/spec/a Policy 0"},
		},
		"a wrong shape": {
			outer("a: {apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: 7}}, b: " + podObject),
			[]string{" Trigger 0", "/spec/a Pod 0: Pod/p: /spec/a/spec/containers is no list", "/spec/b Pod 1"},
		},
		"too many levels": {
			outer("a: " + nested),
			append(append([]string{" Trigger 0"}, levelsOf(7)...), "/spec/a"+strings.Repeat("/next", 7)+" Step 0 and more"),
		},
		"too long a pointer": {
			outer("a: {" + strings.Repeat("x", 1020) + ": " + podObject + "}"),
			[]string{" Trigger 0 and more"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			document := injecttest.Decode(t, tt.text)
			before := fmt.Sprint(document)
			objects := injecttest.Find(t, storage.Default(), document)
			assert.Equal(t, tt.exp, describeObjects(objects))
			assert.Equal(t, before, fmt.Sprint(document), "the document must stay as it is")
		})
	}
}

// levelsOf are the objects of a chain of Steps.
func levelsOf(n int) []string {
	var all []string
	for i := range n {
		all = append(all, "/spec/a"+strings.Repeat("/next", i)+" Step 0 and more")
	}
	return all
}

// TestEmbeddedObjectsInherit has what an object gets from the one around it.
func TestEmbeddedObjectsInherit(t *testing.T) {
	text := outer("a: " + podObject + ", b: " + strings.Replace(podObject, "name: p", "name: p, namespace: own", 1))
	text = strings.Replace(text, "name: t", "name: t, annotations: {helm.sh/hook: test}", 1)
	objects := injecttest.Find(t, storage.Default(), injecttest.Decode(t, text))
	require.Len(t, objects, 3)
	for i, namespace := range []string{"ml", "ml", "own"} {
		assert.Equal(t, namespace, objects[i].Namespace)
		assert.Equal(t, "test", objects[i].Annotations[kinds.AnnotationHook])
		assert.Equal(t, i > 0, objects[i].Deferred, "nothing shows when a program makes the object")
	}
	assert.Nil(t, objects[0].Around)
	assert.Equal(t, "Trigger", objects[1].Around.Kind)
	assert.Nil(t, objects[0].Content["spec"].(map[string]any)["a"], "it is found by itself")
}

func TestTitle(t *testing.T) {
	for exp, of := range map[string][2]string{
		"Job/train": {"Job", "train"}, "Job": {"Job", ""}, "object/train": {"", "train"}, "object": {"", ""},
	} {
		assert.Equal(t, exp, kinds.Title(of[0], of[1]))
	}
}

// TestOwnRowGoesBeforeEmbeddedObject is about a row that leads into an object, as people wrote them before
// such objects were found.
func TestOwnRowGoesBeforeEmbeddedObject(t *testing.T) {
	config := injecttest.Load(t, "profiles: [{name: default}]\nkinds: [{group: example.com, kind: Trigger, pods: "+
		"[{podTemplate: spec.a}]}]\n")
	objects := injecttest.Find(t, config, injecttest.Decode(t, outer("a: "+podObject+", b: "+podObject)))
	assert.Equal(t, []string{" Trigger 1", "/spec/b Pod 1"}, describeObjects(objects))
}

// TestWrappingKindHoldsMorePods is about pods that stand beside the objects that a row names.
func TestWrappingKindHoldsPodsMorePods(t *testing.T) {
	const head = "{apiVersion: workload.codeflare.dev/v1beta2, kind: AppWrapper, spec: {components: [{template: " +
		podObject + "}]"
	for text, exp := range map[string][]string{
		head + "}}": {"/spec/components/0/template Pod 1"},
		head + ", more: {template: {spec: {containers: [{name: c, image: i}]}}}}}": {
			" AppWrapper 0 and more", "/spec/components/0/template Pod 1",
		},
		head + ", more: " + podObject + "}}": {"/spec/components/0/template Pod 1", "/spec/more Pod 1"},
	} {
		assert.Equal(t, exp, describeObjects(injecttest.Find(t, storage.Default(), injecttest.Decode(t, text))))
	}
}
