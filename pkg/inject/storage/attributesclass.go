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

func (p *Profile) createsAttributesClass() bool {
	return p.AttributesClass != nil && *p.AttributesClass.Create
}

func (p *Profile) attributesClass(n Names) *storagev1.VolumeAttributesClass {
	return &storagev1.VolumeAttributesClass{
		TypeMeta:   metav1.TypeMeta{APIVersion: "storage.k8s.io/v1", Kind: "VolumeAttributesClass"},
		ObjectMeta: p.meta(n.AttributesClass, ""),
		DriverName: p.driver(),
		Parameters: maps.Clone(p.AttributesClass.Parameters),
	}
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
	backend, class := p.Backend(), p.parameters()
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
