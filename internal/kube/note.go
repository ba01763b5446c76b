package kube

import "sync/atomic"

// ReadyNote is a line of /readyz: a sentence for people that a loop sets and any number of readers
// read. The zero value is a note that is not set. It is safe for concurrent use, and must not be
// copied.
type ReadyNote struct{ text atomic.Pointer[string] }

// Set replaces the sentence. An empty one means that there is nothing to report.
func (n *ReadyNote) Set(text string) { n.text.Store(&text) }

// Text returns the sentence, and an empty string before the first [ReadyNote.Set].
func (n *ReadyNote) Text() string {
	if text := n.text.Load(); text != nil {
		return *text
	}
	return ""
}

// IsSet reports whether [ReadyNote.Set] was called, so that a test can wait for the first comparison.
func (n *ReadyNote) IsSet() bool { return n.text.Load() != nil }
