package kube

// Signal wakes a loop that receives from it. Several calls of [Signal.Notify] before the loop
// receives wake it once: it reads the newest state anyway. Make one with [NewSignal].
type Signal chan struct{}

// NewSignal returns a signal that is not set.
func NewSignal() Signal { return make(Signal, 1) }

// Notify sets the signal. It never blocks, and is safe for concurrent use.
func (s Signal) Notify() {
	select {
	case s <- struct{}{}:
	default: // the loop has not received the last one yet, and will see this change with it
	}
}
