package storage

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// The type of a configuration file.
const (
	// APIVersion is the only apiVersion of the configuration file.
	APIVersion = Group + "/v1alpha1"
	// ConfigKind is its kind.
	ConfigKind = "StorageConfig"
)

// Config is the configuration of both paths: a file for the post-renderer, a mounted ConfigMap for
// the webhook.
type Config struct {
	// APIVersion is pipeline-storage.io/v1alpha1.
	APIVersion string `json:"apiVersion"`
	// Kind is StorageConfig.
	Kind string `json:"kind"`
	// Metadata is accepted, because kustomize adds it to a functionConfig, and otherwise unused.
	Metadata map[string]any `json:"metadata,omitempty"`
	// Profiles are the storages that pods may use. A pod that names none gets those with Default,
	// or else the first.
	Profiles []Profile `json:"profiles"`
	// Kinds are kinds that hold pods, in addition to the built-in ones. A row for a built-in kind
	// replaces it.
	Kinds []kinds.Kind `json:"kinds,omitempty"`
}

// Profile is one storage: its objects, and how it appears in a pod.
type Profile struct {
	// Name is a DNS label. The volume in the pod is named after it.
	Name string `json:"name"`
	// Default is whether pods that name no profile get this one. Where no profile is a default,
	// they get the first.
	Default bool `json:"default,omitempty"`
	// Claim is the PersistentVolumeClaim that pods mount.
	Claim Claim `json:"claim,omitzero"`
	// StorageClass is the class of the claim.
	StorageClass StorageClass `json:"storageClass,omitzero"`
	// AttributesClass is the class by which the driver modifies the volume. Default: none.
	AttributesClass *AttributesClass `json:"attributesClass,omitempty"`
	// SnapshotClass is the class for snapshots of the volume. Default: none.
	SnapshotClass *SnapshotClass `json:"snapshotClass,omitempty"`
	// Volume is an existing volume to use. Default: the class provisions one.
	Volume *Volume `json:"volume,omitempty"`
	// Mount is where the storage appears.
	Mount MountConfig `json:"mount,omitzero"`
	// FSGroup is set on pods that have none, with fsGroupChangePolicy OnRootMismatch: a group from 0
	// to 2147483647. Default: none.
	FSGroup *int64 `json:"fsGroup,omitempty"`
	// SELinuxChangePolicy is set on pods that have none: MountOption or Recursive. A Kubernetes
	// before 1.33 ignores it. Default: none, which Kubernetes reads as MountOption.
	SELinuxChangePolicy corev1.PodSELinuxChangePolicy `json:"seLinuxChangePolicy,omitempty"`
	// Env is the name of an environment variable that holds the mount path in every container with
	// the mount, or a list of such names. Default: none.
	Env VariableNames `json:"env,omitempty"`
	// Colocate keeps the pods that mount the claim on one node, by a label and a required pod
	// affinity, where the volume is on one node at a time. Default: false.
	Colocate bool `json:"colocate,omitempty"`
	// NamespaceSelector limits, at admission, which namespaces may use the profile. Default: all.
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`

	// namespaces is NamespaceSelector as SetDefaults compiled it.
	namespaces labels.Selector
	// needsVariables is whether containers need variables for Mount.SubPath, as SetDefaults found.
	// Each admission needs it, and a search for placeholders in each would cost more than the rest
	// of its reading of the profile.
	needsVariables bool
}

// Claim describes the PersistentVolumeClaim of a profile.
type Claim struct {
	// Name is used as it is written, with {namespace} and {release} replaced. Default: see
	// [Profile.Names].
	Name string `json:"name,omitempty"`
	// Size is what the claim requests, 1Mi at least. Default: 100Gi.
	Size resource.Quantity `json:"size,omitzero"`
	// AccessModes are those of the claim. Default: ReadWriteOnce, or the first mode of a backend
	// without it.
	AccessModes []corev1.PersistentVolumeAccessMode `json:"accessModes,omitempty"`
	// Create is whether the claim is created; false uses an existing one. Default: true.
	Create *bool `json:"create,omitempty"`
	// Labels are those of the claim, in addition to pipeline-storage's own. {namespace} and {release}
	// in a value are replaced. Default: none.
	Labels map[string]string `json:"labels,omitempty"`
	// Annotations are those of the claim, as Labels are. Default: none.
	Annotations map[string]string `json:"annotations,omitempty"`
	// DataSource is what a new claim begins with, such as a snapshot. Default: an empty volume.
	DataSource *DataSource `json:"dataSource,omitempty"`
}

// StorageClass describes the StorageClass of a profile.
type StorageClass struct { //nolint:revive // it is what Kubernetes calls it, and the name of its schema
	// Name is used as it is written, with {namespace} and {release} replaced. ClusterDefault stands
	// for the default class of the cluster. Default: see [Profile.Names]. Where the class is not
	// created, the claim's has no default.
	Name string `json:"name,omitempty"`
	// Backend is the preset, one of [Backends]. Default: aws-ebs.
	Backend string `json:"backend,omitempty"`
	// Driver is the CSI driver, for the backend csi only.
	Driver string `json:"driver,omitempty"`
	// Performance is a set of parameters that the backend's documentation gives for one kind of
	// work: standard, fast or throughput, as the backend has them. Default: the backend's own
	// parameters.
	Performance string `json:"performance,omitempty"`
	// Parameters are merged over those of the backend and its performance; an empty value removes
	// one.
	Parameters map[string]string `json:"parameters,omitempty"`
	// MountOptions are those of volumes that the class provisions. Default: none.
	MountOptions []string `json:"mountOptions,omitempty"`
	// ReclaimPolicy is what happens to the volume when its claim is deleted. Default: Retain.
	ReclaimPolicy corev1.PersistentVolumeReclaimPolicy `json:"reclaimPolicy,omitempty"`
	// VolumeBindingMode is when the claim is bound. Default: WaitForFirstConsumer.
	VolumeBindingMode storagev1.VolumeBindingMode `json:"volumeBindingMode,omitempty"`
	// AllowVolumeExpansion is whether claims can be expanded. Default: true.
	AllowVolumeExpansion *bool `json:"allowVolumeExpansion,omitempty"`
	// AllowedTopologies are where the class may make volumes. Default: everywhere.
	// Source: Kubernetes, Storage Classes, Allowed Topologies.
	AllowedTopologies []corev1.TopologySelectorTerm `json:"allowedTopologies,omitempty"`
	// Create is whether the class is created; false uses an existing one. Default: as the claim's, and
	// false for ClusterDefault.
	Create *bool `json:"create,omitempty"`
	// Labels are those of the class, in addition to pipeline-storage's own. {namespace} and {release}
	// in a value are replaced, by the release's. Default: none.
	Labels map[string]string `json:"labels,omitempty"`
	// Annotations are those of the class, as Labels are. Default: none.
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Volume describes an existing volume, for a PersistentVolume that is bound to the claim in
// advance.
type Volume struct {
	// Name is used as it is written, with {namespace} and {release} replaced. Default: see
	// [Profile.Names].
	Name string `json:"name,omitempty"`
	// Handle identifies the volume to its driver; a path for local-path and host-path.
	Handle string `json:"handle"`
	// Zone is the value of the topology key: the zone of a disk, the host name of the node of a
	// directory.
	Zone string `json:"zone,omitempty"`
	// TopologyKey is the node label that the zone is a value of, for the backend csi; the others
	// have their own.
	TopologyKey string `json:"topologyKey,omitempty"`
	// Namespace is the one namespace that the volume serves. Default: the release's. At admission,
	// where there is no release, it is required unless the volume is shared.
	Namespace string `json:"namespace,omitempty"`
	// Shared lets every namespace use the volume, through a PersistentVolume of its own with the
	// same handle: only for volumes that many nodes can mount at once. Default: false.
	Shared bool `json:"shared,omitempty"`
	// Attributes are the volumeAttributes for the CSI driver. Default: none but the backend's.
	Attributes map[string]string `json:"attributes,omitempty"`
	// MountOptions are those of the volume. Default: none, or ro where mount.readOnly is true.
	MountOptions []string `json:"mountOptions,omitempty"`
	// NodeStageSecret is the Secret that the driver mounts the volume with, where it needs one.
	// Default: none.
	NodeStageSecret *SecretReference `json:"nodeStageSecret,omitempty"`
	// Create is whether the PersistentVolume is created; false uses an existing one. Default: as
	// the claim's.
	Create *bool `json:"create,omitempty"`
	// Labels are those of the PersistentVolume, in addition to pipeline-storage's own. {namespace} and
	// {release} in a value are replaced. Default: none.
	Labels map[string]string `json:"labels,omitempty"`
	// Annotations are those of the PersistentVolume, as Labels are. Default: none.
	Annotations map[string]string `json:"annotations,omitempty"`
}

// MountConfig is where and how a storage appears in a pod's containers.
type MountConfig struct {
	// Path is the absolute mount path, and none of [ReservedPaths]. Default: /data.
	Path string `json:"path,omitempty"`
	// SubPath is a directory of the volume, without "..". Default: its root. Its [Placeholders] are
	// replaced, so that pods, runs or namespaces have directories of their own.
	SubPath string `json:"subPath,omitempty"`
	// ReadOnly mounts read-only. A volume of the profile becomes read-only for every pod that uses
	// its claim, where the backend has an option for it. Default: false.
	ReadOnly bool `json:"readOnly,omitempty"`
	// Containers limits the mount to the containers of these names. Default: all, with init
	// containers and sidecars.
	Containers []string `json:"containers,omitempty"`
	// ExcludeContainers are the names of containers without the mount. Default: none.
	ExcludeContainers []string `json:"excludeContainers,omitempty"`
}

// SecretReference names a Secret. Source: Kubernetes, core/v1 SecretReference.
type SecretReference struct {
	// Name of the Secret.
	Name string `json:"name"`
	// Namespace of the Secret.
	Namespace string `json:"namespace"`
}
