package postrender

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// addWarnings adds warnings about the run as a whole.
func (r *run) addWarnings(warnings ...string) {
	r.report.Warnings = append(r.report.Warnings, warnings...)
}

// warn adds the warnings about the profiles that pods mount, or about a stream without such pods.
func (p *injection) warn() {
	for i := range p.Config.Profiles {
		profile := &p.Config.Profiles[i]
		consumers := p.consumersOf(profile.Name)
		if len(consumers) == 0 {
			continue
		}
		p.addWarnings(profile.Warnings()...)
		p.addWarnings(sharedDisk(profile, consumers)...)
		if !p.isList { // kustomize and kpt do not wait for pods
			p.addWarnings(lateConsumers(profile, consumers)...)
		}
	}
	if !p.report.Matched() && p.report.Error == "" {
		p.addWarnings(p.nothingMatched())
	}
}

// consumersOf returns the workloads that mount the claims of a profile.
func (p *injection) consumersOf(profile string) []consumer {
	var found []consumer
	for _, c := range p.consumers {
		if c.Profile == profile {
			found = append(found, c)
		}
	}
	return found
}

// clusterScopedMessage is the warning that a claim serves one namespace, and its object all of them.
func clusterScopedMessage(object kinds.Object, decision inject.Decision, namespace string) string {
	return fmt.Sprintf("a %s belongs to no namespace: its pods run where it is used, and find the "+
		"claim %s in the namespace %s only; "+
		"in other namespaces, create the claim first, or label the pods %s: %s instead, and the webhook "+
		"creates it", object.Kind,
		strings.Join(decision.Claims, ", "), namespace, kinds.Label, kinds.LabelEnabled)
}

// sharedDisk warns when a disk that one node can mount is wanted by several pods.
func sharedDisk(p *storage.Profile, consumers []consumer) []string {
	byNamespace := map[string][]consumer{}
	for _, c := range consumers {
		byNamespace[c.Namespace] = append(byNamespace[c.Namespace], c)
	}
	var warnings []string
	for _, namespace := range slices.Sorted(maps.Keys(byNamespace)) {
		pods, perNode := 0, false
		var workloads []string
		for _, c := range byNamespace[namespace] {
			pods += c.pods
			perNode = perNode || c.perNode
			if n := len(workloads); n == 0 || workloads[n-1] != c.workload { // the pods of one workload follow each other
				workloads = append(workloads, c.workload)
			}
		}
		if !p.SingleNode() || p.Colocates() || (pods < 2 && !perNode) { // a pod that cannot follow has a warning of its own
			continue
		}
		warnings = append(warnings, fmt.Sprintf("profile %q: its volume can be mounted %s only (%s), but "+
			"several pods in namespace %q want it: %s; %s",
			p.Name, mountLimit(p), joinModes(p), namespace, strings.Join(firstOf(workloads), ", "), remedy(p)))
	}
	return warnings
}

// isOfOnePod reports whether the access modes of the claim limit it to one pod.
func isOfOnePod(p *storage.Profile) bool {
	return slices.Contains(p.Claim.AccessModes, corev1.ReadWriteOncePod)
}

// mountLimit returns how far a volume that is not shared can be mounted, for messages.
func mountLimit(p *storage.Profile) string {
	if isOfOnePod(p) {
		return "by one pod"
	}
	return "on one node"
}

// remedy returns what to do about several pods that want such a volume.
func remedy(p *storage.Profile) string {
	if isOfOnePod(p) {
		return "all others wait until it ends: use ReadWriteOnce with colocate: true, or a file backend with ReadWriteMany"
	}
	return "pods on other nodes will hang: set colocate: true to keep them on one node, " +
		"or use a file backend with ReadWriteMany"
}

// joinModes writes the access modes of the claim for messages.
func joinModes(p *storage.Profile) string {
	modes := make([]string, len(p.Claim.AccessModes))
	for i, m := range p.Claim.AccessModes {
		modes[i] = string(m)
	}
	return strings.Join(modes, ", ")
}

