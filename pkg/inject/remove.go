package inject

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// Remove decides what injection has added to the pods of one object and returns the operations that
// remove it.
//
// An addition is what injection would write, to the letter: a volume with the name that a profile
// gives it and the claim that the release gives the profile, with nothing else in it; a mount of
// that volume at the profile's path, as the pod's annotations narrow it, in a container that the
// profile includes; and what containerTraces and injectedContext list. Everything else is the pod's
// own and remains, and so does a volume that something of the pod's own mounts. A nil Selector means
// every pod.
//
// Remove is for users who uninstall. Neither path of injection calls it.
func Remove(config *storage.Config, req Request, object *kinds.Object) Result {
	r := removal{config: config, request: req, object: object, decisions: make([]Decision, len(object.Pods))}
	injected := make([][]injectedProfile, len(object.Pods))
	for i := range object.Pods {
		injected[i] = r.pod(i)
	}
	for _, v := range r.volumes {
		r.removeVolume(v)
	}
	for i := range object.Pods {
		r.fields(i, injected[i])
		r.conclude(i)
	}
	result := Result{Decisions: r.decisions}
	if result.Refused() == nil {
		result.Operations = r.operations()
	}
	return result
}

// trace is one addition, what people call it, and how reports write it.
type trace struct {
	what     string
	value    any
	addition Addition
}

// containerTraces are what injection puts at the head of lists of a container that gets a mount, in
// addition to the mount. An addition without a line here remains when a user uninstalls.
var containerTraces = []struct {
	list   string
	traces func(*chosenProfile) []trace
}{
	{"env", variables},
}

// removal is the work on one object.
type removal struct {
	config    *storage.Config
	request   Request
	object    *kinds.Object
	decisions []Decision
	// volumes are those that injection added. Pods may share them.
	volumes []*injectedVolume
	places  []*removedPlace
}

// injectedProfile is a profile in a pod that has its volume, with the mount that injection gives
// the containers.
type injectedProfile struct {
	profile *chosenProfile
	volume  *injectedVolume
	mount   any
}

// pod removes the mounts of one pod, and what came with them.
func (r *removal) pod(i int) []injectedProfile {
	pod, d := &r.object.Pods[i], &r.decisions[i]
	d.Pod = pod.Path
	if s := r.request.Selector; s != nil && !s.Matches(labels.Set(pod.Labels)) {
		d.Reason, d.Message = ReasonNotSelected, fmt.Sprintf("its labels do not match %q", s)
		return nil
	}
	var injected []injectedProfile
	for p := range r.config.Profiles {
		found, err := r.findInjected(i, &r.config.Profiles[p])
		if err != nil {
			d.Reason, d.Message = ReasonInvalid, err.Error()
			return nil
		}
		injected = append(injected, found...)
		claim := r.claim(i, &r.config.Profiles[p])
		if slices.ContainsFunc(
			pod.AllVolumes(),
			func(v kinds.PodVolume) bool { return v.Claim == claim && v.Name != r.config.Profiles[p].VolumeName() },
		) {
			r.colocation(i, &r.config.Profiles[p], claim) // only injection adds the label, whatever mounts the claim
		}
	}
	for _, v := range pod.AllVolumes() {
		if storage.IsVolumeName(v.Name) && v.Claim != "" && !hasVolume(r.config, v.Name) {
			r.warn(i, "volume %q stays: no profile of this configuration has that name", v.Name)
		}
	}
	for c := range pod.Containers {
		r.container(i, &pod.Containers[c], injected)
	}
	if pod.Label != nil && pod.Label.Value == kinds.LabelEnabled {
		r.warn(i, "the label %s stays: it may be the pod's own, and without the webhook it does nothing", pod.Label.Key)
	}
	return injected
}

