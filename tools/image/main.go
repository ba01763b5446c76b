// Command image checks this repository's Dockerfile and builds its image on machines that have no
// container engine and reach no registry.
//
//	image check -context ../..
//	image build -context ../.. -output DIR -build-arg VERSION=1.2.3
//	image push -layout DIR -name REGISTRY/REPOSITORY:TAG
//
// push sends what build made to a registry, byte for byte. The other two let BuildKit's own frontend read the Dockerfile. check prints what its rules find, all of
// them, and fails on any finding. build executes the graph of steps that the frontend makes of the
// Dockerfile, adds its image configuration and writes an OCI layout. So there is no second
// description of the image that could drift from the first.
//
// Two things differ from an image that a container engine builds. Steps (RUN) are run on this
// machine with its Go toolchain, in a copy of the build context; they are trusted as a Makefile is,
// and must stay below their WORKDIR. And base images are stand-ins, see bases.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
)

const usage = `usage:
  image check [-context DIR] [-file Dockerfile] [-build-arg NAME=VALUE]...
  image build [-context DIR] [-file Dockerfile] [-build-arg NAME=VALUE]... -output DIR [-append] [-target STAGE]
    [-platform LIST] [-name NAME]
  image push -layout DIR -name REGISTRY/REPOSITORY:TAG`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)

	stop()

	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// options are the values of the flags.
type options struct {
	context   string
	file      string
	output    string
	layout    string
	target    string
	append    bool
	platforms string
	name      string
	buildArgs arguments
}

// arguments collects -build-arg NAME=VALUE.
type arguments map[string]string

func (a arguments) String() string { return "" }

func (a arguments) Set(text string) error {
	name, value, found := strings.Cut(text, "=")
	if !found {
		return fmt.Errorf("%q has no =: write NAME=VALUE", text)
	}

	a[name] = value

	return nil
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	commands := map[string]func(context.Context, options, io.Writer) error{
		"check": check, "build": build, "push": push,
	}

	if len(args) == 0 || commands[args[0]] == nil {
		return errors.New(usage)
	}

	o, err := parse(args[0], args[1:])
	if err != nil {
		return fmt.Errorf("%w\n%s", err, usage)
	}

	return commands[args[0]](ctx, o, stdout)
}

func parse(command string, args []string) (options, error) {
	o := options{buildArgs: arguments{}}

	flags := flag.NewFlagSet("image "+command, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error is reported once, by main

	if command == "push" {
		flags.StringVar(&o.layout, "layout", "", "directory of the OCI layout with the image")
		flags.StringVar(&o.name, "name", "", "where to push it (registry/repository:tag)")
	} else {
		flags.StringVar(&o.context, "context", ".", "directory that the Dockerfile copies from")
		flags.StringVar(&o.file, "file", "", "the Dockerfile (default: Dockerfile in the context)")
		flags.Var(o.buildArgs, "build-arg", "value of an ARG, as NAME=VALUE")
	}

	if command == "build" {
		flags.StringVar(&o.output, "output", "", "new directory for the OCI layout")
		flags.BoolVar(&o.append, "append", false, "add the image to the layout, if there is one")
		flags.StringVar(&o.target, "target", "", "stage of the Dockerfile to build (default: the last)")
		flags.StringVar(&o.platforms, "platform", "linux/amd64,linux/arm64", "platforms, comma separated")
		flags.StringVar(&o.name, "name", "", "name of the image in the layout (registry/repository:tag)")
	}

	if err := flags.Parse(args); err != nil {
		return options{}, err
	}

	switch {
	case flags.NArg() > 0:
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case command == "build" && o.output == "":
		return options{}, errors.New("-output is required")
	case command == "push" && (o.layout == "" || o.name == ""):
		return options{}, errors.New("-layout and -name are required")
	case o.file == "":
		o.file = filepath.Join(o.context, "Dockerfile")
	}

	return o, nil
}
