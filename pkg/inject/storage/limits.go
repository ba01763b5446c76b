package storage

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// The limits of the API for maps: parameters of a class, and all annotations of an object.
// Sources: Kubernetes, pkg/apis/storage/validation maxProvisionerParameterSize and
// maxProvisionerParameterLen; apimachinery, pkg/api/validation TotalAnnotationSizeLimitB.
const (
	maxMapBytes   = 256 * 1024
	maxParameters = 512
)

// The limits of Linux for paths, in bytes: the path without its NUL, and one name of it.
// Source: limits.h(0p), PATH_MAX and NAME_MAX.
const (
	maxPath     = 4095
	maxPathName = 255
)

// maxDriver is the length of a CSI driver's name.
// Source: Kubernetes, pkg/apis/core/validation ValidateCSIDriverName.
const maxDriver = 63

// bytesOf is the size of a map as the API server counts it: that of all keys and values.
func bytesOf(values map[string]string) int {
	size := 0
	for key, value := range values {
		size += len(key) + len(value)
	}
	return size
}

// validateParameters checks the parameters of a class.
// Source: Kubernetes, pkg/apis/storage/validation validateParameters.
func validateParameters(at *field.Path, parameters map[string]string) field.ErrorList {
	errs := validateMapKeys(at, parameters)
	if len(parameters) > maxParameters {
		errs = append(errs, field.TooMany(at, len(parameters), maxParameters))
	}
	if bytesOf(parameters) > maxMapBytes {
		errs = append(errs, field.TooLong(at, "", maxMapBytes))
	}
	return errs
}

// validateMapKeys refuses a value without a key.
func validateMapKeys(at *field.Path, values map[string]string) field.ErrorList {
	if _, isEmpty := values[""]; isEmpty {
		return field.ErrorList{field.Invalid(at, "", "a key must not be empty")}
	}
	return nil
}

// validateDriverName checks the name of a driver. A class takes every provisioner; all that is for
// CSI needs the name of a CSI driver, which has no slash.
// Source: Kubernetes, pkg/apis/storage/validation validateProvisioner and pkg/apis/core/validation
// ValidateCSIDriverName, neither of which looks at capitals.
func validateDriverName(at *field.Path, driver string, isCSI bool) field.ErrorList {
	var errs field.ErrorList
	check := validation.IsQualifiedName
	if isCSI {
		check = validation.IsDNS1123Subdomain
	}
	for _, problem := range check(strings.ToLower(driver)) {
		errs = append(errs, field.Invalid(at, driver, problem))
	}
	if isCSI && len(driver) > maxDriver {
		errs = append(errs, field.TooLong(at, driver, maxDriver))
	}
	return errs
}

// checkPathText refuses what no file system takes as a path.
func checkPathText(p string) error {
	if strings.ContainsFunc(p, unicode.IsControl) {
		return errors.New("must not contain control characters")
	}
	if len(p) > maxPath {
		return fmt.Errorf("must not be longer than %d bytes", maxPath)
	}
	for name := range strings.SplitSeq(p, "/") {
		if len(name) > maxPathName {
			return fmt.Errorf("must not contain a name longer than %d bytes", maxPathName)
		}
	}
	return nil
}
