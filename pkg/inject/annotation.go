package inject

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// Annotations of a pod or pod template. They choose among what the administrator's profiles allow
// and narrow it; they never name a driver, a volume or a claim. Each but [AnnotationProfiles] may
// carry the name of a profile in front (training.pipeline-storage.io/mount-path); without one it
// applies when the pod uses a single profile.
const (
	// AnnotationProfiles names the profiles to mount, comma separated. Default: those with default:
	// true, or else the first profile of the configuration.
	AnnotationProfiles = storage.Group + "/profiles"
	// AnnotationMountPath is the absolute path at which the storage appears. Default: the
	// profile's.
	AnnotationMountPath = storage.Group + "/mount-path"
	// AnnotationSubPath is a directory of the volume, below the profile's own subPath. Default: the
	// profile's.
	AnnotationSubPath = storage.Group + "/sub-path"
	// AnnotationReadOnly mounts read-only when "true". "false" cannot undo a read-only profile.
	AnnotationReadOnly = storage.Group + "/read-only"
	// AnnotationContainers limits the mount to these containers, comma separated. Default: all of
	// them.
	AnnotationContainers = storage.Group + "/containers"
	// AnnotationExcludeContainers excludes these containers, comma separated, in addition to the
	// profile's own list.
	AnnotationExcludeContainers = storage.Group + "/exclude-containers"
)

// AnnotationInjected is what the webhook writes on a pod: the names of the profiles that it
// mounted, comma separated.
const AnnotationInjected = storage.Group + "/injected"

// injectedToken is its key as a token of a JSON pointer, with the slash in front.
var injectedToken = string(jsontext.Pointer("").AppendToken(AnnotationInjected))

// selectedByToken is the same for [AnnotationSelectedBy].
var selectedByToken = string(jsontext.Pointer("").AppendToken(AnnotationSelectedBy))

// annotate writes which profiles were mounted with their own claims, for the claims controller. A
// claim that the pod keeps is not among them: it came with the rendered pod.
func (p *podPatch) annotate() {
	before := p.pod.Annotations[AnnotationInjected]
	names := slices.DeleteFunc(
		InjectedProfiles(p.pod.Annotations), func(name string) bool { return p.config.Profile(name) == nil },
	)
	for i, name := range p.decision.Profiles {
		profile := p.config.Profile(name)
		if profile.ClaimName(storage.Release{}, p.request.Namespace) != p.decision.Claims[i] ||
			!p.decision.Mounts(name) || slices.Contains(names, name) {
			continue
		}
		names = append(names, name)
	}
	value, by := strings.Join(names, ","), string(p.request.SelectedBy)
	path, written := p.pod.Path+"/metadata/annotations", map[string]string{}
	if value != before {
		written[AnnotationInjected] = value
	}
	if by != "" && by != p.pod.Annotations[AnnotationSelectedBy] {
		written[AnnotationSelectedBy] = by
	}
	if len(p.pod.Annotations) == 0 && len(written) > 0 {
		p.setField(path, written)
		return
	}
	for _, a := range [...]struct{ key, token string }{
		{AnnotationInjected, injectedToken}, {AnnotationSelectedBy, selectedByToken},
	} {
		if value, ok := written[a.key]; ok {
			p.setField(path+a.token, value)
		}
	}
}

// InjectedProfiles returns the names that the injected annotation lists: the profiles that the
// webhook mounted into the pod with their own claims. The author of a pod can write anything there,
// so only the first [MaxNames] names are looked at, and of these only the ones that a profile can
// have are returned. The caller compares them with the profiles in force.
func InjectedProfiles(annotations map[string]string) []string {
	list := annotations[AnnotationInjected]
	if list == "" {
		return nil
	}
	var names nameSet
	examined := 0
	for name := range strings.SplitSeq(list, ",") {
		if examined++; examined > MaxNames {
			break
		}
		if name = strings.TrimSpace(name); len(validation.IsDNS1123Label(name)) == 0 {
			names.add(name)
		}
	}
	return names.list
}

// chosenProfile is a profile as one pod uses it: its mount narrowed by the pod's annotations.
type chosenProfile struct {
	storage.Profile
	// only are the containers that get the mount, all where it is empty, and excluded those that
	// get none. Both start as the profile's own lists.
	only, excluded nameSet
	// annotated are the container names that the annotations gave.
	annotated []string
	// mount is the *corev1.VolumeMount that every container gets, made once, and variables what it
	// needs.
	mount     any
	variables []corev1.EnvVar
}