// lateConsumers warns when no pod that Helm waits for mounts the claim.
func lateConsumers(p *storage.Profile, consumers []consumer) []string {
	waits := p.StorageClass.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer
	if p.Volume != nil || !*p.Claim.Create || !waits || slices.ContainsFunc(consumers,
		func(c consumer) bool { return !c.isDeferred }) {
		return nil
	}
	return []string{fmt.Sprintf("profile %q: nothing mounts the claim as soon as it is installed (%s), "+
		"so it stays Pending until then: "+
		"helm --wait would time out; leave --wait out, or set volumeBindingMode Immediate", p.Name, consumers[0].workload)}
}

// nothingMatched returns why the nearest candidates were not selected. A message that is a warning of
// the candidate is not repeated.
func (p *injection) nothingMatched() string {
	var near []string
	for i := range p.report.Workloads {
		w := &p.report.Workloads[i]
		candidate := fmt.Sprintf("%s: %s", w.Title(), w.Reason)
		if !slices.ContainsFunc(w.Warnings, func(warning string) bool { return strings.Contains(warning, w.Message) }) {
			candidate += ": " + w.Message
		}
		near = append(near, candidate)
	}
	if len(near) > 0 {
		return "nothing was selected, so no storage was added: " + strings.Join(firstOf(slices.Compact(near)), "; ")
	}
	doubts := p.unread
	if len(doubts) == 0 {
		doubts = p.doubts()
	}
	if len(doubts) > 0 {
		return "nothing was selected, and no pod was found, but there may be some: " + strings.Join(firstOf(doubts), "; ")
	}
	return "nothing was selected: the stream holds no pods"
}

// doubts names the documents of the stream in which no pod was found although their texts have a word
// of one. They are searched only when nothing was selected. What was decoded was searched for containers.
func (r *run) doubts() []string {
	var doubts []string
	for i := range r.docs {
		doc := &r.docs[i]
		u := unitOf(doc)
		words := wordsOfPods
		if r.decoded[i] {
			words = wordsOfDecoded
		}
		if why := wordOfPod(&u, words); why != "" && !doc.Header.Blank {
			doubts = append(doubts, u.String()+" "+why)
		}
	}
	return doubts
}

// wordOfPods is a text that documents with pods have, and how a sentence names it.
type wordOfPods struct{ text, why string }

// wordsOfPods are such texts, the one that is searched for in other ways last.
var wordsOfPods = []wordOfPods{
	{kinds.Label + ": " + kinds.LabelEnabled, "has the label " + kinds.Label},
	{`"` + kinds.Label + `":`, "has the label " + kinds.Label},
	{"containers", "has the word containers"},
}

// wordsOfDecoded are those of a document that was decoded, and so was searched for containers.
var wordsOfDecoded = wordsOfPods[:len(wordsOfPods)-1]

// wordOfPod returns the word of a pod that the text of a unit has, as half a sentence, or "".
func wordOfPod(u *unit, words []wordOfPods) string {
	if u.kind == schemaKind {
		return ""
	}
	for _, word := range words {
		if bytes.Contains(u.text, []byte(word.text)) {
			return word.why
		}
	}
	return ""
}

// firstOf shortens a list, so that it stays readable. The report has all of it.
func firstOf(list []string) []string {
	const most = 5
	if len(list) <= most {
		return list
	}
	return append(slices.Clone(list[:most]), fmt.Sprintf("and %d more", len(list)-most))
}

// warn adds the warning about what was removed and what was retained.
func (p *removal) warn() {
	count := func(action Action) int {
		return len(slices.DeleteFunc(slices.Clone(p.report.Objects), func(o Object) bool { return o.Action != action }))
	}
	pods := 0
	for i := range p.report.Workloads {
		pods += len(p.report.Workloads[i].Removed)
	}
	switch {
	case p.report.Error != "":
	case pods == 0 && count(Removed) == 0:
		p.addWarnings("nothing was removed: the stream has nothing that this configuration injects for this release")
	case count(Removed) > 0:
		p.addWarnings("the storage objects are no longer in the stream: Helm, Argo CD and Flux retain them in the cluster, " +
			"but other tools that prune, such as kubectl apply --prune, delete the claim")
	case count(Retained) > 0 && p.Remove == RemovePods:
		p.addWarnings("the storage objects remain in the stream, so that no tool that prunes deletes the claim; " +
			"--remove=all removes them, too")
	}
}
