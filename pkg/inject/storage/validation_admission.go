package storage

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// validateAdmission checks the rules of admission, where no release is known and every namespace
// can request storage.
func (c *Config) validateAdmission() field.ErrorList {
	var errs field.ErrorList
	claims := map[string]bool{}
	for i := range c.Profiles {
		p, at := &c.Profiles[i], field.NewPath("profiles").Index(i)
		errs = append(errs, p.validateAdmission(at)...)
		claim := p.ClaimName(Release{}, "x")
		if claims[claim] {
			errs = append(errs, field.Duplicate(at.Child("claim", "name"), claim))
		}
		claims[claim] = true
	}
	return errs
}

// validateAdmission refuses a profile that only a release could complete.
func (p *Profile) validateAdmission(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	literal := func(path *field.Path, name string) {
		if strings.Contains(name, placeholderRelease) {
			errs = append(errs, field.Invalid(path, name,
				"at admission no release is known: use "+placeholderNamespace+" or a plain name"))
		}
	}
	literal(at.Child("claim", "name"), p.Claim.Name)
	if p.Claim.DataSource != nil {
		literal(at.Child("claim", "dataSource", "name"), p.Claim.DataSource.Name)
	}
	literal(at.Child("storageClass", "name"), p.StorageClass.Name)
	literal(at.Child("mount", "subPath"), p.Mount.SubPath)
	if strings.Contains(p.Mount.SubPath, "{{") {
		errs = append(errs, field.Invalid(at.Child("mount", "subPath"), p.Mount.SubPath,
			"at admission nothing fills {{…}}: use {pod.labels['workflows.argoproj.io/workflow']}"))
	}
	if p.AttributesClass != nil {
		literal(at.Child("attributesClass", "name"), p.AttributesClass.Name)
	}
	errs = append(errs, p.validateClassesForAdmission(at)...)
	for _, m := range p.metadata() {
		m.each(at, literal)
	}
	errs = append(errs, p.validateClassMetadataForAdmission(at)...)
	if p.Volume == nil {
		return errs
	}
	literal(at.Child("volume", "name"), p.Volume.Name)
	if (*p.Claim.Create || *p.Volume.Create) && p.Volume.Namespace == "" && !p.Volume.Shared {
		errs = append(errs, field.Required(at.Child("volume", "namespace"),
			"at admission a volume needs the namespace that it serves, or shared: true"))
	}
	return errs
}

// validateClassesForAdmission refuses the classes that only postrender creates. The controller has
// no right to create them, and the cluster may not have snapshot.storage.k8s.io.
func (p *Profile) validateClassesForAdmission(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	refuse := func(name, kind string, create bool) {
		if create {
			errs = append(errs, field.Invalid(at.Child(name, "create"), true, fmt.Sprintf("at admission no %s is created: "+
				"apply it once by kubectl (docs/backends.md shows one) and set create: false", kind)))
		}
	}
	refuse("attributesClass", "VolumeAttributesClass", p.createsAttributesClass())
	refuse("snapshotClass", "VolumeSnapshotClass", p.createsSnapshotClass())
	return errs
}
