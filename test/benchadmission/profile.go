package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const topLines = "25"

// kind is a kind of profile: where it is served, and how its top is sorted.
type kind struct {
	name, what string
	sorted     []string
}

var profileKinds = []kind{
	{name: "profile", what: "CPU, with what each calls", sorted: []string{"-cum"}},
	{name: "allocs", what: "allocations, estimated from samples", sorted: []string{"-sample_index=alloc_objects"}},
}

// runProfile writes CPU profiles of the webhook for each size and prints their tops.
func (b *bench) runProfile(ctx context.Context, out io.Writer) error {
	if err := os.MkdirAll(b.options.profile, 0o755); err != nil {
		return fmt.Errorf("--profile: %w", err)
	}
	b.options.servers, b.launcher.profiles = []string{webhookName}, true
	return b.serving(ctx, false, func(servers []*server) error {
		subjects, err := newSubjects(b.options)
		if err != nil {
			return err
		}
		for _, subject := range subjects {
			for _, k := range profileKinds {
				file := filepath.Join(b.options.profile, subject.name+"."+k.name)
				reviews, err := servers[0].profile(ctx, subject.checkers[webhookName], k, b.profiled(), file)
				if err != nil {
					return servers[0].explain(err)
				}
				fmt.Fprintf(out, "%s: %s of %d reviews of %d bytes\n", file, k.what, reviews, subject.bytes)
				if err := top(ctx, k, file, out); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// profiled is the length of a profile, in whole seconds: several periods, so that there are enough
// samples.
func (b *bench) profiled() time.Duration {
	const periods = 3
	return max(time.Second, (periods * b.options.duration).Round(time.Second))
}

// profile records one under load and returns how many reviews were answered meanwhile.
func (s *server) profile(ctx context.Context, check *checker, k kind, profiled time.Duration,
	file string,
) (reviews int, err error) {
	err = s.loaded(ctx, check, func(l load) error {
		ended := make(chan error, 1)
		go func() {
			result, err := l.closed(ctx, profiled)
			reviews = result.requests
			ended <- err
		}()
		url := fmt.Sprintf("http://%s/debug/pprof/%s?seconds=%.0f", join(s.ports.profiles), k.name, profiled.Seconds())
		text, err := get(ctx, url)
		if err := <-ended; err != nil {
			return err
		}
		if err != nil {
			return fmt.Errorf("take a profile: %w", err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return fmt.Errorf("--profile: %w", err)
		}
		return nil
	})
	return reviews, err
}

// top prints the functions that stand for the most.
func top(ctx context.Context, k kind, file string, out io.Writer) error {
	args := append([]string{"tool", "pprof", "-top", "-nodecount=" + topLines}, k.sorted...)
	text, err := exec.CommandContext(ctx, "go", append(args, file)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("read the profile: %w\n%s", err, text)
	}
	_, err = fmt.Fprintf(out, "%s\n", text)
	return err
}
