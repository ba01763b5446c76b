package inject

import (
	"slices"

	"gomodules.xyz/jsonpatch/v2"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// Reason is what was decided about a pod, for programs.
type Reason string

// The reasons. Those that refuse the whole object are [ReasonConflict] and [ReasonInvalid].
const (
	// ReasonInjected: something was added.
	ReasonInjected Reason = "Injected"
	// ReasonAlreadyMounted: every container has the claim already.
	ReasonAlreadyMounted Reason = "AlreadyMounted"
	// ReasonNotSelected: the pod does not have the opt-in label.
	ReasonNotSelected Reason = "NotSelected"
	// ReasonExcluded: every container is excluded by name.
	ReasonExcluded Reason = "Excluded"
	// ReasonUnsupportedKind: the object seems to hold a pod, but the table has no row for its kind.
	ReasonUnsupportedKind Reason = "UnsupportedKind"
	// ReasonPodInConfigMap: a ConfigMap holds a pod as text, as Airflow's pod_template_file does.
	ReasonPodInConfigMap Reason = "PodInConfigMap"
	// ReasonPodAsText: a Secret or another object holds a pod as text.
	ReasonPodAsText Reason = "PodAsText"
	// ReasonNoPods: the object is of a kind that holds pods, but holds none.
	ReasonNoPods Reason = "NoPods"
	// ReasonLabelled: the object does not hold the pod's containers, but labels that reach it: the
	// opt-in label is there, so that the webhook mounts the claim. Nothing is mounted where there
	// is no webhook.
	ReasonLabelled Reason = "Labelled"
	// ReasonHookNotInjected: a Helm hook that runs before the claim exists.
	ReasonHookNotInjected Reason = "HookNotInjected"
	// ReasonWindows: a pod for Windows nodes, where the mount path means nothing.
	ReasonWindows Reason = "WindowsNotInjected"
	// ReasonMirrorPod: the mirror of a static pod, which cannot be changed.
	ReasonMirrorPod Reason = "MirrorPod"
	// ReasonConflict: the pod's own volumes, mounts or variables stand in the way.
	ReasonConflict Reason = "Conflict"
	// ReasonInvalid: the pod's annotations request what the profiles do not allow.
	ReasonInvalid Reason = "Invalid"
)

// The reasons of [Remove].
const (
	// ReasonRemoved: the additions were removed.
	ReasonRemoved Reason = "Removed"
	// ReasonRetained: the injected volume remains, because something else mounts it.
	ReasonRetained Reason = "Retained"
	// ReasonNothingToRemove: the pod has nothing that injection adds.
	ReasonNothingToRemove Reason = "NothingToRemove"
)

// Refuses reports whether the reason refuses the object.
func (r Reason) Refuses() bool { return r == ReasonConflict || r == ReasonInvalid }

// Request is the context in which an object is patched.
type Request struct {
	// Release is the Helm release; zero at admission.
	Release storage.Release
	// Namespace is where the object will live.
	Namespace string
	// Selector chooses pods by their labels. Nil selects the pods labelled
	// pipeline-storage=enabled.
	Selector labels.Selector
	// SelectedBy is what selects the pods in place of Selector, at admission. Default:
	// [SelectedByLabel], which leaves that to Selector.
	SelectedBy SelectedBy
	// Admission is true where a pod is admitted, not rendered. Then profiles serve only the
	// namespaces that they are for, and the pod gets [AnnotationInjected].
	Admission bool
	// NamespaceLabels are the labels of the namespace, at admission, where a profile has a
	// namespaceSelector.
	NamespaceLabels map[string]string
}

// Addition is one thing that was added, or removed again, for reports.
type Addition struct {
	// Profile is the profile for which it was added.
	Profile string `json:"profile,omitempty"`
	// Container is empty for what concerns the whole pod.
	Container string `json:"container,omitempty"`
	// Volume, MountPath, Env, FSGroup, SELinuxChangePolicy, Label (KEY=VALUE, the opt-in label where
	// there is no profile) and Affinity (a topology key): one kind of addition each; a mount has
	// both Volume and MountPath.
	Volume    string `json:"volume,omitempty"`
	Claim     string `json:"claim,omitempty"`
	MountPath string `json:"mountPath,omitempty"`
	Env       string `json:"env,omitempty"`
	FSGroup   *int64 `json:"fsGroup,omitempty"`
	Label     string `json:"label,omitempty"`
	Affinity  string `json:"affinity,omitempty"`
	// SELinuxChangePolicy is that of the pod.
	SELinuxChangePolicy string `json:"seLinuxChangePolicy,omitempty"`
}

// Decision is what was decided about one pod.
type Decision struct {
	// Pod is the JSON pointer of the pod in its document.
	Pod    string
	Reason Reason
	// Message is a sentence for people, where the reason alone is not enough.
	Message string
	// Profiles are those whose claim the pod mounts after the operations.
	Profiles []string
	// Claims are the claims that it mounts for them, in the same order.
	Claims []string
	Added  []Addition
	// Removed is what [Remove] removed.
	Removed []Addition
	// Problems are what keeps the pod from using the storage though it is mounted.
	Problems []Problem
	// Warnings are sentences for people, those about problems first.
	Warnings []string
}

// Result is what is to be done to one object.
type Result struct {
	// Operations are RFC 6902 operations against the document that the pods were found in: "add"
	// only, or of [Remove] "remove" only. They are empty when any decision refuses.
	Operations []jsonpatch.Operation
	// Decisions has one entry per pod, in the order of the pods.
	Decisions []Decision
}

// Mounts reports whether a mount of the profile's claim was added.
func (d *Decision) Mounts(profile string) bool {
	return slices.ContainsFunc(d.Added, func(a Addition) bool { return a.Profile == profile && a.MountPath != "" })
}

// Refused returns the first decision that refuses the object, or nil.
func (r *Result) Refused() *Decision {
	for i := range r.Decisions {
		if r.Decisions[i].Reason.Refuses() {
			return &r.Decisions[i]
		}
	}
	return nil
}

// DefaultSelector selects the pods labelled pipeline-storage=enabled.
func DefaultSelector() labels.Selector { return defaultSelector }

var defaultSelector = labels.SelectorFromSet(labels.Set{kinds.Label: kinds.LabelEnabled})
