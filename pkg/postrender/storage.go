package postrender

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// storageGroups are the kinds of storage that profiles make, with their groups.
var storageGroups = map[string]string{
	"StorageClass": "storage.k8s.io", "VolumeAttributesClass": "storage.k8s.io", "VolumeSnapshotClass": "snapshot.storage.k8s.io",
	"PersistentVolume": "", "PersistentVolumeClaim": "",
}

func isStorage(object kinds.Object) bool {
	group, ok := storageGroups[object.Kind]
	return ok && group == object.Group
}

// installedBeforeClaims are the kinds that Helm installs before a claim, and the claim itself. Every other kind, known to
// Helm or not, comes later. Source: Helm, pkg/releaseutil/kind_sorter.go InstallOrder.
var installedBeforeClaims = map[string]bool{
	"PriorityClass": true, "Namespace": true, "NetworkPolicy": true, "ResourceQuota": true, "LimitRange": true,
	"PodSecurityPolicy": true, "PodDisruptionBudget": true, "ServiceAccount": true, "Secret": true, "SecretList": true,
	"ConfigMap": true, "StorageClass": true, "PersistentVolume": true, "PersistentVolumeClaim": true,
}

// Marks that Helm knows documents by.
const (
	// sourceMark precedes the documents of Helm 3, and makes helm template --show-only find them.
	sourceMark = "# Source: "
	// filenameAnnotation is Helm 4's, which otherwise numbers documents anew with every change of the stream.
	// Source: Helm 4, pkg/action/action.go.
	filenameAnnotation = "postrenderer.helm.sh/postrender-filename"
	// filename is the name of our documents. It must not begin with an underscore: Helm would drop them.
	filename = "pipeline-storage/storage.yaml"
)

// storage adds the objects that the pods need and that the stream does not have.
func (r *run) storage() error {
	missing, err := r.missing()
	if err != nil {
		return err
	}
	var text bytes.Buffer
	for _, object := range missing {
		if err := r.write(&text, object); err != nil {
			return err
		}
	}
	if text.Len() > 0 {
		r.place(text.Bytes())
	}
	return nil
}

// missing notes the objects that the pods need and returns those that the stream does not have. Where nothing was mounted
// there is none: a claim without a consumer would keep helm --wait waiting.
func (r *run) missing() ([]storage.Object, error) {
	var uses []storage.ProfileRef
	for _, c := range r.uses {
		if c.added {
			uses = append(uses, c.ProfileRef)
		}
	}
	needed, err := storage.Objects(r.Config, r.Release, uses...)
	if err != nil {
		return nil, err
	}
	var missing []storage.Object
	for _, object := range needed.All() {
		action := Created
		if have := r.find(object); have != nil {
			if err := r.compare(have, object); err != nil {
				return nil, err
			}
			action = Present
		}
		r.report.Objects = append(r.report.Objects, Object{
			Kind: object.Kind, Name: object.Meta.Name, Namespace: object.Meta.Namespace, Action: action,
		})
		if action == Created {
			missing = append(missing, object)
		}
	}
	return missing, nil
}

// write writes an object as a document with the marks that Helm wants.
func (r *run) write(out *bytes.Buffer, object storage.Object) error {
	if r.Helm4 {
		object.Meta.Annotations[filenameAnnotation] = filename
	}
	text, err := manifest.Encode(object.Object)
	if err != nil {
		return fmt.Errorf("%s/%s: %w", object.Kind, object.Meta.Name, err)
	}
	out.WriteString("---\n")
	if !r.Helm4 && r.fromHelm3() {
		out.WriteString(sourceMark + filename + "\n")
	}
	out.Write(text)
	return nil
}

// fromHelm3 reports whether the stream carries the marks of Helm 3.
func (r *run) fromHelm3() bool {
	for _, doc := range r.docs {
		if line := bytes.TrimLeft(doc.Body, "\r\n"); len(line) > 0 {
			return bytes.HasPrefix(line, []byte(sourceMark))
		}
	}
	return false
}

// find returns the object of the stream with the same kind, name and namespace, or nil.
func (r *run) find(object storage.Object) *presentObject {
	for i := range r.present {
		if r.isNamed(&r.present[i], object) {
			return &r.present[i]
		}
	}
	return nil
}

// isNamed reports whether an object of the stream has the same kind, name and namespace.
func (r *run) isNamed(have *presentObject, object storage.Object) bool {
	sameNamespace := object.Meta.Namespace == "" || r.namespaceOf(have.Object) == object.Meta.Namespace
	return have.Kind == object.Kind && have.Name == object.Meta.Name && sameNamespace
}

// compare accepts an object that we would write in the same way and refuses every other of its name.
func (r *run) compare(have *presentObject, want storage.Object) error {
	where := fmt.Sprintf("document %d %s/%s", have.doc.Number, have.Kind, have.Name)
	profile := want.Meta.Labels[storage.LabelProfile]
	if have.Labels[storage.LabelProfile] != profile {
		return fmt.Errorf("%s: the stream has a %s of this name itself, and the profile %q would create another: "+
			"use the one that is there (--create, or create: false), or give the profile another name", where, have.Kind, profile)
	}
	text, err := manifest.Encode(want.Object)
	if err != nil {
		return err
	}
	tree, err := manifest.Decode(text)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(withoutMetadata(have.Content), withoutMetadata(tree.Value().(map[string]any))) {
		return fmt.Errorf("%s: it was rendered by profile %q with another configuration, and such objects cannot be changed: "+
			"render the chart anew, or give the profile another name", where, profile)
	}
	return nil
}

func withoutMetadata(object map[string]any) map[string]any {
	rest := maps.Clone(object)
	delete(rest, "metadata")
	return rest
}

