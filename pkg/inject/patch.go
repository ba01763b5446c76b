package inject

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"gomodules.xyz/jsonpatch/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Reason says, for a program, what was decided about a pod.
type Reason string

// The reasons. Those that refuse the whole object are [ReasonConflict] and [ReasonInvalid].
const (
	// ReasonInjected: something was added.
	ReasonInjected Reason = "Injected"
	// ReasonAlreadyMounted: every container has the claim already.
	ReasonAlreadyMounted Reason = "AlreadyMounted"
	// ReasonNotSelected: the pod does not ask for storage.
	ReasonNotSelected Reason = "NotSelected"
	// ReasonExcluded: every container is left out by name.
	ReasonExcluded Reason = "Excluded"
	// ReasonUnsupportedKind: the object seems to hold a pod, but no row of the table knows its kind.
	ReasonUnsupportedKind Reason = "UnsupportedKind"
	// ReasonPodInConfigMap: a ConfigMap holds a pod as text, as Airflow's pod_template_file does.
	ReasonPodInConfigMap Reason = "PodInConfigMap"
	// ReasonNoPods: the object is of a kind that holds pods, but holds none.
	ReasonNoPods Reason = "NoPods"
	// ReasonLabelled: the object does not hold the pod's containers, but labels that reach it: the opt-in label is there, so
	// that the webhook mounts the claim. Nothing is mounted where there is no webhook.
	ReasonLabelled Reason = "Labelled"
	// ReasonHookNotInjected: a Helm hook that runs before the claim exists.
	ReasonHookNotInjected Reason = "HookNotInjected"
	// ReasonWindows: a pod for Windows nodes, where the mount path means nothing.
	ReasonWindows Reason = "WindowsNotInjected"
	// ReasonMirrorPod: the mirror of a static pod, which cannot be changed.
	ReasonMirrorPod Reason = "MirrorPod"
	// ReasonConflict: the pod's own volumes, mounts or variables stand in the way.
	ReasonConflict Reason = "Conflict"
	// ReasonInvalid: the pod's annotations ask for what the profiles do not allow.
	ReasonInvalid Reason = "Invalid"
)

// The reasons of [Config.Remove].
const (
	// ReasonRemoved: what was injected was taken away.
	ReasonRemoved Reason = "Removed"
	// ReasonKept: our volume stays, because something else mounts it.
	ReasonKept Reason = "Kept"
	// ReasonNotInjected: the pod has nothing of ours.
	ReasonNotInjected Reason = "NotInjected"
)

// Refuses reports whether the reason refuses the object.
func (r Reason) Refuses() bool { return r == ReasonConflict || r == ReasonInvalid }

// Request says for whom an object is patched.
type Request struct {
	// Release is the Helm release; zero at admission.
	Release Release
	// Namespace is where the object will live.
	Namespace string
	// Selector chooses pods by their labels. Nil selects the pods labelled pipeline-storage=enabled.
	Selector labels.Selector
	// Admission says that a pod is admitted, not rendered. Then profiles serve only the namespaces that they are for, and
	// what was injected is marked on the pod with [AnnotationInjected].
	Admission bool
	// NamespaceLabels are the labels of the namespace, at admission, where a profile has a namespaceSelector.
	NamespaceLabels map[string]string
}

// Addition is one thing that was added, or removed again, for reports.
type Addition struct {
	// Profile is the profile for which it was added.
	Profile string `json:"profile,omitempty"`
	// Container is empty for what concerns the whole pod.
	Container string `json:"container,omitempty"`
	// Volume, MountPath, Env, FSGroup, Label (KEY=VALUE, the opt-in label where there is no profile) and Affinity (a topology
	// key): one kind of addition each; a mount has both Volume and MountPath.
	Volume    string `json:"volume,omitempty"`
	Claim     string `json:"claim,omitempty"`
	MountPath string `json:"mountPath,omitempty"`
	Env       string `json:"env,omitempty"`
	FSGroup   *int64 `json:"fsGroup,omitempty"`
	Label     string `json:"label,omitempty"`
	Affinity  string `json:"affinity,omitempty"`
}