// choose returns the profiles that the pod's annotations name, or the default ones, narrowed by its
// other annotations. A profile that no longer exists is skipped when the pod has its volume
// already: the pod was rendered before a change.
func (p *podPatch) choose() ([]*chosenProfile, error) {
	c, annotations := p.config, p.pod.Annotations
	names, err := splitNames(annotations[AnnotationProfiles])
	if err != nil {
		return nil, fmt.Errorf("annotation %s: %w", AnnotationProfiles, err)
	}
	if len(names) == 0 {
		names = c.DefaultProfiles()
	}
	var chosen []*chosenProfile
	for _, name := range names {
		profile := c.Profile(name)
		if profile == nil {
			if v, ok := p.volumes.named((&storage.Profile{Name: name}).VolumeName()); ok && v.Claim != "" {
				p.warn("there is no profile %q any more: the pod keeps the volume %q as it is", name, v.Name)
				continue
			}
			return nil, fmt.Errorf(
				"annotation %s: there is no profile %q, only %s", AnnotationProfiles, name,
				strings.Join(c.ProfileNames(), ", "),
			)
		}
		narrowed, err := narrow(profile, annotations, len(names) == 1)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, narrowed)
	}
	if len(names) > 1 {
		err = refuseUnscoped(annotations)
	}
	if err == nil {
		p.decision.Warnings = append(p.decision.Warnings, unknownAnnotations(c, annotations)...)
	}
	return chosen, err
}

// narrowing are the annotations that narrow a profile, and how.
var narrowing = []struct {
	key   string
	apply func(*chosenProfile, string) error
}{
	{AnnotationMountPath, (*chosenProfile).annotateMountPath},
	{AnnotationSubPath, (*chosenProfile).annotateSubPath},
	{AnnotationReadOnly, (*chosenProfile).annotateReadOnly},
	{AnnotationContainers, (*chosenProfile).annotateContainers},
	{AnnotationExcludeContainers, (*chosenProfile).annotateExclude},
}

// narrow applies a pod's annotations. With several profiles in one pod only those with the
// profile's name in front count.
func narrow(p *storage.Profile, annotations map[string]string, single bool) (*chosenProfile, error) {
	chosen := &chosenProfile{
		Profile: *p, only: newNameSet(p.Mount.Containers), excluded: newNameSet(p.Mount.ExcludeContainers),
	}
	isNarrowed := false // a usual pod has no annotation of the group, and each lookup below makes a key
	for key := range annotations {
		isNarrowed = isNarrowed || strings.Contains(key, storage.Group+"/")
	}
	if !isNarrowed {
		return chosen, nil
	}
	for _, n := range narrowing {
		key := p.Name + "." + n.key
		value, ok := annotations[key]
		if !ok && single {
			key = n.key
			value, ok = annotations[key]
		}
		if !ok {
			continue
		}
		if err := n.apply(chosen, strings.TrimSpace(value)); err != nil {
			return nil, fmt.Errorf("annotation %s: %w", key, err)
		}
	}
	return chosen, nil
}

// refuseUnscoped refuses an annotation that could mean any of several profiles.
func refuseUnscoped(annotations map[string]string) error {
	for _, n := range narrowing {
		if _, ok := annotations[n.key]; ok {
			return fmt.Errorf("annotation %s: the pod uses several profiles, so write PROFILE.%s", n.key, n.key)
		}
	}
	return nil
}

// annotateMountPath replaces the profile's path, within the same rules.
func (c *chosenProfile) annotateMountPath(value string) error {
	if err := c.Mount.SetPath(value); err != nil {
		return fmt.Errorf("%q %w", value, err)
	}
	return nil
}

// annotateSubPath adds a directory below the profile's subPath. It cannot leave that one: the
// administrator decides which data a pod can reach.
func (c *chosenProfile) annotateSubPath(value string) error {
	if err := c.Mount.AddSubPath(value); err != nil {
		return fmt.Errorf("%q %w", value, err)
	}
	return nil
}

// annotateReadOnly makes the mount read-only. It refuses to make a read-only profile writable.
func (c *chosenProfile) annotateReadOnly(value string) error {
	switch {
	case value == "true":
		c.Mount.ReadOnly = true
	case value != "false":
		return fmt.Errorf(`%q is neither "true" nor "false"`, value)
	case c.Mount.ReadOnly:
		return fmt.Errorf("the profile %q is read-only", c.Name)
	}
	return nil
}

