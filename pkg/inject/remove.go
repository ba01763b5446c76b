package inject

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// Remove decides what injection has put into the pods of one object and returns the operations that take it out again.
//
// Ours is what injection would write, to the letter: a volume with the name that a profile gives it and the claim that the
// release gives the profile, with nothing else in it; a mount of that volume at the profile's path, as the pod's annotations
// narrow it, in a container that the profile includes; and what containerTraces and podTraces list. Everything else is the pod's
// own and stays, and so does a volume that something of the pod's own mounts. A nil Selector means every pod.
//
// Remove is for those who leave. Neither path of injection calls it.
func Remove(config *storage.Config, req Request, object *kinds.Object) Result {
	r := removal{config: config, request: req, object: object, decisions: make([]Decision, len(object.Pods))}
	uses := make([][]use, len(object.Pods))
	for i := range object.Pods {
		uses[i] = r.pod(i)
	}
	for _, v := range r.volumes {
		r.takeVolume(v)
	}
	for i := range object.Pods {
		r.fields(i, uses[i])
		r.conclude(i)
	}
	result := Result{Decisions: r.decisions}
	if result.Refused() == nil {
		result.Operations = r.operations()
	}
	return result
}

// trace is one thing that injection leaves, what people call it, and how reports tell of it.
type trace struct {
	what     string
	value    any
	addition Addition
}

// containerTraces are what injection puts at the head of lists of a container that gets a mount, besides the mount. What has
// no line here stays when a user leaves.
var containerTraces = []struct {
	list   string
	traces func(*chosenProfile) []trace
}{
	{"env", variables},
}

// podTraces are the fields of a pod that injection sets for a profile. A pod loses one when it is, to the letter, what
// injection writes where there was nothing.
var podTraces = []struct {
	at     func(*kinds.Pod) string
	traces func(*chosenProfile) []trace
	// beside tells of a value that may be ours, among others.
	beside func(found any, p *chosenProfile) string
}{
	{func(p *kinds.Pod) string { return p.SecurityContextPath }, podGroup, groupBeside},
}

// removal is the work on one object.
type removal struct {
	config    *storage.Config
	request   Request
	object    *kinds.Object
	decisions []Decision
	// volumes are ours, which pods may share.
	volumes []*ourVolume
	places  []*takenPlace
}

// use is a profile in a pod that has its volume, with the mount that injection gives the containers.
type use struct {
	profile *chosenProfile
	volume  *ourVolume
	mount   any
}

// pod takes the mounts of one pod, and what stands beside them.
func (r *removal) pod(i int) []use {
	pod, d := &r.object.Pods[i], &r.decisions[i]
	d.Pod = pod.Path
	if s := r.request.Selector; s != nil && !s.Matches(labels.Set(pod.Labels)) {
		d.Reason, d.Message = ReasonNotSelected, fmt.Sprintf("its labels do not match %q", s)
		return nil
	}
	var uses []use
	for p := range r.config.Profiles {
		found, err := r.use(i, &r.config.Profiles[p])
		if err != nil {
			d.Reason, d.Message = ReasonInvalid, err.Error()
			return nil
		}
		uses = append(uses, found...)
		claim := r.claim(i, &r.config.Profiles[p])
		if slices.ContainsFunc(pod.AllVolumes(), func(v kinds.PodVolume) bool { return v.Claim == claim && v.Name != r.config.Profiles[p].VolumeName() }) {
			r.colocation(i, &r.config.Profiles[p], claim) // the label is ours alone, whatever mounts the claim
		}
	}
	for _, v := range pod.AllVolumes() {
		if storage.IsVolumeName(v.Name) && v.Claim != "" && !hasVolume(r.config, v.Name) {
			r.warn(i, "volume %q stays: no profile of this configuration has that name", v.Name)
		}
	}
	for c := range pod.Containers {
		r.container(i, &pod.Containers[c], uses)
	}
	if pod.Label != nil && pod.Label.Value == kinds.LabelEnabled {
		r.warn(i, "the label %s is left: it may be the pod's own, and without the webhook it does nothing", pod.Label.Key)
	}
	return uses
}

