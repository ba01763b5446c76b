// Command release completes what "make release" has put into dist, the plugin, the chart and the image, with the
// archives of the programs, the manifest for krew, the formula for Homebrew, the SBOMs and the checksums:
//
//	go run ./hack/release -version 1.2.3 -created 2026-01-02T03:04:05Z
//
// It needs no network but for modules that are not downloaded yet. The same commit gives the same bytes.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"

	"github.com/pipeline-storage/pipeline-storage/plugin"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// versions matches a semantic version without a v. It may have no build metadata: a tag of an image cannot hold its +.
var versions = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$`)

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	version := flags.String("version", "", "version of the release, without a v")
	created := flags.String("created", "", "time of the commit, for the SBOMs, as 2006-01-02T15:04:05Z")
	dist := flags.String("dist", "dist", "directory with the plugin, the chart and the image, for the rest")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if !versions.MatchString(*version) {
		return fmt.Errorf("%q is no version of a release: write one such as 1.2.3 or 1.2.3-rc.1", *version)
	}
	sbom, err := parts.Path(ctx, "sbom")
	if err != nil {
		return err
	}
	r := release{
		version: *version, created: *created, dist: *dist, build: plugin.Build,
		sbom: func(args ...string) ([]byte, error) {
			command := exec.CommandContext(ctx, sbom, args...)
			command.Stderr = os.Stderr
			return command.Output()
		},
	}
	return r.complete(ctx)
}