// Decision is what was decided about one pod.
type Decision struct {
	// Pod is the JSON pointer of the pod in its document.
	Pod    string
	Reason Reason
	// Message is a sentence for people, where the reason alone does not say it all.
	Message string
	// Profiles are those whose claim the pod mounts after the operations.
	Profiles []string
	// Claims are the claims that it mounts for them, in the same order.
	Claims []string
	Added  []Addition
	// Removed is what [Config.Remove] took away.
	Removed  []Addition
	Warnings []string
}

// Result is what is to be done to one object.
type Result struct {
	// Operations are RFC 6902 operations against the document that the pods were found in: "add" only, or of
	// [Config.Remove] "remove" only. There are none when any decision refuses.
	Operations []jsonpatch.Operation
	// Decisions has one entry per pod, in the order of the pods.
	Decisions []Decision
}

// Mounted reports whether a mount of the profile's claim was added.
func (d *Decision) Mounted(profile string) bool {
	return slices.ContainsFunc(d.Added, func(a Addition) bool { return a.Profile == profile && a.MountPath != "" })
}

// Refused returns the first decision that refuses the object, or nil.
func (r *Result) Refused() *Decision {
	for i := range r.Decisions {
		if r.Decisions[i].Reason.Refuses() {
			return &r.Decisions[i]
		}
	}
	return nil
}

// DefaultSelector selects the pods labelled pipeline-storage=enabled.
func DefaultSelector() labels.Selector { return defaultSelector }

var defaultSelector = labels.SelectorFromSet(labels.Set{Label: LabelEnabled})

// errNotServed marks a refusal that is the administrator's, not a conflict within the pod.
var errNotServed = errors.New("the administrator does not allow it")

// Patch decides about the pods of one object, which may share a list of volumes.
func (c *Config) Patch(req Request, pods ...Pod) Result {
	var result Result
	containers := 0
	for i := range pods {
		containers += len(pods[i].Containers)
	}
	edits := newEdits(containers)
	for i := range pods {
		pod := pods[i]
		pod.Volumes, pod.Containers = slices.Clip(pod.Volumes), slices.Clone(pod.Containers)
		for j := range pod.Containers {
			c := &pod.Containers[j]
			c.Mounts, c.Env = slices.Clip(c.Mounts), slices.Clip(c.Env)
		}
		p := podPatch{config: c, request: req, pod: &pod, edits: edits}
		result.Decisions = append(result.Decisions, p.decide())
	}
	if result.Refused() == nil {
		result.Operations = edits.operations()
	}
	return result
}

// podPatch is the work on one pod.
type podPatch struct {
	config   *Config
	request  Request
	pod      *Pod
	edits    *edits
	decision Decision
	// group is the fsGroup that a profile has set.
	group *int64
	// follows is the term that a profile has added to the pod's affinity.
	follows *corev1.PodAffinityTerm
}

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
		if p.elsewhere(reason) {
			reason = ReasonInjected
		}
	}
	if reason == ReasonInjected && p.request.Admission {
		p.mark()
	}
	p.decision.Reason, p.decision.Message = reason, message
	if reason.Refuses() {
		p.decision.Added, p.decision.Profiles, p.decision.Claims = nil, nil, nil
	}
	return p.decision
}

// skip returns why the pod is none of ours, if so.
func (p *podPatch) skip() (Reason, string) {
	_, isMirror := p.pod.Annotations[annotationMirror]
	selector := p.request.Selector
	if selector == nil {
		selector = defaultSelector
	}
	switch {
	case !selector.Matches(labels.Set(p.pod.Labels)):
		return ReasonNotSelected, fmt.Sprintf("its labels do not match %q", selector)
	case isMirror:
		return ReasonMirrorPod, "a mirror pod is changed on its node only"
	case p.pod.Windows:
		return ReasonWindows, "the profile's mount path is for Linux"
	}
	return "", ""
}

// byLabel tells what the opt-in label is for.
const byLabel = "the label " + Label + ": " + LabelEnabled + " asks the webhook to mount the claim when the pods are created"

// why says why something cannot be mounted here.
func (p *podPatch) why() string { return cmp.Or(p.pod.Why, "the containers are defined elsewhere") }

