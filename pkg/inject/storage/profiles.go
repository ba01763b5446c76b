package storage

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
)

// Serves reports whether pods of a namespace with these labels may have the profile's storage added at admission: its
// NamespaceSelector matches, and a volume of the profile's own, which is bound to one claim, names that namespace.
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

// Profile returns the profile of that name, or nil.
func (c *Config) Profile(name string) *Profile {
	for i := range c.Profiles {
		if c.Profiles[i].Name == name {
			return &c.Profiles[i]
		}
	}
	return nil
}

// SelectsNamespaces reports whether any profile has a namespaceSelector that excludes namespaces, so that
// their labels are read.
func (c *Config) SelectsNamespaces() bool {
	return slices.ContainsFunc(c.Profiles, func(p Profile) bool { return !p.namespaces.Empty() })
}

// SetsEnv reports whether any profile sets an environment variable, so that those of containers are read.
func (c *Config) SetsEnv() bool {
	return slices.ContainsFunc(c.Profiles, func(p Profile) bool { return p.Env != "" || p.Mount.NeedsVariables() })
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
