package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/pipeline-storage/pipeline-storage/test/bench/figures"
	"github.com/pipeline-storage/pipeline-storage/test/bench/stream"
)

// bench builds the candidates into one directory, and checks and measures them on every stream in
// the other. Streams are measured one after the other, in the order of their sizes. The first
// candidate that fails or makes a wrong edit ends the run. The load of the machine is read before
// and after.
func bench(ctx context.Context, o options, programDir, dataDir string) (report, error) {
	programs, err := buildAll(ctx, o, programDir)
	if err != nil {
		return report{}, err
	}
	path, err := build(ctx, launcherPackage, programDir)
	if err != nil {
		return report{}, err
	}
	l := launcher{path: path}
	r := report{rounds: o.rounds, checked: !o.skipCheck, machine: figures.Describe(), loadBefore: figures.Load()}
	if r.floor, err = floor(ctx, l); err != nil {
		return report{}, err
	}
	for _, size := range stream.Sizes() {
		if !slices.Contains(o.sizes, size.Name) {
			continue
		}
		s, err := newSubject(size, filepath.Join(dataDir, size.Name))
		if err != nil {
			return report{}, fmt.Errorf("prepare the %s stream: %w", size.Name, err)
		}
		costs, err := s.bench(ctx, o, l, programs)
		if err != nil {
			return report{}, fmt.Errorf("the %s stream: %w", size.Name, err)
		}
		r.sizes = append(r.sizes, sized{size: size, bytes: len(s.text), costs: costs})
	}
	r.loadAfter = figures.Load()
	return r, nil
}

// buildAll finds or builds the candidates' programs. The paths are returned by the names of the
// candidates.
func buildAll(ctx context.Context, o options, dir string) (map[string]string, error) {
	programs := map[string]string{}
	for _, name := range o.only {
		path, err := program(ctx, name, o, dir)
		if err != nil {
			return nil, err
		}
		programs[name] = path
	}
	return programs, nil
}

// floor is the peak memory that the launcher reports of a program that does nothing: itself
// without arguments. It is in bytes. Peak memory below or near it shows the launcher, not the
// program.
func floor(ctx context.Context, l launcher) (int64, error) {
	nothing := candidate{name: "launch", path: l.path}
	measured, err := l.run(ctx, nothing, os.DevNull, os.DevNull)
	return measured.rss, err
}

// subject is one stream, in files and decoded. Every candidate runs in its directory.
type subject struct {
	dir  string
	text []byte
	docs []document
}

// newSubject generates a stream and prepares the directory that its candidates run in. Dir is
// created. It gets the stream and the files that yq and kustomize need beside it. The documents
// are decoded once, for the checks of all candidates.
func newSubject(size stream.Size, dir string) (subject, error) {
	text, err := stream.Generate(size)
	if err != nil {
		return subject{}, fmt.Errorf("generate: %w", err)
	}
	docs, err := documents(text)
	if err != nil {
		return subject{}, err
	}
	s := subject{dir: dir, text: text, docs: docs}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return subject{}, fmt.Errorf("make its directory: %w", err)
	}
	if err := write(dir, "stdin", text); err != nil {
		return subject{}, err
	}
	if err := prepareStorage(dir); err != nil {
		return subject{}, err
	}
	return s, prepareKustomize(dir, text, docs)
}

// The files that every candidate reads and writes. The next candidate overwrites the output.
func (s subject) stdin() string  { return filepath.Join(s.dir, "stdin") }
func (s subject) stdout() string { return filepath.Join(s.dir, "stdout") }

// bench checks all candidates and measures them. The costs are returned by the names of the
// candidates, one for each round. Checks come first, so that a wrong candidate ends the run
// before minutes of measuring.
func (s subject) bench(ctx context.Context, o options, l launcher,
	programs map[string]string,
) (map[string][]cost, error) {
	candidates := s.candidates(programs)
	if !o.skipCheck {
		if err := s.checkAll(ctx, l, candidates); err != nil {
			return nil, err
		}
	}
	return s.measure(ctx, l, candidates, o.rounds)
}

// candidates are the programs with their arguments, in the order of the table. The programs that
// copy need no arguments. One without a program is not measured.
func (s subject) candidates(programs map[string]string) []candidate {
	args := map[string][]string{
		candidatePostrender:  postrenderArgs(),
		candidatePredecessor: postrenderArgs(),
		candidateYq:          yqArgs(),
		candidateKustomize:   kustomizeArgs(),
	}
	var found []candidate
	for _, name := range tableNames {
		if path, ok := programs[name]; ok {
			found = append(found, candidate{name: name, path: path, args: args[name], dir: s.dir})
		}
	}
	return found
}

// checkAll checks one candidate after the other, and stops at the first wrong one.
func (s subject) checkAll(ctx context.Context, l launcher, candidates []candidate) error {
	for _, c := range candidates {
		if err := s.check(ctx, l, c); err != nil {
			return fmt.Errorf("check of %s: %w", c.name, err)
		}
	}
	return nil
}

// check runs a candidate once and checks what it wrote. Two of them must change nothing; all
// others must make the same edit, by whatever means.
func (s subject) check(ctx context.Context, l launcher, c candidate) error {
	if _, err := l.run(ctx, c, s.stdin(), s.stdout()); err != nil {
		return err
	}
	out, err := os.ReadFile(s.stdout())
	if err != nil {
		return fmt.Errorf("read its output: %w", err)
	}
	if c.name == candidateCopy || c.name == candidateImports {
		return checkCopy(s.text, out)
	}
	return checkEdit(s.docs, out)
}

// measure runs the candidates in turns, every round beginning with another one, so that none
// always follows the same. The first rounds warm up the page cache and are not counted. A cost
// includes the start of the program, as Helm starts a post-renderer for each command.
func (s subject) measure(ctx context.Context, l launcher, candidates []candidate,
	rounds int,
) (map[string][]cost, error) {
	costs := map[string][]cost{}
	for round := range warmups + rounds {
		for i := range candidates {
			c := candidates[(round+i)%len(candidates)]
			measured, err := l.run(ctx, c, s.stdin(), s.stdout())
			if err != nil {
				return nil, err
			}
			if round >= warmups {
				costs[c.name] = append(costs[c.name], measured)
			}
		}
	}
	return costs, nil
}

// writeStreams writes the streams as files. Each is named for its size, such as large.yaml. Dir
// is created. They are for profilers and for trying a tool by hand.
func writeStreams(dir string, names []string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("--write-streams: %w", err)
	}
	for _, size := range stream.Sizes() {
		if !slices.Contains(names, size.Name) {
			continue
		}
		text, err := stream.Generate(size)
		if err != nil {
			return fmt.Errorf("generate the %s stream: %w", size.Name, err)
		}
		if err := write(dir, size.Name+".yaml", text); err != nil {
			return err
		}
	}
	return nil
}
