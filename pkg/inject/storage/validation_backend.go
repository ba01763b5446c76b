package storage

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// validateClasses checks presets, mount options and the optional classes.
func (p *Profile) validateClasses(at *field.Path, backend Backend) field.ErrorList {
	return slices.Concat(
		p.validateAllParameters(at),
		p.validatePerformance(at, backend),
		p.validateMountOptions(at, backend),
		p.validateAttributesClass(at.Child("attributesClass"), backend),
		p.validateSnapshotClass(at.Child("snapshotClass"), backend),
	)
}

// validateAllParameters checks the number and size of the parameters of the classes that are
// created, those of the backend with them.
func (p *Profile) validateAllParameters(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if *p.StorageClass.Create {
		errs = append(errs, validateParameters(at.Child("storageClass", "parameters"), p.parameters())...)
	}
	if p.createsAttributesClass() {
		errs = append(errs, validateParameters(at.Child("attributesClass", "parameters"), p.AttributesClass.Parameters)...)
	}
	if p.createsSnapshotClass() {
		errs = append(errs, validateParameters(at.Child("snapshotClass", "parameters"), p.snapshotParameters())...)
	}
	return errs
}

// validatePerformance refuses a preset that the backend does not have, or that has no effect
// because the class exists.
func (p *Profile) validatePerformance(at *field.Path, backend Backend) field.ErrorList {
	name, here := p.StorageClass.Performance, at.Child("storageClass", "performance")
	if name == "" {
		return nil
	}
	preset, known := backend.Performance[name]
	switch {
	case len(backend.Performance) == 0:
		return field.ErrorList{field.Invalid(here, name,
			fmt.Sprintf("the backend %s has no presets: set storageClass.parameters", backend.Name))}
	case !known:
		return field.ErrorList{field.NotSupported(here, name, slices.Sorted(maps.Keys(backend.Performance)))}
	case !*p.StorageClass.Create:
		return field.ErrorList{field.Invalid(here, name,
			"this profile does not create the class, so it cannot choose its parameters")}
	}
	return p.validateMinSize(at.Child("claim", "size"), preset)
}

// validateMinSize refuses a size that a preset's disks do not come in, unless the profile's own
// parameters make it another disk.
func (p *Profile) validateMinSize(at *field.Path, preset Preset) field.ErrorList {
	if preset.MinSize == "" || p.Volume != nil {
		return nil
	}
	for key := range preset.Parameters {
		if _, isOwn := p.StorageClass.Parameters[key]; isOwn {
			return nil
		}
	}
	if minimum := resource.MustParse(preset.MinSize); p.Claim.Size.Cmp(minimum) < 0 {
		return field.ErrorList{field.Invalid(at, p.Claim.Size.String(),
			fmt.Sprintf("storageClass.performance %s needs at least %s", p.StorageClass.Performance, preset.MinSize))}
	}
	return nil
}

// validateMountOptions refuses them where the API server does.
// Source: Kubernetes, Persistent Volumes, Mount Options.
func (p *Profile) validateMountOptions(at *field.Path, backend Backend) field.ErrorList {
	errs := mountOptionErrors(at.Child("storageClass", "mountOptions"), p.StorageClass.MountOptions, backend)
	if p.Volume != nil {
		errs = append(errs, mountOptionErrors(at.Child("volume", "mountOptions"), p.Volume.MountOptions, backend)...)
	}
	return errs
}

// mountOptionErrors refuses options of a volume that takes none, and empty ones.
func mountOptionErrors(at *field.Path, options []string, backend Backend) field.ErrorList {
	var errs field.ErrorList
	if len(options) > 0 && backend.source != sourceCSI && backend.Name != "" {
		errs = append(errs, field.Invalid(at, options, fmt.Sprintf("volumes of the backend %s take none", backend.Name)))
	}
	for i, option := range options {
		switch {
		case strings.TrimSpace(option) == "":
			errs = append(errs, field.Invalid(at.Index(i), option, "must not be empty"))
		case strings.ContainsFunc(option, unicode.IsControl):
			errs = append(errs, field.Invalid(at.Index(i), option, "must not contain control characters"))
		}
	}
	return errs
}

// validateStage checks that a node can mount a new volume of a CSI driver.
func (p *Profile) validateStage(at *field.Path, backend Backend) field.ErrorList {
	var errs field.ErrorList
	attributes, secret := p.attributes(), p.Volume.NodeStageSecret
	for _, name := range backend.ToMount {
		if attributes[name] == "" {
			errs = append(errs, field.Required(at.Child("attributes").Key(name),
				fmt.Sprintf("the backend %s needs it", backend.Name)))
		}
	}
	here := at.Child("nodeStageSecret")
	switch {
	case secret == nil && backend.StageSecret:
		errs = append(errs, field.Required(here, fmt.Sprintf("the backend %s needs a Secret to mount it with", backend.Name)))
	case secret == nil:
	case backend.source != sourceCSI:
		errs = append(errs, field.Invalid(here, secret.Namespace+"/"+secret.Name,
			fmt.Sprintf("volumes of the backend %s need none", backend.Name)))
	case secret.Name == "" || secret.Namespace == "":
		errs = append(errs, field.Required(here, "it needs a name and a namespace"))
	default: // no Secret has another name, but the API server accepts one here
		for _, problem := range validation.IsDNS1123Subdomain(secret.Name) {
			errs = append(errs, field.Invalid(here.Child("name"), secret.Name, problem))
		}
		for _, problem := range validation.IsDNS1123Label(secret.Namespace) {
			errs = append(errs, field.Invalid(here.Child("namespace"), secret.Namespace, problem))
		}
	}
	return errs
}

// validateProvisioning checks the parameters of a class that provisions volumes.
func (p *Profile) validateProvisioning(at *field.Path, backend Backend) field.ErrorList {
	var errs field.ErrorList
	if p.Volume != nil || !*p.StorageClass.Create {
		return nil
	}
	parameters := p.parameters()
	for _, names := range backend.ToProvision {
		if !slices.ContainsFunc(names, func(name string) bool { return parameters[name] != "" }) {
			problem := fmt.Sprintf("the backend %s needs it", backend.Name)
			if len(names) > 1 {
				problem += ", or " + strings.Join(names[1:], " or ")
			}
			errs = append(errs, field.Required(at.Child("parameters").Key(names[0]), problem))
		}
	}
	return errs
}