// label puts the opt-in label where it reaches a pod whose containers are not here.
func (p *podPatch) label() (Reason, string) {
	if value := p.pod.Label.Value; value != "" && value != LabelEnabled {
		return ReasonNotSelected, fmt.Sprintf("nothing can be mounted here, because %s, and its label %s is %q already", p.why(), Label, value)
	}
	p.addLabel(p.pod.Label)
	return ReasonLabelled, fmt.Sprintf("nothing can be mounted here, because %s; %s", p.why(), byLabel)
}

// addLabel adds the label, with the objects around it that are missing, and reports whether it was not there.
func (p *podPatch) addLabel(place *LabelPlace) bool {
	if place.Value != "" {
		return false
	}
	names := append(slices.Clone(place.Missing), place.Key)
	value := any(LabelEnabled)
	for i := len(names) - 1; i > 0; i-- {
		value = map[string]any{names[i]: value}
	}
	isNew := p.edits.merge(place.Path+"/"+escape(names[0]), value)
	if isNew {
		p.added(Addition{Label: place.Key + "=" + LabelEnabled})
	}
	return isNew
}

// elsewhere tells of containers that are defined elsewhere, beside those that are here, and lets the webhook find them. It
// reports whether the label was added for that.
func (p *podPatch) elsewhere(reason Reason) bool {
	if len(p.pod.Elsewhere) == 0 || reason != ReasonInjected && reason != ReasonAlreadyMounted {
		return false
	}
	isNew, advice := false, "label its pods "+Label+": "+LabelEnabled+", and the webhook mounts the claim"
	if place := p.pod.Label; place != nil && (place.Value == "" || place.Value == LabelEnabled) {
		isNew, advice = p.addLabel(place), byLabel
	}
	for _, name := range p.pod.Elsewhere {
		p.warn("container %q gets no mount here, because %s; %s", name, p.why(), advice)
	}
	return isNew
}

// mark writes which profiles were mounted with their own claims, for the claims controller. A claim that the pod keeps is
// none of them: whoever rendered the pod made it.
func (p *podPatch) mark() {
	before := p.pod.Annotations[AnnotationInjected]
	names := Marked(p.pod.Annotations)
	for i, name := range p.decision.Profiles {
		profile := p.config.Profile(name)
		if profile.Names(Release{}, p.request.Namespace).Claim != p.decision.Claims[i] ||
			!p.decision.Mounted(name) || slices.Contains(names, name) {
			continue
		}
		names = append(names, name)
	}
	value := strings.Join(names, ",")
	switch {
	case value == before:
	case len(p.pod.Annotations) == 0:
		p.edits.set(p.pod.Path+"/metadata/annotations", map[string]string{AnnotationInjected: value})
	default:
		p.edits.set(p.pod.Path+"/metadata/annotations/"+strings.ReplaceAll(AnnotationInjected, "/", "~1"), value)
	}
}

// inject plans every chosen profile. A reason that refuses ends it.
func (p *podPatch) inject() (Reason, string) {
	chosen, err := p.choose()
	if err != nil {
		return ReasonInvalid, err.Error()
	}
	p.decision.Warnings = append(p.decision.Warnings, unknownAnnotations(p.config, p.pod.Annotations)...)
	if len(chosen) == 0 {
		return ReasonAlreadyMounted, "the pod keeps the volumes of profiles that are no more"
	}
	mounted := false
	for _, profile := range chosen {
		use, err := p.use(profile)
		if errors.Is(err, errNotServed) {
			return ReasonInvalid, err.Error()
		}
		if err != nil {
			return ReasonConflict, err.Error()
		}
		mounted = mounted || use
	}
	switch {
	case len(p.decision.Added) > 0:
		return ReasonInjected, ""
	case mounted:
		return ReasonAlreadyMounted, ""
	}
	return ReasonExcluded, "every container is left out by name"
}

