package storage

import (
	"fmt"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// SnapshotClass describes the VolumeSnapshotClass of a profile. Snapshots themselves are made by
// other tools.
type SnapshotClass struct {
	// Name is used as it is written, with {namespace} and {release} replaced. Default: as the
	// StorageClass's default, see [Profile.Names].
	Name string `json:"name,omitempty"`
	// Parameters are merged over those of the backend; an empty value removes one.
	Parameters map[string]string `json:"parameters,omitempty"`
	// DeletionPolicy is what happens to a snapshot's data when its VolumeSnapshot is deleted.
	// Default: Retain.
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
	// Create is whether the class is created. Default: as the claim's.
	Create *bool `json:"create,omitempty"`
}

// DeletionPolicy is what happens to the data of deleted snapshots.
type DeletionPolicy string

// The deletion policies. Source: external-snapshotter, client/apis/volumesnapshot/v1.
const (
	DeletionRetain DeletionPolicy = "Retain"
	DeletionDelete DeletionPolicy = "Delete"
)

// VolumeSnapshotClass is snapshot.storage.k8s.io/v1 VolumeSnapshotClass. The fields are
// external-snapshotter's, client/apis/volumesnapshot/v1, whose module would bring its own versions
// of what every program here is built with, and lengthen the start of postrender, for three fields.
// test/samples holds them to its CustomResourceDefinition.
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

// createsSnapshotClass reports whether the profile creates a VolumeSnapshotClass. The defaults must
// be set.
func (p *Profile) createsSnapshotClass() bool {
	return p.SnapshotClass != nil && *p.SnapshotClass.Create
}

// snapshotClass is the VolumeSnapshotClass of a profile that has one. Its scope is the cluster.
func (p *Profile) snapshotClass(n Names) *VolumeSnapshotClass {
	return &VolumeSnapshotClass{
		TypeMeta:       metav1.TypeMeta{APIVersion: GroupSnapshots + "/v1", Kind: "VolumeSnapshotClass"},
		ObjectMeta:     p.meta(n.SnapshotClass, ""),
		Driver:         p.driver(),
		Parameters:     p.snapshotParameters(),
		DeletionPolicy: p.SnapshotClass.DeletionPolicy,
	}
}

// snapshotParameters are the backend's, those that it shares with the StorageClass, and the
// profile's own over them.
func (p *Profile) snapshotParameters() map[string]string {
	merged, class := map[string]string{}, p.parameters()
	for _, name := range p.Backend().ToSnapshot {
		merged[name] = class[name]
	}
	maps.Copy(merged, p.Backend().SnapshotParameters)
	maps.Copy(merged, p.SnapshotClass.Parameters)
	maps.DeleteFunc(merged, func(_, value string) bool { return value == "" })
	return merged
}

// validateSnapshotClass refuses a class whose driver makes no snapshots, and one without the
// parameters that the driver needs.
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
		others := backendsThat(func(b Backend) bool { return b.Snapshots })
		return append(errs, field.Invalid(at, s.Name, fmt.Sprintf("the driver %s of the backend %s makes no snapshots; "+
			"those of %s do", backend.Driver, backend.Name, others)))
	}
	parameters := p.snapshotParameters()
	for _, name := range backend.ToSnapshot {
		if *s.Create && parameters[name] == "" {
			errs = append(errs, field.Required(at.Child("parameters").Key(name),
				fmt.Sprintf("the backend %s needs it", backend.Name)))
		}
	}
	return errs
}
