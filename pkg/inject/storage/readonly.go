package storage

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// readWriteOption is the mount option that makes a volume writable.
const readWriteOption = "rw"

// ReadOnlyVolumeOption returns the option that mounts the profile's static volume read-only for
// every pod. It is empty where the mount may write, or where the backend has no such option.
//
// A volumeMount holds only for the pods that have it: a second pod may name the claim in a volume
// of its own. A node passes only the PersistentVolume's mountOptions to the driver for every pod of
// a volume. A node does not read csi.readOnly, which goes to the attachment.
//
// The option holds where a file system is mounted with it. A local volume's directory is bound, and
// a container runtime binds it again, writable where the pod's mount is: local-path and host-path
// have no option.
//
// Source: Kubernetes, core/v1 CSIPersistentVolumeSource.readOnly ("value to pass to
// ControllerPublishVolumeRequest"); pkg/volume/csi, getReadOnlyFromSpec.
func (p *Profile) ReadOnlyVolumeOption() string {
	if !p.Mount.ReadOnly || p.Volume == nil {
		return ""
	}
	return p.Backend().ReadOnlyOption
}

// volumeOptions returns the mount options of the static volume, and the one that makes it
// read-only, once.
func (p *Profile) volumeOptions() []string {
	options := slices.Clone(p.Volume.MountOptions)
	if option := p.ReadOnlyVolumeOption(); option != "" && !hasOption(options, option) {
		options = append(options, option)
	}
	return options
}

// attachesReadOnly reports whether csi.readOnly is set. A driver without the capability never gets
// it. Source: external-attacher, pkg/controller/csi_handler.go (csiAttach).
func (p *Profile) attachesReadOnly() bool {
	return p.Mount.ReadOnly && p.Backend().ReadOnlyAttach
}

// hasOption reports whether the options have one, also in an entry of several, which mount(8) joins
// by commas.
func hasOption(options []string, one string) bool {
	return slices.Contains(strings.Split(strings.Join(options, ","), ","), one)
}

// validateReadOnly refuses the option that makes a volume writable beside a mount that is
// read-only.
func (p *Profile) validateReadOnly(at *field.Path) field.ErrorList {
	if p.ReadOnlyVolumeOption() == "" || !hasOption(p.Volume.MountOptions, readWriteOption) {
		return nil
	}
	return field.ErrorList{field.Invalid(at.Child("mountOptions"), p.Volume.MountOptions,
		readWriteOption+" contradicts mount.readOnly, which makes the volume read-only for every pod")}
}

// readOnlyWarning is the warning for a read-only mount whose volume other pods can write, or nil.
func (p *Profile) readOnlyWarning() []string {
	if !p.Mount.ReadOnly || p.Volume == nil || !*p.Volume.Create || p.Backend().ReadOnlyOption != "" {
		return nil
	}
	return []string{p.warning("mount.readOnly holds for injected pods only, because volumes of the backend %s are "+
		"directories of a node, where no mount option holds: a pod that names the claim itself can write unless "+
		"the directory's permissions forbid it", p.Backend().Name)}
}