// findInjected finds the volumes of a profile in a pod. Any other volume of that name is warned
// of and remains.
func (r *removal) findInjected(i int, profile *storage.Profile) ([]injectedProfile, error) {
	pod, name, claim := &r.object.Pods[i], profile.VolumeName(), r.claim(i, profile)
	var injected []injectedProfile
	for n, raw := range r.list(pod.VolumesPath) {
		if v := pod.Volumes[n]; v.Name != name {
			if v.Claim == claim {
				r.warnOfOwnVolume(i, profile, v.Name)
			}
			continue
		}
		if !isJSON(raw, podVolume(name, claim)) {
			r.warn(i, "volume %q stays: it is not the claim %q, which profile %q mounts", name, claim, profile.Name)
			continue
		}
		names, err := splitNames(pod.Annotations[AnnotationProfiles])
		if err != nil {
			return nil, fmt.Errorf("annotation %s: %w", AnnotationProfiles, err)
		}
		chosen, err := narrow(profile, pod.Annotations, len(names) < 2)
		if err != nil {
			return nil, err
		}
		volume := r.volume(
			i, injectedVolume{profile: profile.Name, name: name, claim: claim, list: pod.VolumesPath, index: n},
		)
		inPod := podPatch{config: r.config, request: r.request, pod: pod}
		mount, _, err := inPod.volumeMount(chosen, name)
		if err != nil { // injection would have refused it
			r.warn(i, "%s", err)
		}
		injected = append(injected, injectedProfile{chosen, volume, mount})
	}
	return injected, nil
}

// warnOfOwnVolume warns of possible additions in a pod that has the claim by a volume of its own:
// mounts, and what comes with one. The colocation cannot be the pod's own and is removed.
func (r *removal) warnOfOwnVolume(i int, profile *storage.Profile, volume string) {
	pod, own := &r.object.Pods[i], chosenProfile{Profile: *profile}
	warn := func(what string) {
		r.warn(i, "%s stays: the pod has the claim by its own volume %q, and this may be its own, too", what, volume)
	}
	mount, _, err := (&podPatch{config: r.config, request: r.request, pod: pod}).volumeMount(&own, volume)
	isInjected := func(raw any) bool { return err == nil && isJSON(raw, mount) }
	for _, t := range r.ownContext(pod, &own) {
		warn(t.what)
	}
	for _, c := range pod.Containers {
		if slices.ContainsFunc(r.list(c.Path+"/volumeMounts"), isInjected) {
			warn(fmt.Sprintf("the mount of container %q at %s", c.Name, profile.Mount.Path))
		}
		for _, m := range c.Mounts {
			if own.Mount.Path = m.Path; m.Volume != volume {
				continue
			}
			for _, row := range containerTraces {
				list := r.list(c.Path + "/" + row.list)
				for _, t := range row.traces(&own) {
					if slices.ContainsFunc(list, func(value any) bool { return isJSON(value, t.value) }) {
						warn(t.what)
					}
				}
			}
		}
	}
}

// claim is the name of the profile's claim, as the way in which the pod was injected makes it: the
// webhook writes its annotation.
func (r *removal) claim(i int, profile *storage.Profile) string {
	release := r.request.Release
	if slices.Contains(InjectedProfiles(r.object.Pods[i].Annotations), profile.Name) {
		release = storage.Release{}
	}
	return profile.ClaimName(release, r.request.Namespace)
}

// fields removes what was set on a pod for profiles whose volume is removed.
func (r *removal) fields(i int, injected []injectedProfile) {
	pod := &r.object.Pods[i]
	var names []string
	var removed []*chosenProfile
	for _, p := range injected {
		if p.volume.isRetained {
			continue
		}
		names, removed = append(names, p.profile.Name), append(removed, p.profile)
		r.colocation(i, &p.profile.Profile, p.volume.claim)
	}
	r.securityContext(i, removed)
	r.removeAnnotation(pod, names)
}

// conclude gives a pod the reason for what was done.
func (r *removal) conclude(i int) {
	d := &r.decisions[i]
	switch {
	case d.Reason != "":
	case len(d.Removed) > 0:
		d.Reason = ReasonRemoved
	default:
		d.Reason, d.Message = ReasonNothingToRemove, "it has nothing that this configuration injects"
	}
}

// warn adds a warning about the pod at a position, most often about something that stays.
func (r *removal) warn(i int, format string, args ...any) {
	r.decisions[i].Warnings = append(r.decisions[i].Warnings, fmt.Sprintf(format, args...))
}

// removed reports that something of the pod at a position is removed.
func (r *removal) removed(i int, a Addition) {
	r.decisions[i].Removed = append(r.decisions[i].Removed, a)
}
