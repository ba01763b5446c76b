// Package app is the command line of postrender.
package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/pipeline-storage/pipeline-storage/internal/cli"
	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// Streams are the standard streams of a run.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// version is set by the linker; without it the version of the module is told.
var version string

// Run runs the command and returns its exit code: 0, or 1 with an error on standard error and nothing on standard output.
func Run(args []string, s Streams) int {
	ignoreBrokenPipe()
	o, err := ParseOptions(args)
	if err == nil {
		err = o.run(s)
	}
	if err == nil {
		return 0
	}
	message := "error: " + err.Error() + "\n"
	_, _ = io.WriteString(s.Err, message)
	if o.Helm == 4 {
		tellBesidesHelm("pipeline-storage: " + message)
	}
	return 1
}

func (o *Options) run(s Streams) error {
	switch {
	case o.Help:
		return writeString(s.Out, o.sections.usage())
	case o.Version:
		return writeString(s.Out, "postrender "+Version()+"\n")
	case (o.Explain || o.Diff) && underHelm(o.Helm):
		return errors.New("--explain and --diff print for people, and Helm would take that for the release: run helm template CHART | postrender … instead")
	}
	if o.PrintConfig {
		renderer, _, err := o.renderer(s.Err)
		if err != nil {
			return err
		}
		return printConfig(s.Out, renderer)
	}
	stream, err := readAll(s.In)
	if err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	list, err := postrender.ReadResourceList(stream)
	if err != nil {
		return err
	}
	if list != nil {
		return o.function(s, list)
	}
	renderer, overrides, err := o.renderer(s.Err)
	if err != nil {
		return err
	}
	out, err := renderer.Render(stream)
	out.Report.Overrides = overrides
	if reportErr := o.writeReport(&out.Report, s.Out); reportErr != nil {
		return errors.Join(err, reportErr)
	}
	if o.Explain { // the table tells why, above all when the run is refused
		return errors.Join(err, explain(s.Out, &out.Report))
	}
	if err != nil {
		return err
	}
	warn(s.Err, &out.Report)
	return o.write(s.Out, out)
}

// renderer makes the renderer from the options and the configuration file.
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
	for _, w := range append(warnings, overrides...) {
		fmt.Fprintln(stderr, "warning:", w)
	}
	return o.newRenderer(config, storage.Release{Name: o.Release, Namespace: o.Namespace}), overrides, nil
}

func (o *Options) newRenderer(config *storage.Config, release storage.Release) *postrender.Renderer {
	return &postrender.Renderer{
		Config:   config,
		Release:  release,
		Selector: o.Selector,
		Kinds:    o.Kinds,
		Names:    o.Names,
		Hooks:    o.Hooks,
		Remove:   o.Remove,
		Helm4:    o.Helm == 4,
	}
}

// write prints the manifests, or what people asked for instead.
func (o *Options) write(w io.Writer, out *postrender.Output) error {
	if o.Diff {
		after := "with storage"
		if o.Remove != postrender.RemoveNothing {
			after = "without storage"
		}
		return diff(w, out, after, cli.Color(o.Color, w))
	}
	if _, err := out.WriteTo(w); err != nil {
		return fmt.Errorf("standard output: %w", err)
	}
	return nil
}

// writeReport writes the report before any manifest is: an output without the report that was asked for is no success.
func (o *Options) writeReport(report *postrender.Report, stdout io.Writer) error {
	if o.Report == "" {
		return nil
	}
	if isFile(stdout, o.Report) {
		return errors.New("--report: standard output carries the manifests; name a file")
	}
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	if err := os.WriteFile(o.Report, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	return nil
}

// isFile reports whether a path names the very file that a stream writes to. Devices such as /dev/null may be shared.
func isFile(stream io.Writer, path string) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	a, errA := f.Stat()
	b, errB := os.Stat(path)
	return errA == nil && errB == nil && os.SameFile(a, b) && a.Mode()&os.ModeDevice == 0
}

// warn tells people what they should know. Helm shows it on failure only; the report has it in any case.
func warn(w io.Writer, report *postrender.Report) {
	for i := range report.Workloads {
		load := &report.Workloads[i]
		for _, warning := range load.Warnings {
			fmt.Fprintf(w, "warning: document %d %s/%s: %s\n", load.Document, load.Kind, load.Name, warning)
		}
	}
	for _, warning := range report.Warnings {
		fmt.Fprintln(w, "warning:", warning)
	}
}

func printConfig(w io.Writer, r *postrender.Renderer) error {
	text, err := manifest.Encode(r.Config)
	if err != nil {
		return err
	}
	return writeString(w, string(text))
}

func writeString(w io.Writer, text string) error {
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("standard output: %w", err)
	}
	return nil
}

// readAhead is reserved for a stream of unknown size, such as a pipe. Memory that is not written to costs nothing, while a buffer
// that grows is copied again and again (make bench).
const readAhead = 8 << 20

// readAll reads a stream whole: nothing is written before everything is decided.
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

// Version is the version that the linker set, or that of the module.
func Version() string { return cli.Version(version) }
