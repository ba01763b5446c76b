package storage

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Serves reports whether pods of a namespace with these labels may have the profile's storage added
// at admission: its NamespaceSelector matches, and a volume of the profile's own, which is bound to
// one claim, names that namespace.
func (p *Profile) Serves(namespace string, of map[string]string) error {
	if !p.namespaces.Matches(labels.Set(of)) {
		return fmt.Errorf("the profile %q is not for the namespace %q: its namespaceSelector is %q",
			p.Name, namespace, p.namespaces)
	}
	v := p.Volume
	if v == nil || v.Shared || !*p.Claim.Create && !*v.Create {
		return nil
	}
	if v.Namespace != "" && v.Namespace != namespace {
		return fmt.Errorf("the profile %q is not for the namespace %q: its volume serves %q only",
			p.Name, namespace, v.Namespace)
	}
	return nil
}

// Creates reports whether the profile creates any object.
func (p *Profile) Creates() bool {
	return *p.Claim.Create || *p.StorageClass.Create || (p.Volume != nil && *p.Volume.Create) ||
		p.createsAttributesClass() || p.createsSnapshotClass()
}

// ClaimLabel is the label of pods that mount a claim of the profile, where the profile keeps them
// on one node. The value is the name of the claim, shortened where a label cannot hold it.
func (p *Profile) ClaimLabel(claim string) (key, value string) {
	return p.Name + "." + LabelClaim, shorten(claim)
}

// Colocates reports whether the profile keeps its pods on one node: colocate is true, and the
// volume is on one node at a time. A ReadWriteOncePod claim has one pod at a time, so that there
// are no pods to keep together.
func (p *Profile) Colocates() bool {
	return p.Colocate && p.SingleNode() && !p.singlePod()
}

// singlePod reports whether the claim is for one pod in the whole cluster.
func (p *Profile) singlePod() bool {
	return slices.Contains(p.Claim.AccessModes, corev1.ReadWriteOncePod)
}

// colocateWarning is why colocate of the profile has no effect, or nil.
func (p *Profile) colocateWarning() []string {
	switch {
	case !p.Colocate || p.Colocates():
		return nil
	case p.singlePod():
		return []string{p.warning("colocate has no effect for ReadWriteOncePod: " +
			"one pod at a time has the claim, on any node")}
	}
	return []string{p.warning("colocate has no effect: many nodes can mount the volume")}
}

// SingleNode reports whether the volume can be mounted on one node only: every mode is
// ReadWriteOnce(Pod) and the backend is a disk.
func (p *Profile) SingleNode() bool {
	return p.Backend().Block && !slices.ContainsFunc(p.Claim.AccessModes, func(m corev1.PersistentVolumeAccessMode) bool {
		return m == corev1.ReadWriteMany || m == corev1.ReadOnlyMany
	})
}

// Profile returns the profile of that name, or nil.
func (c *Config) Profile(name string) *Profile {
	for i := range c.Profiles {
		if c.Profiles[i].Name == name {
			return &c.Profiles[i]
		}
	}
	return nil
}

// SelectsNamespaces reports whether any profile has a namespaceSelector that excludes namespaces,
// so that their labels are read.
func (c *Config) SelectsNamespaces() bool {
	return slices.ContainsFunc(c.Profiles, func(p Profile) bool { return !p.namespaces.Empty() })
}

// SetsEnv reports whether any profile sets an environment variable, so that those of containers are
// read.
func (c *Config) SetsEnv() bool {
	return slices.ContainsFunc(c.Profiles, func(p Profile) bool { return len(p.Env) > 0 || p.needsVariables })
}

// Colocates reports whether some profile keeps its pods on one node, so that the affinity of pods
// matters.
func (c *Config) Colocates() bool {
	return slices.ContainsFunc(c.Profiles, func(p Profile) bool { return p.Colocates() })
}

// DefaultProfiles are the profiles of a pod that names none.
func (c *Config) DefaultProfiles() []string {
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

// SetDefaultProfiles makes these profiles, and no others, the ones of a pod that names no profile.
func (c *Config) SetDefaultProfiles(names ...string) error {
	for _, name := range names {
		if c.Profile(name) == nil {
			return fmt.Errorf("there is no profile %q, only %s", name, strings.Join(c.ProfileNames(), ", "))
		}
	}
	for i := range c.Profiles {
		c.Profiles[i].Default = slices.Contains(names, c.Profiles[i].Name)
	}
	return nil
}

// ProfileNames are the names of all profiles, in the order of the configuration.
func (c *Config) ProfileNames() []string {
	names := make([]string, len(c.Profiles))
	for i := range c.Profiles {
		names[i] = c.Profiles[i].Name
	}
	return names
}