// place puts the objects in front of the first document that Helm installs after a claim, and behind every Namespace.
func (r *run) place(text []byte) {
	before := r.placeBefore()
	if before == len(r.docs) {
		r.append(text)
		return
	}
	doc := r.docs[before]
	if at, ok := r.directivesBefore(before); ok {
		r.insert(at, append(text, "...\n"...))
		return
	}
	if bytes.HasPrefix(doc.Raw, []byte("---")) {
		r.insert(doc.Offset, text)
		return
	}
	// The first document has no separator of its own: ours come first and end with one.
	at := doc.Offset + len(doc.Raw) - len(bytes.TrimPrefix(doc.Raw, []byte("\uFEFF")))
	r.insert(at, append(bytes.TrimPrefix(text, []byte("---\n")), "---\n"...))
}

func (r *run) insert(offset int, text []byte) {
	if manifest.LineBreak(r.stream, offset) == "\r\n" {
		text = bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
	}
	r.edits = append([]manifest.Edit{{Start: offset, End: offset, New: text}}, r.edits...)
}

// append puts the objects at the end of the stream, on a line of their own.
func (r *run) append(text []byte) {
	if n := len(r.stream); n > 0 && r.stream[n-1] != '\n' {
		text = append([]byte("\n"), text...)
	}
	r.insert(len(r.stream), text)
}

func (r *run) placeBefore() int {
	before, afterNamespaces := len(r.docs), 0
	for i, doc := range r.docs {
		kind := r.kindOf[i]
		if kind == "Namespace" {
			afterNamespaces = i + 1
		}
		if before == len(r.docs) && !installedBeforeClaims[kind] && !doc.Header.Blank {
			before = i
		}
	}
	return max(before, afterNamespaces)
}

// directivesBefore returns where the directives (%YAML, %TAG) of a document begin, at the end of the text before it.
func (r *run) directivesBefore(i int) (int, bool) {
	if i == 0 {
		return 0, false
	}
	previous := r.docs[i-1]
	end := len(previous.Raw)
	for end > 0 {
		start := bytes.LastIndexByte(previous.Raw[:end-1], '\n') + 1
		if previous.Raw[start] != '%' {
			break
		}
		end = start
	}
	return previous.Offset + end, end < len(previous.Raw)
}

// finish adds the warnings that need the whole stream.
func (r *run) finish() {
	if r.Remove != RemoveNothing {
		r.finishRemoval()
		return
	}
	for i := range r.Config.Profiles {
		p := &r.Config.Profiles[i]
		consumers := r.consumers(p.Name)
		if len(consumers) == 0 {
			continue
		}
		r.report.Warnings = append(r.report.Warnings, p.Warnings()...)
		r.report.Warnings = append(r.report.Warnings, sharedDisk(p, consumers)...)
		if !r.inList { // nobody waits for what kustomize or kpt builds
			r.report.Warnings = append(r.report.Warnings, lateConsumers(p, consumers)...)
		}
	}
	if !r.report.Matched() && r.report.Error == "" {
		r.report.Warnings = append(r.report.Warnings, r.nothingMatched())
	}
}

func (r *run) consumers(profile string) []consumer {
	var found []consumer
	for _, c := range r.uses {
		if c.Profile == profile {
			found = append(found, c)
		}
	}
	return found
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
		if !p.SingleNode() || p.Colocates() || (pods < 2 && !perNode) { // of a pod that cannot follow its own warning tells
			continue
		}
		warnings = append(warnings, fmt.Sprintf("profile %q: its volume can be mounted %s only (%s), but several pods in namespace %q want it: %s; %s",
			p.Name, reach(p), joinModes(p), namespace, strings.Join(fewOf(workloads), ", "), remedy(p)))
	}
	return warnings
}

func isOfOnePod(p *storage.Profile) bool {
	return slices.Contains(p.Claim.AccessModes, corev1.ReadWriteOncePod)
}

func reach(p *storage.Profile) string {
	if isOfOnePod(p) {
		return "by one pod"
	}
	return "on one node"
}

func remedy(p *storage.Profile) string {
	if isOfOnePod(p) {
		return "all others wait until it ends: use ReadWriteOnce with colocate: true, or a file backend with ReadWriteMany"
	}
	return "pods on other nodes will hang: set colocate: true (--colocate) to keep them on one node, or use a file backend with ReadWriteMany"
}

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
	if p.Volume != nil || !*p.Claim.Create || !waits || slices.ContainsFunc(consumers, func(c consumer) bool { return !c.deferred }) {
		return nil
	}
	return []string{fmt.Sprintf("profile %q: nothing mounts the claim as soon as it is installed (%s), so it stays Pending until then: "+
		"helm --wait would time out; leave --wait out, or set volumeBindingMode Immediate", p.Name, consumers[0].workload)}
}

// nothingMatched says why the nearest candidates were not selected.
func (r *run) nothingMatched() string {
	var near []string
	for i := range r.report.Workloads {
		w := &r.report.Workloads[i]
		near = append(near, fmt.Sprintf("document %d %s/%s: %s: %s", w.Document, w.Kind, w.Name, w.Reason, w.Message))
	}
	if len(near) == 0 {
		return "nothing was selected: the stream holds no pods"
	}
	return "nothing was selected, so no storage was added: " + strings.Join(fewOf(near), "; ")
}

// fewOf keeps a list readable; the report has all of it.
func fewOf(list []string) []string {
	const most = 5
	if len(list) <= most {
		return list
	}
	return append(slices.Clone(list[:most]), fmt.Sprintf("and %d more", len(list)-most))
}
