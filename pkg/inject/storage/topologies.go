package storage

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// allowedTopologies are copies of the profile's.
func (s *StorageClass) allowedTopologies() []corev1.TopologySelectorTerm {
	terms := slices.Clone(s.AllowedTopologies)
	for i := range terms {
		terms[i] = *terms[i].DeepCopy()
	}
	return terms
}

// validateTopologies checks the topologies as the API server does, and refuses what no node can
// have: a value that is no label's, and a term without expressions. It refuses topologies of a
// class that is not created.
// Source: Kubernetes, pkg/apis/storage/validation validateAllowedTopologies and
// pkg/apis/core/validation ValidateTopologySelectorTerm.
func (s *StorageClass) validateTopologies(at *field.Path) field.ErrorList {
	if !*s.Create {
		return withoutObject(at, len(s.AllowedTopologies), "storageClass")
	}
	var errs field.ErrorList
	seen := map[string]bool{}
	for i, term := range s.AllowedTopologies {
		here := at.Index(i).Child("matchLabelExpressions")
		if len(term.MatchLabelExpressions) == 0 {
			errs = append(errs, field.Required(here, "a term without expressions allows nothing"))
		}
		var parts []string
		keys := map[string]bool{}
		for j, expression := range term.MatchLabelExpressions {
			errs = append(errs, validateTopology(here.Index(j), expression)...)
			if keys[expression.Key] {
				errs = append(errs, field.Duplicate(here.Index(j).Child("key"), expression.Key))
			}
			keys[expression.Key] = true
			parts = append(parts, fmt.Sprintf("%q=%q", expression.Key, slices.Sorted(slices.Values(expression.Values))))
		}
		slices.Sort(parts)
		term := strings.Join(parts, ";")
		if seen[term] {
			errs = append(errs, field.Duplicate(here, ""))
		}
		seen[term] = true
	}
	return errs
}

// validateTopology checks one expression: a node label, and the values of it that are allowed.
func validateTopology(at *field.Path, expression corev1.TopologySelectorLabelRequirement) field.ErrorList {
	var errs field.ErrorList
	for _, problem := range validation.IsQualifiedName(expression.Key) {
		errs = append(errs, field.Invalid(at.Child("key"), expression.Key, problem))
	}
	if len(expression.Values) == 0 {
		errs = append(errs, field.Required(at.Child("values"), "name the values that are allowed"))
	}
	seen := map[string]bool{}
	for i, value := range expression.Values {
		for _, problem := range validation.IsValidLabelValue(value) {
			errs = append(errs, field.Invalid(at.Child("values").Index(i), value, problem))
		}
		if seen[value] {
			errs = append(errs, field.Duplicate(at.Child("values").Index(i), value))
		}
		seen[value] = true
	}
	return errs
}
