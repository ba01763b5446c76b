package inject

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// AttributesClass describes the VolumeAttributesClass of a profile: what a driver can change of a volume that exists.
// Source: Kubernetes, Volume Attributes Classes; stable since 1.34.
type AttributesClass struct {
	// Name is literal when given, with {namespace} and {release} replaced. Default: as the StorageClass's default, see [Profile.Names].
	Name string `json:"name,omitempty"`
	// Parameters are what the driver is to set. They cannot be changed later: another set needs another name.
	Parameters map[string]string `json:"parameters,omitempty"`
	// Create is whether the class is made; false uses one that exists. Default: as the claim's.
	Create *bool `json:"create,omitempty"`
}

// SnapshotClass describes the VolumeSnapshotClass of a profile. Snapshots themselves are made by other tools.
type SnapshotClass struct {
	// Name is literal when given, with {namespace} and {release} replaced. Default: as the StorageClass's default, see [Profile.Names].
	Name string `json:"name,omitempty"`
	// Parameters are merged over those of the backend; an empty value removes one.
	Parameters map[string]string `json:"parameters,omitempty"`
	// DeletionPolicy says what becomes of a snapshot's data when its VolumeSnapshot is deleted. Default: Retain.
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
	// Create is whether the class is made. Default: as the claim's.
	Create *bool `json:"create,omitempty"`
}

// DeletionPolicy is what a VolumeSnapshotClass says of the data of deleted snapshots.
type DeletionPolicy string

// The deletion policies. Source: external-snapshotter, client/apis/volumesnapshot/v1.
const (
	DeletionRetain DeletionPolicy = "Retain"
	DeletionDelete DeletionPolicy = "Delete"
)

// SecretReference names a Secret. Source: Kubernetes, core/v1 SecretReference.
type SecretReference struct {
	// Name of the Secret.
	Name string `json:"name"`
	// Namespace of the Secret.
	Namespace string `json:"namespace"`
}

// VolumeSnapshotClass is snapshot.storage.k8s.io/v1 VolumeSnapshotClass. The fields are external-snapshotter's,
// client/apis/volumesnapshot/v1, whose module would bring its own versions of what every program here is built with, and
// lengthen the start of postrender, for three fields. test/samples holds them to its CustomResourceDefinition.
type VolumeSnapshotClass struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitzero"`
	// Driver is the CSI driver that makes the snapshots.
	Driver string `json:"driver"`
	// Parameters are the driver's.
	Parameters map[string]string `json:"parameters,omitempty"`
	// DeletionPolicy is Retain or Delete.
	DeletionPolicy DeletionPolicy `json:"deletionPolicy"`
}

// setClassDefaults completes the optional classes.
func (p *Profile) setClassDefaults() {
	if a := p.AttributesClass; a != nil {
		a.Create = orElse(a.Create, *p.Claim.Create)
	}
	if s := p.SnapshotClass; s != nil {
		s.Create = orElse(s.Create, *p.Claim.Create)
		s.DeletionPolicy = cmp.Or(s.DeletionPolicy, DeletionRetain)
	}
}

func (p *Profile) createsAttributesClass() bool {
	return p.AttributesClass != nil && *p.AttributesClass.Create
}

func (p *Profile) createsSnapshotClass() bool {
	return p.SnapshotClass != nil && *p.SnapshotClass.Create
}

// nameClasses adds the names of the optional classes. They are objects of the cluster, as the StorageClass is, and of other
// kinds, so that its default name is free for them.
func (p *Profile) nameClasses(n *Names, byDefault, namespace, release string) {
	if p.AttributesClass != nil {
		n.AttributesClass = cmp.Or(complete(p.AttributesClass.Name, namespace, release), byDefault)
	}
	if p.SnapshotClass != nil {
		n.SnapshotClass = cmp.Or(complete(p.SnapshotClass.Name, namespace, release), byDefault)
	}
}

func (p *Profile) attributesClass(n Names) *storagev1.VolumeAttributesClass {
	return &storagev1.VolumeAttributesClass{
		TypeMeta:   metav1.TypeMeta{APIVersion: "storage.k8s.io/v1", Kind: "VolumeAttributesClass"},
		ObjectMeta: p.meta(n.AttributesClass, ""),
		DriverName: p.driver(),
		Parameters: maps.Clone(p.AttributesClass.Parameters),
	}
}

func (p *Profile) snapshotClass(n Names) *VolumeSnapshotClass {
	return &VolumeSnapshotClass{
		TypeMeta:       metav1.TypeMeta{APIVersion: "snapshot.storage.k8s.io/v1", Kind: "VolumeSnapshotClass"},
		ObjectMeta:     p.meta(n.SnapshotClass, ""),
		Driver:         p.driver(),
		Parameters:     p.snapshotParameters(),
		DeletionPolicy: p.SnapshotClass.DeletionPolicy,
	}
}

