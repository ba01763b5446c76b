package postrender

import (
	"runtime"

	"golang.org/x/sync/errgroup"
	"gomodules.xyz/jsonpatch/v2"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
)

// unit is one document on its way through a run. It is read, decided about and edited. Units are
// read and edited in parallel, because parsing is most of the work: an edited document is parsed
// again. Decisions are made one by one, in the order of the stream: neither the output nor the
// report depends on the number of workers.
type unit struct {
	doc manifest.Document
	// parse is true when the document must be parsed. kind is the kind that it is parsed for, if
	// its text shows one.
	parse bool
	kind  string
	// tree is the parsed document. It is nil when the document was not parsed or err is set.
	tree *manifest.Tree
	// ops are the operations that were decided on, and edits their edits of the stream.
	ops   []jsonpatch.Operation
	edits []manifest.Edit
	err   error
}

// maxBatch bounds the bytes of documents that are parsed at one time, because a parsed document
// takes many times its size in memory. Only a single document may be larger.
const maxBatch = 64 << 10

// batchEnd returns the index behind the last document of the batch that begins at start.
func batchEnd(docs []manifest.Document, start int) int {
	end, size := start+1, len(docs[start].Raw)
	for end < len(docs) && size+len(docs[end].Raw) <= maxBatch {
		size += len(docs[end].Raw)
		end++
	}
	return end
}

// batch reads, decides about and edits the documents from start to end.
func (r *run) batch(start, end int) []unit {
	units := make([]unit, end-start)
	var toParse, toEdit []*unit
	for i := range units {
		u := &units[i]
		u.doc = r.docs[start+i]
		if u.kind, u.parse = r.kindToParse(u.doc); u.parse || seemsToHoldPod(u.doc) {
			toParse = append(toParse, u)
		}
	}
	inParallel(toParse, (*unit).read)
	for i := range units {
		u := &units[i]
		if u.err = r.document(start+i, u); u.err == nil && len(u.ops) > 0 {
			toEdit = append(toEdit, u)
		}
	}
	inParallel(toEdit, r.edit)
	return units
}

// inParallel calls do for every unit, on as many goroutines as there are processors.
func inParallel(units []*unit, do func(*unit)) {
	workers := min(len(units), runtime.GOMAXPROCS(0))
	if workers <= 1 {
		for _, u := range units {
			do(u)
		}
		return
	}
	var group errgroup.Group
	group.SetLimit(workers)
	for _, u := range units {
		group.Go(func() error {
			do(u)
			return nil
		})
	}
	_ = group.Wait() // a unit holds its own error
}

// read parses a document, unless it is too large: the decision refuses it.
func (u *unit) read() {
	if !u.parse || len(u.doc.Body) <= maxDocument {
		u.tree, u.err = manifest.Decode(u.doc.Body)
	}
}
