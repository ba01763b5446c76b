package storage

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// AttributesClass describes the VolumeAttributesClass of a profile: how a driver can modify an
// existing volume. Source: Kubernetes, Volume Attributes Classes; stable since 1.34.
type AttributesClass struct {
	// Name is used as it is written, with {namespace} and {release} replaced. Default: as the
	// StorageClass's default, see [Profile.Names].
	Name string `json:"name,omitempty"`
	// Parameters are those that the driver sets. They cannot be changed later: another set needs
	// another name.
	Parameters map[string]string `json:"parameters,omitempty"`
	// Create is whether the class is created; false uses an existing one. Default: as the claim's.
	Create *bool `json:"create,omitempty"`
}

// createsAttributesClass reports whether the profile creates a VolumeAttributesClass. The defaults
// must be set.
func (p *Profile) createsAttributesClass() bool {
	return p.AttributesClass != nil && *p.AttributesClass.Create
}

// attributesClass is the VolumeAttributesClass of a profile that has one. Its scope is the cluster.
func (p *Profile) attributesClass(n Names) *storagev1.VolumeAttributesClass {
	return &storagev1.VolumeAttributesClass{
		TypeMeta:   metav1.TypeMeta{APIVersion: "storage.k8s.io/v1", Kind: "VolumeAttributesClass"},
		ObjectMeta: p.meta(n.AttributesClass, ""),
		DriverName: p.driver(),
		Parameters: maps.Clone(p.AttributesClass.Parameters),
	}
}

// validateAttributesClass refuses a class whose driver cannot modify volumes, and one that the API
// server would refuse: without parameters.
// Source: Kubernetes, pkg/apis/storage/validation ValidateVolumeAttributesClass.
func (p *Profile) validateAttributesClass(at *field.Path, backend Backend) field.ErrorList {
	a := p.AttributesClass
	if a == nil {
		return nil
	}
	errs := validateName(at.Child("name"), a.Name)
	if len(backend.Mutable) == 0 && backend.Driver != "" {
		others := backendsThat(func(b Backend) bool { return len(b.Mutable) > 0 })
		errs = append(errs, field.Invalid(at, a.Name, fmt.Sprintf("the driver %s of the backend %s cannot modify volumes; "+
			"those of %s can", backend.Driver, backend.Name, others)))
	}
	if *a.Create && len(a.Parameters) == 0 {
		errs = append(errs, field.Required(at.Child("parameters"), "a VolumeAttributesClass needs at least one"))
	}
	return errs
}

// attributesClassWarnings warns of parameters that the driver would refuse when it modifies a
// volume. Neither is an error: a driver can have newer parameters than this release, and a node can
// find the Secret of a volume in another place.
func (p *Profile) attributesClassWarnings() []string {
	if p.AttributesClass == nil {
		return nil
	}
	var warnings []string
	backend, class := p.Backend(), p.parameters()
	for _, key := range slices.Sorted(maps.Keys(p.AttributesClass.Parameters)) {
		isKnown := func(pattern string) bool { ok, _ := path.Match(pattern, key); return ok }
		if len(backend.Mutable) > 0 && !slices.ContainsFunc(backend.Mutable, isKnown) {
			warnings = append(warnings, p.warning("attributesClass.parameters: the backend %s is not known to modify %s: "+
				"it modifies %s", backend.Name, key, strings.Join(backend.Mutable, ", ")))
		}
	}
	missing := slices.DeleteFunc(slices.Clone(backend.ToModify), func(name string) bool { return class[name] != "" })
	if len(missing) > 0 && p.Volume == nil && *p.StorageClass.Create {
		warnings = append(warnings, p.warning("attributesClass: the backend %s needs parameters of the class for it: "+
			"add to storageClass.parameters %s", backend.Name, strings.Join(missing, ", ")))
	}
	return warnings
}
