package webhook

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/test/process"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	optInValues     = `--set-json=optIn={"namespaceLabel":true,"podSelector":{"matchLabels":{"component":"worker"}}}`
	admissionsTotal = "pipeline_storage_admissions_total"
)

// Labels of pods.
var (
	worker  = map[string]string{"component": "worker"}
	ownPod  = map[string]string{"app.kubernetes.io/name": "pipeline-storage"}
	allPods = map[string]string{inject.LabelAllPods: kinds.LabelEnabled}
)

// optIn is an installation that also serves pods without the label. Every pod of the namespace all is selected,
// and in the namespace some those of the podSelector.
type optIn struct {
	*site
	served    map[string]string
	all, some string
}

// TestOptInWithoutPodLabels has pods without the label. Its last step ends the webhook.
func TestOptInWithoutPodLabels(t *testing.T) {
	t.Parallel()
	requireWebhook(t)
	s, served := installOwn(t, "optin", 1, optInValues)
	o := &optIn{site: s, served: served, some: newNamespace(t, "some", served)}
	o.all = o.newOptedIn(t)
	o.awaitServed(t, o.all, nil)
	o.awaitServed(t, o.some, worker)
	for _, step := range []struct {
		name string
		run  func(*testing.T, *optIn)
	}{
		{"a Deployment", optInDeployment},
		{"which pods", optInPods},
		{"one decision for each pod", optInOnce},
		{"a sidecar of another webhook", optInSidecar},
		{"two installations", optInOverlap},
		{"without a replica", optInDown},
	} {
		t.Run(step.name, func(t *testing.T) { step.run(t, o) })
	}
}

// newOptedIn makes a namespace whose label selects all of its pods.
func (o *optIn) newOptedIn(t *testing.T) string {
	t.Helper()
	labels := maps.Clone(o.served)
	labels[inject.LabelAllPods] = kinds.LabelEnabled
	return newNamespace(t, "all", labels)
}

// with is a pod with these labels, and not with that of pipeline.
func with(name string, labels map[string]string, changes ...func(*corev1.Pod)) *corev1.Pod {
	return pipeline(name, append([]func(*corev1.Pod){func(p *corev1.Pod) { p.Labels = labels }}, changes...)...)
}

// mirror is a pod as the kubelet makes it of a static pod.
func mirror(name string) *corev1.Pod {
	return pipeline(name, func(p *corev1.Pod) {
		p.Labels, p.Annotations = nil, map[string]string{corev1.MirrorPodAnnotationKey: "x"}
		p.Spec.NodeName, p.Spec.AutomountServiceAccountToken = "node-1", new(false)
	})
}

// awaitServed waits until the API server calls the webhook for a pod with the labels.
func (o *optIn) awaitServed(t *testing.T, namespace string, labels map[string]string) {
	t.Helper()
	suite.Eventually(t, "the pod should be served", func(ctx context.Context) error {
		made, err := o.Client.CoreV1().Pods(namespace).Create(ctx, with("dry", labels),
			metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil && len(mountsOf(made)) == 0 {
			err = fmt.Errorf("it was admitted without storage: %v", made.Annotations)
		}
		return err
	})
}

// optInDeployment has a workload whose author has never heard of the label. The controller keeps its pods.
func optInDeployment(t *testing.T, o *optIn) {
	deployment := workload(t, "Deployment").DeepCopy()
	unstructured.RemoveNestedField(deployment.Object, "spec", "template", "metadata", "labels", kinds.Label)
	apply(t, o.all, deployment)
	for _, pod := range scheduledPods(t, o.all, 2) {
		assertMounts(t, &pod, claimName, mounted)
		assert.Equal(t, "default", pod.Annotations[inject.AnnotationInjected])
		assert.Equal(t, string(inject.SelectedByNamespace), pod.Annotations[inject.AnnotationSelectedBy])
	}
	boundClaim(t, o.all, claimName)
	pods, err := o.Client.CoreV1().Pods(o.all).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	assert.Len(t, pods.Items, 2, "the ReplicaSet counts its pods although they have one more label")
	sets, err := o.Client.AppsV1().ReplicaSets(o.all).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, sets.Items, 1)
	assert.NotContains(t, sets.Items[0].Spec.Template.Labels, kinds.Label)
}

