package inject

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// This file and remove_operations.go are the one place where anything is taken away, for those who leave. Neither path of injection
// comes here.

// Remove decides what injection has put into the pods of one object and returns the operations that take it out again.
//
// Ours is what injection would write, to the letter: a volume with the name that a profile gives it and the claim that the
// release gives the profile, with nothing else in it; a mount of that volume at the profile's path, as the pod's annotations
// narrow it, in a container that the profile includes; and what the tables of this file list. Everything else is the pod's
// own and stays, and so does a volume that something of the pod's own mounts. A nil Selector means every pod.
func Remove(config *Config, req Request, object *Object) Result {
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
	at     func(*Pod) string
	traces func(*chosenProfile) []trace
	// beside tells of a value that may be ours, among others.
	beside func(found any, p *chosenProfile) string
}{
	{func(p *Pod) string { return p.SecurityContextPath }, podGroup, groupBeside},
}

// variables are those of the profile's folder, and the one that tells the mount path.
func variables(p *chosenProfile) []trace {
	var traces []trace
	for _, v := range p.variables {
		traces = append(traces, trace{"environment variable " + v.Name, v, Addition{Profile: p.Name, Env: v.Name}})
	}
	if p.Env != "" {
		traces = append(traces, trace{"environment variable " + p.Env, variable(p.Env, p.Mount.Path), Addition{Profile: p.Name, Env: p.Env}})
	}
	return traces
}

func podGroup(p *chosenProfile) []trace {
	if p.FSGroup == nil {
		return nil
	}
	return []trace{{"fsGroup", groupContext(p.FSGroup), Addition{Profile: p.Name, FSGroup: p.FSGroup}}}
}

// groupBeside tells of a group in a security context with other fields, which the pod's author may have set.
func groupBeside(found any, p *chosenProfile) string {
	if context, _ := found.(map[string]any); p.FSGroup == nil || !isJSON(context["fsGroup"], p.FSGroup) {
		return ""
	}
	return fmt.Sprintf("fsGroup %d stays: the security context has fields of the pod's own, and the group may be one of them; "+
		"take it out by hand if the profile %q has set it", *p.FSGroup, p.Name)
}

// removal is the work on one object.
type removal struct {
	config    *Config
	request   Request
	object    *Object
	decisions []Decision
	// volumes are ours, which pods may share.
	volumes []*ourVolume
	places  []*takenPlace
}

// ourVolume is a volume of ours in a list of volumes.
type ourVolume struct {
	profile, name, claim string
	list                 string
	index                int
	// pods are the positions of the pods that have it.
	pods []int
	// stays says that something else mounts it.
	stays bool
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
		if slices.ContainsFunc(pod.volumes(), func(v PodVolume) bool { return v.Claim == claim && v.Name != r.config.Profiles[p].VolumeName() }) {
			r.colocation(i, &r.config.Profiles[p], claim) // the label is ours alone, whatever mounts the claim
		}
	}
	for _, v := range pod.volumes() {
		if isOurs(v.Name) && v.Claim != "" && !hasVolume(r.config, v.Name) {
			r.warn(i, "volume %q stays: no profile of this configuration has that name", v.Name)
		}
	}
	for c := range pod.Containers {
		r.container(i, &pod.Containers[c], uses)
	}
	if pod.Label != nil && pod.Label.Value == LabelEnabled {
		r.warn(i, "the label %s is left: it may be the pod's own, and without the webhook it does nothing", pod.Label.Key)
	}
	return uses
}

