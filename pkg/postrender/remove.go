package postrender

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"gomodules.xyz/jsonpatch/v2"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// Removal says what a run takes out of a stream instead of adding storage to it.
type Removal string

// The removals.
const (
	// RemoveNothing adds storage. The default.
	RemoveNothing Removal = ""
	// RemovePods takes out what was injected into pods. The documents of the storage stay: a tool that deletes what a stream
	// no longer has would delete a claim.
	RemovePods Removal = "pods"
	// RemoveAll takes out the documents of the storage, too, so that the stream is what it was before it was rendered.
	RemoveAll Removal = "all"
)

// withdraw decides about every document, and about the storage of the stream.
func (r *run) withdraw() error {
	if err := r.documents(); err != nil {
		return err
	}
	cuts := r.withdrawStorage()
	if len(cuts) > 0 && len(cuts) == r.contents() {
		return errors.New("the stream holds nothing but storage of ours, and nothing would be left of it: delete it instead")
	}
	r.edits = append(r.edits, r.cutSeparator(cuts)...)
	return nil
}

// contents counts the documents that are not blank.
func (r *run) contents() int {
	n := 0
	for _, doc := range r.docs {
		if !doc.Header.Blank {
			n++
		}
	}
	return n
}

// withdrawObject takes out of one object what was injected.
func (r *run) withdrawObject(doc manifest.Document, object kinds.Object) ([]jsonpatch.Operation, error) {
	namespace := r.namespaceOf(object)
	if err := r.requireReleaseToRemove(object); err != nil {
		return nil, err
	}
	request := inject.Request{Release: r.Release, Namespace: namespace, Selector: r.Selector}
	result := inject.Remove(r.Config, request, &object)
	for _, decision := range result.Decisions {
		r.addWorkload(doc, object, decision)
	}
	if refused := result.Refused(); refused != nil {
		return nil, errors.New(refused.Message)
	}
	if hasContainers(object) {
		r.addMounts(doc, object, namespace, result.Operations)
	} else {
		r.addSkipped(doc, object)
	}
	return result.Operations, nil
}

// requireReleaseToRemove refuses to guess a release, without which a claim of ours cannot be told from any other. What the
// webhook has injected says so itself.
func (r *run) requireReleaseToRemove(object kinds.Object) error {
	if r.Release.Name != "" && r.Release.Namespace != "" {
		return nil
	}
	for i := range object.Pods {
		pod := &object.Pods[i]
		for p := range r.Config.Profiles {
			profile := &r.Config.Profiles[p]
			hasVolume := slices.ContainsFunc(pod.Volumes, func(v kinds.PodVolume) bool { return v.Name == profile.VolumeName() })
			if hasVolume && profile.ClaimNeedsRelease() && !slices.Contains(inject.InjectedProfiles(pod.Annotations), profile.Name) {
				return fmt.Errorf("profile %q: the name of its claim needs the release and its namespace: "+
					"add --namespace NAMESPACE --release RELEASE, or --claim NAME", profile.Name)
			}
		}
	}
	return nil
}

// mentionsClaim reports whether a document that nobody can look into names a claim of ours.
func (r *run) mentionsClaim(doc manifest.Document) bool {
	return slices.ContainsFunc(r.Config.Profiles, func(p storage.Profile) bool {
		return namesObject(doc.Body, p.Names(r.Release, r.Release.Namespace).Claim)
	})
}

// namesObject reports whether a text has the name of an object, and not only as a part of a longer one.
func namesObject(text []byte, name string) bool {
	for rest := text; ; {
		i := bytes.Index(rest, []byte(name))
		if i < 0 {
			return false
		}
		before, behind := rest[:i], bytes.TrimPrefix(rest[i+len(name):], []byte(".")) // a sentence may end with a name
		if (len(before) == 0 || !isOfName(before[i-1])) && (len(behind) == 0 || behind[0] == '.' || !isOfName(behind[0])) {
			return true
		}
		rest = rest[i+1:]
	}
}

// isOfName reports whether the name of an object can have a character.
func isOfName(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.'
}

// unseen is what nobody can look into: an object of an unknown kind, or text.
type unseen struct {
	object string
	text   []byte
}

// addUnseen notes text that may name a claim.
func (r *run) addUnseen(doc manifest.Document, kind string, text []byte) {
	if r.Remove == RemoveNothing || doc.Header.Blank {
		return
	}
	if kinds := doc.Header.Kinds; kind == "" && len(kinds) > 0 {
		kind = kinds[0]
	}
	r.unseen = append(r.unseen, unseen{strings.TrimSpace(fmt.Sprintf("document %d %s", doc.Number, kind)), text})
}

// addSkipped notes the claims of an object that a removal leaves as it is.
func (r *run) addSkipped(doc manifest.Document, object kinds.Object) {
	switch {
	case r.Remove == RemoveNothing:
	case hasContainers(object):
		r.addMounts(doc, object, r.namespaceOf(object), nil)
	default:
		text, err := manifest.Encode(object.Content) // other objects of the document are judged by themselves
		if err != nil {
			text = doc.Body
		}
		r.addUnseen(doc, object.Kind+"/"+object.Name, text)
	}
}