func optInPods(t *testing.T, o *optIn) {
	for name, tt := range map[string]struct {
		namespace string
		pod       *corev1.Pod
		by        inject.SelectedBy
		served    bool
	}{
		"no label in a namespace that opted in":  {o.all, with("none", nil), inject.SelectedByNamespace, true},
		"no label in another namespace":          {o.some, with("none", nil), "", false},
		"the label":                              {o.all, pipeline("label"), inject.SelectedByLabel, true},
		"a pod that opts out":                    {o.all, with("out", map[string]string{kinds.Label: "disabled"}), "", false},
		"the label with another value":           {o.all, with("true", map[string]string{kinds.Label: "true"}), "", false},
		"the podSelector":                        {o.some, with("worker", worker), inject.SelectedByPodSelector, true},
		"the podSelector before the namespace":   {o.all, with("worker", worker), inject.SelectedByPodSelector, true},
		"the podSelector in an unserved one":     {newNamespace(t, "unserved", nil), with("worker", worker), "", false},
		"a mirror pod":                           {o.all, mirror("mirror"), "", false},
		"a webhook's own pod":                    {o.all, with("own", ownPod), "", false},
		"the namespace's label on a pod":         {o.some, with("forged", allPods), "", false},
		"a pod that states how it was selected":  {o.some, pipeline("states", byNamespace), inject.SelectedByNamespace, true},
		"an unlabelled pod that states the same": {o.some, pipeline("forges", unlabelled, byNamespace), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			made := create(t, o.Client, tt.namespace, tt.pod)
			if !tt.served {
				assert.Empty(t, mountsOf(made))
				assert.Equal(t, tt.pod.Labels[kinds.Label], made.Labels[kinds.Label])
				assert.NotContains(t, made.Annotations, inject.AnnotationInjected)
				return
			}
			assertMounts(t, made, claimName, map[string][]string{"main": {"/data"}})
			assert.Equal(t, kinds.LabelEnabled, made.Labels[kinds.Label])
			assert.Equal(t, string(tt.by), made.Annotations[inject.AnnotationSelectedBy])
		})
	}
}

func byNamespace(p *corev1.Pod) {
	p.Annotations = map[string]string{inject.AnnotationSelectedBy: string(inject.SelectedByNamespace)}
}

func unlabelled(p *corev1.Pod) { p.Labels = nil }

// optInOnce counts reviews: several webhooks match, and the API server calls one.
func optInOnce(t *testing.T, o *optIn) {
	for name, labels := range map[string]map[string]string{
		"none":   nil,
		"worker": worker,
		"all":    {"component": "worker", kinds.Label: kinds.LabelEnabled},
	} {
		before, err := sumOf(t.Context(), o.Replicas[0], admissionsTotal)
		require.NoError(t, err)
		made := create(t, o.Client, o.all, with("once-"+name, labels))
		assertMounts(t, made, claimName, map[string][]string{"main": {"/data"}})
		after, err := sumOf(t.Context(), o.Replicas[0], admissionsTotal)
		require.NoError(t, err)
		assert.InDelta(t, 1, after-before, 0, name)
	}
}

// optInSidecar has a webhook that is called later add containers: the API server calls this one again, although the
// pod has the label by then.
func optInSidecar(t *testing.T, o *optIn) {
	for name, labels := range map[string]map[string]string{"none": nil, "worker": worker} {
		namespace := o.newOptedIn(t)
		addSidecarWebhook(t, "zz-"+namespace, namespace)
		made := create(t, o.Client, namespace, with(name, labels))
		assert.Equal(t, []string{"agent", "main", "logs", "istio-proxy"}, containersOf(made))
		assertMounts(t, made, claimName, map[string][]string{"agent": {"/data"}, "main": {"/data"}, "logs": {"/data"}})
	}
	assertAuditIsNotOverwritten(t)
}

