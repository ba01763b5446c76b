package status

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/selection"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// podReader answers with one pod of each request, and records what was requested.
type podReader struct {
	client.Reader
	requests []string
	err      error
}

func (r *podReader) List(_ context.Context, into client.ObjectList, o ...client.ListOption) error {
	var options client.ListOptions
	options.ApplyOptions(o)
	r.requests = append(r.requests, options.Namespace+" "+options.LabelSelector.String())
	into.(*corev1.PodList).Items = []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "a"}}}
	return r.err
}

// optIn is a configuration with all three webhooks.
func optIn() admissionregistrationv1.MutatingWebhookConfiguration {
	hook := func(path string, namespaces, pods map[string]string) admissionregistrationv1.MutatingWebhook {
		return admissionregistrationv1.MutatingWebhook{
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				Service: &admissionregistrationv1.ServiceReference{Path: &path},
			},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: namespaces},
			ObjectSelector:    &metav1.LabelSelector{MatchLabels: pods},
		}
	}
	return admissionregistrationv1.MutatingWebhookConfiguration{Webhooks: []admissionregistrationv1.MutatingWebhook{
		hook("/inject", nil, map[string]string{"pipeline-storage": "enabled"}),
		hook("/inject/pod-selector", nil, map[string]string{"component": "worker"}),
		hook("/inject/namespace", map[string]string{"pipeline-storage.io/all-pods": "enabled"}, nil),
	}}
}

func TestReadsSelectedPodsWithoutLabel(t *testing.T) {
	t.Parallel()
	namespace := func(name, value string) metav1.PartialObjectMetadata {
		return metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{"pipeline-storage.io/all-pods": value},
		}}
	}
	for name, tt := range map[string]struct {
		hooks []int
		err   error
		exp   []string
		pods  int
	}{
		"the label only":             {[]int{0}, nil, nil, 0},
		"a podSelector":              {[]int{0, 1}, nil, []string{" component=worker,!pipeline-storage"}, 1},
		"the label of the namespace": {[]int{0, 2}, nil, []string{"ml !pipeline-storage"}, 1},
		"both: a pod is there once": {
			[]int{0, 1, 2}, nil, []string{" component=worker,!pipeline-storage", "ml !pipeline-storage"}, 1,
		},
		"without the right it ends": {[]int{0, 1, 2}, errForbidden, []string{" component=worker,!pipeline-storage"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			configuration := optIn()
			for i := range slices.Backward(configuration.Webhooks) {
				if !slices.Contains(tt.hooks, i) {
					configuration.Webhooks = slices.Delete(configuration.Webhooks, i, i+1)
				}
			}
			r := &podReader{err: tt.err}
			g := &gathering{from: r, snapshot: &Snapshot{
				Webhooks:   []admissionregistrationv1.MutatingWebhookConfiguration{configuration},
				Namespaces: []metav1.PartialObjectMetadata{namespace("ml", "enabled"), namespace("web", "disabled")},
				Unread:     map[string]string{},
			}}
			g.unlabeledPods(t.Context())
			assert.Equal(t, tt.exp, r.requests)
			assert.Len(t, g.snapshot.Pods, tt.pods)
			assert.Equal(t, tt.err != nil, g.snapshot.unread(podsWithoutLabel))
			if tt.err != nil {
				require.Equal(t, "pods without the label: you may not list them, so those of them that a webhook or a "+
					"policy selects are not read", g.snapshot.Unread[podsWithoutLabel])
			}
		})
	}
}

// TestAdvisesWhatCanWorkInANamespace has a label for all pods, and a labeled pod without storage, in namespaces
// that webhooks exclude by name.
func TestAdvisesWhatCanWorkInANamespace(t *testing.T) {
	t.Parallel()
	const (
		optInOrLabel = "set optIn.namespaceLabel in the chart's values, and let its namespaceSelector select the " +
			"namespace; or label the pods; then recreate them"
		labelOnly = "remove the label, by which nothing ever selects pods of this namespace, and label the pods; then " +
			"recreate them"
	)
	leave := []string{"remove the label: " + excludedByName, "run the pod in another namespace: " + excludedByName}
	for name, tt := range map[string]struct {
		namespace string
		hooks     int
		excluded  []string // from the webhook of the label
		exp       []string
	}{
		"no webhook is there":             {"ml", 0, nil, []string{optInOrLabel, "install the chart"}},
		"no webhook, in kube-system":      {"kube-system", 0, nil, []string{labelOnly, "install the chart"}},
		"another namespace is excluded":   {"ml", 1, []string{"web"}, []string{optInOrLabel, "recreate the pod"}},
		"kube-system, and it is excluded": {"kube-system", 3, []string{"kube-system"}, leave},
		"kube-system, and it is served":   {"kube-system", 3, nil, []string{labelOnly, "recreate the pod"}},
		"it is excluded":                  {"web", 3, []string{"web"}, leave},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			configuration := optIn()
			configuration.Webhooks = configuration.Webhooks[:tt.hooks]
			for i := range configuration.Webhooks {
				excluded := tt.excluded
				if selection.OfWebhooks(&configuration).Rules[i].By != inject.SelectedByLabel {
					excluded = append(slices.Clip(excluded), "kube-system")
				}
				configuration.Webhooks[i].NamespaceSelector.MatchExpressions = []metav1.LabelSelectorRequirement{
					{Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpNotIn, Values: append(excluded, "own")},
				}
			}
			s := &Snapshot{
				Namespaces: []metav1.PartialObjectMetadata{{ObjectMeta: metav1.ObjectMeta{
					Name: tt.namespace, Labels: map[string]string{
						"pipeline-storage.io/all-pods": "enabled", corev1.LabelMetadataName: tt.namespace,
					},
				}}},
				Pods: []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{
					Namespace: tt.namespace, Name: "a", Labels: map[string]string{"pipeline-storage": "enabled"},
				}}},
				Unread: map[string]string{},
			}
			if tt.hooks > 0 {
				s.Webhooks = []admissionregistrationv1.MutatingWebhookConfiguration{configuration}
			}
			next := map[string]string{}
			for _, p := range Analyze(s).Namespaces[0].Problems {
				next[p.About[0]] = p.Next
			}
			assert.Equal(t, tt.exp[0], next["Namespace/"+tt.namespace])
			assert.Contains(t, next["Pod/a"], tt.exp[1])
		})
	}
}

// TestReportsNamespaceLabelThatIsNotRead has the label on a namespace for which no webhook reads it.
func TestReportsNamespaceLabelThatIsNotRead(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		hooks int
		exp   []string
	}{
		"a webhook reads it":  {3, nil},
		"no webhook reads it": {2, []string{ReasonNamespaceLabel}},
		"no webhook is there": {0, []string{ReasonNamespaceLabel}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			configuration := optIn()
			configuration.Webhooks = configuration.Webhooks[:tt.hooks]
			s := &Snapshot{
				Webhooks: []admissionregistrationv1.MutatingWebhookConfiguration{configuration},
				Namespaces: []metav1.PartialObjectMetadata{{ObjectMeta: metav1.ObjectMeta{
					Name: "ml", Labels: map[string]string{"pipeline-storage.io/all-pods": "enabled"},
				}}},
				Unread: map[string]string{},
			}
			var reasons []string
			for _, namespace := range Analyze(s).Namespaces {
				for _, p := range namespace.Problems {
					reasons = append(reasons, p.Reason)
				}
			}
			assert.Equal(t, tt.exp, reasons)
		})
	}
}
