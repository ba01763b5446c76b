package status

import (
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// The type of a Status in JSON.
const (
	// APIVersion changes when a field changes its meaning or goes; new fields may come at any time.
	APIVersion = storage.APIVersion
	// Kind is its kind.
	Kind = "Status"
)

// Status is what is known of the storage of pods. Lists are sorted by name, and never null.
type Status struct {
	// APIVersion is [APIVersion].
	APIVersion string `json:"apiVersion"`
	// Kind is [Kind].
	Kind string `json:"kind"`
	// Installations are the webhooks and the policies of the cluster.
	Installations []Installation `json:"installations"`
	// Namespaces are those that were requested, without those in which there is nothing to report.
	Namespaces []Namespace `json:"namespaces"`
	// Unread are sentences about what could not be read. They are there to be shown: a status
	// without problems proves nothing about them.
	Unread []string `json:"unread"`
}

// Mode is what mounts the storage of an installation, as the chart's value mode has it.
type Mode string

// The modes of an installation.
const (
	// ModeWebhook: a MutatingWebhookConfiguration.
	ModeWebhook Mode = "webhook"
	// ModePolicy: a MutatingAdmissionPolicy and a ValidatingAdmissionPolicy.
	ModePolicy Mode = "policy"
	// ModeBoth: both, while the installation moves from one mode to the other.
	ModeBoth Mode = "both"
)

// Installation is one webhook, or the policies of policy mode, and its configuration.
type Installation struct {
	// Name is that of the MutatingWebhookConfiguration and of the policies; Namespace is where its
	// configuration and, with a webhook, its Service are.
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	// Mode is what mounts the storage.
	Mode Mode `json:"mode"`
	// Ready is how many addresses answer for its Service; null in policy mode, which has none, and
	// where it could not be read.
	Ready *int `json:"ready"`
	// Profiles are the names of the profiles of its configuration; empty where it could not be read.
	Profiles []string `json:"profiles"`
	// Problems concern all that it serves.
	Problems []Problem `json:"problems"`
}

// Namespace is what there is in one namespace.
type Namespace struct {
	Name string `json:"name"`
	// Installation is the name of the one that selects the namespace's pods; empty: none, or it could
	// not be read.
	Installation string `json:"installation"`
	// Pods are those with the label pipeline-storage=enabled, and those that are selected without it.
	Pods []Pod `json:"pods"`
	// Claims are those that such pods mount or wait for, and those that profiles created.
	Claims []Claim `json:"claims"`
	// Released are volumes with the data of deleted claims of the namespace.
	Released []Released `json:"released"`
	// Problems are what is wrong, each with the one next thing to do.
	Problems []Problem `json:"problems"`
}

// Storage is whether a pod has its storage. Only the mounts of containers count, not the injected
// annotation.
type Storage string

// What a pod's storage can be.
const (
	// StorageMounted: every container that should has a mount of the claim.
	StorageMounted Storage = "Mounted"
	// StoragePartlyMounted: some containers have it and others lack it.
	StoragePartlyMounted Storage = "PartlyMounted"
	// StorageNotMounted: no container has it.
	StorageNotMounted Storage = "NotMounted"
	// StorageExcluded: it is not meant to have it. Its containers are excluded by name, or it is the
	// mirror of a static pod.
	StorageExcluded Storage = "Excluded"
)

// Pod is one pod with the label, or one that is selected without it.
type Pod struct {
	Name string `json:"name"`
	// SelectedBy is namespace or pod-selector for a pod that is selected by that; empty for one that
	// has the label itself.
	SelectedBy string `json:"selectedBy,omitempty"`
	// Owner is KIND/NAME of its controller; empty without one.
	Owner string `json:"owner,omitempty"`
	// Storage is whether it has the storage.
	Storage Storage `json:"storage"`
	// Reason is why it has no storage; empty where it has it.
	Reason string `json:"reason,omitempty"`
	// Claims are those that its containers mount for profiles.
	Claims []string `json:"claims"`
	// Mounts are CONTAINER:PATH of each such mount.
	Mounts []string `json:"mounts"`
	// Phase is the pod's phase; Node is empty while it is not scheduled.
	Phase string `json:"phase"`
	Node  string `json:"node,omitempty"`
}

// Claim is one PersistentVolumeClaim.
type Claim struct {
	Name string `json:"name"`
	// Profile is the one that created it or that its pods use; empty where neither is known.
	Profile string `json:"profile,omitempty"`
	// Phase is its phase: Pending, Bound or Lost, Missing where pods use one that does not exist, or
	// Deleting.
	Phase string `json:"phase"`
	// Volume is the name of the bound volume.
	Volume string `json:"volume,omitempty"`
	// Size is its capacity, or, until it is bound, its request.
	Size string `json:"size,omitempty"`
	// AccessModes are what it has, or, until it is bound, what it requests.
	AccessModes []string `json:"accessModes"`
	// StorageClass is the name of its class.
	StorageClass string `json:"storageClass,omitempty"`
	// ReclaimPolicy is that of its volume; empty where it could not be read.
	ReclaimPolicy string `json:"reclaimPolicy,omitempty"`
	// CreatedBy is controller or Helm; empty for a third party.
	CreatedBy string `json:"createdBy,omitempty"`
	// Nodes are those of the running pods that use it. Each is there once, in order.
	Nodes []string `json:"nodes"`
	// Pods is how many labeled pods that have not finished use it.
	Pods int `json:"pods"`
}

// Released is a volume with the data of a deleted claim.
type Released struct {
	// Volume is its name, Claim that of the claim that had it.
	Volume string `json:"volume"`
	Claim  string `json:"claim"`
	Size   string `json:"size,omitempty"`
	// Rebinds is true where the claims controller re-binds it, without consent, when a pod needs the
	// claim again.
	Rebinds bool `json:"rebinds"`
	// ByHand is true where no claims controller creates the claim, so that nothing re-binds the volume.
	ByHand bool `json:"byHand,omitempty"`
}

// Problem is one thing that is wrong. Programs may depend on its reason; its sentences are for
// people and may change.
type Problem struct {
	// Reason is one of those of docs/status.md.
	Reason string `json:"reason"`
	// About are KIND/NAME of what it concerns.
	About []string `json:"about"`
	// Message is a sentence about what is wrong.
	Message string `json:"message"`
	// Next is the one thing to do.
	Next string `json:"next"`
}

// Problems returns how many things are wrong. Those of installations count, too.
func (s *Status) Problems() int {
	count := 0
	for i := range s.Installations {
		count += len(s.Installations[i].Problems)
	}
	for i := range s.Namespaces {
		count += len(s.Namespaces[i].Problems)
	}
	return count
}
