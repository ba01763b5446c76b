package inject

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// chosenProfile is a profile as one pod uses it: its mount narrowed by the pod's annotations.
type chosenProfile struct {
	Profile
	// only are the containers that get the mount, all where it is empty, and excluded those that get none. Both start as the
	// profile's own lists.
	only, excluded nameSet
	// annotated are the container names that the annotations gave.
	annotated []string
	// mount is the corev1.VolumeMount that every container gets, made once, and variables what it needs.
	mount     any
	variables []corev1.EnvVar
}

// choose returns the profiles that the pod's annotations name, or the default ones, narrowed by its other annotations. A
// profile that is no more is passed over when the pod has its volume already: the pod was rendered before a change.
func (p *podPatch) choose() ([]*chosenProfile, error) {
	c, annotations := p.config, p.pod.Annotations
	names, err := splitNames(annotations[AnnotationProfiles])
	if err != nil {
		return nil, fmt.Errorf("annotation %s: %w", AnnotationProfiles, err)
	}
	if len(names) == 0 {
		names = c.defaultNames()
	}
	var chosen []*chosenProfile
	for _, name := range names {
		profile := c.Profile(name)
		if profile == nil && p.hasClaim(volumeName(name)) {
			p.warn("there is no profile %q any more: the pod keeps the volume %q as it is", name, volumeName(name))
			continue
		}
		if profile == nil {
			return nil, fmt.Errorf("annotation %s: there is no profile %q, only %s", AnnotationProfiles, name, strings.Join(c.profileNames(), ", "))
		}
		narrowed, err := narrow(profile, annotations, len(names) == 1)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, narrowed)
	}
	if len(names) > 1 {
		return chosen, refuseUnscoped(annotations)
	}
	return chosen, nil
}

// defaultNames are the profiles of a pod that names none.
func (c *Config) defaultNames() []string {
	var names []string
	for i := range c.Profiles {
		if c.Profiles[i].Default {
			names = append(names, c.Profiles[i].Name)
		}
	}
	if len(names) == 0 {
		return []string{c.Profiles[0].Name}
	}
	return names
}

// SetDefaultProfiles makes these profiles, and no others, those that a pod gets that names none.
func (c *Config) SetDefaultProfiles(names ...string) error {
	for _, name := range names {
		if c.Profile(name) == nil {
			return fmt.Errorf("there is no profile %q, only %s", name, strings.Join(c.profileNames(), ", "))
		}
	}
	for i := range c.Profiles {
		c.Profiles[i].Default = slices.Contains(names, c.Profiles[i].Name)
	}
	return nil
}

// hasClaim reports whether the pod has a volume of that name with a claim.
func (p *podPatch) hasClaim(volume string) bool {
	v, ok := p.volumes.named(volume)
	return ok && v.Claim != ""
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

// narrow applies a pod's annotations. With several profiles in one pod only those with the profile's name in front count.
func narrow(p *Profile, annotations map[string]string, single bool) (*chosenProfile, error) {
	chosen := &chosenProfile{Profile: *p, only: newNameSet(p.Mount.Containers), excluded: newNameSet(p.Mount.ExcludeContainers)}
	if !anyOurs(annotations) { // the usual pod, whose keys need not be made
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

// anyOurs reports whether an annotation could be one of ours.
func anyOurs(annotations map[string]string) bool {
	for key := range annotations {
		if strings.Contains(key, Group+"/") {
			return true
		}
	}
	return false
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

func (c *chosenProfile) annotateMountPath(value string) error {
	if err := checkMountPath(value); err != nil {
		return fmt.Errorf("%q %w", value, err)
	}
	c.Mount.Path = value
	return nil
}

func (c *chosenProfile) annotateSubPath(value string) error {
	if err := checkAnnotatedSubPath(value); err != nil {
		return fmt.Errorf("%q %w", value, err)
	}
	c.Mount.SubPath = path.Join(c.Mount.SubPath, value)
	return nil
}

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

func (c *chosenProfile) annotateExclude(value string) error {
	names, err := splitNames(value)
	if err != nil {
		return err
	}
	c.excluded = newNameSet(slices.Concat(c.Mount.ExcludeContainers, names))
	c.annotated = append(c.annotated, names...)
	return nil
}

// includes reports whether a container of that name gets the mount.
func (c *chosenProfile) includes(name string) bool {
	return !c.excluded.has(name) && (len(c.only.list) == 0 || c.only.has(name))
}

// unknownAnnotations warns of annotations of ours that say nothing, most often a misspelt one.
func unknownAnnotations(c *Config, annotations map[string]string) []string {
	var warnings []string
	for key := range annotations {
		prefix, suffix, _ := strings.Cut(key, Group+"/")
		if suffix == "" || (prefix != "" && !strings.HasSuffix(prefix, ".")) {
			continue
		}
		if !knownAnnotation(c, strings.TrimSuffix(prefix, "."), Group+"/"+suffix) {
			warnings = append(warnings, fmt.Sprintf("annotation %s is not known and does nothing", key))
		}
	}
	slices.Sort(warnings)
	return warnings
}

// knownAnnotation reports whether a key means something, with the name of a profile in front of it or none.
func knownAnnotation(c *Config, profile, key string) bool {
	for _, n := range narrowing {
		if key == n.key {
			return profile == "" || c.Profile(profile) != nil
		}
	}
	return profile == "" && (key == AnnotationProfiles || key == AnnotationInjected)
}

func (c *Config) profileNames() []string {
	names := make([]string, len(c.Profiles))
	for i := range c.Profiles {
		names[i] = c.Profiles[i].Name
	}
	return names
}
