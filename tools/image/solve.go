package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	fs "github.com/tonistiigi/fsutil/copy"
)

const (
	imageScheme   = "docker-image://"
	contextSource = "local://context"
)

// solver executes a graph of steps in directories below work. It supports the steps of this
// repository's Dockerfile and refuses every other, so that none is skipped in silence.
type solver struct {
	work    string
	context string
	steps   map[string]*pb.Op
	last    *pb.Input
	done    map[string]snapshot
}

// snapshot is the outcome of a step: the directory with all files, and which steps of copying led
// there from a base image.
type snapshot struct {
	dir string
	// base is the base image's reference; empty for the build context.
	base string
	// layers are the files that each step added to the base.
	layers [][]file
}

// newSolver reads the graph of a state.
func newSolver(ctx context.Context, state llb.State, work, buildContext string) (*solver, error) {
	definition, err := state.Marshal(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the steps: %w", err)
	}

	s := &solver{work: work, context: buildContext, steps: map[string]*pb.Op{}, done: map[string]snapshot{}}

	for _, text := range definition.Def {
		op := &pb.Op{}
		if err := op.UnmarshalVT(text); err != nil {
			return nil, fmt.Errorf("read a step: %w", err)
		}

		s.steps[digest.FromBytes(text).String()] = op

		if op.GetOp() == nil && len(op.GetInputs()) == 1 { // the end of the graph points to its result
			s.last = op.GetInputs()[0]
		}
	}

	if s.last == nil {
		return nil, errors.New("the Dockerfile makes no image")
	}

	return s, nil
}

// solve executes all steps that lead to the result.
func (s *solver) solve(ctx context.Context) (snapshot, error) {
	return s.snapshot(ctx, s.last.GetDigest())
}

func (s *solver) snapshot(ctx context.Context, key string) (snapshot, error) {
	if made, ok := s.done[key]; ok {
		return made, nil
	}

	op := s.steps[key]
	inputs := make([]snapshot, 0, len(op.GetInputs()))

	for _, input := range op.GetInputs() {
		made, err := s.snapshot(ctx, input.GetDigest())
		if err != nil {
			return snapshot{}, err
		}

		inputs = append(inputs, made)
	}

	dir, err := os.MkdirTemp(s.work, "step-")
	if err != nil {
		return snapshot{}, fmt.Errorf("make a directory for a step: %w", err)
	}

	made, err := s.do(ctx, op, inputs, dir)
	if err != nil {
		return snapshot{}, err
	}

	s.done[key] = made

	return made, nil
}

func (s *solver) do(ctx context.Context, op *pb.Op, inputs []snapshot, dir string) (snapshot, error) {
	switch step := op.GetOp().(type) {
	case *pb.Op_Source:
		return s.source(step.Source, dir)
	case *pb.Op_File:
		return copyFiles(ctx, step.File, inputs, dir)
	case *pb.Op_Exec:
		return s.execute(ctx, step.Exec, inputs, dir)
	default:
		return snapshot{}, fmt.Errorf("tools/image cannot carry out a step of the kind %T", step)
	}
}

func (s *solver) source(source *pb.SourceOp, dir string) (snapshot, error) {
	if source.GetIdentifier() == contextSource {
		return snapshot{dir: s.context}, nil
	}

	ref, ok := strings.CutPrefix(source.GetIdentifier(), imageScheme)
	if !ok {
		return snapshot{}, fmt.Errorf("tools/image cannot fetch %s", source.GetIdentifier())
	}

	_, err := findBase(ref)

	return snapshot{dir: dir, base: ref}, err
}

// copyFiles executes WORKDIR and COPY on a copy of the input.
func copyFiles(ctx context.Context, step *pb.FileOp, inputs []snapshot, dir string) (snapshot, error) {
	var result snapshot

	for i, action := range step.GetActions() {
		// Each action works on the output of the one before it, the first on an input.
		switch {
		case action.GetInput() < 0:
			return snapshot{}, errors.New("tools/image cannot copy into a stage that has no base image")
		case i == 0:
			result = inputs[action.GetInput()]
			if err := fs.Copy(ctx, result.dir, "/", dir, "/", contentsOnly); err != nil {
				return snapshot{}, fmt.Errorf("copy the files of the step before: %w", err)
			}
		case int(action.GetInput()) != len(inputs)+i-1:
			return snapshot{}, errors.New("tools/image cannot execute copies that do not follow each other")
		}

		if err := act(ctx, action, inputs, dir); err != nil {
			return snapshot{}, err
		}
	}

	added, err := addedFiles(result.dir, dir)
	if err != nil {
		return snapshot{}, err
	}

	layers := append(append([][]file{}, result.layers...), added)

	return snapshot{dir: dir, base: result.base, layers: layers}, nil
}

