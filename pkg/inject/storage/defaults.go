package storage

import (
	"cmp"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// DefaultProfile is the name of the profile of an empty configuration. Its objects are not named
// after it.
const DefaultProfile = "default"

// DefaultMountPath is where a profile without a path is mounted.
const DefaultMountPath = "/data"

// Further defaults of a profile. [Profile.Names] completes the names, so that two releases never
// share one by accident.
const (
	defaultClass       = "fast"
	defaultVolume      = "pv-data-pipeline"
	defaultClaim       = "pvc-data-pipeline"
	defaultSize        = "100Gi"
	defaultBackend     = "aws-ebs"
	defaultAccessMode  = corev1.ReadWriteOnce
	defaultReclaim     = corev1.PersistentVolumeReclaimRetain
	defaultBindingMode = storagev1.VolumeBindingWaitForFirstConsumer
)

// Default returns the configuration that an empty file stands for: one profile with every default.
func Default() *Config {
	c := &Config{APIVersion: APIVersion, Kind: ConfigKind, Profiles: []Profile{{Name: DefaultProfile}}}
	c.SetDefaults()
	return c
}

// SetDefaults sets every absent field. Names remain empty: they depend on the release, see
// [Profile.Names]. It returns warnings for people, such as that of a translated in-tree name.
func (c *Config) SetDefaults() []string {
	var warnings []string
	for i := range c.Profiles {
		warnings = append(warnings, c.Profiles[i].setDefaults()...)
	}
	return warnings
}

// setDefaults sets the absent fields of a profile but its names, and computes what every decision
// about a pod needs.
func (p *Profile) setDefaults() []string {
	if p.Claim.Size == (resource.Quantity{}) { // absent: a size of 0 is refused later
		p.Claim.Size = resource.MustParse(defaultSize)
	}
	warnings := p.StorageClass.setBackend(p.Name)
	if len(p.Claim.AccessModes) == 0 {
		p.Claim.AccessModes = []corev1.PersistentVolumeAccessMode{p.Backend().defaultAccessMode()}
	}
	p.Claim.Create = cmp.Or(p.Claim.Create, new(true))
	p.Claim.DataSource.setDefaults()
	p.StorageClass.Create = cmp.Or(p.StorageClass.Create, new(*p.Claim.Create && !p.StorageClass.UsesClusterDefault()))
	p.StorageClass.AllowVolumeExpansion = cmp.Or(p.StorageClass.AllowVolumeExpansion, new(true))
	if p.StorageClass.ReclaimPolicy == "" {
		p.StorageClass.ReclaimPolicy = defaultReclaim
	}
	if p.StorageClass.VolumeBindingMode == "" {
		p.StorageClass.VolumeBindingMode = defaultBindingMode
	}
	if p.Volume != nil {
		p.Volume.Create = cmp.Or(p.Volume.Create, new(*p.Claim.Create))
	}
	p.setClassDefaults()
	if p.Mount.Path == "" {
		p.Mount.Path = DefaultMountPath
	}
	p.namespaces = labels.Everything()
	if p.NamespaceSelector != nil { // Validate reports one that cannot be compiled
		p.namespaces, _ = metav1.LabelSelectorAsSelector(p.NamespaceSelector)
	}
	p.needsVariables = p.Mount.NeedsVariables()
	return warnings
}

// setBackend defaults the backend and translates the names of in-tree plugins.
func (s *StorageClass) setBackend(profile string) []string {
	if s.Backend == "" {
		s.Backend = defaultBackend
	}
	if preset, ok := inTreeNames[s.Backend]; ok {
		b, _ := backendByName(preset)
		warning := fmt.Sprintf("profile %q: backend %q is an in-tree name: using the backend %q (%s)",
			profile, s.Backend, preset, b.Driver)
		s.Backend = preset
		return []string{warning}
	}
	if b, ok := backendByName(s.Backend); ok {
		s.Backend = b.Name
	}
	return nil
}

// setClassDefaults completes the optional classes.
func (p *Profile) setClassDefaults() {
	if a := p.AttributesClass; a != nil {
		a.Create = cmp.Or(a.Create, new(*p.Claim.Create))
	}
	if s := p.SnapshotClass; s != nil {
		s.Create = cmp.Or(s.Create, new(*p.Claim.Create))
		s.DeletionPolicy = cmp.Or(s.DeletionPolicy, DeletionRetain)
	}
}
