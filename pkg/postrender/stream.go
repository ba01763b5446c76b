package postrender

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"strings"

	"gomodules.xyz/jsonpatch/v2"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// unit is what a pass decides about: a document of a stream, or an item of a ResourceList.
type unit struct {
	// number is its number in the report, counted from 1.
	number int
	// kind is the kind that its text shows, or "".
	kind string
	// text is searched for the names of labels and claims.
	text []byte
	// doc is the document of the stream. It is nil for an item of a ResourceList.
	doc *manifest.Document
	// isServed is true for a text whose pods have the opt-in label, so that the webhook serves them.
	isServed bool
}

// String names the unit in messages: document 3 Job.
func (u *unit) String() string {
	return strings.TrimSpace(fmt.Sprintf("document %d %s", u.number, u.kind))
}

// in names an object of the unit.
func (u *unit) in(object kinds.Object) string { return title(u.number, object.Kind, object.Name) }

// title names an object of a document in messages.
func title(document int, kind, name string) string {
	return fmt.Sprintf("document %d %s", document, kinds.Title(kind, name))
}

// document is a document that is parsed.
type document struct {
	unit
	// index is its index in the stream.
	index int
	// isRequired is true when its kind may hold a pod or is one of storage: it must be valid.
	isRequired bool
	// parseKind is the kind that requires it, if its text shows one.
	parseKind string
	// tree is the parsed document. It is nil when err is set.
	tree *manifest.Tree
	// ops are the operations that were decided on.
	ops []jsonpatch.Operation
	err error
}

// maxDocument is the largest document that is parsed: a parsed document takes many times its size in
// memory. The API server takes 3 MiB (apiserver, MaxRequestBodyBytes).
const maxDocument = 32 << 20

// documents decides about every document, one by one, and edits it. It returns all refusals of a stream
// at once.
func (r *run) documents() error {
	var problems []string
	for i := range r.docs {
		d := r.toParse(i)
		if d == nil {
			r.decideUnparsed(i)
			continue
		}
		if err := r.document(d); err != nil {
			problems = append(problems, err.Error())
		}
	}
	if len(problems) > 0 {
		return errors.New(strings.Join(problems, "\n"))
	}
	return nil
}

// document reads a document, decides about it and edits it.
func (r *run) document(d *document) error {
	d.read()
	defer r.release(d, len(r.present))
	if err := r.decideParsed(d); err != nil || len(d.ops) == 0 {
		return err
	}
	return r.edit(d)
}

// release gives the memory of a document to the next one: it takes many times that of its text. One that
// has brought objects of storage is needed to the end of the run.
func (r *run) release(d *document, present int) {
	if d.tree != nil && len(r.present) == present {
		d.tree.Release()
	}
}

// toParse returns the document with an index, or nil when it need not be parsed. It searches the whole
// text where the text leaves the kind open.
func (r *run) toParse(i int) *document {
	doc := &r.docs[i]
	kind, isRequired := r.kindToParse(doc)
	if !isRequired && !doc.Header.MayContinue && !seemsToHoldPod(doc) {
		return nil
	}
	d := &document{unit: unitOf(doc), index: i, isRequired: isRequired, parseKind: kind}
	d.kind = cmp.Or(kind, d.kind)
	return d
}

// unitOf returns the unit of a document.
func unitOf(doc *manifest.Document) unit {
	u := unit{number: doc.Number, text: doc.Body, doc: doc}
	if len(doc.Header.Kinds) > 0 {
		u.kind = doc.Header.Kinds[0]
	}
	return u
}

// read parses the document, unless it is too large. Then the decision refuses it, or reports it without
// its pods.
func (d *document) read() {
	if len(d.doc.Body) <= maxDocument {
		d.tree, d.err = manifest.Decode(d.doc.Body)
	}
}

// edit turns the operations on a document into edits of the stream: all at once, because aliases may
// join its objects.
func (r *run) edit(d *document) error {
	edits, err := r.pass.edit(d.tree, d.ops)
	if err != nil {
		content, _ := d.tree.Value().(map[string]any)
		name := kinds.StringOf(metadata(content)["name"])
		return fmt.Errorf("%s: %w", title(d.number, rootKind(content), name), err)
	}
	for _, e := range edits {
		e.Start += d.doc.BodyOffset()
		e.End += d.doc.BodyOffset()
		r.edits = append(r.edits, e)
	}
	return nil
}

