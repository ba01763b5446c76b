package helm_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

func TestInjectsHooksAfterClaimCreation(t *testing.T) {
	t.Parallel()
	h := helm4(t)
	namespace := newNamespace(t)
	report := filepath.Join(t.TempDir(), "report.json")
	ran := runPods(t, namespace)

	h.Must(t, validated(h.install("rel", example("training-job"), namespace, "--report="+report))...)
	h.Must(t, "test", "rel", "--namespace", namespace)

	assert.Equal(t, map[string][]inject.Reason{
		"Job/rel-train":     {inject.ReasonInjected},
		"Job/rel-preflight": {inject.ReasonHookNotInjected},
		"Job/rel-register":  {inject.ReasonInjected},
		"Pod/rel-test":      {inject.ReasonInjected},
	}, reasons(readReport(t, report)))
	for _, w := range readReport(t, report).Workloads {
		if w.Name == "rel-preflight" {
			assert.Contains(t, w.Message, "a pre-install hook runs before Helm has created the claim")
		}
	}

	claim := get(t, claims, namespace, "pvc-data-pipeline.rel")
	for name, mounted := range map[string]bool{
		"rel-preflight": false, "rel-train": true, "rel-register": true,
		"rel-test": true,
	} {
		object := ran.object(t, name)
		assert.Equal(t, mounted, mounts(podOf(t, *object), claim.GetName(), "/data"), name)
		assert.Equal(t, mounted, revision(t, object) > revision(t, claim), "%s starts after the claim is created", name)
	}
}

func TestHelm3HidesHooksFromPostRenderer(t *testing.T) {
	t.Parallel()
	h := helm3(t)
	namespace := newNamespace(t)
	report := filepath.Join(t.TempDir(), "report.json")
	ran := runPods(t, namespace)

	h.Must(t, validated(h.install("rel", example("training-job"), namespace, "--report="+report))...)
	h.Must(t, "test", "rel", "--namespace", namespace)

	assert.Equal(t, map[string][]inject.Reason{"Job/rel-train": {inject.ReasonInjected}}, reasons(readReport(t, report)),
		"if Helm 3 has learned this, change the documentation")
	for name, mounted := range map[string]bool{
		"rel-preflight": false, "rel-train": true, "rel-register": false,
		"rel-test": false,
	} {
		object := ran.object(t, name)
		assert.Equal(t, mounted, mounts(podOf(t, *object), "pvc-data-pipeline.rel", "/data"), name)
	}
}

func TestHooksMountExistingClaim(t *testing.T) {
	t.Parallel()
	h := helm4(t)
	namespace := newNamespace(t)
	ran := runPods(t, namespace)

	h.Must(t, h.install("rel", example("training-job"), namespace, "--existing-claim=existing")...)
	for _, name := range []string{"rel-preflight", "rel-train", "rel-register"} {
		assert.True(t, mounts(podOf(t, *ran.object(t, name)), "existing", "/data"), name)
	}
	assert.Empty(t, list(t, claims, namespace))
}

func TestHooksFollowFlag(t *testing.T) {
	t.Parallel()
	h := helm4(t)
	for policy, want := range map[string]map[string][]inject.Reason{
		"all": {
			"Job/rel-train":     {inject.ReasonInjected},
			"Job/rel-preflight": {inject.ReasonInjected},
			"Job/rel-register":  {inject.ReasonInjected},
			"Pod/rel-test":      {inject.ReasonInjected},
		},
		"none": {
			"Job/rel-train":     {inject.ReasonInjected},
			"Job/rel-preflight": {inject.ReasonHookNotInjected},
			"Job/rel-register":  {inject.ReasonHookNotInjected},
			"Pod/rel-test":      {inject.ReasonHookNotInjected},
		},
	} {
		report := filepath.Join(t.TempDir(), "report.json")
		h.Must(t, h.template(example("training-job"), "--hooks="+policy, "--report="+report)...)
		assert.Equal(t, want, reasons(readReport(t, report)), policy)
	}
}

// runner stands in for the controllers and the kubelet: every Job and every Pod of a namespace
// succeeds.
type runner struct {
	mu   sync.Mutex
	seen map[string]*unstructured.Unstructured
	errs []error
}

// The status of a Job and of a Pod that have succeeded.
const (
	jobDone = `{"status":{"succeeded":1,"startTime":"2026-01-01T00:00:00Z",
		"completionTime":"2026-01-01T00:00:01Z","conditions":[
		{"type":"SuccessCriteriaMet","status":"True","lastTransitionTime":"2026-01-01T00:00:01Z"},
		{"type":"Complete","status":"True","lastTransitionTime":"2026-01-01T00:00:01Z"}]}}`
	podDone = `{"status":{"phase":"Succeeded"}}`
)

// runPods starts a runner for a namespace, which ends with the test.
func runPods(t *testing.T, namespace string) *runner {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &runner{seen: map[string]*unstructured.Unstructured{}}
	var running sync.WaitGroup
	for kind, done := range map[schema.GroupVersionResource]string{jobs: jobDone, pods: podDone} {
		resource := in(t, kind, namespace)
		events, err := resource.Watch(ctx, metav1.ListOptions{})
		require.NoError(t, err)
		running.Go(func() {
			for event := range events.ResultChan() {
				r.handle(ctx, resource, event, done)
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		running.Wait()
		assert.Empty(t, r.errs)
	})
	return r
}

func (r *runner) handle(ctx context.Context, resource dynamic.ResourceInterface, event watch.Event, done string) {
	object, ok := event.Object.(*unstructured.Unstructured)
	if !ok || event.Type != watch.Added {
		return
	}
	r.mu.Lock()
	r.seen[object.GetName()] = object // before Helm can see that it has ended
	r.mu.Unlock()
	_, err := resource.Patch(ctx, object.GetName(), types.MergePatchType, []byte(done),
		metav1.PatchOptions{}, "status")
	if err != nil && ctx.Err() == nil {
		r.mu.Lock()
		r.errs = append(r.errs, err)
		r.mu.Unlock()
	}
}

// object is a Job or a Pod as it was created, also when Helm has deleted it since.
func (r *runner) object(t *testing.T, name string) *unstructured.Unstructured {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	require.Contains(t, r.seen, name)
	return r.seen[name]
}
