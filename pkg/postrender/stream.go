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

// document is a document that is parsed, on its way through a run: it is read, decided about and
// edited.
//
// Documents are read and edited in parallel, because parsing is most of the work: an edited document
// is parsed again. Decisions are made one by one, in the order of the stream: neither the output nor
// the report depends on the number of processors.
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
	// edits are the edits of the stream that carry the operations out.
	edits []manifest.Edit
	err   error

	reading, editing *task
	// weight is its share of maxParsed until it is edited.
	weight int64
}

// Bounds of what is parsed. Documents that are not parsed may be of any size.
const (
	// maxDocument is the largest document that is parsed: a parsed document takes many times its size
	// in memory. The API server takes 3 MiB (apiserver, MaxRequestBodyBytes).
	maxDocument = 32 << 20
	// maxParsed bounds the bytes of the documents that are parsed at one time. Only a single document
	// may be larger.
	maxParsed = 64 << 10
	// minWeight is what the smallest document counts for, so that no more than 64 goroutines run.
	minWeight = 1 << 10
)

// pipeline carries the documents of a run from reading to editing. It belongs to the goroutine that
// decides.
type pipeline struct {
	*run
	// next is the index of the first document that was not considered for reading.
	next int
	// waiting is the document at next when it has no room yet. Its text is searched once only, however
	// many documents are decided meanwhile.
	waiting *document
	// room is how much may be parsed in addition.
	room int64
	// edited receives the weight of every document that was edited.
	edited chan int64
}

// documents decides about every document. It returns all refusals of a stream at once. It is the
// only goroutine that decides. Other goroutines read and edit.
func (r *run) documents() error {
	p := &pipeline{run: r, room: maxParsed, edited: make(chan int64, maxParsed/minWeight)}
	decided := 0
	for i := range r.docs {
		for p.readAhead(); p.next <= i; p.readAhead() {
			p.room += <-p.edited
		}
		if decided == len(r.parsed) || r.parsed[decided].index != i {
			r.decideUnparsed(i)
			continue
		}
		d := r.parsed[decided]
		decided++
		p.await(d)
		d.err = r.decideParsed(d)
		p.startEditing(d)
	}
	return r.collect()
}

// readAhead begins to read documents while there is room.
func (p *pipeline) readAhead() {
	for p.next < len(p.docs) && p.startReading() {
		p.next++
	}
}

// startReading begins to read the next document, if it must be parsed. It returns false when there is
// no room for the document.
func (p *pipeline) startReading() bool {
	if p.waiting == nil {
		p.waiting = p.toParse(p.next)
	}
	d := p.waiting
	switch {
	case d == nil:
		return true
	case d.weight > p.room:
		return false
	}
	p.waiting = nil
	p.room -= d.weight
	d.reading = start(d.read)
	p.parsed = append(p.parsed, d)
	return true
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
	d.weight = min(max(int64(len(doc.Raw)), minWeight), maxParsed)
	return d
}

// await waits until a document is read. Documents that are edited meanwhile make room for others.
// It also panics if the task panicked, in the goroutine that can recover.
func (p *pipeline) await(d *document) {
	for {
		select {
		case <-d.reading.done:
			d.reading.wait()
			return
		case weight := <-p.edited:
			p.room += weight
			p.readAhead()
		}
	}
}

// startEditing begins to edit a document that has operations. Every other one is done. The tree
// is released as early as possible: it takes most of the memory.
func (p *pipeline) startEditing(d *document) {
	if d.err != nil || len(d.ops) == 0 {
		d.tree = nil
		p.room += d.weight
		return
	}
	d.editing = start(func() {
		defer func() { p.edited <- d.weight }()
		p.edit(d)
		d.tree, d.ops = nil, nil
	})
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
func (r *run) edit(d *document) {
	edits, err := r.pass.edit(d.tree, d.ops)
	if err != nil {
		content, _ := d.tree.Value().(map[string]any)
		name := kinds.StringOf(metadata(content)["name"])
		d.err = fmt.Errorf("%s: %w", title(d.number, rootKind(content), name), err)
		return
	}
	for i := range edits {
		edits[i].Start += d.doc.BodyOffset()
		edits[i].End += d.doc.BodyOffset()
	}
	d.edits = edits
}

// collect waits for every edit and returns all refusals, in the order of the stream.
func (r *run) collect() error {
	var problems []string
	for _, d := range r.parsed {
		d.editing.wait()
		if d.err != nil {
			problems = append(problems, d.err.Error())
		}
		r.edits = append(r.edits, d.edits...)
	}
	if len(problems) > 0 {
		return errors.New(strings.Join(problems, "\n"))
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
		if r.kindsToParse[kind] {
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
	for kind := range r.kindsToParse {
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
