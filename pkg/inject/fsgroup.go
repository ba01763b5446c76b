package inject

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// fsGroup sets the profile's group where the pod has none, so that a process that is not root can
// write.
func (p *podPatch) fsGroup(profile *chosenProfile, volume kinds.PodVolume) {
	if p.pod.SecurityContextPath == "" {
		p.warn(
			"fsGroup %d of profile %q is not set: this kind has no security context of the pod, or its parent is missing",
			*profile.FSGroup, profile.Name,
		)
		return
	}
	context := p.context()
	if context.HasFSGroup {
		if p.group != nil && *p.group != *profile.FSGroup {
			p.warn(
				"fsGroup %d of profile %q is not set: the pod has %d for another profile", *profile.FSGroup, profile.Name,
				*p.group,
			)
		}
		return
	}
	p.group = profile.FSGroup
	p.setContext(fieldFSGroup, profile.FSGroup, Addition{Profile: profile.Name, FSGroup: profile.FSGroup})
	if !context.HasFSGroupChangePolicy {
		p.setContext(fieldFSGroupChangePolicy, corev1.FSGroupChangeOnRootMismatch)
	}
	context.HasFSGroup, context.HasFSGroupChangePolicy = true, true
	p.pod.SecurityContext = &context
	if others := p.otherClaims(volume); len(others) > 0 {
		p.warn("fsGroup %d applies to the pod's other claims too: %s", *profile.FSGroup, strings.Join(others, ", "))
	}
}

// namedClaims is how many claims a warning names.
const namedClaims = 10

// otherClaims are the first other claims of the pod, and a word for the rest.
func (p *podPatch) otherClaims(volume kinds.PodVolume) []string {
	var others []string
	for _, v := range p.volumes.list {
		if v.Claim == "" || v.Claim == volume.Claim {
			continue
		}
		if len(others) == namedClaims {
			return append(others, "and more")
		}
		others = append(others, v.Claim)
	}
	return others
}
