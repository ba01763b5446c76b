package parts

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// idleCores is the number of cores that an estimate assumes.
const idleCores = 2

// Built is a program in the cache.
type Built struct {
	Name, Path string
	// Took is the time of its build, zero if the cache had it.
	Took time.Duration
}

// Build returns the named programs in the order of their names and builds those that the cache
// lacks, one after another. It reports to progress what must be built, each build, and its end. It
// reports nothing where nothing must be built.
func Build(ctx context.Context, progress io.Writer, names ...string) ([]Built, error) {
	b, err := newBuilder()
	if err != nil {
		return nil, err
	}
	programs := make([]program, len(names))
	for i, name := range names {
		if programs[i], err = b.locate(ctx, name); err != nil {
			return nil, err
		}
	}
	return b.all(ctx, progress, programs)
}

// all is Build for programs that are located.
func (b builder) all(ctx context.Context, progress io.Writer, programs []program) ([]Built, error) {
	missing := slices.DeleteFunc(slices.Clone(programs), func(p program) bool { return executable(p.file) })
	reportPlan(progress, missing)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { b.download(ctx, missing); return nil })
	built := make([]Built, len(programs))
	group.Go(func() (err error) {
		for i, p := range programs {
			built[i] = Built{Name: p.name, Path: p.file}
			if built[i].Took, err = b.reported(ctx, progress, p, missing); err != nil {
				return err
			}
		}
		return nil
	})
	return built, group.Wait()
}

// download gets the modules of all programs ahead of their builds, which come one after another because they compile
// the same packages. What it cannot get, the build tries to get again and reports.
func (b builder) download(ctx context.Context, programs []program) {
	for _, p := range programs {
		_, _ = b.run(ctx, p.module, append([]string{"list", "-deps"}, p.args...)...)
	}
}

// reported builds one of the missing programs, reports how that went, and returns how long it took.
func (b builder) reported(ctx context.Context, out io.Writer, p program, missing []program) (time.Duration, error) {
	if executable(p.file) {
		return 0, nil
	}
	position := 1 + slices.IndexFunc(missing, func(m program) bool { return m.name == p.name })
	fmt.Fprintf(out, "parts: %s (%d of %d, %s)\n", p.name, position, len(missing), inWords(estimate(p)))
	start := time.Now()
	if err := b.ensure(ctx, p); err != nil {
		return 0, err
	}
	took := time.Since(start)
	fmt.Fprintf(out, "parts: %s is built (%d of %d, %s)\n", p.name, position, len(missing), rounded(took))
	return took, nil
}

func reportPlan(progress io.Writer, missing []program) {
	if len(missing) == 0 {
		return
	}
	var names []string
	for _, p := range missing {
		names = append(names, p.name)
	}
	fmt.Fprintf(progress, "parts: to be built once, %s on two idle cores: %s\n",
		inWords(estimate(missing...)), strings.Join(names, ", "))
}

// estimate is how long the builds take on an idle machine, if the cache of the go command is empty.
func estimate(programs ...program) time.Duration {
	cpu := 0
	for _, p := range programs {
		cpu += p.cpu
	}
	return time.Duration(cpu) * time.Second / idleCores
}

// inWords is an estimate for people: no more exact than it is.
func inWords(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return "a few seconds"
	case d < 45*time.Second:
		return "about half a minute"
	case d < 90*time.Second:
		return "about a minute"
	default:
		return fmt.Sprintf("about %.0f minutes", d.Minutes())
	}
}

// rounded is a measured time for people: 52 s, or 3 min 52 s.
func rounded(d time.Duration) string {
	seconds := int(d.Round(time.Second).Seconds())
	if seconds < 60 {
		return fmt.Sprintf("%d s", seconds)
	}
	return fmt.Sprintf("%d min %d s", seconds/60, seconds%60)
}