func contentsOnly(info *fs.CopyInfo) { info.CopyDirContents = true }

func act(ctx context.Context, action *pb.FileAction, inputs []snapshot, dir string) error {
	switch a := action.GetAction().(type) {
	case *pb.FileAction_Mkdir:
		path := filepath.Join(dir, a.Mkdir.GetPath())
		if err := os.MkdirAll(path, os.FileMode(a.Mkdir.GetMode())); err != nil {
			return fmt.Errorf("make the directory %s: %w", a.Mkdir.GetPath(), err)
		}

		return nil
	case *pb.FileAction_Copy:
		return copyAction(ctx, a.Copy, inputs[action.GetSecondaryInput()].dir, dir)
	default:
		return fmt.Errorf("tools/image cannot change files by %T", a)
	}
}

func copyAction(ctx context.Context, action *pb.FileActionCopy, from, to string) error {
	if action.GetOwner() != nil || action.GetModeStr() != "" || action.GetAttemptUnpackDockerCompatibility() ||
		len(action.GetIncludePatterns())+len(action.GetExcludePatterns()) > 0 {
		return fmt.Errorf("tools/image cannot copy %s: the only flags of COPY that it supports are --from and an octal "+
			"--chmod", action.GetSrc())
	}

	sources, err := fs.ResolveWildcards(from, action.GetSrc(), action.GetFollowSymlink())
	if err != nil {
		return fmt.Errorf("find %s: %w", action.GetSrc(), err)
	}

	for _, source := range sources {
		err := fs.Copy(ctx, from, source, to, action.GetDest(), func(info *fs.CopyInfo) {
			info.CopyDirContents = action.GetDirCopyContents()
			info.FollowLinks = action.GetFollowSymlink()

			if mode := int(action.GetMode()); mode != -1 {
				info.Mode = &mode
			}
		})
		if errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("there is no %s to copy: does %s exclude it?", source, ignoreFile)
		}

		if err != nil {
			return fmt.Errorf("copy %s: %w", source, err)
		}
	}

	return nil
}

// execute runs a step in a copy of the input's files, with this machine's own programs, caches and
// settings of Go.
func (s *solver) execute(ctx context.Context, step *pb.ExecOp, inputs []snapshot, dir string) (snapshot, error) {
	input, err := rootOf(step, inputs)
	if err != nil {
		return snapshot{}, err
	}

	if err := fs.Copy(ctx, input.dir, "/", dir, "/", contentsOnly); err != nil {
		return snapshot{}, fmt.Errorf("copy the files of the step before: %w", err)
	}

	meta := step.GetMeta()
	command := exec.CommandContext(ctx, meta.GetArgs()[0], meta.GetArgs()[1:]...)
	command.Dir = filepath.Join(dir, meta.GetCwd())
	command.Env = environment(meta.GetEnv())
	command.Stdout = os.Stderr
	command.Stderr = os.Stderr

	if err := command.Run(); err != nil {
		return snapshot{}, fmt.Errorf("run %q: %w", meta.GetArgs(), err)
	}

	return snapshot{dir: dir, base: input.base}, nil
}

// rootOf returns the files of a step. Caches are this machine's own, so only their kind of mount is
// skipped.
func rootOf(step *pb.ExecOp, inputs []snapshot) (snapshot, error) {
	var input snapshot

	for _, mount := range step.GetMounts() {
		switch {
		case mount.GetDest() == pb.RootMount:
			input = inputs[mount.GetInput()]
		case mount.GetMountType() != pb.MountType_CACHE:
			return snapshot{}, fmt.Errorf("tools/image cannot mount %s (%s)", mount.GetDest(), mount.GetMountType())
		}
	}

	return input, nil
}

// inherited are the variables by which programs find their directories, and the go command its
// modules.
var inherited = []string{"PATH", "HOME", "TMPDIR", "GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOSUMDB", "GONOSUMDB",
	"GOTOOLCHAIN"}

// environment is the step's, but with this machine's path and directories. A workspace or a flag
// that this machine sets for Go must not change the binaries.
func environment(step []string) []string {
	env := []string{"GOWORK=off", "GOFLAGS=-mod=readonly"}

	for _, name := range inherited {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}

	for _, variable := range step {
		if !strings.HasPrefix(variable, "PATH=") {
			env = append(env, variable)
		}
	}

	return env
}
