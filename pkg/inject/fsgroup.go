package inject

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// groupContext is the security context of a pod that has none of its own.
func groupContext(group *int64) corev1.PodSecurityContext {
	policy := corev1.FSGroupChangeOnRootMismatch
	return corev1.PodSecurityContext{FSGroup: group, FSGroupChangePolicy: &policy}
}

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
	context := p.pod.SecurityContext
	if context != nil && context.HasFSGroup {
		if p.group != nil && *p.group != *profile.FSGroup {
			p.warn(
				"fsGroup %d of profile %q is not set: the pod has %d for another profile", *profile.FSGroup, profile.Name,
				*p.group,
			)
		}
		return
	}
	p.group = profile.FSGroup
	report := Addition{Profile: profile.Name, FSGroup: profile.FSGroup}
	if group := groupContext(profile.FSGroup); context == nil {
		p.setField(p.pod.SecurityContextPath, group, report)
	} else {
		p.setField(p.pod.SecurityContextPath+"/fsGroup", group.FSGroup, report)
		if !context.HasFSGroupChangePolicy {
			p.setField(p.pod.SecurityContextPath+"/fsGroupChangePolicy", *group.FSGroupChangePolicy)
		}
	}
	p.pod.SecurityContext = &kinds.SecurityContext{HasFSGroup: true, HasFSGroupChangePolicy: true}
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

// podGroup is what [Remove] compares a security context with: the whole of one that fsGroup added to
// a pod without its own. It is nil where the profile sets no group.
func podGroup(p *chosenProfile) []trace {
	if p.FSGroup == nil {
		return nil
	}
	return []trace{{"fsGroup", groupContext(p.FSGroup), Addition{Profile: p.Name, FSGroup: p.FSGroup}}}
}

// groupBeside returns a warning about a group in a security context with other fields, which the
// pod's author may have set.
func groupBeside(found any, p *chosenProfile) string {
	if context, _ := found.(map[string]any); p.FSGroup == nil || !isJSON(context["fsGroup"], p.FSGroup) {
		return ""
	}
	return fmt.Sprintf(
		"fsGroup %d stays: the security context has fields of the pod's own, and the group may be one of them; "+
			"remove it yourself if the profile %q has set it",
		*p.FSGroup, p.Name,
	)
}