// snapshotParameters are the backend's, those that it shares with the StorageClass, and the profile's own over them.
func (p *Profile) snapshotParameters() map[string]string {
	merged, class := map[string]string{}, p.parameters()
	for _, name := range p.backend().ToSnapshot {
		merged[name] = class[name]
	}
	maps.Copy(merged, p.backend().SnapshotParameters)
	maps.Copy(merged, p.SnapshotClass.Parameters)
	maps.DeleteFunc(merged, func(_, value string) bool { return value == "" })
	return merged
}

// validateClasses checks what is not of every profile: presets, mount options, secrets and the optional classes.
func (p *Profile) validateClasses(at *field.Path, backend Backend) field.ErrorList {
	return slices.Concat(
		p.validatePerformance(at, backend),
		p.validateMountOptions(at, backend),
		p.validateAttributesClass(at.Child("attributesClass"), backend),
		p.validateSnapshotClass(at.Child("snapshotClass"), backend),
	)
}

func (p *Profile) validatePerformance(at *field.Path, backend Backend) field.ErrorList {
	name, here := p.StorageClass.Performance, at.Child("storageClass", "performance")
	if name == "" {
		return nil
	}
	preset, known := backend.Performance[name]
	switch {
	case len(backend.Performance) == 0:
		return field.ErrorList{field.Invalid(here, name, fmt.Sprintf("the backend %s has no presets: say what you need by storageClass.parameters", backend.Name))}
	case !known:
		return field.ErrorList{field.NotSupported(here, name, slices.Sorted(maps.Keys(backend.Performance)))}
	case !*p.StorageClass.Create:
		return field.ErrorList{field.Invalid(here, name, "this profile does not make the class: who made it chose the parameters")}
	}
	return p.validateLeast(at.Child("claim", "size"), preset)
}

// validateLeast refuses a size that a preset's disks do not come in, unless the profile's own parameters make it another disk.
func (p *Profile) validateLeast(at *field.Path, preset Preset) field.ErrorList {
	if preset.MinSize == "" || p.Volume != nil {
		return nil
	}
	for key := range preset.Parameters {
		if _, isOwn := p.StorageClass.Parameters[key]; isOwn {
			return nil
		}
	}
	if least := resource.MustParse(preset.MinSize); p.Claim.Size.Cmp(least) < 0 {
		return field.ErrorList{field.Invalid(at, p.Claim.Size.String(), fmt.Sprintf("storageClass.performance %s needs at least %s", p.StorageClass.Performance, preset.MinSize))}
	}
	return nil
}

// validateMountOptions refuses them where the API server does. Source: Kubernetes, Persistent Volumes, Mount Options.
func (p *Profile) validateMountOptions(at *field.Path, backend Backend) field.ErrorList {
	errs := mountOptionErrors(at.Child("storageClass", "mountOptions"), p.StorageClass.MountOptions, backend)
	if p.Volume != nil {
		errs = append(errs, mountOptionErrors(at.Child("volume", "mountOptions"), p.Volume.MountOptions, backend)...)
	}
	return errs
}

func mountOptionErrors(at *field.Path, options []string, backend Backend) field.ErrorList {
	var errs field.ErrorList
	if len(options) > 0 && backend.source != sourceCSI && backend.Name != "" {
		errs = append(errs, field.Invalid(at, options, fmt.Sprintf("volumes of the backend %s take none", backend.Name)))
	}
	for i, option := range options {
		if strings.TrimSpace(option) == "" {
			errs = append(errs, field.Invalid(at.Index(i), option, "must say something"))
		}
	}
	return errs
}

// validateStage checks what a new volume of a CSI driver must have for a node to mount it.
func (p *Profile) validateStage(at *field.Path, backend Backend) field.ErrorList {
	var errs field.ErrorList
	attributes, secret := p.attributes(), p.Volume.NodeStageSecret
	for _, name := range backend.ToMount {
		if attributes[name] == "" {
			errs = append(errs, field.Required(at.Child("attributes").Key(name), fmt.Sprintf("the backend %s needs it", backend.Name)))
		}
	}
	here := at.Child("nodeStageSecret")
	switch {
	case secret == nil && backend.StageSecret:
		errs = append(errs, field.Required(here, fmt.Sprintf("the backend %s needs a Secret to mount it with", backend.Name)))
	case secret == nil:
	case backend.source != sourceCSI:
		errs = append(errs, field.Invalid(here, secret.Namespace+"/"+secret.Name, fmt.Sprintf("volumes of the backend %s need none", backend.Name)))
	case secret.Name == "" || secret.Namespace == "":
		errs = append(errs, field.Required(here, "it needs a name and a namespace"))
	}
	return errs
}

