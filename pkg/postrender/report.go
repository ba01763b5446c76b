package postrender

import (
	"fmt"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// Report has what was decided, for programs and, as a table, for people. Its JSON is what
// --report writes. Lists that are always there are empty instead of null.
type Report struct {
	// Release and Namespace are the release's, as given.
	Release   string `json:"release,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	// Workloads has one entry for every pod or pod template, and for every object that seems to hold one.
	Workloads []Workload `json:"workloads"`
	// Objects are the storage objects that the release needs: StorageClasses, PersistentVolumes,
	// PersistentVolumeClaims, VolumeAttributesClasses and VolumeSnapshotClasses. Of a removal they are
	// those that were removed or retained.
	Objects []Object `json:"objects"`
	// Overrides are the flags that changed a field of the configuration file.
	Overrides []string `json:"overrides,omitempty"`
	// Warnings concern the run as a whole.
	Warnings []string `json:"warnings,omitempty"`
	// Error is why nothing was written, if so.
	Error string `json:"error,omitempty"`

	// isStrict reports whether Error is that of pods that were not served.
	isStrict bool
}

// Workload is what was decided about one pod or pod template. One object has several entries when
// it holds several pods, as a workflow does.
type Workload struct {
	// Document is the number of the document in the stream, counted from 1.
	Document   int    `json:"document"`
	APIVersion string `json:"apiVersion,omitempty"`
	Kind       string `json:"kind"`
	Name       string `json:"name,omitempty"`
	Namespace  string `json:"namespace,omitempty"`
	// Pod is the JSON pointer of the pod in the document.
	Pod      string            `json:"pod,omitempty"`
	Reason   inject.Reason     `json:"reason"`
	Message  string            `json:"message,omitempty"`
	Profiles []string          `json:"profiles,omitempty"`
	Added    []inject.Addition `json:"added,omitempty"`
	Removed  []inject.Addition `json:"removed,omitempty"`
	Warnings []string          `json:"warnings,omitempty"`

	// unserved are the warnings for which [Renderer.Strict] refuses the run.
	unserved []string
}

// Title names the workload in messages: document 3 Job/train, or the kind alone without a name.
func (w *Workload) Title() string { return title(w.Document, w.Kind, w.Name) }

// Action is what was done about an object.
type Action string

// The actions.
const (
	// Created: the object was added to the stream.
	Created Action = "created"
	// Present: the stream had it already, from an earlier run.
	Present Action = "present"
	// Removed: the object was removed from the stream. A run never changes a cluster.
	Removed Action = "removed"
	// Retained: an earlier run created the object, and it remains in the stream.
	Retained Action = "retained"
)

// Object is one of the storage objects.
type Object struct {
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
	Action    Action `json:"action"`
}

// Count returns how many workloads have the reason.
func (r *Report) Count(reason inject.Reason) int {
	n := 0
	for i := range r.Workloads {
		if r.Workloads[i].Reason == reason {
			n++
		}
	}
	return n
}

// Matched reports whether any pod has the storage, or the label with which the webhook mounts it.
// Without any, a warning names the nearest candidates.
func (r *Report) Matched() bool {
	return r.Count(inject.ReasonInjected)+r.Count(inject.ReasonAlreadyMounted)+r.Count(inject.ReasonLabelled) > 0
}

// refusal is the report of a run that did not begin.
func refusal(err error) Report {
	return Report{Workloads: []Workload{}, Objects: []Object{}, Error: err.Error()}
}

// addWorkload reports a decision. One that may surprise is a warning, too. Unserved are those of its
// warnings that [Renderer.Strict] does not accept. It is called in the order of the stream.
func (r *run) addWorkload(u *unit, object kinds.Object, d inject.Decision, unserved ...string) {
	apiVersion, _ := object.Content["apiVersion"].(string)
	if r.pass.isMissed(u, object, d.Reason) {
		warning := fmt.Sprintf("%s: %s%s", d.Reason, d.Message, remedies[d.Reason])
		d.Warnings = append(d.Warnings, warning)
		if !u.isServed && !r.isAccepted(d.Reason) && r.isChosen(&object) {
			unserved = append(unserved, warning)
		}
	}
	r.report.Workloads = append(r.report.Workloads, Workload{
		Document: u.number, APIVersion: apiVersion,
		Kind: object.Kind, Name: object.Name, Namespace: r.namespaceOf(object),
		Pod: d.Pod, Reason: d.Reason, Message: d.Message, Profiles: d.Profiles,
		Added: d.Added, Removed: d.Removed, Warnings: d.Warnings, unserved: unserved,
	})
}