// hasContainers reports whether pods of an object are defined in it: others have their volumes elsewhere, or as text.
func hasContainers(object kinds.Object) bool {
	return slices.ContainsFunc(object.Pods, func(p kinds.Pod) bool { return len(p.Containers) > 0 })
}

// mount is a claim that a pod of the stream still has.
type mount struct {
	namespace, claim, workload string
}

// addMounts notes the claims that the pods of an object keep.
func (r *run) addMounts(doc manifest.Document, object kinds.Object, namespace string, ops []jsonpatch.Operation) {
	for i := range object.Pods {
		pod := &object.Pods[i]
		stay := slices.Clone(pod.SharedVolumes)
		for n, v := range pod.Volumes {
			if !slices.ContainsFunc(ops, func(op jsonpatch.Operation) bool {
				return op.Path == pod.VolumesPath || op.Path == fmt.Sprintf("%s/%d", pod.VolumesPath, n)
			}) {
				stay = append(stay, v)
			}
		}
		for _, v := range stay {
			if v.Claim != "" {
				r.mounts = append(r.mounts, mount{namespace, v.Claim, fmt.Sprintf("document %d %s/%s", doc.Number, object.Kind, object.Name)})
			}
		}
	}
}

// withdrawStorage finds the documents that a run has written and returns what to cut, when that was asked for: all documents
// of a profile, or none, so that no claim is left without its class.
func (r *run) withdrawStorage() []manifest.Edit {
	var found []storageDocument
	blocked := map[string]bool{}
	for i := range r.present {
		have := &r.present[i]
		want := r.written(have)
		if want == nil {
			continue
		}
		d := storageDocument{profile: have.Labels[storage.LabelProfile], object: Object{
			Kind: have.Kind, Name: have.Name, Namespace: want.Meta.Namespace, Action: Left,
		}}
		if r.Remove == RemoveAll {
			var why string
			if d.cut, why = r.cutStorage(have, want); why != "" {
				r.report.Warnings = append(r.report.Warnings, fmt.Sprintf("document %d %s/%s stays, and with it all storage of profile %q: %s",
					have.doc.Number, have.Kind, have.Name, d.profile, why))
				blocked[d.profile] = true
			}
		}
		found = append(found, d)
	}
	var cuts []manifest.Edit
	for _, d := range found {
		if r.Remove == RemoveAll && !blocked[d.profile] {
			d.object.Action = Removed
			cuts = append(cuts, d.cut)
		}
		r.report.Objects = append(r.report.Objects, d.object)
	}
	return cuts
}

// storageDocument is a document of ours, and what is cut when it goes.
type storageDocument struct {
	profile string
	object  Object
	cut     manifest.Edit
}

// written returns what a run writes under the name of an object of the stream, or nil.
func (r *run) written(have *presentObject) *storage.Object {
	profile := have.Labels[storage.LabelProfile]
	if r.Config.Profile(profile) == nil {
		return nil
	}
	for _, namespace := range r.storageNamespaces() {
		needed, err := storage.Objects(r.Config, r.Release, storage.ProfileRef{Profile: profile, Namespace: namespace})
		if err != nil {
			continue // the volume of the profile is not for this namespace
		}
		for _, object := range needed.All() {
			if r.isNamed(have, object) {
				return &object
			}
		}
	}
	return nil
}

// storageNamespaces are those that the storage of the stream can be for.
func (r *run) storageNamespaces() []string {
	namespaces := []string{r.Release.Namespace}
	for i := range r.present {
		spec, _ := r.present[i].Content["spec"].(map[string]any)
		claim, _ := spec["claimRef"].(map[string]any)
		bound, _ := claim["namespace"].(string)
		namespaces = append(namespaces, r.namespaceOf(r.present[i].Object), bound)
	}
	slices.Sort(namespaces)
	return slices.DeleteFunc(slices.Compact(namespaces), func(n string) bool { return n == "" })
}

// cutStorage returns what to cut of the stream for a storage object, or why it stays: something in the stream uses the claim, or
// it is not what a run writes.
func (r *run) cutStorage(have *presentObject, want *storage.Object) (cut manifest.Edit, why string) {
	if why := r.usedBy(have.Labels[storage.LabelProfile]); why != "" {
		return manifest.Edit{}, why
	}
	text, err := manifest.Encode(want.Object)
	if err != nil || have.Path != "" || !isWritten(have.Content, text) {
		return manifest.Edit{}, "it is not as this configuration writes it"
	}
	want.Meta.Annotations[filenameAnnotation] = filename
	marked, err := manifest.Encode(want.Object)
	if err != nil {
		return manifest.Edit{}, err.Error()
	}
	cut, ok := r.cutDocument(have.doc, text, marked)
	if !ok {
		return manifest.Edit{}, "its document has a comment or a directive besides"
	}
	return cut, ""
}

