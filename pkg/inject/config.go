package inject

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// What a configuration file says of itself.
const (
	// APIVersion is the only apiVersion of the configuration file.
	APIVersion = Group + "/v1alpha1"
	// ConfigKind is its kind.
	ConfigKind = "StorageConfig"
)

// Defaults of a profile. The names are completed as [Release] says, so that two releases never share one by accident.
const (
	DefaultProfile     = "default"
	DefaultClass       = "fast"
	DefaultVolume      = "pv-data-pipeline"
	DefaultClaim       = "pvc-data-pipeline"
	DefaultSize        = "100Gi"
	DefaultBackend     = "aws-ebs"
	DefaultMountPath   = "/data"
	DefaultAccessMode  = corev1.ReadWriteOnce
	DefaultReclaim     = corev1.PersistentVolumeReclaimRetain
	DefaultBindingMode = storagev1.VolumeBindingWaitForFirstConsumer
)

// Config is the configuration of both paths: a file for the post-renderer, a mounted ConfigMap for the webhook.
type Config struct {
	// APIVersion is [APIVersion].
	APIVersion string `json:"apiVersion"`
	// Kind is [ConfigKind].
	Kind string `json:"kind"`
	// Metadata is accepted, because kustomize adds it to a functionConfig, and otherwise unused.
	Metadata map[string]any `json:"metadata,omitempty"`
	// Profiles are the storages that pods may use. A pod that names none gets those with Default, or else the first.
	Profiles []Profile `json:"profiles"`
	// Kinds are further kinds that hold pods, besides [BuiltinKinds]. A row for a built-in kind replaces it.
	Kinds []Kind `json:"kinds,omitempty"`
}

