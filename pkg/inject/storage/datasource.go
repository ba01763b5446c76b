package storage

import (
	"cmp"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Kinds that every CSI driver with the capability can copy, and the group of the former.
// Source: Kubernetes, core/v1 PersistentVolumeClaimSpec.dataSource; external-snapshotter,
// client/apis/volumesnapshot/v1.
const (
	KindVolumeSnapshot = "VolumeSnapshot"
	KindClaim          = "PersistentVolumeClaim"
	GroupSnapshots     = "snapshot.storage.k8s.io"
)

// DataSource is what a new claim begins with: an object in its own namespace, whose data the driver
// copies into the new volume. It has no effect on a claim that exists.
type DataSource struct {
	// Kind is VolumeSnapshot, PersistentVolumeClaim, or a kind that a volume populator serves.
	Kind string `json:"kind"`
	// Name is used as it is written, with {namespace} and {release} replaced.
	Name string `json:"name"`
	// APIGroup is the group of the kind. Default: snapshot.storage.k8s.io for VolumeSnapshot; none
	// for PersistentVolumeClaim.
	APIGroup string `json:"apiGroup,omitempty"`
}

// setDefaults sets the group of a VolumeSnapshot. The receiver may be nil.
func (d *DataSource) setDefaults() {
	if d != nil && d.Kind == KindVolumeSnapshot {
		d.APIGroup = cmp.Or(d.APIGroup, GroupSnapshots)
	}
}

// isClaim reports whether the source is another claim.
func (d *DataSource) isClaim() bool { return d.Kind == KindClaim && d.APIGroup == "" }

// reference is the dataSourceRef of a claim, or nil. The API server copies it to dataSource. It
// refuses a kind that it does not accept in dataSourceRef, and silently drops it in dataSource.
// Source: Kubernetes, core/v1 PersistentVolumeClaimSpec.dataSourceRef.
func (d *DataSource) reference(name string) *corev1.TypedObjectReference {
	if d == nil {
		return nil
	}
	return &corev1.TypedObjectReference{APIGroup: stringPointer(d.APIGroup), Kind: d.Kind, Name: name}
}

// validateDataSource checks the source by the rules of the API, and refuses one that would be
// ignored: a claim that exists or names its volume is never filled.
// Source: Kubernetes, pkg/apis/core/validation validateDataSourceRef; pkg/controller/volume/
// persistentvolume/pv_controller.go syncUnboundClaim.
func (p *Profile) validateDataSource(at *field.Path, backend Backend) field.ErrorList {
	d := p.Claim.DataSource
	if d == nil {
		return nil
	}
	errs := d.validate(at)
	if !*p.Claim.Create {
		errs = append(errs, field.Invalid(at, d.Name,
			"nothing is copied into a claim that exists: leave it out, or let the profile create a claim (claim.create: true)"))
	}
	if p.Volume != nil {
		errs = append(errs, field.Invalid(at, d.Name,
			"nothing is copied into a volume that exists: leave out either volume or claim.dataSource"))
	}
	switch isSnapshot := d.Kind == KindVolumeSnapshot && d.APIGroup == GroupSnapshots; {
	case backend.Name != "" && backend.source != sourceCSI: // their provisioners ignore it, and the volume is empty
		errs = append(errs, field.Invalid(at, d.Name, fmt.Sprintf("volumes of the backend %s are directories of a node, "+
			"into which nothing is copied: use a backend with a CSI driver", backend.Name)))
	case isSnapshot && !backend.Snapshots && backend.Driver != "":
		others := backendsThat(func(b Backend) bool { return b.Snapshots })
		errs = append(errs, field.Invalid(at.Child("kind"), d.Kind, fmt.Sprintf(
			"the driver %s of the backend %s makes no snapshots; those of %s do", backend.Driver, backend.Name, others)))
	}
	if d.isClaim() && p.isOwnClaim(d.Name) {
		errs = append(errs, field.Invalid(at.Child("name"), d.Name, "a claim cannot begin with its own data"))
	}
	return errs
}

// validate checks what does not depend on the profile.
func (d *DataSource) validate(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch {
	case d.Kind == "":
		errs = append(errs, field.Required(at.Child("kind"), "VolumeSnapshot or PersistentVolumeClaim"))
	case d.APIGroup == "" && d.Kind != KindClaim:
		errs = append(errs, field.Required(at.Child("apiGroup"), fmt.Sprintf("for the kind %s: only %s and %s need none",
			d.Kind, KindVolumeSnapshot, KindClaim)))
	}
	if d.APIGroup != "" {
		for _, problem := range validation.IsDNS1123Subdomain(d.APIGroup) {
			errs = append(errs, field.Invalid(at.Child("apiGroup"), d.APIGroup, problem))
		}
	}
	if d.Name == "" {
		return append(errs, field.Required(at.Child("name"), "an object in the namespace of the claim"))
	}
	return append(errs, validateName(at.Child("name"), d.Name)...)
}

// isOwnClaim reports whether a name is that of the profile's own claim, at install or at admission.
func (p *Profile) isOwnClaim(name string) bool {
	install := Release{Name: placeholderRelease, Namespace: placeholderNamespace}
	return name == p.ClaimName(install, placeholderNamespace) || name == p.ClaimName(Release{}, placeholderNamespace)
}

// validateClones refuses a clone of another profile's claim that the driver would refuse: one that
// is smaller, or of another driver.
// Source: external-provisioner, pkg/controller/controller.go getPVCSource.
func (c *Config) validateClones(at *field.Path) field.ErrorList {
	byClaim := map[string]*Profile{}
	for i := range c.Profiles {
		if name := c.Profiles[i].Claim.Name; name != "" {
			byClaim[name] = &c.Profiles[i]
		}
	}
	var errs field.ErrorList
	for i := range c.Profiles {
		p, here := &c.Profiles[i], at.Index(i)
		d := p.Claim.DataSource
		if d == nil || !d.isClaim() || byClaim[d.Name] == nil || byClaim[d.Name] == p {
			continue
		}
		source := byClaim[d.Name]
		if p.Claim.Size.Cmp(source.Claim.Size) < 0 {
			errs = append(errs, field.Invalid(here.Child("claim", "size"), p.Claim.Size.String(), fmt.Sprintf(
				"must be at least %s, the size of the claim %s, which is its dataSource", source.Claim.Size.String(), d.Name)))
		}
		if p.driver() != source.driver() {
			errs = append(errs, field.Invalid(here.Child("storageClass", "backend"), p.StorageClass.Backend, fmt.Sprintf(
				"a driver copies its own volumes only, and %s, which is the dataSource, has the driver %s",
				d.Name, source.driver())))
		}
	}
	return errs
}
