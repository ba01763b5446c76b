package postrender

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// HookPolicy says which Helm hooks are injected. Only Helm 4 sends hooks to a post-renderer.
type HookPolicy string

// The hook policies.
const (
	// HooksSafe leaves out hooks that run before Helm has created the claim. The default.
	HooksSafe HookPolicy = "safe"
	// HooksAll injects every hook: for claims that exist before the release does.
	HooksAll HookPolicy = "all"
	// HooksNone injects no hook.
	HooksNone HookPolicy = "none"
)

// Renderer adds storage to the manifests of one release. Its zero value but for Config and Release is ready to use.
type Renderer struct {
	// Config is a configuration with its defaults set, such as [storage.Default] or [storage.Load] return.
	Config *storage.Config
	// Release names the release. It is required as soon as an object is created or a name depends on it.
	Release storage.Release
	// Selector chooses pods by their labels. Nil selects those labelled pipeline-storage=enabled, and an empty selector
	// every pod.
	Selector labels.Selector
	// Kinds and Names narrow the choice to objects of these kinds and names. Empty: any.
	Kinds, Names []string
	// Hooks is the hook policy; empty is [HooksSafe].
	Hooks HookPolicy
	// Remove takes out of the stream what was injected, instead. Then a nil Selector means every pod, and Hooks nothing.
	Remove Removal
	// Helm4 says that Helm 4 runs the renderer: it wants its own mark on every document and no empty output.
	Helm4 bool
}

// Output is what a run makes: the stream with its edits, and what was decided.
type Output struct {
	// Report says what was decided about every workload.
	Report Report

	stream []byte
	edits  []manifest.Edit
}

// noDocuments is what Helm 4 gets for an empty stream, because it takes empty output for a failure.
const noDocuments = "# pipeline-storage: no documents\n"

// Run is the PostRenderer interface of Helm's SDK, versions 3 and 4.
func (r *Renderer) Run(manifests *bytes.Buffer) (*bytes.Buffer, error) {
	out, err := r.Render(manifests.Bytes())
	if err != nil {
		return nil, err
	}
	return bytes.NewBuffer(out.Bytes()), nil
}

// Render decides about every document of a stream. An error refuses the whole stream; the output then holds the report
// only. The stream must not be changed afterwards: the output shares its bytes.
func (r *Renderer) Render(stream []byte) (*Output, error) {
	if err := r.check(); err != nil {
		return &Output{Report: Report{Workloads: []Workload{}, Objects: []Object{}, Error: err.Error()}}, err
	}
	run := newRun(r, stream)
	if r.Helm4 && len(bytes.TrimSpace(stream)) == 0 {
		run.finish()
		return &Output{Report: run.report, stream: []byte(noDocuments)}, nil
	}
	err := run.decide()
	if err != nil {
		run.report.Error = err.Error()
	}
	run.finish()
	if err != nil {
		return &Output{Report: run.report}, err
	}
	slices.SortStableFunc(run.edits, func(a, b manifest.Edit) int { return a.Start - b.Start })
	return &Output{Report: run.report, stream: stream, edits: run.edits}, nil
}

// check refuses names that the API server would refuse when half of the release is installed.
func (r *Renderer) check() error {
	if r.Config == nil || len(r.Config.Profiles) == 0 {
		return errors.New("there is no configuration")
	}
	if problems := validation.IsDNS1123Label(r.Release.Namespace); r.Release.Namespace != "" && len(problems) > 0 {
		return fmt.Errorf("the namespace %q is none: %s", r.Release.Namespace, problems[0])
	}
	if problems := validation.IsDNS1123Subdomain(r.Release.Name); r.Release.Name != "" && len(problems) > 0 {
		return fmt.Errorf("the release %q is none: %s", r.Release.Name, problems[0])
	}
	return nil
}

// Changed reports whether the output differs from the input.
func (o *Output) Changed() bool { return len(o.edits) > 0 }

// Bytes returns the whole output.
func (o *Output) Bytes() []byte { return manifest.Splice(o.stream, o.edits) }

// WriteTo writes the output in pieces, without a copy of the stream.
func (o *Output) WriteTo(w io.Writer) (int64, error) {
	return manifest.Write(w, o.stream, o.edits)
}

// Edits returns the edits in the order of the stream, for a diff.
func (o *Output) Edits() []manifest.Edit { return o.edits }

// Stream returns the input.
func (o *Output) Stream() []byte { return o.stream }