func (p *Profile) validateAttributesClass(at *field.Path, backend Backend) field.ErrorList {
	a := p.AttributesClass
	if a == nil {
		return nil
	}
	errs := validateName(at.Child("name"), a.Name)
	if len(backend.Mutable) == 0 && backend.Driver != "" {
		errs = append(errs, field.Invalid(at, a.Name, fmt.Sprintf("the driver %s of the backend %s cannot modify volumes; those of %s can",
			backend.Driver, backend.Name, backendsThat(func(b Backend) bool { return len(b.Mutable) > 0 }))))
	}
	if *a.Create && len(a.Parameters) == 0 {
		errs = append(errs, field.Required(at.Child("parameters"), "a VolumeAttributesClass needs at least one"))
	}
	return errs
}

// attributesClassWarnings tells of what the driver would refuse when it modifies a volume. Drivers get parameters between our
// releases, and a node finds the Secret of a volume elsewhere too, so that neither is an error.
func (p *Profile) attributesClassWarnings() []string {
	if p.AttributesClass == nil {
		return nil
	}
	var warnings []string
	backend, class := p.backend(), p.parameters()
	for _, key := range slices.Sorted(maps.Keys(p.AttributesClass.Parameters)) {
		isKnown := func(pattern string) bool { ok, _ := path.Match(pattern, key); return ok }
		if len(backend.Mutable) > 0 && !slices.ContainsFunc(backend.Mutable, isKnown) {
			warnings = append(warnings, fmt.Sprintf("profile %q: attributesClass.parameters: %s is none that the backend %s is known to modify: there are %s",
				p.Name, key, backend.Name, strings.Join(backend.Mutable, ", ")))
		}
	}
	missing := slices.DeleteFunc(slices.Clone(backend.ToModify), func(name string) bool { return class[name] != "" })
	if len(missing) > 0 && p.Volume == nil && *p.StorageClass.Create {
		warnings = append(warnings, fmt.Sprintf("profile %q: attributesClass: the backend %s needs parameters of the class for it: add to storageClass.parameters %s",
			p.Name, backend.Name, strings.Join(missing, ", ")))
	}
	return warnings
}

func (p *Profile) validateSnapshotClass(at *field.Path, backend Backend) field.ErrorList {
	s := p.SnapshotClass
	if s == nil {
		return nil
	}
	errs := validateName(at.Child("name"), s.Name)
	if policies := []DeletionPolicy{DeletionRetain, DeletionDelete}; !slices.Contains(policies, s.DeletionPolicy) {
		errs = append(errs, field.NotSupported(at.Child("deletionPolicy"), s.DeletionPolicy, policies))
	}
	if !backend.Snapshots && backend.Driver != "" {
		return append(errs, field.Invalid(at, s.Name, fmt.Sprintf("the driver %s of the backend %s makes no snapshots; those of %s do",
			backend.Driver, backend.Name, backendsThat(func(b Backend) bool { return b.Snapshots }))))
	}
	parameters := p.snapshotParameters()
	for _, name := range backend.ToSnapshot {
		if *s.Create && parameters[name] == "" {
			errs = append(errs, field.Required(at.Child("parameters").Key(name), fmt.Sprintf("the backend %s needs it", backend.Name)))
		}
	}
	return errs
}

func backendsThat(can func(Backend) bool) string {
	var names []string
	for _, b := range Backends {
		if can(b) {
			names = append(names, b.Name)
		}
	}
	return strings.Join(names, ", ")
}

// validateProvisioning checks the parameters that only a class which makes volumes needs.
func (p *Profile) validateProvisioning(at *field.Path, backend Backend) field.ErrorList {
	var errs field.ErrorList
	if p.Volume != nil || !*p.StorageClass.Create {
		return nil
	}
	given := p.parameters()
	for _, names := range backend.ToProvision {
		if !slices.ContainsFunc(names, func(name string) bool { return given[name] != "" }) {
			problem := fmt.Sprintf("the backend %s needs it", backend.Name)
			if len(names) > 1 {
				problem += ", or " + strings.Join(names[1:], " or ")
			}
			errs = append(errs, field.Required(at.Child("parameters").Key(names[0]), problem))
		}
	}
	return errs
}

// validateClassesForAdmission refuses what only postrender makes. The controller has no right to make such classes, and
// snapshot.storage.k8s.io may not be there at all.
func (p *Profile) validateClassesForAdmission(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	refuse := func(name, kind string, create bool) {
		if create {
			errs = append(errs, field.Invalid(at.Child(name, "create"), true, fmt.Sprintf("at admission no %s is made: "+
				"apply it once by kubectl (docs/backends.md shows one) and say create: false", kind)))
		}
	}
	refuse("attributesClass", "VolumeAttributesClass", p.createsAttributesClass())
	refuse("snapshotClass", "VolumeSnapshotClass", p.createsSnapshotClass())
	return errs
}

// stageSecret is the Secret by which a node mounts a static volume, or nil.
func (v *Volume) stageSecret() *corev1.SecretReference {
	if v.NodeStageSecret == nil {
		return nil
	}
	return &corev1.SecretReference{Name: v.NodeStageSecret.Name, Namespace: v.NodeStageSecret.Namespace}
}
