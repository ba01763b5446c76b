package kube

import "sync/atomic"

// Note is a sentence for people that a loop sets and any number of readers read, such as /readyz.
// The zero value is a note that is not set. It is safe for concurrent use, and must not be copied.
type Note struct{ text atomic.Pointer[string] }

// Set replaces the sentence. An empty one means that there is nothing to report.
func (n *Note) Set(text string) { n.text.Store(&text) }

// Text returns the sentence, and an empty string before the first [Note.Set].
func (n *Note) Text() string {
	if text := n.text.Load(); text != nil {
		return *text
	}
	return ""
}

// IsSet reports whether [Note.Set] was called, so that a test can wait for the first comparison.
func (n *Note) IsSet() bool { return n.text.Load() != nil }
