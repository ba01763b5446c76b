package admission

import "sync"

// maxKept is the largest buffer in bytes that is kept for the next request: one large body must not cost memory for ever.
const maxKept = 1 << 20

// pool lends what a request needs and the next one can use: a review of 70 KB would otherwise be garbage each time.
type pool[T any] struct {
	idle sync.Pool
	size func(*T) int
}

var (
	buffers      = pool[[]byte]{size: func(b *[]byte) int { return cap(*b) }}
	patchWriters = pool[patchWriter]{size: func(w *patchWriter) int { return w.text.Cap() }}
	readers      = pool[reader]{size: func(*reader) int { return 0 }} // it has no buffer of its own: it reads the body's
)

func (p *pool[T]) get() *T {
	if idle, ok := p.idle.Get().(*T); ok {
		return idle
	}
	return new(T)
}

// put takes something back, unless it is too large to keep.
func (p *pool[T]) put(item *T) {
	if p.size(item) <= maxKept {
		p.idle.Put(item)
	}
}
