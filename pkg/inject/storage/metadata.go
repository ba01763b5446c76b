package storage

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// addMetadata adds the profile's own labels and annotations to those of an object, with
// placeholders filled. [ReservedKeys] keeps the two apart.
func addMetadata(meta *metav1.ObjectMeta, labels, annotations map[string]string, namespace, release string) {
	for key, value := range labels {
		meta.Labels[key] = complete(value, namespace, release)
	}
	for key, value := range annotations {
		meta.Annotations[key] = complete(value, namespace, release)
	}
}

// metadataOf is what a profile gives an object: its labels and annotations, with the field that
// they are in, and whether the profile creates the object.
type metadataOf struct {
	field               string
	labels, annotations map[string]string
	create              bool
}

// metadata returns that of every object that can have some.
func (p *Profile) metadata() []metadataOf {
	all := []metadataOf{{"claim", p.Claim.Labels, p.Claim.Annotations, *p.Claim.Create}, p.classMetadata()}
	if v := p.Volume; v != nil {
		all = append(all, metadataOf{"volume", v.Labels, v.Annotations, *v.Create})
	}
	return all
}

// classMetadata is that of the class.
func (p *Profile) classMetadata() metadataOf {
	s := &p.StorageClass
	return metadataOf{"storageClass", s.Labels, s.Annotations, *s.Create}
}

// validateMetadata checks labels and annotations as the API server does, and refuses
// [ReservedKeys] and those of objects that are not created.
func (p *Profile) validateMetadata(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, m := range p.metadata() {
		here := at.Child(m.field)
		if !m.create {
			errs = append(errs, withoutObject(here.Child("labels"), len(m.labels), m.field)...)
			errs = append(errs, withoutObject(here.Child("annotations"), len(m.annotations), m.field)...)
			continue
		}
		errs = append(errs, validateLabels(here.Child("labels"), m.labels)...)
		errs = append(errs, p.validateAnnotations(here.Child("annotations"), m.annotations)...)
	}
	return errs
}

// each calls a function with the value of every label and annotation, with its field, in a fixed
// order. at is the profile's field.
func (m metadataOf) each(at *field.Path, call func(at *field.Path, value string)) {
	for _, key := range slices.Sorted(maps.Keys(m.labels)) {
		call(at.Child(m.field, "labels").Key(key), m.labels[key])
	}
	for _, key := range slices.Sorted(maps.Keys(m.annotations)) {
		call(at.Child(m.field, "annotations").Key(key), m.annotations[key])
	}
}

// validateClassMetadataForAdmission refuses {namespace} in a label or annotation of a class that
// several namespaces share: it would be that of the first one.
func (p *Profile) validateClassMetadataForAdmission(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	p.classMetadata().each(at, func(here *field.Path, value string) {
		if strings.Contains(value, placeholderNamespace) && !strings.Contains(p.StorageClass.Name, placeholderNamespace) {
			errs = append(errs, field.Invalid(here, value, "the class is that of every namespace: use a plain value, or "+
				placeholderNamespace+" in storageClass.name, too"))
		}
	})
	return errs
}

// withoutObject refuses a field with entries for an object that the profile does not create.
func withoutObject(at *field.Path, entries int, object string) field.ErrorList {
	if entries == 0 {
		return nil
	}
	return field.ErrorList{field.Forbidden(at, "has no effect, because the profile does not create the "+object)}
}

// validateLabels checks labels.
// Source: Kubernetes, apimachinery, pkg/apis/meta/v1/validation ValidateLabels.
func validateLabels(at *field.Path, labels map[string]string) field.ErrorList {
	var errs field.ErrorList
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		errs = append(errs, validateKey(at.Key(key), key, key)...)
		for _, problem := range filled(labels[key], validation.IsValidLabelValue) {
			errs = append(errs, field.Invalid(at.Key(key), labels[key], problem))
		}
	}
	return errs
}

// validateAnnotations checks annotations. Their keys may have capitals everywhere. Their size counts
// with that of the object's other ones.
// Source: Kubernetes, apimachinery, pkg/api/validation ValidateAnnotations.
func (p *Profile) validateAnnotations(at *field.Path, annotations map[string]string) field.ErrorList {
	var errs field.ErrorList
	size := bytesOf(p.meta("", "").Annotations)
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		size += len(key) + len(longest(annotations[key]))
		errs = append(errs, validateKey(at.Key(key), key, strings.ToLower(key))...)
	}
	if size > maxMapBytes {
		errs = append(errs, field.TooLong(at, "", maxMapBytes))
	}
	return errs
}

// validateKey checks the key of a label or an annotation. qualified is the form of it that must be
// a qualified name.
func validateKey(at *field.Path, key, qualified string) field.ErrorList {
	var errs field.ErrorList
	for _, problem := range validation.IsQualifiedName(qualified) {
		errs = append(errs, field.Invalid(at, key, problem))
	}
	if err := checkReservedKey(key); err != nil {
		errs = append(errs, field.Invalid(at, key, err.Error()))
	}
	return errs
}

// The longest names that placeholders can become.
// Sources: Kubernetes, pkg/apis/core/validation ValidateNamespaceName; Helm,
// pkg/chartutil/validate_name.go maxReleaseNameLen.
const (
	maxNamespace = maxLabel
	maxRelease   = 53
)

// filled returns the problems of a text once its placeholders have the longest values that they can
// have: what is accepted here is not refused later, in some namespace.
func filled(text string, check func(string) []string) []string {
	if problems := check(complete(text, "x", "x")); len(problems) > 0 {
		return problems
	}
	problems := check(longest(text))
	for i := range problems {
		problems[i] += fmt.Sprintf(" (with the longest namespace, %d characters, and release, %d)", maxNamespace, maxRelease)
	}
	return problems
}

// longest is a text whose placeholders have the longest values that they can have.
func longest(text string) string {
	return complete(text, strings.Repeat("x", maxNamespace), strings.Repeat("x", maxRelease))
}
