package app

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/pipeline-storage/pipeline-storage/internal/cli"
	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// writeSize is how many bytes are written at a time: an output has many small pieces. A larger piece is
// written as it is.
const writeSize = 32 << 10

// write prints the manifests, or the diff. It is called once for each run, after every decision.
// A write that fails may leave a part of the output: the exit code is then 1, and Helm drops the
// output.
func (o *Options) write(w io.Writer, out *postrender.Output) error {
	if o.Diff {
		after := "with storage"
		if o.Remove != postrender.RemoveNothing {
			after = "without storage"
		}
		err := diff(w, out, after, cli.Color(o.Color, w))
		if err == nil && o.ExitCode && out.Changed() {
			err = errChanges
		}
		return err
	}
	buffered := bufio.NewWriterSize(w, writeSize)
	_, err := out.WriteTo(buffered)
	if err == nil {
		err = buffered.Flush()
	}
	if err != nil {
		return fmt.Errorf("standard output: %w", err)
	}
	return nil
}

// writeReport writes the report before any manifest is: an output without the requested report is
// no success. It does nothing without --report. It refuses a report on standard output, also by a
// path such as /dev/stdout, because JSON among the manifests would be installed or fail.
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

// isFile reports whether a path names the very file that a stream writes to. Devices such as
// /dev/null may be shared. It returns false for a stream that is not a file, and for a path that
// does not exist.
func isFile(stream io.Writer, path string) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	a, errA := f.Stat()
	b, errB := os.Stat(path)
	return errA == nil && errB == nil && os.SameFile(a, b) && a.Mode()&os.ModeDevice == 0
}

// printConfig writes the configuration as the run would use it, with defaults and flags applied.
// Its output is a valid file for --config.
func (o *Options) printConfig(s Streams) error {
	renderer, _, err := o.renderer(s.Err)
	if err != nil {
		return err
	}
	text, err := manifest.Encode(renderer.Config)
	if err != nil {
		return err
	}
	return writeString(s.Out, string(text))
}

// writeString writes a text to standard output. The error of a closed pipe names the stream.
func writeString(w io.Writer, text string) error {
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("standard output: %w", err)
	}
	return nil
}
