package storage

import (
	"cmp"
	"errors"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// SetPath changes the mount path, or refuses one at which a volume would hide what the container
// needs.
func (m *MountConfig) SetPath(mountPath string) error {
	if err := checkMountPath(mountPath); err != nil {
		return err
	}
	m.Path = mountPath
	return nil
}

// AddSubPath adds a directory below the subPath. It refuses one that leads out of the subPath, and
// one with placeholders: those are the administrator's.
func (m *MountConfig) AddSubPath(directory string) error {
	if err := errors.Join(checkSubPath(directory), checkNoPlaceholders(directory)); err != nil {
		return err
	}
	joined := path.Join(m.SubPath, directory)
	if err := checkPathText(joined); err != nil {
		return err
	}
	m.SubPath = joined
	return nil
}

// validate checks the mount path, and the subPath with its placeholders.
func (m *MountConfig) validate(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if err := checkMountPath(m.Path); err != nil {
		errs = append(errs, field.Invalid(at.Child("path"), m.Path, err.Error()))
	}
	if err := checkSubPath(m.SubPath); err != nil {
		errs = append(errs, field.Invalid(at.Child("subPath"), m.SubPath, err.Error()))
	}
	if err := checkPlaceholders(m.SubPath); err != nil {
		errs = append(errs, field.Invalid(at.Child("subPath"), m.SubPath, err.Error()))
	}
	return errs
}

// checkMountPath refuses paths at which a volume would hide what the container needs.
func checkMountPath(p string) error {
	switch {
	case !path.IsAbs(p):
		return errors.New("must be an absolute path")
	case strings.Contains(p, ":"):
		return errors.New("must not contain a colon")
	case hasDotDot(p):
		return errors.New("must not contain two dots")
	}
	return cmp.Or(checkPathText(p), checkReservedPath(path.Clean(p)))
}

// checkSubPath refuses what the API server refuses, absolute paths and "..", and what no file
// system takes.
func checkSubPath(p string) error {
	if path.IsAbs(p) || hasDotDot(p) {
		return errors.New("must be a relative path without two dots")
	}
	return checkPathText(longest(p))
}

// hasDotDot reports whether an element of a path leads to its parent directory.
func hasDotDot(p string) bool {
	return slices.Contains(strings.Split(p, "/"), "..")
}

// IsBelow reports whether a clean path is the clean path dir or lies below it.
func IsBelow(clean, dir string) bool {
	rest, ok := strings.CutPrefix(clean, dir)
	return ok && (rest == "" || rest[0] == '/' || dir == "/")
}
