package inject

import (
	"fmt"
	"strconv"
	"strings"
)

// ProblemReason is what is wrong, for programs.
type ProblemReason string

// The reasons of a [Problem].
const (
	// ProblemReadOnlyVolume: the pod's own volume makes read-only what the profile mounts writable.
	ProblemReadOnlyVolume ProblemReason = "VolumeReadOnly"
	// ProblemSeveralVolumes: containers mount the claim by several volumes of the pod.
	ProblemSeveralVolumes ProblemReason = "ClaimInSeveralVolumes"
	// ProblemNoIDMap: the pod has hostUsers: false, and the backend's file system has no idmapped
	// mounts.
	ProblemNoIDMap ProblemReason = "NoIDMappedMounts"
	// ProblemSELinuxLabels: containers of the pod mount the claim with different SELinux labels.
	ProblemSELinuxLabels ProblemReason = "SELinuxLabelsDiffer"
)

// Problem is something about the pod itself that keeps it from using the storage, though it is
// mounted. It refuses nothing: the cluster may differ from what is known here.
type Problem struct {
	Reason ProblemReason
	// What is wrong, without a full stop, and Next what to do about it.
	What, Next string
}

// Message is a sentence with both. It is among the warnings of the decision, too.
func (p *Problem) Message() string { return p.What + ": " + p.Next }

// PreventsStart reports whether a pod with such a problem does not start. A pod that runs does not
// have it.
func (p *Problem) PreventsStart() bool { return p.Reason != ProblemReadOnlyVolume }

// problem notes a problem of the pod, whose What has a format.
func (p *podPatch) problem(reason ProblemReason, next, what string, args ...any) {
	p.decision.Problems = append(p.decision.Problems, Problem{reason, fmt.Sprintf(what, args...), next})
}

// problemsFirst puts the messages of the problems in front of the other warnings: a client may see
// the first ones only.
func (d *Decision) problemsFirst() {
	if len(d.Problems) == 0 {
		return
	}
	warnings := make([]string, 0, len(d.Problems)+len(d.Warnings))
	for i := range d.Problems {
		warnings = append(warnings, d.Problems[i].Message())
	}
	d.Warnings = append(warnings, d.Warnings...)
}

// nameList are the first few of many names, for a sentence.
type nameList struct {
	first []string
	count int
}

// namesInText is how many names a sentence has.
const namesInText = 3

func (l *nameList) add(name string) {
	if l.count++; l.count <= namesInText {
		l.first = append(l.first, strconv.Quote(name))
	}
}

// sentence writes the names behind the noun, which it puts into the plural for several.
func (l *nameList) sentence(noun string) string {
	if l.count == 1 {
		return noun + " " + l.first[0]
	}
	if more := l.count - len(l.first); more > 0 {
		return fmt.Sprintf("%ss %s and %d more", noun, strings.Join(l.first, ", "), more)
	}
	last := len(l.first) - 1
	return fmt.Sprintf("%ss %s and %s", noun, strings.Join(l.first[:last], ", "), l.first[last])
}
