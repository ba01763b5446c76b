package inject

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// The fields of a pod's security context that injection sets.
// Source: Kubernetes, core/v1 PodSecurityContext.
const (
	fieldFSGroup             = "fsGroup"
	fieldFSGroupChangePolicy = "fsGroupChangePolicy"
	fieldSELinuxChangePolicy = "seLinuxChangePolicy"
)

// context is the pod's security context with what was added to it; empty where it has none.
func (p *podPatch) context() kinds.SecurityContext {
	if p.pod.SecurityContext == nil {
		return kinds.SecurityContext{}
	}
	return *p.pod.SecurityContext
}

// setContext gives the pod's security context a field that it does not have, and with the first one
// the context itself, where the pod has none.
func (p *podPatch) setContext(name string, value any, reports ...Addition) {
	p.addsContext = p.addsContext || p.pod.SecurityContext == nil
	if p.addsContext {
		p.mergeField(p.pod.SecurityContextPath, map[string]any{name: value}, reports...)
	} else {
		p.setField(p.pod.SecurityContextPath+"/"+name, value, reports...)
	}
}

// contextTrace is a field that injection adds to a security context for a profile.
type contextTrace struct {
	field, what, profile string
	value                any
	addition             Addition
}

// contextTraces are the fields, each with what a profile sets. The value is nil where it sets none.
// The policy of fsGroup is no field of its own: it comes with the group.
var contextTraces = []func(*chosenProfile) contextTrace{
	func(p *chosenProfile) contextTrace {
		if p.FSGroup == nil {
			return contextTrace{}
		}
		addition := Addition{Profile: p.Name, FSGroup: p.FSGroup}
		return contextTrace{fieldFSGroup, fmt.Sprintf("fsGroup %d", *p.FSGroup), p.Name, *p.FSGroup, addition}
	},
	func(p *chosenProfile) contextTrace {
		policy := p.SELinuxChangePolicy
		if policy == "" {
			return contextTrace{}
		}
		addition := Addition{Profile: p.Name, SELinuxChangePolicy: string(policy)}
		what := "seLinuxChangePolicy " + string(policy)
		return contextTrace{fieldSELinuxChangePolicy, what, p.Name, policy, addition}
	},
}

// injectedContext is what injection writes for some profiles where a pod has no security context:
// the whole of it, and its fields for reports. Only one of the profiles sets a field: the one whose
// value is found, or else any.
func injectedContext(found map[string]any, profiles ...*chosenProfile) (map[string]any, []contextTrace) {
	whole := map[string]any{}
	var traces []contextTrace
	for _, trace := range contextTraces {
		var set contextTrace
		for _, p := range profiles {
			if t := trace(p); t.value != nil && (set.value == nil || isJSON(found[t.field], t.value)) {
				set = t
			}
		}
		if set.value == nil {
			continue
		}
		whole[set.field] = set.value
		traces = append(traces, set)
		if set.field == fieldFSGroup {
			whole[fieldFSGroupChangePolicy] = corev1.FSGroupChangeOnRootMismatch
		}
	}
	return whole, traces
}

// securityContext removes a security context that is, to the letter, what injection writes for the
// profiles that are removed. Of another one it warns: fields in it may be the pod's own.
func (r *removal) securityContext(i int, removed []*chosenProfile) {
	path := r.object.Pods[i].SecurityContextPath
	found, _ := r.lookup(path).(map[string]any)
	whole, traces := injectedContext(found, removed...)
	if path == "" || len(traces) == 0 || len(found) == 0 {
		return
	}
	isInjected := isJSON(found, whole)
	if isInjected && !r.removeField(path) {
		return // another pod of the object has it, too
	}
	for _, t := range traces {
		switch {
		case isInjected:
			r.removed(i, t.addition)
		case isJSON(found[t.field], t.value):
			r.warn(
				i, "%s stays: the security context has fields of the pod's own, and this may be one of them; remove it "+
					"yourself if the profile %q has set it", t.what, t.profile,
			)
		}
	}
}

// ownContext are the fields of a pod's security context that injection may have added for a profile
// in a pod that has the claim by its own volume.
func (r *removal) ownContext(pod *kinds.Pod, own *chosenProfile) []contextTrace {
	found, _ := r.lookup(pod.SecurityContextPath).(map[string]any)
	whole, traces := injectedContext(found, own)
	if len(found) == 0 || !isJSON(found, whole) {
		return nil
	}
	return traces
}
