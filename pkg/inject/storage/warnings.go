package storage

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// Warnings returns what people should know about the profile itself.
func (p *Profile) Warnings() []string {
	var warnings []string
	if p.Volume != nil && *p.Volume.Create && p.Volume.Zone == "" && p.topologyKey() != "" {
		warnings = append(warnings, fmt.Sprintf("profile %q: volume.zone is empty, so the scheduler may put pods where the volume cannot be reached; set it to the volume's %s",
			p.Name, p.Backend().TopologyKey))
	}
	if p.FSGroup != nil && p.onHostPath() {
		warnings = append(warnings, fmt.Sprintf("profile %q: fsGroup has no effect on hostPath volumes, which the backend %s uses here: a folder must be writable for the pods' user by itself",
			p.Name, p.Backend().Name))
	}
	if !p.Mount.ReadOnly && len(p.Claim.AccessModes) == 1 && p.Claim.AccessModes[0] == corev1.ReadOnlyMany {
		warnings = append(warnings, fmt.Sprintf("profile %q: its claim is ReadOnlyMany, but its mount is not read-only: set mount.readOnly: true, or containers find out when they write",
			p.Name))
	}
	warnings = append(warnings, p.readOnlyWarning()...)
	warnings = append(warnings, p.attributesClassWarnings()...)
	return append(warnings, p.colocateWarning()...)
}

// onHostPath reports whether the profile's volumes are hostPath volumes, whose owner the kubelet never changes.
// Source: Kubernetes, Configure a Security Context for a Pod, volume types that support ownership management.
func (p *Profile) onHostPath() bool {
	b := p.Backend()
	return b.source == sourceHostPath || b.HostPath && p.Volume == nil
}
