// Package manifest edits YAML streams without rewriting them.
//
// The one idea: an edit is text put in at a place. [Split] cuts a stream into documents whose bytes join up to the stream
// again, [Scan] tells a document's kind without parsing it, [Decode] parses one document to look at it, and [Tree.Apply]
// turns RFC 6902 "add" operations into insertions. What is not inserted stays byte for byte: comments, order, quoting,
// line ends. [Tree.Remove] is its inverse, for those who leave. After every edit the new text is decoded and must equal the
// patched original, so that a style of YAML that this package does not understand is refused and never damaged.
//
// The package knows nothing of Kubernetes.
package manifest