// usedBy tells what keeps the claim of a profile, or may, or returns "".
func (r *run) usedBy(profile string) string {
	for _, m := range r.mounts {
		if r.Config.Profile(profile).Names(r.Release, m.namespace).Claim == m.claim {
			return m.workload + " mounts the claim"
		}
	}
	for _, namespace := range r.storageNamespaces() {
		claim := r.Config.Profile(profile).Names(r.Release, namespace).Claim
		for _, u := range r.unseen {
			if namesObject(u.text, claim) {
				return u.object + " names the claim, and what it does with it is not known: take the claim out of it first"
			}
		}
	}
	return ""
}

// isWritten reports whether an object is the one that a text makes, apart from the mark of Helm 4.
func isWritten(have map[string]any, text []byte) bool {
	tree, err := manifest.Decode(text)
	if err != nil {
		return false
	}
	have = maps.Clone(have)
	if meta, _ := have["metadata"].(map[string]any); meta != nil {
		meta = maps.Clone(meta)
		have["metadata"] = meta
		if annotations, _ := meta["annotations"].(map[string]any); annotations != nil {
			annotations = maps.Clone(annotations)
			meta["annotations"] = annotations
			delete(annotations, filenameAnnotation)
		}
	}
	return reflect.DeepEqual(have, tree.Value())
}

// cutDocument returns what goes of a document with nothing but an object of ours: as we wrote it just that text, and otherwise,
// as Helm 4 writes it anew, the whole document if nobody has written a comment into it.
func (r *run) cutDocument(doc manifest.Document, texts ...[]byte) (manifest.Edit, bool) {
	newline := manifest.LineBreak(r.stream, doc.BodyOffset())
	line := func(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", newline)) }
	offset := doc.Offset
	if offset == 0 {
		offset += len(doc.Raw) - len(bytes.TrimPrefix(doc.Raw, bom))
	}
	raw := doc.Raw[offset-doc.Offset:]
	rest := bytes.TrimPrefix(raw, line("---\n"))
	if bytes.HasPrefix(rest, []byte(sourceMark)) {
		_, rest, _ = bytes.Cut(rest, line("\n"))
	}
	for _, text := range texts {
		if behind, ok := bytes.CutPrefix(rest, line(string(text))); ok {
			behind = bytes.TrimPrefix(behind, line("...\n"))
			return manifest.Edit{Start: offset, End: offset + len(raw) - len(behind)}, true
		}
	}
	for textLine := range bytes.Lines(raw) {
		trimmed := bytes.TrimSpace(textLine)
		isMark := bytes.HasPrefix(trimmed, []byte(sourceMark))
		if !isMark && (bytes.HasPrefix(trimmed, []byte("%")) || bytes.IndexByte(trimmed, '#') >= 0) {
			return manifest.Edit{}, false
		}
	}
	return manifest.Edit{Start: offset, End: offset + len(raw)}, true
}

var bom = []byte("\uFEFF")

// cutSeparator takes the separator behind storage that stands at the start of a stream without one of its own: it was put in
// together with that storage.
func (r *run) cutSeparator(cuts []manifest.Edit) []manifest.Edit {
	start := len(r.stream) - len(bytes.TrimPrefix(r.stream, bom))
	end := start
	for _, c := range cuts {
		if c.Start != end {
			break
		}
		end = c.End
	}
	if end == start || bytes.HasPrefix(r.stream[start:], []byte("---")) {
		return cuts
	}
	for _, separator := range []string{"---\n", "---\r\n"} {
		if bytes.HasPrefix(r.stream[end:], []byte(separator)) {
			return append(cuts, manifest.Edit{Start: end, End: end + len(separator)})
		}
	}
	return cuts
}

// finishRemoval adds the warnings that need the whole stream.
func (r *run) finishRemoval() {
	count := func(action Action) int {
		return len(slices.DeleteFunc(slices.Clone(r.report.Objects), func(o Object) bool { return o.Action != action }))
	}
	pods := 0
	for i := range r.report.Workloads {
		pods += len(r.report.Workloads[i].Removed)
	}
	switch {
	case r.report.Error != "":
	case pods == 0 && count(Removed) == 0:
		r.report.Warnings = append(r.report.Warnings, "nothing was removed: the stream has nothing that this configuration injects for this release")
	case count(Removed) > 0:
		r.report.Warnings = append(r.report.Warnings, "the storage is no longer in the stream: Helm, Argo CD and Flux leave it in the cluster, "+
			"but whatever else prunes, such as kubectl apply --prune, deletes the claim")
	case count(Left) > 0 && r.Remove == RemovePods:
		r.report.Warnings = append(r.report.Warnings, "the storage stays in the stream, so that nothing that prunes deletes the claim; "+
			"--remove=all takes it out as well")
	}
}