// annotateContainers limits the mount to containers among those of the profile. An empty list is an
// error and not all of them: it is a mistake most often.
func (c *chosenProfile) annotateContainers(value string) error {
	names, err := splitNames(value)
	if err != nil {
		return err
	}
	if allowed := c.only; len(allowed.list) > 0 {
		for _, name := range names {
			if !allowed.has(name) {
				return fmt.Errorf("the profile %q is for the containers %s only", c.Name, strings.Join(allowed.list, ", "))
			}
		}
	}
	if len(names) == 0 {
		return errors.New("it names no container")
	}
	c.only, c.annotated = newNameSet(names), names
	return nil
}

// annotateExclude excludes containers in addition to those that the profile excludes.
func (c *chosenProfile) annotateExclude(value string) error {
	names, err := splitNames(value)
	if err != nil {
		return err
	}
	c.excluded = newNameSet(slices.Concat(c.Mount.ExcludeContainers, names))
	c.annotated = append(c.annotated, names...)
	return nil
}

// unknownAnnotations warns of annotations of the group that have no meaning, most often a misspelt
// one.
func unknownAnnotations(c *storage.Config, annotations map[string]string) []string {
	var warnings []string
	for key := range annotations {
		prefix, suffix, _ := strings.Cut(key, storage.Group+"/")
		if suffix == "" || (prefix != "" && !strings.HasSuffix(prefix, ".")) {
			continue
		}
		if !knownAnnotation(c, strings.TrimSuffix(prefix, "."), storage.Group+"/"+suffix) {
			warnings = append(warnings, fmt.Sprintf("annotation %s is not known and does nothing", key))
		}
	}
	slices.Sort(warnings)
	return warnings
}

// knownAnnotation reports whether a key means something, with the name of a profile in front of it
// or none.
func knownAnnotation(c *storage.Config, profile, key string) bool {
	for _, n := range narrowing {
		if key == n.key {
			return profile == "" || c.Profile(profile) != nil
		}
	}
	return profile == "" && (key == AnnotationProfiles || key == AnnotationInjected || key == AnnotationSelectedBy)
}

// MaxNames is how many names one annotation may list. The author of a pod writes these lists, and
// no pod has that many containers or profiles.
const MaxNames = 1000

// linearSearchLimit is how many items are searched one by one. A usual pod has fewer, and a map
// costs more than all its comparisons.
const linearSearchLimit = 16

// nameSet is an ordered set of names. Its cost is linear in their number.
type nameSet struct {
	list []string
	// index has the names once there are more than linearSearchLimit.
	index map[string]struct{}
}

// newNameSet returns the set of a list without repeated names.
func newNameSet(list []string) nameSet {
	var s nameSet
	for _, name := range list {
		s.add(name)
	}
	return s
}

// has reports whether a name is in the set. A small set is searched one by one.
func (s *nameSet) has(name string) bool {
	if s.index == nil {
		return slices.Contains(s.list, name)
	}
	_, ok := s.index[name]
	return ok
}

// add adds a name and reports whether it is new.
func (s *nameSet) add(name string) bool {
	if s.has(name) {
		return false
	}
	s.list = append(s.list, name)
	switch {
	case s.index != nil:
		s.index[name] = struct{}{}
	case len(s.list) > linearSearchLimit:
		s.index = make(map[string]struct{}, 2*len(s.list))
		for _, name := range s.list {
			s.index[name] = struct{}{}
		}
	}
	return true
}

// splitNames splits a comma-separated list and drops blank and repeated names. It refuses more than
// [MaxNames] names.
func splitNames(list string) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	var names nameSet
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" && names.add(name) && len(names.list) > MaxNames {
			return nil, fmt.Errorf("lists more than %d names", MaxNames)
		}
	}
	return names.list, nil
}

// removeAnnotation removes the injected annotation, and with it what selected the pod, when all
// profiles that it names are removed.
func (r *removal) removeAnnotation(pod *kinds.Pod, removed []string) {
	path := pod.Path + "/metadata/annotations"
	annotations, _ := r.lookup(path).(map[string]any)
	names, err := splitNames(kinds.StringOf(annotations[AnnotationInjected]))
	if err != nil || len(names) == 0 ||
		slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(removed, name) }) {
		return
	}
	tokens := []string{injectedToken}
	if _, ok := annotations[AnnotationSelectedBy]; ok {
		tokens = append(tokens, selectedByToken)
	}
	if len(annotations) == len(tokens) {
		tokens = []string{""} // the whole map
	}
	for _, token := range tokens {
		r.removeField(path + token)
	}
}
