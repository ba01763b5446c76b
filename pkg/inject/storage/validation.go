package storage

import (
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Validate checks a configuration whose defaults are set and returns every problem with its field
// path.
func (c *Config) Validate() field.ErrorList {
	var errs field.ErrorList
	if c.APIVersion != APIVersion {
		errs = append(errs, field.NotSupported(field.NewPath("apiVersion"), c.APIVersion, []string{APIVersion}))
	}
	if c.Kind != ConfigKind {
		errs = append(errs, field.NotSupported(field.NewPath("kind"), c.Kind, []string{ConfigKind}))
	}
	profiles := field.NewPath("profiles")
	if len(c.Profiles) == 0 {
		errs = append(errs, field.Required(profiles, "at least one profile is needed; the first is the default"))
	}
	for i := range c.Profiles {
		errs = append(errs, c.Profiles[i].validate(profiles.Index(i))...)
	}
	errs = append(errs, c.validateUnique(profiles)...)
	errs = append(errs, c.validateClones(profiles)...)
	for i := range c.Kinds {
		errs = append(errs, c.Kinds[i].Validate(field.NewPath("kinds").Index(i))...)
	}
	return errs
}

// validateUnique refuses profiles that would meet in one pod or one cluster.
func (c *Config) validateUnique(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := map[string]bool{}
	once := func(path *field.Path, kind, value string) {
		if value == "" {
			return
		}
		if seen[kind+"="+value] {
			errs = append(errs, field.Duplicate(path, value))
		}
		seen[kind+"="+value] = true
	}
	for i := range c.Profiles {
		p, here := &c.Profiles[i], at.Index(i)
		once(here.Child("name"), "profile", p.Name)
		for j, name := range p.Env {
			once(p.Env.path(here.Child("env"), j), "env", name)
		}
		once(here.Child("mount", "path"), "path", path.Clean(p.Mount.Path))
		once(here.Child("claim", "name"), "claim", p.Claim.Name)
		if p.Volume != nil {
			once(here.Child("volume", "name"), "volume", p.Volume.Name)
		}
		if *p.StorageClass.Create {
			once(here.Child("storageClass", "name"), "class", p.StorageClass.Name)
		}
		if p.createsAttributesClass() {
			once(here.Child("attributesClass", "name"), "attributes class", p.AttributesClass.Name)
		}
		if p.createsSnapshotClass() {
			once(here.Child("snapshotClass", "name"), "snapshot class", p.SnapshotClass.Name)
		}
	}
	return errs
}

// validate checks one profile. Where it meets others is in [Config.validateUnique].
func (p *Profile) validate(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, problem := range validation.IsDNS1123Label(p.Name) {
		errs = append(errs, field.Invalid(at.Child("name"), p.Name, problem))
	}
	backend, known := backendByName(p.StorageClass.Backend)
	if !known {
		errs = append(errs, field.NotSupported(at.Child("storageClass", "backend"), p.StorageClass.Backend, backendNames()))
	}
	errs = append(errs, p.Claim.validate(at.Child("claim"), backend)...)
	errs = append(errs, p.validateClassName(at.Child("storageClass", "name"))...)
	errs = append(errs, p.validateDataSource(at.Child("claim", "dataSource"), backend)...)
	errs = append(errs, p.StorageClass.validate(at.Child("storageClass"), backend)...)
	errs = append(errs, p.validateDriver(at.Child("storageClass", "driver"), backend)...)
	errs = append(errs, p.validateProvisioning(at.Child("storageClass"), backend)...)
	errs = append(errs, p.validateVolume(at.Child("volume"), backend)...)
	errs = append(errs, p.validateClasses(at, backend)...)
	errs = append(errs, p.Mount.validate(at.Child("mount"))...)
	errs = append(errs, p.validateMetadata(at)...)
	errs = append(errs, p.Env.validate(at.Child("env"))...)
	errs = append(errs, p.validateSELinux(at.Child("seLinuxChangePolicy"))...)
	if p.FSGroup != nil {
		for _, problem := range validation.IsValidGroupID(*p.FSGroup) {
			errs = append(errs, field.Invalid(at.Child("fsGroup"), *p.FSGroup, problem))
		}
	}
	if _, err := metav1.LabelSelectorAsSelector(p.NamespaceSelector); err != nil {
		errs = append(errs, field.Invalid(at.Child("namespaceSelector"), "", err.Error()))
	}
	return errs
}

// validate checks the claim: the name, the size, and access modes that the backend can serve.
func (c *Claim) validate(at *field.Path, backend Backend) field.ErrorList {
	errs := validateName(at.Child("name"), c.Name)
	if err := checkSize(c.Size); err != nil {
		errs = append(errs, field.Invalid(at.Child("size"), c.Size.String(), err.Error()))
	}
	for i, mode := range c.AccessModes {
		if len(backend.AccessModes) > 0 && !slices.Contains(backend.AccessModes, mode) {
			errs = append(errs, field.NotSupported(at.Child("accessModes").Index(i), mode, backend.AccessModes))
		}
	}
	if len(c.AccessModes) > 1 && slices.Contains(c.AccessModes, corev1.ReadWriteOncePod) {
		errs = append(errs, field.Invalid(at.Child("accessModes"), c.AccessModes,
			"ReadWriteOncePod cannot be combined with other modes"))
	}
	return errs
}

// validate checks the class, but for its name, its driver and the parameters of provisioning.
func (s *StorageClass) validate(at *field.Path, backend Backend) field.ErrorList {
	errs := s.validateTopologies(at.Child("allowedTopologies"))
	for _, name := range backend.Required {
		if s.Parameters[name] == "" && *s.Create {
			errs = append(errs, field.Required(at.Child("parameters").Key(name),
				fmt.Sprintf("the backend %s needs it", backend.Name)))
		}
	}
	policies := []corev1.PersistentVolumeReclaimPolicy{
		corev1.PersistentVolumeReclaimRetain,
		corev1.PersistentVolumeReclaimDelete,
	}
	if !slices.Contains(policies, s.ReclaimPolicy) {
		errs = append(errs, field.NotSupported(at.Child("reclaimPolicy"), s.ReclaimPolicy, policies))
	}
	modes := []storagev1.VolumeBindingMode{storagev1.VolumeBindingWaitForFirstConsumer, storagev1.VolumeBindingImmediate}
	if !slices.Contains(modes, s.VolumeBindingMode) {
		errs = append(errs, field.NotSupported(at.Child("volumeBindingMode"), s.VolumeBindingMode, modes))
	}
	return errs
}

// validateDriver refuses a driver beside a backend that has another one, and requires one for the
// backend csi where a class or a volume is created.
func (p *Profile) validateDriver(at *field.Path, backend Backend) field.ErrorList {
	driver, needed := p.StorageClass.Driver, *p.StorageClass.Create || (p.Volume != nil && *p.Volume.Create) ||
		p.createsAttributesClass() || p.createsSnapshotClass()
	switch {
	case backend.Name != "csi" && driver != "" && driver != backend.Driver:
		return field.ErrorList{field.Invalid(at, driver,
			fmt.Sprintf("the backend %s uses %s; choose the backend csi to name another driver", backend.Name, backend.Driver))}
	case backend.Name == "csi" && driver == "" && needed:
		return field.ErrorList{field.Required(at, "the backend csi needs the name of its CSI driver")}
	case driver != "":
		isCSI := p.Volume != nil && *p.Volume.Create || p.createsAttributesClass() || p.createsSnapshotClass()
		return validateDriverName(at, driver, isCSI)
	}
	return nil
}

// validateVolume checks the static volume, and requires one where nothing provisions volumes.
func (p *Profile) validateVolume(at *field.Path, backend Backend) field.ErrorList {
	if p.Volume == nil {
		if backend.StaticOnly && *p.Claim.Create {
			return field.ErrorList{field.Required(at,
				fmt.Sprintf("nothing provisions volumes of the backend %s: name one", backend.Name))}
		}
		return nil
	}
	v := p.Volume
	errs := validateName(at.Child("name"), v.Name)
	if v.Namespace != "" {
		for _, problem := range validation.IsDNS1123Label(v.Namespace) {
			errs = append(errs, field.Invalid(at.Child("namespace"), v.Namespace, problem))
		}
	}
	errs = append(errs, p.validateShared(at)...)
	if *v.Create {
		errs = append(errs, p.validateNewVolume(at, backend)...)
	}
	return errs
}

// validateShared refuses to share what only one node can mount, and names that would meet.
func (p *Profile) validateShared(at *field.Path) field.ErrorList {
	v := p.Volume
	if !v.Shared {
		return nil
	}
	var errs field.ErrorList
	if p.SingleNode() {
		errs = append(errs, field.Invalid(at.Child("shared"), true,
			"only one node can mount it: it needs a claim with accessModes ReadWriteMany or ReadOnlyMany, or a file backend"))
	}
	if v.Namespace != "" {
		errs = append(errs, field.Invalid(at.Child("namespace"), v.Namespace, "a shared volume serves every namespace"))
	}
	if v.Name != "" && !strings.Contains(v.Name, placeholderNamespace) {
		errs = append(errs, field.Invalid(at.Child("name"), v.Name,
			"a shared volume has a PersistentVolume in each namespace, so its name needs "+placeholderNamespace))
	}
	return errs
}

// validateNewVolume checks what a PersistentVolume must have and one that exists has already.
func (p *Profile) validateNewVolume(at *field.Path, backend Backend) field.ErrorList {
	var errs field.ErrorList
	v := p.Volume
	if v.Handle == "" {
		errs = append(errs, field.Required(at.Child("handle"), "for the backend "+backend.Name+": "+backend.Handle))
	}
	isDirectory := backend.source == sourceLocal || backend.source == sourceHostPath
	if isDirectory && v.Handle != "" && (!path.IsAbs(v.Handle) || path.Clean(v.Handle) == "/" || hasDotDot(v.Handle)) {
		errs = append(errs, field.Invalid(at.Child("handle"), v.Handle,
			"must be an absolute path of a directory below / without .."))
	}
	if err := checkPathText(v.Handle); isDirectory && err != nil {
		errs = append(errs, field.Invalid(at.Child("handle"), v.Handle, err.Error()))
	}
	errs = append(errs, validateMapKeys(at.Child("attributes"), v.Attributes)...)
	errs = append(errs, p.validateReadOnly(at)...)
	errs = append(errs, p.validateStage(at, backend)...)
	errs = append(errs, v.validateTopology(at, backend)...)
	if backend.source == sourceLocal && v.Zone == "" {
		errs = append(errs, field.Required(at.Child("zone"), "a local volume must name its node's kubernetes.io/hostname"))
	}
	for _, name := range backend.Required {
		if !*p.StorageClass.Create && p.attributes()[name] == "" {
			errs = append(errs, field.Required(at.Child("attributes").Key(name),
				fmt.Sprintf("the backend %s needs it", backend.Name)))
		}
	}
	return errs
}

// validateTopology refuses a zone that would be ignored: a pod could land where the volume cannot
// be reached.
func (v *Volume) validateTopology(at *field.Path, backend Backend) field.ErrorList {
	var errs field.ErrorList
	if v.TopologyKey != "" {
		for _, problem := range validation.IsQualifiedName(v.TopologyKey) {
			errs = append(errs, field.Invalid(at.Child("topologyKey"), v.TopologyKey, problem))
		}
	}
	for _, problem := range validation.IsValidLabelValue(v.Zone) {
		errs = append(errs, field.Invalid(at.Child("zone"), v.Zone, problem))
	}
	switch {
	case backend.Name == "csi":
		if v.Zone != "" && v.TopologyKey == "" {
			errs = append(errs, field.Required(at.Child("topologyKey"), "the zone is a value of the driver's topology key"))
		}
	case v.TopologyKey != "":
		errs = append(errs, field.Invalid(at.Child("topologyKey"), v.TopologyKey, "only the backend csi needs one"))
	case v.Zone != "" && backend.TopologyKey == "":
		errs = append(errs, field.Invalid(at.Child("zone"), v.Zone, "volumes of the backend "+backend.Name+" have no zone"))
	}
	return errs
}

// validateName checks a literal name with its placeholders filled.
func validateName(at *field.Path, name string) field.ErrorList {
	var errs field.ErrorList
	if name == "" {
		return nil
	}
	for _, problem := range filled(name, validation.IsDNS1123Subdomain) {
		errs = append(errs, field.Invalid(at, name, problem))
	}
	return errs
}

// Warnings returns the warnings for people about the profile itself.
func (p *Profile) Warnings() []string {
	var warnings []string
	if p.Volume != nil && *p.Volume.Create && p.Volume.Zone == "" && p.topologyKey() != "" {
		warnings = append(warnings, p.warning("volume.zone is empty, so the scheduler may put pods where the volume "+
			"cannot be reached; set it to the volume's %s", p.topologyKey()))
	}
	if p.FSGroup != nil && p.onHostPath() {
		warnings = append(warnings, p.warning("fsGroup has no effect on hostPath volumes, which the backend %s uses here: "+
			"the directory itself must be writable for the pods' user", p.Backend().Name))
	}
	if !p.Mount.ReadOnly && len(p.Claim.AccessModes) == 1 && p.Claim.AccessModes[0] == corev1.ReadOnlyMany {
		warnings = append(warnings, p.warning("its claim is ReadOnlyMany, but its mount is not read-only: "+
			"set mount.readOnly: true, or containers fail when they write"))
	}
	return slices.Concat(warnings, p.readOnlyWarning(), p.attributesClassWarnings(), p.colocateWarning())
}

// warning is a warning about the profile, which it names.
func (p *Profile) warning(format string, args ...any) string {
	return fmt.Sprintf("profile %q: ", p.Name) + fmt.Sprintf(format, args...)
}

// onHostPath reports whether the profile's volumes are hostPath volumes, whose owner the kubelet
// never changes.
// Source: Kubernetes, Configure a Security Context for a Pod, volume types that support ownership
// management.
func (p *Profile) onHostPath() bool {
	b := p.Backend()
	return b.source == sourceHostPath || b.HostPath && p.Volume == nil
}
