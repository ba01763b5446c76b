package status

import (
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// What a Status says of itself in JSON.
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
	// Installations are the webhooks of the cluster.
	Installations []Installation `json:"installations"`
	// Namespaces are those that were asked for, without those in which there is nothing to tell.
	Namespaces []Namespace `json:"namespaces"`
	// Unseen are sentences about what could not be read, and so was not looked at.
	Unseen []string `json:"unseen"`
}

// Installation is one webhook and its configuration.
type Installation struct {
	// Name is that of the MutatingWebhookConfiguration; Namespace is where its Service and configuration are.
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	// Ready is how many addresses answer for its Service; null where nobody could read that.
	Ready *int `json:"ready"`
	// Profiles are the names of the profiles of its configuration; empty where nobody could read it.
	Profiles []string `json:"profiles"`
	// Problems concern all that it serves.
	Problems []Problem `json:"problems"`
}

// Namespace is what there is in one namespace.
type Namespace struct {
	Name string `json:"name"`
	// Installation is the name of the one whose webhook takes the namespace's pods; empty: none does, or nobody could read it.
	Installation string `json:"installation"`
	// Pods are those with the label pipeline-storage=enabled.
	Pods []Pod `json:"pods"`
	// Claims are those that such pods mount or wait for, and those that profiles made.
	Claims []Claim `json:"claims"`
	// Released are volumes that keep the data of claims of the namespace that are gone.
	Released []Released `json:"released"`
	// Problems are what is wrong, each with the one next thing to do.
	Problems []Problem `json:"problems"`
}

// Storage says whether a pod has its storage.
type Storage string

// What a pod's storage can be.
const (
	// Mounted: every container that should has a mount of the claim.
	Mounted Storage = "Mounted"
	// PartlyMounted: some containers have it and others lack it.
	PartlyMounted Storage = "PartlyMounted"
	// NotMounted: no container has it.
	NotMounted Storage = "NotMounted"
	// Excluded: it is not meant to have it: its containers are left out by name, or it is the mirror of a static pod.
	Excluded Storage = "Excluded"
)

// Pod is one pod with the label.
type Pod struct {
	Name string `json:"name"`
	// Owner is KIND/NAME of what made it; empty: nothing did.
	Owner string `json:"owner,omitempty"`
	// Storage says whether it has the storage.
	Storage Storage `json:"storage"`
	// Reason says why not; empty where it has it.
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
	// Profile is the one that made it or that its pods use, where that is known.
	Profile string `json:"profile,omitempty"`
	// Phase is its phase: Pending, Bound, Lost, and besides Missing where pods want one that is not there and Deleting.
	Phase string `json:"phase"`
	// Volume is the name of the bound volume.
	Volume string `json:"volume,omitempty"`
	// Size is its capacity, or, until it is bound, its request.
	Size string `json:"size,omitempty"`
	// AccessModes are what it has, or, until it is bound, what it asks for.
	AccessModes []string `json:"accessModes"`
	// StorageClass is the name of its class.
	StorageClass string `json:"storageClass,omitempty"`
	// ReclaimPolicy is that of its volume; empty where nobody could read it.
	ReclaimPolicy string `json:"reclaimPolicy,omitempty"`
	// MadeBy is controller, Helm or empty for anybody else.
	MadeBy string `json:"madeBy,omitempty"`
	// Nodes are those of the running pods that use it.
	Nodes []string `json:"nodes"`
	// Pods is how many labelled pods that have not ended use it.
	Pods int `json:"pods"`
}

// Released is a volume that keeps the data of a claim that is gone.
type Released struct {
	// Volume is its name, Claim that of the claim that had it.
	Volume string `json:"volume"`
	Claim  string `json:"claim"`
	Size   string `json:"size,omitempty"`
	// Returns says that the claims controller gives it back by itself when a pod needs the claim again.
	Returns bool `json:"returns"`
}

// Problem is one thing that is wrong.
type Problem struct {
	// Reason is one of those of docs/status.md.
	Reason string `json:"reason"`
	// About are KIND/NAME of what it concerns.
	About []string `json:"about"`
	// Message is a sentence that says what is wrong.
	Message string `json:"message"`
	// Next is the one thing to do.
	Next string `json:"next"`
}

// Problems returns how many things are wrong.
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
