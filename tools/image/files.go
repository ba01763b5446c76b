package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

const ignoreFile = ".dockerignore"

// copyContext copies those files of a build context that .dockerignore lets through: what a
// container engine would see.
func copyContext(from, to string) error {
	ignored, err := ignorePatterns(from)
	if err != nil {
		return err
	}

	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}

		name, err := filepath.Rel(from, path)
		if err != nil || name == "." {
			return err
		}

		if skipped, err := ignored.MatchesOrParentMatches(name); err != nil || skipped {
			return skipEntry(name, entry, ignored, err)
		}

		return copyEntry(path, filepath.Join(to, name), entry)
	})
}

func ignorePatterns(dir string) (*patternmatcher.PatternMatcher, error) {
	text, err := os.Open(filepath.Join(dir, ignoreFile))
	if errors.Is(err, fs.ErrNotExist) {
		return patternmatcher.New(nil)
	}

	if err != nil {
		return nil, fmt.Errorf("read what the build context ignores: %w", err)
	}
	defer text.Close()

	patterns, err := ignorefile.ReadAll(text)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", ignoreFile, err)
	}

	matcher, err := patternmatcher.New(patterns)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", ignoreFile, err)
	}

	return matcher, nil
}

// skipEntry skips an ignored directory whole, unless an exception in .dockerignore may include
// something below it.
func skipEntry(name string, entry fs.DirEntry, ignored *patternmatcher.PatternMatcher, err error) error {
	if err != nil || !entry.IsDir() {
		return err
	}

	for _, pattern := range ignored.Patterns() {
		if pattern.Exclusion() && strings.HasPrefix(pattern.String()+"/", name+"/") {
			return nil
		}
	}

	return fs.SkipDir
}

func copyEntry(from, to string, entry fs.DirEntry) error {
	switch {
	case entry.IsDir():
		return os.MkdirAll(to, 0o755)
	case !entry.Type().IsRegular():
		return fmt.Errorf("%s is neither file nor directory: exclude it in %s", from, ignoreFile)
	}

	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}

	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}

	info, err := entry.Info()
	if err != nil {
		return err
	}

	return os.WriteFile(to, text, info.Mode().Perm())
}

// addedFiles returns what after has and before has not, sorted, owned by root as COPY makes it.
func addedFiles(before, after string) ([]file, error) {
	var added []file

	err := filepath.WalkDir(after, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == after {
			return err
		}

		name, err := filepath.Rel(after, path)
		if err != nil {
			return err
		}

		if _, err := os.Lstat(filepath.Join(before, name)); err == nil {
			return nil
		}

		f, err := readFile(path, filepath.ToSlash(name))
		added = append(added, f)

		return err
	})

	slices.SortFunc(added, func(a, b file) int { return strings.Compare(a.path, b.path) })

	return added, err
}

func readFile(path, name string) (file, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return file{}, err
	}

	f := file{path: name, mode: info.Mode(), uid: root, gid: root}
	if !info.Mode().IsRegular() {
		return f, nil
	}

	text, err := os.ReadFile(path)
	f.text = string(text)

	return f, err
}
