package kinds

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Validate checks a row of a configuration file and returns every problem with its field path.
func (k *Kind) Validate(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if k.Kind == "" {
		errs = append(errs, field.Required(at.Child("kind"), ""))
	}
	if len(k.Pods)+len(k.Objects) == 0 && k.Advice == "" {
		errs = append(errs, field.Required(at.Child("pods"), "a kind has pods or objects or both, or only advice"))
	}
	for i, p := range k.Pods {
		errs = append(errs, p.validate(at.Child("pods").Index(i))...)
	}
	return append(errs, validatePaths(at.Child("objects"), k.Objects...)...)
}

// validate checks the paths of one sort of pod. Either PodTemplate stands for most of them, or a
// scope has volumes and containers, or a scope has labels alone.
func (p *PodPaths) validate(at *field.Path) field.ErrorList {
	errs := validateRelative(at.Child("replicas"), p.Replicas...)
	errs = append(errs, validateRelative(at.Child("claimTemplates"), nonEmpty(p.ClaimTemplates)...)...)
	errs = append(errs, validateField(at.Child("sharedVolumes"), p.SharedVolumes...)...)
	errs = append(errs, p.validateContainers(at)...)
	errs = append(errs, validateField(at.Child("labels"), nonEmpty(p.Labels)...)...)
	if p.PodTemplate != "" {
		if p.Scope+p.Spec+p.Volumes != "" || len(p.Metadata)+len(p.SecurityContext)+len(p.Affinity)+len(p.Containers) > 0 {
			errs = append(
				errs,
				field.Invalid(
					at.Child("podTemplate"), p.PodTemplate,
					"has all its parts: leave out scope, metadata, spec, securityContext, affinity, volumes and containers",
				),
			)
		}
		return append(errs, validatePaths(at.Child("podTemplate"), p.PodTemplate)...)
	}
	if p.Scope == "" {
		return append(errs, field.Required(at.Child("scope"), "set scope or podTemplate for a PodTemplateSpec"))
	}
	labelOnly := p.Labels != "" && p.Volumes == "" && len(p.Containers) == 0
	if p.Volumes == "" && !labelOnly {
		errs = append(errs, field.Required(at.Child("volumes"), ""))
	}
	if len(p.Containers) == 0 && !labelOnly {
		errs = append(
			errs, field.Required(at.Child("containers"), "set containers, or labels alone where nothing can be mounted"),
		)
	}
	errs = append(errs, validatePaths(at.Child("scope"), p.Scope)...)
	errs = append(errs, validateRelative(at.Child("metadata"), p.Metadata...)...)
	errs = append(errs, validateRelative(at.Child("spec"), nonEmpty(p.Spec)...)...)
	errs = append(errs, validateRelative(at.Child("containers"), p.Containers...)...)
	errs = append(errs, validateField(at.Child("securityContext"), p.SecurityContext...)...)
	errs = append(errs, validateField(at.Child("affinity"), p.Affinity...)...)
	return append(errs, validateField(at.Child("volumes"), nonEmpty(p.Volumes)...)...)
}

// validateContainers checks the fields about containers, but for their paths.
func (p *PodPaths) validateContainers(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	isKnown := func(at *field.Path, path string) {
		if p.PodTemplate == "" && !slices.Contains(p.Containers, path) {
			errs = append(errs, field.Invalid(at, path, "must be one of containers"))
		}
	}
	for i, shared := range p.Shared {
		at := at.Child("shared").Index(i)
		for _, path := range shared.Containers {
			isKnown(at.Child("containers"), path)
		}
		errs = append(errs, validateField(at.Child("mounts"), shared.Mounts...)...)
		errs = append(errs, validateField(at.Child("env"), shared.Env...)...)
	}
	for path := range p.Names {
		isKnown(at.Child("names"), path)
	}
	return errs
}

// nonEmpty is the path, if there is one.
func nonEmpty(path string) []string {
	if path == "" {
		return nil
	}
	return []string{path}
}

// validateField checks paths of fields that may have to be made: each needs a name.
func validateField(at *field.Path, paths ...string) field.ErrorList {
	errs := validateRelative(at, paths...)
	for _, p := range paths {
		if p == "." || strings.HasSuffix(p, anyItem) || strings.HasSuffix(p, anyValue) {
			errs = append(errs, field.Invalid(at, p, "must end with the name of a field"))
		}
	}
	return errs
}

// validateRelative checks paths that start at the scope, or with "$." at the root.
func validateRelative(at *field.Path, paths ...string) field.ErrorList {
	var errs field.ErrorList
	for _, p := range paths {
		errs = append(errs, validatePaths(at, strings.TrimPrefix(p, rootPrefix))...)
	}
	return errs
}

// validatePaths checks the syntax of paths: parsePath takes what passes here without an error.
func validatePaths(at *field.Path, paths ...string) field.ErrorList {
	var errs field.ErrorList
	for _, p := range paths {
		if p == "." {
			continue
		}
		for step := range strings.SplitSeq(p, ".") {
			if name := trimAny(step); name == "" || strings.ContainsAny(name, "[]{}*$/ ") {
				errs = append(
					errs,
					field.Invalid(
						at, p,
						"must be field names joined by dots, with [*] behind the name of a list and {*} behind that of a map",
					),
				)
				break
			}
		}
	}
	return errs
}

// trimAny takes the [*] and {*} from a step of a path. There are several behind the name of a list
// of lists.
func trimAny(step string) string {
	for strings.HasSuffix(step, anyItem) || strings.HasSuffix(step, anyValue) {
		step = step[:len(step)-len(anyItem)]
	}
	return step
}
