package postrender

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"gomodules.xyz/jsonpatch/v2"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// HookPolicy is which Helm hooks are injected. Only Helm 4 sends hooks to a post-renderer. A hook
// is an object with the annotation helm.sh/hook, which Helm runs apart from the release.
type HookPolicy string

// The hook policies.
const (
	// HooksSafe does not inject hooks that run before Helm has created the claim. The default.
	HooksSafe HookPolicy = "safe"
	// HooksAll injects every hook: for claims that exist before the release does.
	HooksAll HookPolicy = "all"
	// HooksNone injects no hook.
	HooksNone HookPolicy = "none"
)

// Renderer adds storage to the manifests of one release. Its zero value but for Config and
// Release is ready to use. A run does not change it, so one renderer serves any number of streams.
type Renderer struct {
	// Config is a configuration with its defaults set, such as [storage.Default] or [storage.Load] return.
	Config *storage.Config
	// Release names the release. It is required as soon as an object is created or a name depends on it.
	Release storage.Release
	// Selector chooses pods by their labels. Nil selects those labelled pipeline-storage=enabled, and
	// an empty selector every pod.
	Selector labels.Selector
	// Kinds and Names narrow the choice to objects of these kinds and names. Empty: any.
	Kinds, Names []string
	// Hooks is the hook policy; empty is [HooksSafe].
	Hooks HookPolicy
	// Strict refuses the run when something requests storage, by its label, an annotation or the
	// selection above, and gets none. Default: these are warnings of the report.
	Strict bool
	// Remove removes from the stream what was injected, instead. A nil Selector then selects every
	// pod, and Hooks and Strict have no effect.
	Remove Removal
	// Helm4 reports whether Helm 4 runs the renderer: it requires its own annotation on every
	// document, and an output that is not empty.
	Helm4 bool
}

// Output is the result of a run: the stream with its edits, and what was decided. It shares the
// bytes of the input, which therefore must not change.
type Output struct {
	// Report has what was decided about every workload.
	Report Report

	stream []byte
	edits  []manifest.Edit
}

// noDocuments is what Helm 4 gets for an empty stream, because it takes empty output for a failure.
const noDocuments = "# pipeline-storage: no documents\n"

// Run is the PostRenderer interface of Helm's SDK, versions 3 and 4. The input is not changed.
// The report of [Renderer.Render], with its warnings, is dropped here.
func (r *Renderer) Run(manifests *bytes.Buffer) (*bytes.Buffer, error) {
	out, err := r.Render(manifests.Bytes())
	if err != nil {
		return nil, err
	}
	return bytes.NewBuffer(out.Bytes()), nil
}

// Render decides about every document of a stream. An error refuses the whole stream; the output
// then holds the report only. The stream must not be changed afterwards: the output shares its
// bytes.
func (r *Renderer) Render(stream []byte) (*Output, error) {
	if err := r.check(); err != nil {
		return &Output{Report: refusal(err)}, err
	}
	run := newRun(r, stream)
	if err := r.checkForm(stream, run.docs); err != nil {
		return &Output{Report: refusal(err)}, err
	}
	isEmpty := len(bytes.TrimSpace(stream)) == 0
	if r.Helm4 && isEmpty {
		run.pass.warn()
		return &Output{Report: run.report, stream: []byte(noDocuments)}, nil
	}
	err := run.documents()
	if err == nil {
		err = run.pass.storage()
	}
	if err != nil {
		run.report.Error = err.Error()
	}
	run.pass.warn()
	if err != nil {
		return &Output{Report: run.report}, err
	}
	slices.SortStableFunc(run.edits, func(a, b manifest.Edit) int { return a.Start - b.Start })
	return &Output{Report: run.report, stream: stream, edits: run.edits}, nil
}

// run is the work on one stream or ResourceList. Two readers make units of it (stream.go,
// resourcelist.go), and one of two passes decides about them (injection.go, removal.go).
type run struct {
	*Renderer
	pass pass
	// table has the kinds that hold pods, and kindNames are their names.
	table     kinds.Table
	kindNames map[string]bool
	// stream and docs are empty for a ResourceList.
	stream []byte
	docs   []manifest.Document
	// rootKinds are the kinds of the documents, as far as they are known.
	rootKinds []string
	// decoded reports which documents were decoded.
	decoded []bool
	// present are the storage objects that the stream has.
	present []presentObject
	edits   []manifest.Edit
	report  Report
	// unread names the units that may hold pods which were not found, and why.
	unread []string
}

// pass is what a run does to the objects that it reads: it adds storage or removes it.
type pass interface {
	// decide decides about the pods of an object and returns the operations on its unit.
	decide(u *unit, object kinds.Object) ([]jsonpatch.Operation, error)
	// edit finds the edits of a document that carry operations out.
	edit(tree *manifest.Tree, ops []jsonpatch.Operation) ([]manifest.Edit, error)
	// addSkipped notes an object that stays as it is.
	addSkipped(u *unit, object kinds.Object)
	// addUnparsed notes a unit whose objects are not known.
	addUnparsed(u *unit)
	// isMissed reports whether a pod stays as it is although people want it changed.
	isMissed(u *unit, object kinds.Object, reason inject.Reason) bool
	// noPodsMessage is the advice for an object whose pods are not defined in it.
	noPodsMessage(object kinds.Object) string
	// textAdvice is the advice for pods that are text in an object.
	textAdvice(t *podText) string
	// storage decides about the storage objects, when every unit is decided.
	storage() error
	// warn adds the warnings that need every decision.
	warn()
}