// Profile is one storage: the objects that make it and how it appears in a pod.
type Profile struct {
	// Name is a DNS label. The volume in the pod is named after it.
	Name string `json:"name"`
	// Default is whether pods that name no profile get this one. Where no profile says so, they get the first.
	Default bool `json:"default,omitempty"`
	// Claim is the PersistentVolumeClaim that pods mount.
	Claim Claim `json:"claim,omitzero"`
	// StorageClass is the class of the claim.
	StorageClass StorageClass `json:"storageClass,omitzero"`
	// AttributesClass is the class by which the driver modifies the volume. Default: none.
	AttributesClass *AttributesClass `json:"attributesClass,omitempty"`
	// SnapshotClass is the class for snapshots of the volume. Default: none.
	SnapshotClass *SnapshotClass `json:"snapshotClass,omitempty"`
	// Volume is an existing volume to use. Absent: the class provisions one.
	Volume *Volume `json:"volume,omitempty"`
	// Mount says where the storage appears.
	Mount Mount `json:"mount,omitzero"`
	// FSGroup is set on pods that have none, with fsGroupChangePolicy OnRootMismatch. Default: none.
	FSGroup *int64 `json:"fsGroup,omitempty"`
	// Env is the name of an environment variable that holds the mount path in every container with the mount. Default: none.
	Env string `json:"env,omitempty"`
	// Colocate keeps the pods that mount the claim on one node, by a label and a required pod affinity, where the volume is on
	// one node at a time. Default: false.
	Colocate bool `json:"colocate,omitempty"`
	// NamespaceSelector limits, at admission, which namespaces may use the profile. Default: all.
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`

	// namespaces is NamespaceSelector as SetDefaults compiled it.
	namespaces labels.Selector
}

// Claim describes the PersistentVolumeClaim of a profile.
type Claim struct {
	// Name is literal when given, with {namespace} and {release} replaced. Default: see [Profile.Names].
	Name string `json:"name,omitempty"`
	// Size is what the claim requests. Default: 100Gi.
	Size resource.Quantity `json:"size,omitzero"`
	// AccessModes default to ReadWriteOnce, or to the first mode of a backend that has it not.
	AccessModes []corev1.PersistentVolumeAccessMode `json:"accessModes,omitempty"`
	// Create is whether the claim is made; false uses one that exists. Default: true.
	Create *bool `json:"create,omitempty"`
}

// StorageClass describes the StorageClass of a profile.
type StorageClass struct {
	// Name is literal when given, with {namespace} and {release} replaced. Default: see [Profile.Names].
	Name string `json:"name,omitempty"`
	// Backend is the preset, one of [Backends]. Default: aws-ebs.
	Backend string `json:"backend,omitempty"`
	// Driver is the CSI driver of the backend "csi", which has none of its own.
	Driver string `json:"driver,omitempty"`
	// Performance is a set of parameters that the backend's documentation gives for one kind of work: standard, fast or
	// throughput, as the backend has them. Default: the backend's own parameters.
	Performance string `json:"performance,omitempty"`
	// Parameters are merged over those of the preset; an empty value removes one.
	Parameters map[string]string `json:"parameters,omitempty"`
	// MountOptions are those of volumes that the class makes. Default: none.
	MountOptions []string `json:"mountOptions,omitempty"`
	// ReclaimPolicy defaults to Retain: data outlives everything.
	ReclaimPolicy corev1.PersistentVolumeReclaimPolicy `json:"reclaimPolicy,omitempty"`
	// VolumeBindingMode defaults to WaitForFirstConsumer.
	VolumeBindingMode storagev1.VolumeBindingMode `json:"volumeBindingMode,omitempty"`
	// AllowVolumeExpansion defaults to true.
	AllowVolumeExpansion *bool `json:"allowVolumeExpansion,omitempty"`
	// Create is whether the class is made; false uses one that exists. Default: as the claim's.
	Create *bool `json:"create,omitempty"`
}

// Volume describes an existing volume, for a PersistentVolume that is bound to the claim in advance.
type Volume struct {
	// Name is literal when given, with {namespace} and {release} replaced. Default: see [Profile.Names].
	Name string `json:"name,omitempty"`
	// Handle identifies the volume to its driver; a path for local-path and host-path.
	Handle string `json:"handle"`
	// Zone is the value of the topology key: the zone of a disk, the host name of a node's folder.
	Zone string `json:"zone,omitempty"`
	// TopologyKey is the node label that the zone is a value of, for the backend csi; the others have their own.
	TopologyKey string `json:"topologyKey,omitempty"`
	// Namespace is the one namespace that the volume serves. Default: the release's. At admission, where there is no
	// release, it must be given unless the volume is shared.
	Namespace string `json:"namespace,omitempty"`
	// Shared lets every namespace use the volume, through a PersistentVolume of its own with the same handle: only for
	// volumes that many nodes can mount at once. Default: false.
	Shared bool `json:"shared,omitempty"`
	// Attributes are volumeAttributes for the CSI driver.
	Attributes map[string]string `json:"attributes,omitempty"`
	// MountOptions are those of the volume. Default: none, or ro where mount.readOnly is true.
	MountOptions []string `json:"mountOptions,omitempty"`
	// NodeStageSecret is the Secret that the driver mounts the volume with, where it needs one. Default: none.
	NodeStageSecret *SecretReference `json:"nodeStageSecret,omitempty"`
	// Create is whether the PersistentVolume is made; false uses one that exists. Default: as the claim's.
	Create *bool `json:"create,omitempty"`
}

// Mount says where and how a storage appears in a pod's containers.
type Mount struct {
	// Path is the absolute mount path. Default: /data.
	Path string `json:"path,omitempty"`
	// SubPath is a folder of the volume, without "..". Default: its root. Its placeholders {namespace}, {release}, {pod.name}
	// and that of a label of the pod are replaced, so that pods, runs or namespaces have folders of their own.
	SubPath string `json:"subPath,omitempty"`
	// ReadOnly mounts read-only. A volume of the profile's own becomes read-only for every pod that uses its claim, where the
	// backend can. Default: false.
	ReadOnly bool `json:"readOnly,omitempty"`
	// Containers limits the mount to the containers of these names. Default: all, with init containers and sidecars.
	Containers []string `json:"containers,omitempty"`
	// ExcludeContainers leaves the containers of these names out.
	ExcludeContainers []string `json:"excludeContainers,omitempty"`
}

// Default returns the configuration that an empty file stands for: one profile with every default.
func Default() *Config {
	c := &Config{APIVersion: APIVersion, Kind: ConfigKind, Profiles: []Profile{{Name: DefaultProfile}}}
	c.SetDefaults()
	return c
}

// SetDefaults fills what is absent. It leaves names empty: they depend on the release, see [Profile.Names]. It returns
// warnings for people, such as a translated in-tree name.
func (c *Config) SetDefaults() []string {
	var warnings []string
	for i := range c.Profiles {
		warnings = append(warnings, c.Profiles[i].setDefaults()...)
	}
	return warnings
}

func (p *Profile) setDefaults() []string {
	if p.Claim.Size == (resource.Quantity{}) { // absent: a size of 0 is a mistake to be told
		p.Claim.Size = resource.MustParse(DefaultSize)
	}
	warnings := p.StorageClass.setBackend(p.Name)
	if len(p.Claim.AccessModes) == 0 {
		p.Claim.AccessModes = []corev1.PersistentVolumeAccessMode{p.backend().defaultAccessMode()}
	}
	p.Claim.Create = orElse(p.Claim.Create, true)
	p.StorageClass.Create = orElse(p.StorageClass.Create, *p.Claim.Create)
	p.StorageClass.AllowVolumeExpansion = orElse(p.StorageClass.AllowVolumeExpansion, true)
	if p.StorageClass.ReclaimPolicy == "" {
		p.StorageClass.ReclaimPolicy = DefaultReclaim
	}
	if p.StorageClass.VolumeBindingMode == "" {
		p.StorageClass.VolumeBindingMode = DefaultBindingMode
	}
	if p.Volume != nil {
		p.Volume.Create = orElse(p.Volume.Create, *p.Claim.Create)
	}
	p.setClassDefaults()
	if p.Mount.Path == "" {
		p.Mount.Path = DefaultMountPath
	}
	p.namespaces = labels.Everything()
	if p.NamespaceSelector != nil { // Validate tells what is wrong with one that cannot be compiled
		p.namespaces, _ = metav1.LabelSelectorAsSelector(p.NamespaceSelector)
	}
	return warnings
}

// setBackend defaults the backend and translates the names of in-tree plugins.
func (s *StorageClass) setBackend(profile string) []string {
	if s.Backend == "" {
		s.Backend = DefaultBackend
	}
	if preset, ok := inTreeNames[s.Backend]; ok {
		b, _ := backendByName(preset)
		warning := fmt.Sprintf("profile %q: backend %q is an in-tree name: using the backend %q (%s)", profile, s.Backend, preset, b.Driver)
		s.Backend = preset
		return []string{warning}
	}
	if b, ok := backendByName(s.Backend); ok {
		s.Backend = b.Name
	}
	return nil
}

func orElse(value *bool, fallback bool) *bool {
	if value != nil {
		return value
	}
	return &fallback
}

// Serves reports whether pods of a namespace with these labels may have the profile's storage added at admission: its
// NamespaceSelector matches, and a volume of the profile's own, which is bound to one claim, names that namespace.
// Source: DESIGN §4, namespaceSelector and volume.namespace.
func (p *Profile) Serves(namespace string, of map[string]string) error {
	if !p.namespaces.Matches(labels.Set(of)) {
		return fmt.Errorf("the profile %q is not for the namespace %q: its namespaceSelector is %q", p.Name, namespace, p.namespaces)
	}
	if v := p.Volume; v != nil && (*p.Claim.Create || *v.Create) && !v.Shared && v.Namespace != "" && v.Namespace != namespace {
		return fmt.Errorf("the profile %q is not for the namespace %q: its volume serves %q only", p.Name, namespace, v.Namespace)
	}
	return nil
}

// Creates reports whether the profile makes any object.
func (p *Profile) Creates() bool {
	return *p.Claim.Create || *p.StorageClass.Create || (p.Volume != nil && *p.Volume.Create) ||
		p.createsAttributesClass() || p.createsSnapshotClass()
}

// Profile returns the profile of that name, or nil.
func (c *Config) Profile(name string) *Profile {
	for i := range c.Profiles {
		if c.Profiles[i].Name == name {
			return &c.Profiles[i]
		}
	}
	return nil
}

// SelectsNamespaces reports whether some profile has a namespaceSelector that leaves namespaces out, so that their labels
// matter.
func (c *Config) SelectsNamespaces() bool {
	return slices.ContainsFunc(c.Profiles, func(p Profile) bool { return !p.namespaces.Empty() })
}

// SetsEnv reports whether some profile sets an environment variable, so that those of containers matter.
func (c *Config) SetsEnv() bool {
	return slices.ContainsFunc(c.Profiles, func(p Profile) bool { return p.Env != "" || needsVariables(p.Mount.SubPath) })
}

// Release says for whom names are made. The zero Release is admission, where nobody knows releases.
type Release struct {
	// Name is the Helm release.
	Name string
	// Namespace is the namespace of the release, where objects without one belong.
	Namespace string
}

// Names are the names of a profile's objects.
type Names struct {
	StorageClass, Volume, Claim string
	// AttributesClass and SnapshotClass are empty where the profile has none.
	AttributesClass, SnapshotClass string
}

// Names returns the names of the profile's objects for a release and the namespace of the claim. A name that the
// configuration gives is literal but for {namespace} and {release}. Otherwise names are safe by default: with a release
// fast.<namespace>.<release>, pv-data-pipeline.<namespace>.<release> and pvc-data-pipeline.<release>; at admission fast,
// pv-data-pipeline.<namespace> and pvc-data-pipeline. Parts are joined by dots, which no namespace can contain. Profiles
// other than "default" add their own name to the first part.
func (p *Profile) Names(r Release, namespace string) Names {
	suffix := ""
	if p.Name != DefaultProfile {
		suffix = "-" + p.Name
	}
	home := namespace
	if r.Namespace != "" {
		home = r.Namespace
	}
	n := Names{
		StorageClass: complete(p.StorageClass.Name, home, r.Name),
		Claim:        complete(p.Claim.Name, namespace, r.Name),
	}
	class := DefaultClass + suffix
	if r.Name != "" {
		class = dotted(class, home, r.Name)
	}
	if n.StorageClass == "" {
		n.StorageClass = class
	}
	p.nameClasses(&n, class, home, r.Name)
	if n.Claim == "" {
		n.Claim = dotted(DefaultClaim+suffix, r.Name)
	}
	if p.Volume != nil {
		if p.Volume.Shared {
			home = namespace
		}
		n.Volume = complete(p.Volume.Name, home, r.Name)
		if n.Volume == "" {
			n.Volume = dotted(DefaultVolume+suffix, home, r.Name)
		}
	}
	return n
}

func complete(name, namespace, release string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, placeholderNamespace, namespace), placeholderRelease, release)
}

// dotted joins the parts that are not empty.
func dotted(parts ...string) string {
	kept := parts[:0]
	for _, part := range parts {
		if part != "" {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, ".")
}

// NeedsRelease reports whether any name that the profile uses depends on the release or its namespace.
func (p *Profile) NeedsRelease() bool {
	return p.Creates() || p.ClaimNeedsRelease()
}

// ClaimNeedsRelease reports whether the name of the profile's claim depends on the release or its namespace.
func (p *Profile) ClaimNeedsRelease() bool {
	return p.Claim.Name == "" || strings.Contains(p.Claim.Name, placeholderRelease) || strings.Contains(p.Claim.Name, placeholderNamespace)
}

// VolumeName is the name of the profile's volume in a pod: deterministic, and a DNS label whatever the claim is called.
func (p *Profile) VolumeName() string {
	return volumeName(p.Name)
}

// volumePrefix begins the names of our volumes in pods.
const volumePrefix = "pipeline-storage"

func volumeName(profile string) string {
	if profile == DefaultProfile {
		return volumePrefix
	}
	return shorten(volumePrefix + "-" + profile)
}