// use mounts one profile into the pod and reports whether any container has it then.
func (p *podPatch) use(profile *chosenProfile) (bool, error) {
	p.warnUnknownContainers(profile)
	if !slices.ContainsFunc(p.pod.Containers, func(c Container) bool { return profile.Mount.includes(c.Name) }) {
		return false, nil
	}
	volume, err := p.volume(profile)
	if err != nil {
		return false, err
	}
	for i := range p.pod.Containers {
		c := &p.pod.Containers[i]
		if !profile.Mount.includes(c.Name) {
			continue
		}
		mount := p.mount
		if p.mirrors(profile, c) {
			mount = p.mirror
		}
		if err := mount(profile, volume, c); err != nil {
			return false, fmt.Errorf("container %q: %w", c.Name, err)
		}
	}
	p.fsGroup(profile, volume)
	if err := p.colocate(profile, volume.Claim); err != nil {
		return false, err
	}
	p.warnMissingAnnotations(profile)
	p.decision.Profiles = append(p.decision.Profiles, profile.Name)
	p.decision.Claims = append(p.decision.Claims, volume.Claim)
	return true, nil
}

// volume returns the pod's volume with the profile's claim, which it adds when there is none. A volume of our name with
// another claim stays: the pod was rendered with another configuration, or before a change, and must find its data.
func (p *podPatch) volume(profile *chosenProfile) (PodVolume, error) {
	name, claim := profile.VolumeName(), profile.Names(p.request.Release, p.request.Namespace).Claim
	volumes := p.pod.volumes()
	if i := slices.IndexFunc(volumes, func(v PodVolume) bool { return v.Claim == claim }); i >= 0 {
		if volumes[i].Name == "" {
			return PodVolume{}, fmt.Errorf("the volume with the claim %q has no name to mount it by: give it one", claim)
		}
		return volumes[i], nil
	}
	if mounted, ok := p.mountedByClaim(claim); ok {
		return mounted, nil
	}
	for _, v := range volumes {
		switch {
		case v.Name != name:
		case v.Claim == "":
			return v, fmt.Errorf("the name %q is taken by a volume that is no claim: rename that volume or the profile", name)
		default:
			p.warn("volume %q keeps the claim %q instead of %q: it was rendered with another configuration", name, v.Claim, claim)
			return v, nil
		}
	}
	if kept, ok := p.kept(profile); ok {
		p.warn("volume %q keeps the claim %q at %s: it was rendered with another configuration", kept.Name, kept.Claim, profile.Mount.Path)
		return kept, nil
	}
	if p.request.Admission {
		if err := profile.Serves(p.request.Namespace, p.request.NamespaceLabels); err != nil {
			return PodVolume{}, fmt.Errorf("%w: %w", errNotServed, err)
		}
	}
	if slices.Contains(p.pod.ReservedVolumes, name) {
		return PodVolume{}, fmt.Errorf("the name %q is taken by a claim template: rename that template or the profile", name)
	}
	v := PodVolume{Name: name, Claim: claim}
	p.pod.Volumes = append(p.pod.Volumes, v)
	if p.edits.add(p.pod.VolumesPath, len(p.pod.Volumes) == 1, name, podVolume(name, claim)) {
		p.added(Addition{Profile: profile.Name, Volume: name, Claim: claim})
	}
	return v, nil
}

// mountedByClaim returns the volume that the kind's controller makes for mounts that name the claim itself.
func (p *podPatch) mountedByClaim(claim string) (PodVolume, bool) {
	for _, c := range p.pod.Containers {
		if i := slices.IndexFunc(c.SharedMounts, func(m Mounted) bool { return m.Claim == claim }); i >= 0 {
			return PodVolume{Name: c.SharedMounts[i].Volume, Claim: claim}, true
		}
	}
	return PodVolume{}, false
}

// kept returns a volume with a claim that we mounted at the profile's path under a profile that this configuration does
// not have. The pod must find its data there, so it is no conflict.
func (p *podPatch) kept(profile *chosenProfile) (PodVolume, bool) {
	for _, v := range p.pod.volumes() {
		if v.Claim == "" || !isOurs(v.Name) || p.config.hasVolume(v.Name) {
			continue
		}
		for i := range p.pod.Containers {
			for _, m := range p.pod.Containers[i].Mounts {
				if m.Volume == v.Name && absolute(m.Path) == absolute(profile.Mount.Path) {
					return v, true
				}
			}
		}
	}
	return PodVolume{}, false
}