// use finds the volumes of a profile in a pod. A volume of our name that is anything else is told and stays.
func (r *removal) use(i int, profile *storage.Profile) ([]use, error) {
	pod, name, claim := &r.object.Pods[i], profile.VolumeName(), r.claim(i, profile)
	var uses []use
	for n, raw := range r.list(pod.VolumesPath) {
		if v := pod.Volumes[n]; v.Name != name {
			if v.Claim == claim {
				r.tellOwn(i, profile, v.Name)
			}
			continue
		}
		if !isJSON(raw, podVolume(name, claim)) {
			r.warn(i, "volume %q stays: it is something else than the claim %q, which profile %q mounts", name, claim, profile.Name)
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
		volume := r.volume(i, ourVolume{profile: profile.Name, name: name, claim: claim, list: pod.VolumesPath, index: n})
		inPod := podPatch{config: r.config, request: r.request, pod: pod}
		mount, _, err := inPod.volumeMount(chosen, name)
		if err != nil { // what nothing can be injected for is not ours
			r.warn(i, "%s", err)
		}
		uses = append(uses, use{chosen, volume, mount})
	}
	return uses, nil
}

// tellOwn tells what may be ours in a pod that has the claim by a volume of its own. Injection adds no mount there, but what
// stands beside one. What cannot be the pod's own, the colocation, is taken.
func (r *removal) tellOwn(i int, profile *storage.Profile, volume string) {
	pod, own := &r.object.Pods[i], chosenProfile{Profile: *profile}
	tell := func(list []any, traces []trace) {
		for _, t := range traces {
			if slices.ContainsFunc(list, func(value any) bool { return isJSON(value, t.value) }) {
				r.warn(i, "%s stays: the pod has the claim by its own volume %q, and this may be its own, too", t.what, volume)
			}
		}
	}
	for _, row := range podTraces {
		tell([]any{r.lookup(row.at(pod))}, row.traces(&own))
	}
	for _, c := range pod.Containers {
		for _, m := range c.Mounts {
			if own.Mount.Path = m.Path; m.Volume != volume {
				continue
			}
			for _, row := range containerTraces {
				tell(r.list(c.Path+"/"+row.list), row.traces(&own))
			}
		}
	}
}

// claim is the name of the profile's claim, as the way in which the pod was injected makes it: the webhook leaves its mark.
func (r *removal) claim(i int, profile *storage.Profile) string {
	release := r.request.Release
	if slices.Contains(InjectedProfiles(r.object.Pods[i].Annotations), profile.Name) {
		release = storage.Release{}
	}
	return profile.Names(release, r.request.Namespace).Claim
}

// fields takes what was set on a pod for profiles whose volume goes.
func (r *removal) fields(i int, uses []use) {
	pod := &r.object.Pods[i]
	var gone []string
	for _, u := range uses {
		if u.volume.stays {
			continue
		}
		gone = append(gone, u.profile.Name)
		r.colocation(i, &u.profile.Profile, u.volume.claim)
		for _, row := range podTraces {
			found := r.lookup(row.at(pod))
			for _, t := range row.traces(u.profile) {
				if isJSON(found, t.value) {
					if r.takeField(row.at(pod)) {
						r.removed(i, t.addition)
					}
				} else if told := row.beside(found, u.profile); told != "" {
					r.warn(i, "%s", told)
				}
			}
		}
	}
	r.unmark(pod, gone)
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

func (r *removal) warn(i int, format string, args ...any) {
	r.decisions[i].Warnings = append(r.decisions[i].Warnings, fmt.Sprintf(format, args...))
}

func (r *removal) removed(i int, a Addition) {
	r.decisions[i].Removed = append(r.decisions[i].Removed, a)
}
