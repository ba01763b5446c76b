package inject

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// variable is the environment variable with a mount path.
func variable(name, mountPath string) *corev1.EnvVar {
	return &corev1.EnvVar{Name: name, Value: mountPath}
}

// env adds the variables of a mount to its container: those that the subPath needs, and those with
// the mount path.
func (p *podPatch) env(profile *chosenProfile, variables []corev1.EnvVar, mountPath string, c *kinds.Container) error {
	if err := p.addVariables(profile, variables, c); err != nil {
		return err
	}
	missing, err := lacking(profile.Env, mountPath, c)
	if err != nil || len(missing) == 0 {
		return err
	}
	if c.NoEnv {
		p.warn(
			"container %q gets no variable %s, because this kind refuses one here; the storage is at %s", c.Name,
			strings.Join(missing, ", "), mountPath,
		)
		return nil
	}
	for _, name := range missing {
		c.Env = append(c.Env, kinds.Env{Name: name, Value: mountPath})
		p.addVariable(profile, variable(name, mountPath), c)
	}
	return nil
}

// lacking returns the names of the variables that the container does not have. One that has another
// value than the mount path is an error.
func lacking(names []string, mountPath string, c *kinds.Container) ([]string, error) {
	var missing []string
	all := c.AllEnv()
	for _, name := range names {
		isSet := false
		for _, e := range all {
			if e.Name != name {
				continue
			}
			isSet = true
			if e.FromSource || e.Value != mountPath {
				return nil, fmt.Errorf(
					"environment variable %s is set to something else than %s: remove it or change env of the profile", name,
					mountPath,
				)
			}
		}
		if !isSet {
			missing = append(missing, name)
		}
	}
	return missing, nil
}

// addVariable adds a variable that has been added to what is read of the container.
func (p *podPatch) addVariable(profile *chosenProfile, v *corev1.EnvVar, c *kinds.Container) {
	p.addItem(c.Path+"/env", len(c.Env) == 1, v.Name, v, Addition{Profile: profile.Name, Container: c.Name, Env: v.Name})
}

// addVariables adds the variables that the subPath needs.
func (p *podPatch) addVariables(profile *chosenProfile, variables []corev1.EnvVar, c *kinds.Container) error {
	if len(variables) > 0 && c.NoEnv {
		return errors.New(
			"this kind refuses the variables here that mount.subPath needs: leave these pods to the webhook, or leave " +
				"the container out",
		)
	}
	for i := range variables {
		v := &variables[i]
		wanted := kinds.Env{Name: v.Name, FromSource: true, FieldPath: v.ValueFrom.FieldRef.FieldPath}
		isSet := false
		for _, e := range c.Env {
			if e.Name == v.Name && e != wanted {
				return fmt.Errorf(
					"environment variable %s, which mount.subPath needs for %s, is set to something else: remove it", v.Name,
					wanted.FieldPath,
				)
			}
			isSet = isSet || e.Name == v.Name
		}
		if isSet {
			continue
		}
		c.Env = append(c.Env, wanted)
		p.addVariable(profile, v, c)
	}
	return nil
}

// variables are those of the profile's subPath, and those with the mount path.
func variables(p *chosenProfile) []trace {
	var traces []trace
	for _, v := range p.variables {
		traces = append(traces, trace{"environment variable " + v.Name, v, Addition{Profile: p.Name, Env: v.Name}})
	}
	for _, name := range p.Env {
		traces = append(
			traces, trace{"environment variable " + name, variable(name, p.Mount.Path), Addition{Profile: p.Name, Env: name}},
		)
	}
	return traces
}

// isExpanded reports whether a mount that remains needs a variable.
func (r *removal) isExpanded(mounts, name string) bool {
	for n, raw := range r.list(mounts) {
		mount, _ := raw.(map[string]any)
		if strings.Contains(kinds.StringOf(mount["subPathExpr"]), "$("+name+")") && !r.isRemoved(mounts, n) {
			return true
		}
	}
	return false
}

// removeHead removes injected items from the head of a list. One that stands further down may be
// the pod's own.
func (r *removal) removeHead(i int, c *kinds.Container, list string, traces []trace) {
	path, atHead := c.Path+"/"+list, true
	for n, raw := range r.list(path) {
		t := slices.IndexFunc(traces, func(t trace) bool { return isJSON(raw, t.value) })
		atHead = atHead && t >= 0
		switch {
		case atHead:
			r.removeItem(path, n)
			addition := traces[t].addition
			addition.Container = c.Name
			r.removed(i, addition)
		case t >= 0:
			r.warn(
				i, "container %q: %s stays: injected items come first in its list, and this may be the pod's own", c.Name,
				traces[t].what,
			)
		}
	}
}
