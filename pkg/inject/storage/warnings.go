package storage

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Warnings returns the warnings for people about the profile itself.
func (p *Profile) Warnings() []string {
	var warnings []string
	if p.Volume != nil && *p.Volume.Create && p.Volume.Zone == "" && p.topologyKey() != "" {
		warnings = append(warnings, p.warning("volume.zone is empty, so the scheduler may put pods where the volume "+
			"cannot be reached; set it to the volume's %s", p.Backend().TopologyKey))
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
