package admission

import (
	"errors"
	"net/http"
	"sync"
	"time"
)

// budget limits the bytes of bodies that a replica holds at once. When it is spent, a new body takes the place of another one:
// of the oldest body of the address that holds the most. An API server sends a body within milliseconds, so whoever sends slowly,
// or much, makes room for it, and cannot keep it out.
type budget struct {
	mu     sync.Mutex
	free   int64
	bodies map[*arrival]struct{}
}

// arrival is one body, from the first byte that is read of it until its answer is decided.
type arrival struct {
	address    string
	bytes      int64
	since      time.Time
	connection *http.ResponseController
	// evicted is closed when the body has to make room.
	evicted chan struct{}
}

// evict ends the work on the body, and a read that blocks. The budget does so while the body is in it, so that no deadline can
// be left to a later request of the connection.
func (a *arrival) evict() {
	close(a.evicted)
	_ = a.connection.SetReadDeadline(time.Unix(1, 0))
}

func (a *arrival) isEvicted() bool {
	select {
	case <-a.evicted:
		return true
	default:
		return false
	}
}

// maxBytesInFlight is how many bytes of bodies a replica holds at once. With the memory that decisions take, it is a fourth of
// the chart's limit of 256 MiB.
const maxBytesInFlight = 32 << 20

// inFlight is the budget of the process.
var inFlight = newBudget(maxBytesInFlight)

// errEvicted is why the work on a body ended early.
var errEvicted = errors.New("other requests needed the memory: try again")

func newBudget(bytes int64) *budget {
	return &budget{free: bytes, bodies: map[*arrival]struct{}{}}
}

// take makes room for a body and reports whether there is some.
func (b *budget) take(a *arrival) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.free < a.bytes {
		victim := b.victim()
		if victim == nil {
			return false
		}
		b.remove(victim)
		victim.evict()
	}
	b.free -= a.bytes
	b.bodies[a] = struct{}{}
	return true
}

// give gives the room of a body back. It may be called again.
func (b *budget) give(a *arrival) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.bodies[a]; ok {
		b.remove(a)
	}
}

func (b *budget) remove(a *arrival) {
	delete(b.bodies, a)
	b.free += a.bytes
}

// victim is the oldest body of the address that holds the most bytes.
func (b *budget) victim() *arrival {
	held := map[string]int64{}
	for a := range b.bodies {
		held[a.address] += a.bytes
	}
	var victim *arrival
	for a := range b.bodies {
		switch {
		case victim == nil, held[a.address] > held[victim.address],
			held[a.address] == held[victim.address] && a.since.Before(victim.since):
			victim = a
		}
	}
	return victim
}
