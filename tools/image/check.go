package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/subrequests/lint"
)

// directive is the comment in a Dockerfile's first lines that chooses rules.
const directive = "check"

// check prints a line for each finding of BuildKit's checks ("docker build --check") and fails if
// there is one.
func check(ctx context.Context, o options, stdout io.Writer) error {
	d, err := readDockerfile(o)
	if err != nil {
		return err
	}

	if err := d.checksEverything(); err != nil {
		return err
	}

	results, err := dockerfile2llb.DockerfileLint(ctx, d.text, d.options(platforms.DefaultSpec()))
	if err != nil {
		return fmt.Errorf("check %s: %w", d.path, err)
	}

	return d.report(results, stdout)
}

// checksEverything fails unless the Dockerfile enables every rule and failed builds: then a build
// with a container engine sees what this check sees.
func (d dockerfile) checksEverything() error {
	text, _, _, found := parser.ParseDirective(directive, d.text)
	if !found {
		text = ""
	}

	chosen, err := linter.ParseLintOptions(text)
	if err != nil {
		return fmt.Errorf("read the check directive of %s: %w", d.path, err)
	}

	if line := d.laterDirective(); line > 0 {
		return fmt.Errorf("%s:%d skips checks for one instruction: fix the findings", d.path, line)
	}

	if chosen.SkipAll || len(chosen.SkipRules) > 0 || !chosen.ExperimentalAll || !chosen.ReturnAsError {
		return fmt.Errorf("%s does not require every check: make \"# check=error=true;experimental=all\" its first line",
			d.path)
	}

	return nil
}

// laterDirective returns the line of a directive below the first line, where it holds for one
// instruction. 0: none.
func (d dockerfile) laterDirective() int {
	for i, line := range bytes.Split(d.text, []byte("\n")) {
		comment, isComment := bytes.CutPrefix(bytes.TrimSpace(line), []byte("#"))
		name, _, isDirective := bytes.Cut(comment, []byte("="))

		if i > 0 && isComment && isDirective && string(bytes.TrimSpace(name)) == directive {
			return i + 1
		}
	}

	return 0
}

func (d dockerfile) report(results *lint.LintResults, stdout io.Writer) error {
	for i := range results.Warnings {
		w := &results.Warnings[i]

		line := int32(0)
		if ranges := w.Location.GetRanges(); len(ranges) > 0 {
			line = ranges[0].GetStart().GetLine()
		}

		fmt.Fprintf(stdout, "%s:%d: %s: %s (%s)\n", d.path, line, w.RuleName, w.Detail, w.URL)
	}

	switch {
	case len(results.Warnings) > 0:
		return fmt.Errorf("%s: findings: %d", d.path, len(results.Warnings))
	case results.Error != nil:
		return errors.New(results.Error.Message)
	}

	return nil
}
