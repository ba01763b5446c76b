package postrender

import (
	"bytes"
	"encoding/json"
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

// Removal is what a run removes from a stream, instead of adding storage to it.
type Removal string

// The removals.
const (
	// RemoveNothing adds storage. The default.
	RemoveNothing Removal = ""
	// RemovePods removes what was injected into pods. The storage objects remain: a tool that deletes
	// what a stream no longer has would delete a claim.
	RemovePods Removal = "pods"
	// RemoveAll removes the storage objects, too, so that the stream is what it was before it was
	// rendered.
	RemoveAll Removal = "all"
)

// removal is the pass that removes storage.
type removal struct {
	*run
	// mounts are the claims that pods retain.
	mounts []mount
	// unparsed are the texts that may name a claim.
	unparsed []unparsed
}

// decide removes from the pods of an object what was injected. It notes the claims that the pods
// retain, for the removal of storage objects.
func (p *removal) decide(u *unit, object kinds.Object) ([]jsonpatch.Operation, error) {
	if err := p.requireRelease(object); err != nil {
		return nil, err
	}
	result := inject.Remove(p.Config, p.request(p.namespaceOf(object)), &object)
	for _, decision := range result.Decisions {
		p.addWorkload(u, object, decision)
	}
	if refused := result.Refused(); refused != nil {
		return nil, errors.New(refused.Message)
	}
	if hasContainers(object) {
		p.addMounts(u, object, result.Operations)
	} else {
		p.addSkipped(u, object)
	}
	return result.Operations, nil
}

// edit turns removals into edits.
func (p *removal) edit(tree *manifest.Tree, ops []jsonpatch.Operation) ([]manifest.Edit, error) {
	return tree.Remove(ops)
}

// noPodsMessage has no advice: there is nothing to remove from an object without pods.
func (p *removal) noPodsMessage(kinds.Object) string { return noContainers }

// isMissed reports whether an object whose pods are not defined in it names a claim. Such an
// object may refer to pods that still use the claim.
func (p *removal) isMissed(u *unit, object kinds.Object, reason inject.Reason) bool {
	return len(object.Pods) == 0 && p.mentionsClaim(ownText(u, &object, reason))
}

// storage removes the storage objects of the stream, for [RemoveAll].
func (p *removal) storage() error {
	edits := p.removeStorage()
	if len(edits) > 0 && len(edits) == p.contents() {
		return errors.New("the stream holds nothing but storage objects of this configuration, and the " +
			"output would be empty: delete the stream instead")
	}
	p.edits = append(p.edits, p.removeSeparator(edits)...)
	return nil
}

// contents counts the documents that are not blank. Those that remain when every storage object
// is removed must be at least one: Helm refuses an empty output.
func (p *removal) contents() int {
	n := 0
	for i := range p.docs {
		if !p.docs[i].Header.Blank {
			n++
		}
	}
	return n
}

// requireRelease refuses to guess a release, which the name of the claim needs. The webhook
// annotates what it injects, so that its pods need no release.
func (p *removal) requireRelease(object kinds.Object) error {
	if p.Release.Name != "" && p.Release.Namespace != "" {
		return nil
	}
	for i := range object.Pods {
		pod := &object.Pods[i]
		for n := range p.Config.Profiles {
			profile := &p.Config.Profiles[n]
			hasVolume := slices.ContainsFunc(pod.Volumes, func(v kinds.PodVolume) bool { return v.Name == profile.VolumeName() })
			if hasVolume && profile.ClaimNeedsRelease() &&
				!slices.Contains(inject.InjectedProfiles(pod.Annotations), profile.Name) {
				return fmt.Errorf("profile %q: the name of its claim needs the release and its namespace: "+
					"add --namespace NAMESPACE --release RELEASE, or --claim NAME", profile.Name)
			}
		}
	}
	return nil
}

// mentionsClaim reports whether the text of a unit names the claim of a profile. The text is
// searched and not parsed, so that any kind can name it in any field.
func (p *removal) mentionsClaim(text []byte) bool {
	return slices.ContainsFunc(p.Config.Profiles, func(profile storage.Profile) bool {
		return namesObject(text, profile.ClaimName(p.Release, p.Release.Namespace))
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

// unparsed is a text that may name a claim: a document that was not parsed, or an object of an
// unsupported kind.
type unparsed struct {
	// name names the text in messages.
	name string
	text []byte
}

// addUnparsed notes the text of a unit.
func (p *removal) addUnparsed(u *unit) {
	if u.doc == nil || !u.doc.Header.Blank {
		p.unparsed = append(p.unparsed, unparsed{u.String(), u.text})
	}
}

// addSkipped notes the claims of an object that stays as it is.
func (p *removal) addSkipped(u *unit, object kinds.Object) {
	if hasContainers(object) {
		p.addMounts(u, object, nil)
		return
	}
	text, err := json.Marshal(object.Content) // the pass judges other objects of the document by themselves
	if err != nil {
		text = u.text
	}
	p.unparsed = append(p.unparsed, unparsed{u.in(object), text})
	if isCore(&object, secretKind) { // whose texts are encoded
		for _, decoded := range textsOf(&object) {
			p.unparsed = append(p.unparsed, unparsed{u.in(object), []byte(decoded.Value)})
		}
	}
}

// hasContainers reports whether pods of an object are defined in it. Other objects refer to their
// pods, or have them as text.
func hasContainers(object kinds.Object) bool {
	return slices.ContainsFunc(object.Pods, func(p kinds.Pod) bool { return len(p.Containers) > 0 })
}

// mount is a claim that a pod of the stream retains.
type mount struct {
	namespace, claim, workload string
}

// addMounts notes the claims that the pods of an object retain after the operations.
func (p *removal) addMounts(u *unit, object kinds.Object, ops []jsonpatch.Operation) {
	for i := range object.Pods {
		pod := &object.Pods[i]
		retained := slices.Clone(pod.SharedVolumes)
		for _, v := range pod.ConfVolumes {
			retained = append(retained, kinds.PodVolume{Claim: v.Claim})
		}
		for n, v := range pod.Volumes {
			if !slices.ContainsFunc(ops, func(op jsonpatch.Operation) bool {
				return op.Path == pod.VolumesPath || op.Path == fmt.Sprintf("%s/%d", pod.VolumesPath, n)
			}) {
				retained = append(retained, v)
			}
		}
		for _, v := range retained {
			if v.Claim != "" {
				p.mounts = append(p.mounts, mount{p.namespaceOf(object), v.Claim, u.in(object)})
			}
		}
	}
}

// removeStorage finds the documents that a run has written and returns the edits that remove them,
// for [RemoveAll]. It removes all documents of a profile or none, so that no claim remains without
// its class.
func (p *removal) removeStorage() []manifest.Edit {
	var found []storageDocument
	blocked := map[string]bool{}
	for i := range p.present {
		have := &p.present[i]
		want := p.written(have)
		if want == nil {
			continue
		}
		d := storageDocument{profile: have.Labels[storage.LabelProfile], object: Object{
			Kind: have.Kind, Name: have.Name, Namespace: want.Meta.Namespace, Action: Retained,
		}}
		if p.Remove == RemoveAll {
			var why string
			if d.edit, why = p.removeObject(have, want); why != "" {
				p.addWarnings(fmt.Sprintf("%s is retained, with all storage objects of profile %q: %s",
					have.unit.in(have.Object), d.profile, why))
				blocked[d.profile] = true
			}
		}
		found = append(found, d)
	}
	var edits []manifest.Edit
	for _, d := range found {
		if p.Remove == RemoveAll && !blocked[d.profile] {
			d.object.Action = Removed
			edits = append(edits, d.edit)
		}
		p.report.Objects = append(p.report.Objects, d.object)
	}
	return edits
}

// storageDocument is a document that a run has written, and the edit that removes it.
type storageDocument struct {
	profile string
	object  Object
	edit    manifest.Edit
}

// written returns what a run writes under the name of an object of the stream, or nil.
func (p *removal) written(have *presentObject) *storage.Object {
	profile := have.Labels[storage.LabelProfile]
	if p.Config.Profile(profile) == nil {
		return nil
	}
	for _, namespace := range p.storageNamespaces() {
		needed, err := storage.Objects(p.Config, p.Release, storage.ProfileRef{Profile: profile, Namespace: namespace})
		if err != nil {
			continue // the volume of the profile is not for this namespace
		}
		for _, object := range needed.All() {
			if p.isNamed(have, object) {
				return &object
			}
		}
	}
	return nil
}

// storageNamespaces are those that the storage of the stream can be for.
func (p *removal) storageNamespaces() []string {
	namespaces := []string{p.Release.Namespace}
	for i := range p.present {
		spec, _ := p.present[i].Content["spec"].(map[string]any)
		claim, _ := spec["claimRef"].(map[string]any)
		bound, _ := claim["namespace"].(string)
		namespaces = append(namespaces, p.namespaceOf(p.present[i].Object), bound)
	}
	slices.Sort(namespaces)
	return slices.DeleteFunc(slices.Compact(namespaces), func(n string) bool { return n == "" })
}

// removeObject returns the edit that removes a storage object, or why the object is retained:
// something in the stream uses the claim, or the object is not what a run writes. The edit is the
// zero value when why is set.
func (p *removal) removeObject(have *presentObject, want *storage.Object) (edit manifest.Edit, why string) {
	if why := p.usedBy(have.Labels[storage.LabelProfile]); why != "" {
		return manifest.Edit{}, why
	}
	text, err := manifest.Encode(want.Object)
	if err != nil || have.Path != "" || !isWritten(have.Content, text) {
		return manifest.Edit{}, "it is not as this configuration writes it"
	}
	want.Meta.Annotations[filenameAnnotation] = filename
	annotated, err := manifest.Encode(want.Object)
	if err != nil {
		return manifest.Edit{}, err.Error()
	}
	edit, ok := p.removeDocument(have.unit.doc, text, annotated)
	if !ok {
		return manifest.Edit{}, "its document also has a comment or a directive"
	}
	return edit, ""
}

// usedBy returns what uses the claim of a profile, or may use it, or "".
func (p *removal) usedBy(profile string) string {
	for _, m := range p.mounts {
		if p.Config.Profile(profile).ClaimName(p.Release, m.namespace) == m.claim {
			return m.workload + " mounts the claim"
		}
	}
	for _, namespace := range p.storageNamespaces() {
		claim := p.Config.Profile(profile).ClaimName(p.Release, namespace)
		for _, u := range p.unparsed {
			if namesObject(u.text, claim) {
				return u.name + " names the claim for an unknown purpose: remove the claim from it first"
			}
		}
	}
	return ""
}

// isWritten reports whether an object is the one that a text makes, apart from the annotation of
// Helm 4. Values are compared, not texts: Helm 4 writes documents in its own way.
func isWritten(have map[string]any, text []byte) bool {
	written, err := manifest.DecodeValue(text)
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
	return reflect.DeepEqual(have, written)
}

// removeDocument returns the edit that removes a document of one storage object. It removes one of
// the texts where the document has it. Helm 4 writes documents again in its own way: such a
// document is removed whole, unless it has a comment.
func (p *removal) removeDocument(doc *manifest.Document, texts ...[]byte) (manifest.Edit, bool) {
	if doc.IsJSON {
		return manifest.Edit{Start: doc.BodyOffset(), End: doc.Offset + len(doc.Raw)}, true
	}
	newline := manifest.LineBreak(p.stream, doc.BodyOffset())
	line := func(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", newline)) }
	offset := doc.Offset
	if offset == 0 {
		offset += len(doc.Raw) - len(bytes.TrimPrefix(doc.Raw, bom))
	}
	raw := doc.Raw[offset-doc.Offset:]
	rest := bytes.TrimPrefix(raw, line("---\n"))
	if bytes.HasPrefix(rest, []byte(sourceComment)) {
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
		isSource := bytes.HasPrefix(trimmed, []byte(sourceComment))
		if !isSource && (bytes.HasPrefix(trimmed, []byte("%")) || bytes.IndexByte(trimmed, '#') >= 0) {
			return manifest.Edit{}, false
		}
	}
	return manifest.Edit{Start: offset, End: offset + len(raw)}, true
}

var bom = []byte("\uFEFF")

// removeSeparator removes the separator behind storage at the start of a stream that has no
// separator there: it was added together with that storage. It returns the edits with one more,
// or as they are.
func (p *removal) removeSeparator(edits []manifest.Edit) []manifest.Edit {
	start := len(p.stream) - len(bytes.TrimPrefix(p.stream, bom))
	end := start
	for _, e := range edits {
		if e.Start != end {
			break
		}
		end = e.End
	}
	if end == start || bytes.HasPrefix(p.stream[start:], []byte("---")) {
		return edits
	}
	for _, separator := range []string{"---\n", "---\r\n"} {
		if bytes.HasPrefix(p.stream[end:], []byte(separator)) {
			return append(edits, manifest.Edit{Start: end, End: end + len(separator)})
		}
	}
	return edits
}
