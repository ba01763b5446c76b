package storage

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ClusterDefault as storageClass.name stands for the default StorageClass of the cluster: the claim
// is created without a storageClassName, and the API server fills it in. No class can have this
// name, which is spelled as values of the API are (WaitForFirstConsumer).
//
// Source: Kubernetes, Storage Classes, Default StorageClass; plugin/pkg/admission/storage/
// storageclass/setdefault. An empty name would be another thing, a claim without a class.
const ClusterDefault = "ClusterDefault"

// UsesClusterDefault reports whether the profile's claim gets the default class of the cluster.
func (s *StorageClass) UsesClusterDefault() bool { return s.Name == ClusterDefault }

// validateClassName checks the name of the class, also where it has none: a claim must not wait for
// a class that nothing creates.
func (p *Profile) validateClassName(at *field.Path) field.ErrorList {
	s := &p.StorageClass
	switch {
	case s.UsesClusterDefault():
		return p.validateClusterDefault(at)
	case strings.EqualFold(strings.ReplaceAll(s.Name, "-", ""), ClusterDefault):
		return field.ErrorList{field.Invalid(at, s.Name,
			fmt.Sprintf("write %s for the default StorageClass of the cluster", ClusterDefault))}
	case s.Name == "" && *p.Claim.Create && !*s.Create && p.Volume == nil:
		return field.ErrorList{field.Required(at, fmt.Sprintf("the class is not created, so the claim would wait for a "+
			"class that may not exist: name the one to use, or %s for the default StorageClass of the cluster",
			ClusterDefault))}
	}
	return validateName(at, s.Name)
}

// validateClusterDefault refuses to create the default class, and a volume beside it: a volume must
// have the class of its claim, which is not known before the claim exists.
// Source: Kubernetes, pkg/controller/volume/persistentvolume checkVolumeSatisfyClaim.
func (p *Profile) validateClusterDefault(at *field.Path) field.ErrorList {
	switch {
	case *p.StorageClass.Create:
		return field.ErrorList{field.Invalid(at, ClusterDefault, "is a class that exists: do not create one")}
	case p.Volume != nil:
		return field.ErrorList{field.Invalid(at, ClusterDefault,
			"cannot be the class of a volume, whose class must be known: leave the name out, or name a class")}
	}
	return nil
}