// use finds the volumes of a profile in a pod. A volume of our name that is anything else is told and stays.
func (r *removal) use(i int, profile *Profile) ([]use, error) {
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
func (r *removal) tellOwn(i int, profile *Profile, volume string) {
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
func (r *removal) claim(i int, profile *Profile) string {
	release := r.request.Release
	if slices.Contains(InjectedProfiles(r.object.Pods[i].Annotations), profile.Name) {
		release = Release{}
	}
	return profile.Names(release, r.request.Namespace).Claim
}

// volume notes that a pod has a volume, which another pod may have brought already.
func (r *removal) volume(i int, v ourVolume) *ourVolume {
	at := slices.IndexFunc(r.volumes, func(o *ourVolume) bool { return o.list == v.list && o.index == v.index })
	if at < 0 {
		at = len(r.volumes)
		r.volumes = append(r.volumes, &v)
	}
	r.volumes[at].pods = append(r.volumes[at].pods, i)
	return r.volumes[at]
}

// container takes our mounts, and what came with them.
func (r *removal) container(i int, c *Container, uses []use) {
	var gone []*chosenProfile
	mounts := c.Path + "/volumeMounts"
	for _, u := range uses {
		if !u.profile.includes(c.Name) {
			continue
		}
		isOurs := false
		for n, raw := range r.list(mounts) {
			if isJSON(raw, u.mount) {
				isOurs = true
				r.take(mounts, n)
			}
		}
		if isOurs {
			gone = append(gone, u.profile)
			r.removed(i, Addition{Profile: u.profile.Name, Container: c.Name, Volume: u.volume.name, MountPath: u.profile.Mount.Path})
		}
	}
	for _, row := range containerTraces {
		var traces []trace
		for _, profile := range gone {
			traces = append(traces, row.traces(profile)...)
		}
		traces = slices.DeleteFunc(traces, func(t trace) bool { return r.isExpanded(mounts, t.addition.Env) })
		r.takeHead(i, c, row.list, traces)
	}
}

// isExpanded reports whether a mount that stays needs a variable.
func (r *removal) isExpanded(mounts, name string) bool {
	for n, raw := range r.list(mounts) {
		mount, _ := raw.(map[string]any)
		if strings.Contains(text(mount["subPathExpr"]), "$("+name+")") && !r.isTaken(mounts, n) {
			return true
		}
	}
	return false
}

// takeHead takes our items from the head of a list. One that stands elsewhere may be the pod's own.
func (r *removal) takeHead(i int, c *Container, list string, traces []trace) {
	path, atHead := c.Path+"/"+list, true
	for n, raw := range r.list(path) {
		t := slices.IndexFunc(traces, func(t trace) bool { return isJSON(raw, t.value) })
		atHead = atHead && t >= 0
		switch {
		case atHead:
			r.take(path, n)
			addition := traces[t].addition
			addition.Container = c.Name
			r.removed(i, addition)
		case t >= 0:
			r.warn(i, "container %q: %s stays: what is injected comes first in its list, and this may be the pod's own", c.Name, traces[t].what)
		}
	}
}

// takeVolume takes a volume that nothing mounts any more.
func (r *removal) takeVolume(v *ourVolume) {
	root := v.list[:strings.LastIndexByte(v.list, '/')]
	if mount := r.otherMount(r.lookup(root), root, v.name); mount != "" {
		v.stays = true
		i, container := r.containerOf(mount)
		if !slices.Contains(v.pods, i) {
			i = v.pods[0]
		}
		r.decisions[i].Reason = ReasonKept
		r.decisions[i].Message = fmt.Sprintf("volume %q stays: %s mounts it in a way of its own", v.name, container)
		r.warn(i, "%s", r.decisions[i].Message)
		return
	}
	r.take(v.list, v.index)
	r.removed(v.pods[0], Addition{Profile: v.profile, Volume: v.name, Claim: v.claim})
}

// otherMount returns the pointer of a mount of the volume that stays, wherever it is, or "".
func (r *removal) otherMount(value any, pointer, volume string) string {
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if found := r.otherMount(value[key], pointer+"/"+escape(key), volume); found != "" {
				return found
			}
		}
	case []any:
		isMounts := strings.HasSuffix(pointer, "/volumeMounts") || strings.HasSuffix(pointer, "/volumeDevices")
		for n, item := range value {
			path := pointer + "/" + strconv.Itoa(n)
			if mount, _ := item.(map[string]any); isMounts && text(mount["name"]) == volume && !r.isTaken(pointer, n) {
				return path
			}
			if found := r.otherMount(item, path, volume); found != "" {
				return found
			}
		}
	}
	return ""
}

// containerOf names the container that a place is in, and the position of its pod, or -1.
func (r *removal) containerOf(pointer string) (pod int, name string) {
	for i := range r.object.Pods {
		for _, c := range r.object.Pods[i].Containers {
			if strings.HasPrefix(pointer, c.Path+"/") {
				return i, fmt.Sprintf("container %q", c.Name)
			}
		}
	}
	return -1, pointer
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

// unmark takes the webhook's mark when all that it names is gone.
func (r *removal) unmark(pod *Pod, gone []string) {
	path := pod.Path + "/metadata/annotations"
	annotations, _ := r.lookup(path).(map[string]any)
	marked, err := splitNames(text(annotations[AnnotationInjected]))
	if err != nil || len(marked) == 0 || slices.ContainsFunc(marked, func(name string) bool { return !slices.Contains(gone, name) }) {
		return
	}
	if len(annotations) > 1 {
		path += "/" + escape(AnnotationInjected)
	}
	r.takeField(path)
}

// colocation takes the label by which the pods of a claim were kept on one node, and the affinity to them.
func (r *removal) colocation(i int, profile *Profile, claim string) {
	pod := &r.object.Pods[i]
	if !profile.Colocates() {
		return
	}
	key, value := profile.ClaimLabel(), claimLabelValue(claim)
	have, _ := r.lookup(pod.LabelsPath).(map[string]any)
	if pod.LabelsPath != "" && text(have[key]) == value && r.takeKey(pod.LabelsPath, len(have), key) {
		r.removed(i, Addition{Profile: profile.Name, Label: key + "=" + value})
	}
	path, ours := pod.AffinityPath, any([]corev1.PodAffinityTerm{claimTerm(key, value)})
	if path == "" {
		return
	}
	for depth := 0; depth <= len(affinityNames); depth++ {
		whole := ours
		for _, name := range slices.Backward(affinityNames[depth:]) {
			whole = map[string]any{name: whole}
		}
		if isJSON(r.lookup(path), whole) {
			if r.takeField(path) {
				r.removed(i, Addition{Profile: profile.Name, Affinity: corev1.LabelHostname})
			}
			return
		}
		if depth < len(affinityNames) {
			path += "/" + affinityNames[depth]
		}
	}
}

// conclude gives a pod the reason for what was done.
func (r *removal) conclude(i int) {
	d := &r.decisions[i]
	switch {
	case d.Reason != "":
	case len(d.Removed) > 0:
		d.Reason = ReasonRemoved
	default:
		d.Reason, d.Message = ReasonNotInjected, "it has nothing that this configuration injects"
	}
}

func (r *removal) warn(i int, format string, args ...any) {
	r.decisions[i].Warnings = append(r.decisions[i].Warnings, fmt.Sprintf(format, args...))
}

func (r *removal) removed(i int, a Addition) {
	r.decisions[i].Removed = append(r.decisions[i].Removed, a)
}
