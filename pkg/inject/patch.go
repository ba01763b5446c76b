package inject

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
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

// The reasons of [Remove].
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
	// Removed is what [Remove] took away.
	Removed  []Addition
	Warnings []string
}

// Result is what is to be done to one object.
type Result struct {
	// Operations are RFC 6902 operations against the document that the pods were found in: "add" only, or of
	// [Remove] "remove" only. There are none when any decision refuses.
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
func Patch(config *Config, req Request, pods ...Pod) Result {
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
		p := podPatch{config: config, request: req, pod: &pod, edits: edits, volumes: newVolumeList(pod.volumes())}
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
	// volumes are all volumes that the pod can mount. containers are its containers by name, once something looks for one.
	volumes    volumeList
	containers map[string]*Container
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
	names := slices.DeleteFunc(InjectedProfiles(p.pod.Annotations), func(name string) bool { return p.config.Profile(name) == nil })
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

// warnUnknownContainers tells of misspelt names in the pod's own annotations. A profile's list is for many pods.
func (p *podPatch) warnUnknownContainers(profile *chosenProfile) {
	for _, name := range profile.annotated {
		if p.container(name) == nil {
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
