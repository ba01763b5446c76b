package inject

import (
	"fmt"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// SelectedBy is what selected a pod at admission: the entry of the MutatingWebhookConfiguration that
// sent it. The pod itself never decides it.
type SelectedBy string

// What can select a pod.
const (
	// SelectedByLabel: the pod has the opt-in label.
	SelectedByLabel SelectedBy = ""
	// SelectedByNamespace: the namespace of the pod has the label [LabelAllPods].
	SelectedByNamespace SelectedBy = "namespace"
	// SelectedByPodSelector: the pod has the labels that the installation's own podSelector selects.
	SelectedByPodSelector SelectedBy = "pod-selector"
)

// explanations are what a refusal adds for people who did not request storage.
var explanations = map[SelectedBy]string{
	SelectedByNamespace:   "; the label " + LabelAllPods + " of its namespace selects the pod, and " + optOut,
	SelectedByPodSelector: "; the podSelector of the webhook selects the pod, and " + optOut,
}

// optOut is what a pod's author can do.
const optOut = "the label " + kinds.Label + ": disabled of the pod opts out"

// Explanation is the end of a sentence that refuses a pod: why it was selected, and how it opts out.
// It is empty for a pod that has the label.
func (s SelectedBy) Explanation() string { return explanations[s] }

// AdmissionPaths are the paths at which the webhook is served, with what selects the pods whose reviews
// API servers send there. Each is the path of one entry of the MutatingWebhookConfiguration. A test of
// the chart compares them.
//
// An API server calls an entry only for pods that its selectors match, so that a pod cannot choose the
// path. Any other client learns from an answer what the patch would be, and changes nothing.
var AdmissionPaths = map[string]SelectedBy{
	"/inject":              SelectedByLabel,
	"/inject/namespace":    SelectedByNamespace,
	"/inject/pod-selector": SelectedByPodSelector,
}

// LabelAllPods on a Namespace, with the value of [kinds.LabelEnabled], selects all of its pods, where
// an installation has the entry for it. It is not the opt-in label of pods: tools that label every
// object of a release or a kustomization would put that on the Namespace, too.
const LabelAllPods = storage.Group + "/all-pods"

// AnnotationSelectedBy is what the webhook writes on a pod that it injected and that did not have the
// opt-in label: its [SelectedBy]. By it the API server recognizes the entry that it calls again after
// the label was added.
const AnnotationSelectedBy = storage.Group + "/selected-by"

// Selects reports whether the request is about pods with these labels. What selected a pod in place of
// its label leaves out pods that have the label with another value than enabled: so a pod opts out.
func (r *Request) Selects(podLabels map[string]string) bool {
	switch value, ok := podLabels[kinds.Label]; {
	case r.SelectedBy != SelectedByLabel:
		return !ok || value == kinds.LabelEnabled
	case r.Selector != nil:
		return r.Selector.Matches(labels.Set(podLabels))
	default:
		return value == kinds.LabelEnabled
	}
}

// notSelected is the sentence about a pod that the request does not select.
func (r *Request) notSelected(podLabels map[string]string) string {
	if r.SelectedBy != SelectedByLabel {
		return fmt.Sprintf("its label %s is %q: every value but %q opts the pod out",
			kinds.Label, podLabels[kinds.Label], kinds.LabelEnabled)
	}
	if r.Selector != nil {
		return fmt.Sprintf("its labels do not match %q", r.Selector)
	}
	return fmt.Sprintf("its labels do not match %q", defaultSelector)
}

// labelSelected gives an injected pod the opt-in label that it did not need. Whoever looks for the
// pods of this product finds it by that label: caches that ask the API server for such pods alone,
// and people. No controller loses the pod: a selector that matched still matches, since a label that
// is added takes none away.
// Source: Kubernetes, pkg/controller/controller_ref_manager.go ClaimPods; pod-template-hash is made
// of the template, not of its pods: pkg/controller/deployment/sync.go getNewReplicaSet.
func (p *podPatch) labelSelected() {
	if p.request.SelectedBy == SelectedByLabel || p.pod.LabelsPath == "" || p.pod.Labels[kinds.Label] != "" {
		return
	}
	p.addPodLabel(kinds.Label, kinds.LabelEnabled, Addition{Label: kinds.Label + "=" + kinds.LabelEnabled})
}