// decideUnparsed decides about a document that is not parsed: Helm judges it.
func (r *run) decideUnparsed(i int) {
	doc := &r.docs[i]
	if doc.Header.Blank {
		return
	}
	u := unitOf(doc)
	if len(doc.Header.Kinds) == 0 && !doc.Header.Unsure && !isNull(doc) {
		r.addUnread(&u, "is no object with a kind")
	}
	r.pass.addUnparsed(&u)
}

// isNull reports whether a document is a null, as templates leave it.
func isNull(doc *manifest.Document) bool {
	text := string(bytes.TrimSpace(doc.Body[:min(len(doc.Body), 16)]))
	return text == "null" || text == "~"
}

// addUnread notes a unit whose pods would not be found.
func (r *run) addUnread(u *unit, why string) {
	r.unread = append(r.unread, fmt.Sprintf("%s %s", u, why))
}

// decideParsed decides about a document that was read. One that is not required is refused only for
// what no reader of the output would read either.
func (r *run) decideParsed(d *document) error {
	var second *manifest.SecondValueError
	switch {
	case errors.As(d.err, &second):
		return fmt.Errorf("%s: %w", d.first(), second)
	case !d.isRequired && d.tree == nil:
		r.reportUnread(d) // Helm judges it
		return nil
	case len(d.doc.Body) > maxDocument:
		return fmt.Errorf("%s: is larger than %d MiB, far more than an API server takes: split it", d.where(),
			maxDocument>>20)
	case d.err != nil && d.parseKind == "" && !r.namesKind(d.doc.Body):
		r.reportUnread(d)
		return nil // neither a pod nor storage: Helm judges it
	case d.err != nil:
		return fmt.Errorf("%s: cannot be parsed: %w", d.where(), d.err)
	}
	return r.decideObjects(d)
}

// reportUnread notes a document that could not be read, and need not be valid.
func (r *run) reportUnread(d *document) {
	why := "is larger than all that is parsed"
	if d.err != nil {
		why = "cannot be parsed"
	}
	r.addUnread(&d.unit, why)
	r.pass.addUnparsed(&d.unit)
}

// decideObjects decides about the objects of a document.
func (r *run) decideObjects(d *document) error {
	content, ok := d.tree.Value().(map[string]any)
	if !ok {
		if d.tree.Value() != nil {
			r.addUnread(&d.unit, "is no object with a kind")
		}
		r.pass.addUnparsed(&d.unit)
		return nil
	}
	objects, err := r.table.Find(content)
	if err != nil {
		return fmt.Errorf("document %d %w", d.number, err)
	}
	r.rootKinds[d.index], r.decoded[d.index] = rootKind(content), true
	for _, object := range objects {
		ops, err := r.decideObject(&d.unit, object)
		if err != nil {
			return fmt.Errorf("%s: %w", d.in(object), err)
		}
		d.ops = append(d.ops, ops...)
	}
	return nil
}

// where names the document with the kind that requires it, if its text shows one.
func (d *document) where() string {
	return (&unit{number: d.number, kind: d.parseKind}).String()
}

// first names the document with the kind of its first value, if its text shows that one.
func (d *document) first() string {
	if d.doc.Header.Unsure {
		return (&unit{number: d.number}).String()
	}
	u := unitOf(d.doc)
	return u.String()
}

// kindToParse reports whether a document must be parsed, and for which kind, if its text shows
// one. Text that does not show the kind is parsed when it could name such a kind, or a Namespace,
// behind which storage must stand.
func (r *run) kindToParse(doc *manifest.Document) (kind string, mustParse bool) {
	for _, kind := range doc.Header.Kinds {
		if _, isStorage := storageGroups[kind]; isStorage || r.kindNames[kind] {
			return kind, true
		}
	}
	if !doc.Header.Unsure {
		return "", false
	}
	isEscaped := bytes.IndexByte(doc.Body, '\\') >= 0
	return "", isEscaped || r.namesKind(doc.Body) || bytes.Contains(doc.Body, []byte("Namespace"))
}

// namesKind reports whether a text names a kind that must be parsed, anywhere.
func (r *run) namesKind(body []byte) bool {
	for kind := range storageGroups {
		if bytes.Contains(body, []byte(kind)) {
			return true
		}
	}
	for kind := range r.kindNames {
		if bytes.Contains(body, []byte(kind)) {
			return true
		}
	}
	return false
}

// rootKind returns the kind of a decoded document, or "" without one.
func rootKind(content map[string]any) string {
	kind, _ := content["kind"].(string)
	return kind
}

// metadata returns the metadata of a decoded object. It is nil without any, and may be read like
// that.
func metadata(object map[string]any) map[string]any {
	meta, _ := object["metadata"].(map[string]any)
	return meta
}
