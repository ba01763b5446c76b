package inject

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// annotationMirror is on a static pod's mirror, which the API server never changes.
// Source: Kubernetes, core/v1 MirrorPodAnnotationKey.
const annotationMirror = "kubernetes.io/config.mirror"

// errNotServed is a refusal by the administrator's configuration, not a conflict within the pod.
var errNotServed = errors.New("the administrator does not allow it")

// Patch decides about the pods of one object, which may share a list of volumes. The configuration
// must have its defaults ([storage.Config.SetDefaults]). Patch changes neither the configuration nor
// the pods, so that several calls may read the same ones at once.
//
// When one pod is refused, the result has no operations at all: the reasons, messages and warnings
// of all pods remain.
func Patch(config *storage.Config, req Request, pods ...kinds.Pod) Result {
	var result Result
	edits, isRefused := newEdits(pods), false
	for i := range pods {
		pod := pods[i]
		pod.Volumes, pod.Containers = slices.Clip(pod.Volumes), slices.Clone(pod.Containers)
		for j := range pod.Containers {
			c := &pod.Containers[j]
			c.Mounts, c.Env = slices.Clip(c.Mounts), slices.Clip(c.Env)
		}
		p := podPatch{config: config, request: req, pod: &pod, edits: edits, volumes: volumeList{list: pod.AllVolumes()}}
		decision := p.decide()
		decision.problemsFirst()
		decision.escape()
		if decision.Reason.Refuses() { // an object that is refused gets nothing
			decision.Added, decision.Profiles, decision.Claims, decision.Problems = nil, nil, nil, nil
			isRefused = true
		}
		result.Decisions = append(result.Decisions, decision)
	}
	if !isRefused {
		result.Operations = edits.operations()
	}
	return result
}

// podPatch is the work on one pod.
type podPatch struct {
	config   *storage.Config
	request  Request
	pod      *kinds.Pod
	edits    *edits
	decision Decision
	// volumes are all volumes that the pod can mount. containers are its containers by name, once
	// something looks for one.
	volumes    volumeList
	containers map[string]*kinds.Container
	// addsContext is true where the pod's security context is an addition. group and seLinuxPolicy
	// are the fsGroup and the seLinuxChangePolicy that a profile has set in it.
	addsContext   bool
	group         *int64
	seLinuxPolicy corev1.PodSELinuxChangePolicy
	// nested are the mounts that nest with those of profiles.
	nested nestedPaths
	// follows is the term that a profile has added to the pod's affinity.
	follows *corev1.PodAffinityTerm
}

// decide returns the decision about the pod and records its edits. The opt-in label decides first. A
// pod whose containers are not here gets the label that leads it to the webhook.
func (p *podPatch) decide() Decision {
	p.decision.Pod = p.pod.Path
	reason, message := p.skip()
	switch {
	case reason != "":
	case len(p.pod.Containers) == 0 && p.pod.Label != nil:
		reason, message = p.label()
	case len(p.pod.Containers) == 0 && p.pod.Why != "":
		reason, message = ReasonNoPods, p.pod.Why
	default:
		reason, message = p.inject()
		isMounted := reason == ReasonInjected || reason == ReasonAlreadyMounted
		if isMounted && len(p.pod.ExternalContainers) > 0 && p.labelExternal() {
			reason = ReasonInjected
		}
	}
	if reason == ReasonInjected && p.request.Admission {
		p.annotate()
		p.labelSelected()
	}
	if reason.Refuses() {
		message += p.request.SelectedBy.Explanation()
	}
	if nested := p.nested.warning(); nested != "" {
		p.warn("%s", nested)
	}
	p.decision.Reason, p.decision.Message = reason, message
	return p.decision
}

// skip returns why the pod gets nothing, or an empty reason.
func (p *podPatch) skip() (Reason, string) {
	_, isMirror := p.pod.Annotations[annotationMirror]
	switch {
	case !p.request.Selects(p.pod.Labels):
		return ReasonNotSelected, p.request.notSelected(p.pod.Labels)
	case isMirror:
		return ReasonMirrorPod, "a mirror pod is changed on its node only"
	case p.pod.Windows:
		return ReasonWindows, "the profile's mount path is for Linux"
	}
	return "", ""
}

// inject plans every chosen profile. A reason that refuses ends it.
func (p *podPatch) inject() (Reason, string) {
	chosen, err := p.choose()
	if err != nil {
		return ReasonInvalid, err.Error()
	}
	if len(chosen) == 0 {
		return ReasonAlreadyMounted, "the pod keeps the volumes of profiles that no longer exist"
	}
	mounted := false
	for _, profile := range chosen {
		isMounted, err := p.mountProfile(profile)
		if errors.Is(err, errNotServed) {
			return ReasonInvalid, err.Error()
		}
		if err != nil {
			return ReasonConflict, err.Error()
		}
		mounted = mounted || isMounted
	}
	switch {
	case len(p.decision.Added) > 0:
		return ReasonInjected, ""
	case mounted:
		return ReasonAlreadyMounted, ""
	}
	return ReasonExcluded, "every container is excluded by name"
}

// warnMissingAnnotations warns of annotations that the driver requires on a pod before it mounts
// anything. Without them the pod waits forever.
func (p *podPatch) warnMissingAnnotations(profile *chosenProfile) {
	backend := profile.Backend()
	if len(backend.PodAnnotations) == 0 { // nearly every driver
		return
	}
	for _, key := range slices.Sorted(maps.Keys(backend.PodAnnotations)) {
		if value := backend.PodAnnotations[key]; p.pod.Annotations[key] != value {
			p.warn(
				"profile %q: the driver %s mounts only into pods with the annotation %s: %q: add it to the pod template",
				profile.Name, backend.Driver, key, value,
			)
		}
	}
}

// warn adds a warning for people. A warning never changes what is decided.
func (p *podPatch) warn(format string, args ...any) {
	p.decision.Warnings = append(p.decision.Warnings, fmt.Sprintf(format, args...))
}

// mountProfile mounts one profile into the pod and reports whether any container has it then.
func (p *podPatch) mountProfile(profile *chosenProfile) (bool, error) {
	if !p.includesAny(profile) {
		return false, nil
	}
	volume, err := p.volume(profile)
	if err != nil {
		return false, err
	}
	if err := p.mount(profile, volume); err != nil {
		return false, err
	}
	if profile.FSGroup != nil {
		p.fsGroup(profile, volume)
	}
	p.seLinuxChangePolicy(profile)
	if profile.Colocates() {
		if err := p.colocate(profile, volume.Claim); err != nil {
			return false, err
		}
	}
	p.warnMissingAnnotations(profile)
	p.check(profile, volume)
	p.decision.Profiles = append(p.decision.Profiles, profile.Name)
	p.decision.Claims = append(p.decision.Claims, volume.Claim)
	return true, nil
}

// check finds what keeps the pod from using a profile's storage though it is mounted.
func (p *podPatch) check(profile *chosenProfile, volume kinds.PodVolume) {
	p.checkReadOnly(profile, volume)
	p.checkOneVolume(volume)
	p.checkUserNamespace(profile)
	p.checkSELinux(volume)
}
