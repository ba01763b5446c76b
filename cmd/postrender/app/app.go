// Package app is the command line of postrender. It turns flags and a configuration file into a
// [postrender.Renderer], and its output into manifests, a diff or a table. Every decision about
// manifests is the renderer's.
//
// A run has these steps, each in the file of its name: command.go reads the arguments by cobra,
// options.go defines and checks the flags, fields.go those that set a field of a profile;
// configuration.go merges them with the file;
// krm.go handles a ResourceList; output.go, explain.go and diff.go print.
//
// Standard output has the manifests and nothing else, because Helm installs what it reads there.
// Warnings and errors go to standard error.
package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/pipeline-storage/pipeline-storage/internal/cli"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// Streams are the standard streams of a run. Tests pass buffers; main passes those of the
// process.
type Streams struct {
	// In is read to its end before anything is written.
	In io.Reader
	// Out gets the manifests, a diff or a table. Err gets warnings and errors, a line each.
	Out, Err io.Writer
}

// version is set by the linker. Without it, the version is that of the module.
var version string

// exitChanges is the exit code of --diff --exit-code for a diff that is not empty. An error is 1, so
// that the two differ, as those of terraform plan -detailed-exitcode do.
const exitChanges = 2

// errChanges has [Run] return exitChanges.
var errChanges = errors.New("something would change")

// Run runs the command and returns its exit code: 0, or 1 with an error on standard error and
// nothing on standard output, or 2 for the changes of --diff --exit-code. The one exception is a
// ResourceList: a refused list is written back
// with the reasons as results. Args are those without the program's name.
func Run(args []string, s Streams) int {
	ignoreBrokenPipe()
	o := &Options{}
	err := o.execute(args, s)
	if o.Helm == 4 {
		var messages bytes.Buffer
		s.Err = io.MultiWriter(s.Err, &messages)
		defer func() { reportPastHelm(messages.String()) }()
	}
	if err == nil && o.proceed {
		err = o.run(s)
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errChanges):
		return exitChanges
	}
	_, _ = io.WriteString(s.Err, "error: "+err.Error()+"\n")
	return 1
}

// run carries out the options. What needs no manifests comes first.
func (o *Options) run(s Streams) error {
	switch {
	case (o.Explain || o.Diff) && underHelm(o.Helm):
		return errors.New("--explain and --diff print for people, and Helm would take that for the " +
			"release: run helm template CHART | postrender … instead")
	case o.PrintConfig:
		return o.printConfig(s)
	}
	stream, err := o.read(s)
	if err != nil {
		return err
	}
	list, err := postrender.ReadResourceList(stream)
	if err != nil {
		return err
	}
	if list != nil {
		return o.function(s, list)
	}
	return o.render(s, stream)
}

// render adds storage to a stream of manifests, or removes it. The report is written before the
// manifests and also when the run is refused: it has the reasons. On an error nothing of the
// stream is written.
func (o *Options) render(s Streams, stream []byte) error {
	renderer, overrides, err := o.renderer(s.Err)
	if err != nil {
		return err
	}
	out, err := renderer.Render(stream)
	out.Report.Overrides = overrides
	if reportErr := o.writeReport(&out.Report, s.Out); reportErr != nil {
		return errors.Join(err, reportErr)
	}
	if o.Explain { // the table has the reasons, above all when the run is refused
		return errors.Join(err, o.explain(s.Out, &out.Report))
	}
	if err != nil {
		return err
	}
	o.warn(s.Err, warningsOf(&out.Report))
	return o.write(s.Out, out)
}

// renderer makes the renderer from the options and the configuration file. The sentences that it
// returns name the flags that override a field of the file; they are for the report. It prints
// them and the warnings about the configuration to stderr.
func (o *Options) renderer(stderr io.Writer) (*postrender.Renderer, []string, error) {
	var file []byte
	if o.ConfigFile != "" {
		var err error
		if file, err = os.ReadFile(o.ConfigFile); err != nil {
			return nil, nil, fmt.Errorf("--config: %w", err)
		}
	}
	config, warnings, err := o.Config(file)
	if err != nil {
		return nil, nil, err
	}
	overrides := o.Overrides()
	o.warn(stderr, append(warnings, overrides...))
	return o.newRenderer(config, storage.Release{Name: o.Release, Namespace: o.Namespace}), overrides, nil
}

// newRenderer combines a configuration and a release with the flags that no configuration file
// has: the selection, the hook policy, the removal and what a warning is worth.
func (o *Options) newRenderer(config *storage.Config, release storage.Release) *postrender.Renderer {
	return &postrender.Renderer{
		Config:   config,
		Release:  release,
		Selector: o.Selector,
		Kinds:    o.Kinds,
		Names:    o.Names,
		Hooks:    o.Hooks,
		Remove:   o.Remove,
		Strict:   o.Strict,
		Helm4:    o.Helm == 4,
	}
}

// read returns the manifests of the file, or those of standard input. A person at a terminal gets a
// hint: otherwise the program would seem to hang.
func (o *Options) read(s Streams) ([]byte, error) {
	if o.File == "" || o.File == "-" {
		if o.File == "" && cli.IsTerminal(s.In) {
			fmt.Fprintln(s.Err, "reading manifests from the terminal until Ctrl-D: see postrender --help")
		}
		stream, err := readAll(s.In)
		if err != nil {
			return nil, fmt.Errorf("standard input: %w", err)
		}
		return stream, nil
	}
	f, err := os.Open(o.File)
	if err != nil {
		return nil, fmt.Errorf("--filename: %w", err)
	}
	defer f.Close()
	stream, err := readAll(f)
	if err != nil {
		return nil, fmt.Errorf("--filename: %w", err)
	}
	return stream, nil
}

// readAhead is reserved for a stream of unknown size, such as a pipe. Memory that is not written to
// costs nothing, while a buffer that grows is copied again and again (make bench).
const readAhead = 8 << 20

// readAll reads a stream whole: nothing is written before everything is decided. A regular file,
// such as a shell's < FILE, gets a buffer of its size. MinRead more saves the copy that
// [bytes.Buffer.ReadFrom] would make to find the end of the file.
func readAll(in io.Reader) ([]byte, error) {
	size := readAhead
	if f, ok := in.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			size = int(info.Size()) + bytes.MinRead
		}
	}
	b := bytes.NewBuffer(make([]byte, 0, size))
	_, err := b.ReadFrom(in)
	return b.Bytes(), err
}

// Version is the version that the linker set, or that of the module. It has no leading v.
func Version() string { return cli.Version(version) }