// isOurs reports whether a volume of a pod has a name as [Profile.VolumeName] makes them.
func isOurs(volume string) bool {
	return volume == volumePrefix || strings.HasPrefix(volume, volumePrefix+"-")
}

// hasVolume reports whether some profile gives its volume that name.
func (c *Config) hasVolume(name string) bool {
	return slices.ContainsFunc(c.Profiles, func(p Profile) bool { return p.VolumeName() == name })
}

// mount adds the volume to a container, and the variable with its path.
func (p *podPatch) mount(profile *chosenProfile, volume PodVolume, c *Container) error {
	mountPath, mounted := p.mountedAt(volume, c)
	if !mounted {
		mountPath = profile.Mount.Path
		if err := p.checkPath(mountPath, c); err != nil {
			return err
		}
		added, variables, err := p.volumeMount(profile, volume.Name)
		if err != nil {
			return err
		}
		c.Mounts = append(c.Mounts, Mounted{Volume: volume.Name, Path: mountPath})
		if p.edits.add(c.Path+"/volumeMounts", len(c.Mounts) == 1, volume.Name, added) {
			p.added(Addition{Profile: profile.Name, Container: c.Name, Volume: volume.Name, MountPath: mountPath})
		}
		if err := p.addVariables(profile, variables, c); err != nil {
			return err
		}
	}
	return p.env(profile, mountPath, c)
}

// mirrors reports whether a container gets the mounts of another one that is mounted into.
func (p *podPatch) mirrors(profile *chosenProfile, c *Container) bool {
	return c.MirrorOf != "" && c.Name != c.MirrorOf && profile.Mount.includes(c.MirrorOf) && p.pod.container(c.MirrorOf) != nil
}

// mirror leaves a container to the mounts of the other one, whose path must be free in it.
func (p *podPatch) mirror(profile *chosenProfile, volume PodVolume, c *Container) error {
	mountPath, mounted := p.mountedAt(volume, p.pod.container(c.MirrorOf))
	if !mounted {
		mountPath = profile.Mount.Path
	}
	if err := p.checkPath(mountPath, c); err != nil {
		return err
	}
	if profile.Env != "" {
		p.warn("container %q has the mounts of %q, but gets no variable %s; the storage is at %s", c.Name, c.MirrorOf, profile.Env, mountPath)
	}
	return nil
}

// mountedAt returns where the container mounts the claim already. Its own choice of path is respected.
func (p *podPatch) mountedAt(volume PodVolume, c *Container) (string, bool) {
	volumes := p.pod.volumes()
	for _, m := range c.mounts() {
		if m.Claim != "" && m.Claim == volume.Claim {
			return m.Path, true
		}
		if i := slices.IndexFunc(volumes, func(v PodVolume) bool { return v.Name == m.Volume }); i >= 0 && volumes[i].Claim == volume.Claim {
			return m.Path, true
		}
	}
	return "", false
}

// checkPath refuses a path that another volume has and warns of one that nests with another.
func (p *podPatch) checkPath(mountPath string, c *Container) error {
	if slices.ContainsFunc(c.Devices, func(device string) bool { return absolute(device) == absolute(mountPath) }) {
		return fmt.Errorf("mount path %s is taken by a raw block device", mountPath)
	}
	clean := absolute(mountPath)
	for _, m := range c.mounts() {
		switch other := absolute(m.Path); {
		case other == clean:
			return fmt.Errorf("mount path %s is taken by volume %q: choose another by mount.path, --mount-path or the pod annotation "+AnnotationMountPath, mountPath, m.Volume)
		case isBelow(other, clean) || isBelow(clean, other):
			p.warn("container %q: mount path %s nests with %s of volume %q", c.Name, mountPath, m.Path, m.Volume)
		}
	}
	return nil
}

// absolute cleans a path inside a container, where a relative one starts at the root.
func absolute(p string) string {
	if path.IsAbs(p) {
		return path.Clean(p)
	}
	return path.Clean("/" + p)
}