// newRun prepares a run of a stream, which is empty for a ResourceList. It splits the stream, but
// parses nothing yet.
func newRun(r *Renderer, stream []byte) *run {
	table := kinds.NewTable(r.Config.Kinds)
	run := &run{
		Renderer: r, table: table, kindNames: table.Names(), stream: stream,
		report: Report{
			Release: r.Release.Name, Namespace: r.Release.Namespace,
			Workloads: []Workload{}, Objects: []Object{},
		},
	}
	run.docs = manifest.Split(stream)
	run.rootKinds, run.decoded = make([]string, len(run.docs)), make([]bool, len(run.docs))
	for i := range run.docs {
		run.rootKinds[i] = unitOf(&run.docs[i]).kind
	}
	run.pass = &injection{run: run}
	if r.Remove != RemoveNothing {
		run.pass = &removal{run: run}
	}
	return run
}

// decideObject decides about one object and returns the operations on its unit. Objects of
// storage are noted and never changed here: the end of the run compares them with those that are
// needed.
func (r *run) decideObject(u *unit, object kinds.Object) ([]jsonpatch.Operation, error) {
	if isStorage(object) {
		r.present = append(r.present, presentObject{u, object})
		return nil, nil
	}
	if object.Kind == "" {
		r.addUnread(u, "is no object with a kind")
	}
	isReported := r.reportTexts(u, object)
	if object.MorePods && object.Known {
		r.addWorkload(u, object, inject.Decision{
			Reason: inject.ReasonUnsupportedKind, Message: r.unsupportedMessage(&object),
		})
		isReported = true
	}
	reason, message := r.skipObject(object)
	if reason == "" && len(object.Pods) > 0 {
		return r.pass.decide(u, object)
	}
	r.pass.addSkipped(u, object)
	if reason == inject.ReasonNoPods && (isReported || object.HasObjects) {
		return nil, nil
	}
	if reason != "" {
		r.addWorkload(u, object, inject.Decision{Reason: reason, Message: message})
	}
	return nil, nil
}

// skipObject returns why an object stays as it is, or "".
func (r *run) skipObject(object kinds.Object) (inject.Reason, string) {
	switch {
	case object.Problem != "":
		return inject.ReasonUnsupportedKind, "it stands in another object and cannot be read, so that nothing is " +
			"mounted in it: " + object.Problem
	case !object.Known && object.MorePods:
		return inject.ReasonUnsupportedKind, r.unsupportedMessage(&object)
	case !object.Known:
		return "", ""
	case len(object.Pods) == 0:
		return inject.ReasonNoPods, r.pass.noPodsMessage(object)
	case !r.hasChosenKind(&object):
		return inject.ReasonNotSelected, "its kind is not among the selected kinds"
	case !r.isChosen(&object):
		return inject.ReasonNotSelected, "its name is not among the selected names"
	}
	return "", ""
}

// hasChosenKind reports whether Kinds selects an object.
func (r *Renderer) hasChosenKind(object *kinds.Object) bool {
	isKind := func(kind string) bool { return strings.EqualFold(kind, object.Kind) }
	return len(r.Kinds) == 0 || slices.ContainsFunc(r.Kinds, isKind)
}

// isChosen reports whether Kinds and Names select an object.
func (r *Renderer) isChosen(object *kinds.Object) bool {
	return r.hasChosenKind(object) && (len(r.Names) == 0 || slices.Contains(r.Names, object.Name))
}

// request is what the core needs to decide about pods of a namespace.
func (r *run) request(namespace string) inject.Request {
	return inject.Request{Release: r.Release, Namespace: namespace, Selector: r.Selector}
}

// namespaceOf returns the namespace of an object: its own, or that of the release.
func (r *run) namespaceOf(object kinds.Object) string {
	return cmp.Or(object.Namespace, r.Release.Namespace)
}

// check refuses names that the API server would refuse when half of the release is installed.
func (r *Renderer) check() error {
	if r.Config == nil || len(r.Config.Profiles) == 0 {
		return errors.New("there is no configuration")
	}
	if problems := validation.IsDNS1123Label(r.Release.Namespace); r.Release.Namespace != "" && len(problems) > 0 {
		return fmt.Errorf("the namespace %q is not valid: %s", r.Release.Namespace, problems[0])
	}
	if problems := validation.IsDNS1123Subdomain(r.Release.Name); r.Release.Name != "" && len(problems) > 0 {
		return fmt.Errorf("the release %q is not valid: %s", r.Release.Name, problems[0])
	}
	return nil
}

// Changed reports whether the output differs from the input.
func (o *Output) Changed() bool { return len(o.edits) > 0 }

// Bytes returns the whole output. Each call makes a new copy.
func (o *Output) Bytes() []byte { return manifest.Splice(o.stream, o.edits) }

// WriteTo writes the output in pieces, without a copy of the stream. It returns how many bytes it
// wrote, also with an error.
func (o *Output) WriteTo(w io.Writer) (int64, error) {
	return manifest.Write(w, o.stream, o.edits)
}

// Edits returns the edits in the order of the stream, for a diff.
func (o *Output) Edits() []manifest.Edit { return o.edits }

// Stream returns the input. It is nil after a refused [Renderer.Render].
func (o *Output) Stream() []byte { return o.stream }
