package postrender

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// storageGroups are the kinds of storage that profiles make, with their groups.
var storageGroups = map[string]string{
	"StorageClass":          "storage.k8s.io",
	"VolumeAttributesClass": "storage.k8s.io",
	"VolumeSnapshotClass":   "snapshot.storage.k8s.io",
	"PersistentVolume":      "",
	"PersistentVolumeClaim": "",
}

// isStorage reports whether an object is of a kind that profiles make. A kind of the same name in
// another group is not.
func isStorage(object kinds.Object) bool {
	group, ok := storageGroups[object.Kind]
	return ok && group == object.Group
}

// installedBeforeClaims are the kinds that Helm installs before a claim, and the claim itself.
// Every other kind, known to Helm or not, comes later. Source: Helm, pkg/releaseutil/kind_sorter.go
// InstallOrder.
var installedBeforeClaims = map[string]bool{
	"PriorityClass": true, "Namespace": true, "NetworkPolicy": true, "ResourceQuota": true, "LimitRange": true,
	"PodSecurityPolicy": true, "PodDisruptionBudget": true, "ServiceAccount": true, "Secret": true, "SecretList": true,
	"ConfigMap": true, "StorageClass": true, "PersistentVolume": true, "PersistentVolumeClaim": true,
}

// How Helm identifies documents.
const (
	// sourceComment precedes the documents of Helm 3, and makes helm template --show-only find them.
	sourceComment = "# Source: "
	// filenameAnnotation is that of Helm 4, which otherwise renumbers the documents with every change
	// of the stream. Source: Helm 4, pkg/action/action.go.
	filenameAnnotation = "postrenderer.helm.sh/postrender-filename"
	// filename is the name of the added documents. It must not begin with an underscore: Helm would
	// drop them.
	filename = "pipeline-storage/storage.yaml"
)

// fromHelm3 reports whether the stream has the comments of Helm 3. The first document with text
// decides.
func (r *run) fromHelm3() bool {
	for _, doc := range r.docs {
		if line := bytes.TrimLeft(doc.Body, "\r\n"); len(line) > 0 {
			return bytes.HasPrefix(line, []byte(sourceComment))
		}
	}
	return false
}

// isJSONStream reports whether documents are JSON objects that nothing separates.
func isJSONStream(docs []manifest.Document) bool { return len(docs) > 0 && docs[0].IsJSON }

// presentObject is a storage object of the stream. An earlier run wrote it, or the chart has it.
//
// Its content belongs to the tree of its document, which is therefore not released, see [run.release].
type presentObject struct {
	unit *unit
	kinds.Object
}

// place writes objects into the stream. They go there in one edit, in the order of the list: a
// class in front of the claim that names it. An empty list changes nothing.
func (r *run) place(objects []storage.Object) error {
	var text bytes.Buffer
	for _, object := range objects {
		if err := r.write(&text, object); err != nil {
			return err
		}
	}
	if text.Len() > 0 {
		r.placeText(text.Bytes())
	}
	return nil
}

// write writes an object as a document with what Helm identifies it by. Helm 4 gets an annotation
// and Helm 3 a comment, without which helm template --show-only would not find the document. Among
// JSON objects it is one more, because kubectl reads no separator behind the second of them.
func (r *run) write(out *bytes.Buffer, object storage.Object) error {
	if r.Helm4 {
		object.Meta.Annotations[filenameAnnotation] = filename
	}
	encode, isJSON := manifest.Encode, isJSONStream(r.docs)
	if isJSON {
		encode = manifest.EncodeJSON
	}
	text, err := encode(object.Object)
	if err != nil {
		return fmt.Errorf("%s/%s: %w", object.Kind, object.Meta.Name, err)
	}
	if !isJSON {
		out.WriteString("---\n")
	}
	if !isJSON && !r.Helm4 && r.fromHelm3() {
		out.WriteString(sourceComment + filename + "\n")
	}
	out.Write(text)
	return nil
}

// find returns the object of the stream with the same kind, name and namespace, or nil. A
// cluster-scoped object has no namespace to compare.
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

// compare accepts an object that this run would write in the same way, and refuses every other
// one of its name. Metadata is not compared: Helm and people add labels and annotations. The
// label with the profile is the exception.
func (r *run) compare(have *presentObject, want storage.Object) error {
	where := have.unit.in(have.Object)
	profile := want.Meta.Labels[storage.LabelProfile]
	if have.Labels[storage.LabelProfile] != profile {
		return fmt.Errorf("%s: the stream has a %s of this name itself, and the profile %q would create another: "+
			"use the one that is there (create: false), or give the profile another name",
			where, have.Kind, profile)
	}
	text, err := manifest.Encode(want.Object)
	if err != nil {
		return err
	}
	rendered, err := manifest.DecodeValue(text)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(withoutMetadata(have.Content), withoutMetadata(rendered.(map[string]any))) {
		return fmt.Errorf("%s: it was rendered by profile %q with another configuration, and such objects "+
			"cannot be changed: "+
			"render the chart again, or give the profile another name", where, profile)
	}
	return nil
}

// withoutMetadata returns a shallow copy, so that the object of the stream remains whole.
func withoutMetadata(object map[string]any) map[string]any {
	rest := maps.Clone(object)
	delete(rest, "metadata")
	return rest
}

// placeText puts the objects in front of the first document that Helm installs after a claim, and
// behind every Namespace.
func (r *run) placeText(text []byte) {
	before := r.placeBefore()
	if before == len(r.docs) {
		r.append(text)
		return
	}
	doc := r.docs[before]
	if doc.IsJSON {
		r.insert(doc.BodyOffset(), text)
		return
	}
	if at, ok := r.directivesBefore(before); ok {
		r.insert(at, append(text, "...\n"...))
		return
	}
	if bytes.HasPrefix(doc.Raw, []byte("---")) {
		r.insert(doc.Offset, text)
		return
	}
	// The first document has no separator: the objects come first and end with one.
	at := doc.Offset + len(doc.Raw) - len(bytes.TrimPrefix(doc.Raw, []byte("\uFEFF")))
	r.insert(at, append(bytes.TrimPrefix(text, []byte("---\n")), "---\n"...))
}

// insert adds a text at an offset of the stream, with the line breaks that the stream has there.
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

// placeBefore returns the index of the document in front of which the objects go, or the number
// of documents for the end of the stream.
func (r *run) placeBefore() int {
	before, afterNamespaces := len(r.docs), 0
	for i, doc := range r.docs {
		kind := r.rootKinds[i]
		if kind == "Namespace" {
			afterNamespaces = i + 1
		}
		if before == len(r.docs) && !installedBeforeClaims[kind] && !doc.Header.Blank {
			before = i
		}
	}
	return max(before, afterNamespaces)
}

// directivesBefore returns where the directives (%YAML, %TAG) of a document begin, at the end of
// the text before it. A directive belongs to the document behind the next separator. Objects that
// were inserted between the two would get it instead.
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