// env adds the variable that tells the mount path.
func (p *podPatch) env(profile *chosenProfile, value string, c *Container) error {
	name := profile.Env
	if name == "" {
		return nil
	}
	isSet := false
	for _, e := range c.env() {
		if e.Name != name {
			continue
		}
		isSet = true
		if e.FromSource || e.Value != value {
			return fmt.Errorf("environment variable %s is set to something else than %s: remove it or change env of the profile", name, value)
		}
	}
	if isSet {
		return nil
	}
	if c.NoEnv {
		p.warn("container %q gets no variable %s, because this kind refuses one here; the storage is at %s", c.Name, name, value)
		return nil
	}
	c.Env = append(c.Env, Env{Name: name, Value: value})
	if p.edits.add(c.Path+"/env", len(c.Env) == 1, name, variable(name, value)) {
		p.added(Addition{Profile: profile.Name, Container: c.Name, Env: name})
	}
	return nil
}

// fsGroup sets the profile's group where the pod has none, so that a process that is not root can write.
func (p *podPatch) fsGroup(profile *chosenProfile, volume PodVolume) {
	if profile.FSGroup == nil {
		return
	}
	if p.pod.SecurityContextPath == "" {
		p.warn("fsGroup %d of profile %q is not set: this kind has no security context of the pod, or its parent is missing", *profile.FSGroup, profile.Name)
		return
	}
	context := p.pod.SecurityContext
	if context != nil && context.HasFSGroup {
		if p.group != nil && *p.group != *profile.FSGroup {
			p.warn("fsGroup %d of profile %q is not set: the pod has %d for another profile", *profile.FSGroup, profile.Name, *p.group)
		}
		return
	}
	p.group = profile.FSGroup
	var isNew bool
	if group := groupContext(profile.FSGroup); context == nil {
		isNew = p.edits.set(p.pod.SecurityContextPath, group)
	} else {
		isNew = p.edits.set(p.pod.SecurityContextPath+"/fsGroup", group.FSGroup)
		if !context.HasFSGroupChangePolicy {
			p.edits.set(p.pod.SecurityContextPath+"/fsGroupChangePolicy", *group.FSGroupChangePolicy)
		}
	}
	p.pod.SecurityContext = &SecurityContext{HasFSGroup: true, HasFSGroupChangePolicy: true}
	if isNew {
		p.added(Addition{Profile: profile.Name, FSGroup: profile.FSGroup})
	}
	if others := p.otherClaims(volume); len(others) > 0 {
		p.warn("fsGroup %d applies to the pod's other claims too: %s", *profile.FSGroup, strings.Join(others, ", "))
	}
}

func (p *podPatch) otherClaims(volume PodVolume) []string {
	var others []string
	for _, v := range p.pod.volumes() {
		if v.Claim != "" && v.Claim != volume.Claim {
			others = append(others, v.Claim)
		}
	}
	return others
}

// warnUnknownContainers tells of misspelt names in the pod's own annotations. A profile's list is for many pods.
func (p *podPatch) warnUnknownContainers(profile *chosenProfile) {
	for _, name := range profile.annotated {
		if !slices.ContainsFunc(p.pod.Containers, func(c Container) bool { return c.Name == name }) {
			p.warn("there is no container %q, which an annotation names", name)
		}
	}
}

// warnMissingAnnotations tells what the driver looks for on a pod before it mounts anything: without it the pod waits forever.
func (p *podPatch) warnMissingAnnotations(profile *chosenProfile) {
	backend := profile.backend()
	for _, key := range slices.Sorted(maps.Keys(backend.PodAnnotations)) {
		if value := backend.PodAnnotations[key]; p.pod.Annotations[key] != value {
			p.warn("profile %q: the driver %s mounts only into pods with the annotation %s: %q: add it to the pod template", profile.Name, backend.Driver, key, value)
		}
	}
}

func (p *podPatch) warn(format string, args ...any) {
	p.decision.Warnings = append(p.decision.Warnings, fmt.Sprintf(format, args...))
}

func (p *podPatch) added(a Addition) {
	if p.decision.Added == nil { // most often a volume, and a mount in each container
		p.decision.Added = make([]Addition, 0, len(p.pod.Containers)+1)
	}
	p.decision.Added = append(p.decision.Added, a)
}