// optInOverlap has another installation select pods of the same namespaces, by its podSelector alone.
func optInOverlap(t *testing.T, o *optIn) {
	readiness, err := process.Get(t.Context(), "http://"+o.Replicas[0].Health+"/readyz?verbose")
	require.NoError(t, err)
	assert.Contains(t, readiness, "installations: ok\n", "its own webhooks do not overlap each other")

	namespace := newNamespace(t, "storage-other", nil)
	other := install(t, suite.Installation{
		Release: "other", Namespace: namespace, Helm: []string{optInValues, serving(o.Namespace)},
	})
	defer func() {
		require.NoError(t, o.Client.AdmissionregistrationV1().MutatingWebhookConfigurations().
			Delete(context.WithoutCancel(t.Context()), other.configuration(), metav1.DeleteOptions{}))
		other.Stop()
	}()
	for _, s := range []*site{o.site, other} {
		suite.Eventually(t, "the overlap should be reported", func(ctx context.Context) error {
			readiness, err := process.Get(ctx, "http://"+s.Replicas[0].Health+"/readyz?verbose")
			if err == nil && !strings.Contains(readiness, "also selects pods of the namespace") {
				err = fmt.Errorf("it is not: %s", readiness)
			}
			return err
		})
	}
	made := create(t, o.Client, o.all, with("two-installations", nil))
	assertMounts(t, made, claimName, map[string][]string{"main": {"/data"}})
}

// optInDown has no replica: exactly the pods that a webhook selects are refused.
func optInDown(t *testing.T, o *optIn) {
	o.Stop()
	for name, tt := range map[string]struct {
		namespace string
		pod       *corev1.Pod
		refusedBy string
	}{
		"a pod of the namespace":        {o.all, with("down", nil), "namespace.storage.pipeline-storage.io"},
		"a pod of the podSelector":      {o.some, with("down-worker", worker), "pod-selector.storage.pipeline-storage.io"},
		"a labelled pod":                {o.some, pipeline("down-label"), "storage.pipeline-storage.io"},
		"a pod of another namespace":    {o.some, with("down", nil), ""},
		"a pod that opts out":           {o.all, with("down-out", map[string]string{kinds.Label: "disabled"}), ""},
		"a mirror pod":                  {o.all, mirror("down-mirror"), ""},
		"a pod of an unserved one":      {newNamespace(t, "unserved", nil), with("down-worker", worker), ""},
		"a webhook's own pod":           {o.all, with("down-own", ownPod), ""},
		"a pod of the release's own":    {o.Namespace, with("down", worker), ""},
		"a pod of kube-system":          {"kube-system", with("down-"+o.Namespace, worker), ""},
		"a pod of another installation": {newNamespace(t, "plain", nil), pipeline("other"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := o.Client.CoreV1().Pods(tt.namespace).
				Create(t.Context(), tt.pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			if tt.refusedBy == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, `failed calling webhook "`+tt.refusedBy+`"`)
		})
	}
}

// TestOptInIsTurnedOnAndOff upgrades the release by server-side apply, while another field manager owns each caBundle.
func TestOptInIsTurnedOnAndOff(t *testing.T) {
	t.Parallel()
	requireWebhook(t)
	s, served := installOwn(t, "toggled", 1)
	o := &optIn{site: s, served: served}
	namespace := o.newOptedIn(t)
	for range 2 {
		made := create(t, s.Client, namespace, with("", nil, func(p *corev1.Pod) { p.GenerateName = "off-" }))
		assert.Empty(t, mountsOf(made))
		s.upgrade(t, "--set=optIn.namespaceLabel=true")
		o.awaitServed(t, namespace, nil)
		s.upgrade(t, "--set=optIn.namespaceLabel=false")
		suite.Eventually(t, "the pod should be left alone", func(ctx context.Context) error {
			made, err := s.Client.CoreV1().Pods(namespace).Create(ctx, with("dry", nil),
				metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			if err == nil && len(mountsOf(made)) > 0 {
				err = errors.New("it has storage")
			}
			return err
		})
	}
}

// upgrade gives the release other values, as its replicas see them.
func (s *site) upgrade(t *testing.T, values string) {
	t.Helper()
	suite.Helm(t, "helm4").Must(t, "upgrade", s.Release, "../../charts/pipeline-storage", "--namespace", s.Namespace,
		"--values=testdata/values.yaml", serving(s.Namespace), values, suite.Unvalidated)
	require.NoError(t, s.WriteConfiguration(t.Context()))
}
