// Package manifest edits YAML streams without rewriting them.
//
// The one idea: an edit is a change of a few bytes at a known place. Everything else stays byte for
// byte: comments, order, quoting, line ends.
//
//	document.go  Split divides a stream into documents, whose bytes join up to the stream again,
//	             and finds a document's kind without parsing it
//	json.go      where an object of a JSON stream ends, and its kind
//	tree.go      Decode parses one document into a tree with the places of its nodes
//	reader.go    the reader of plain block style; go-yaml reads all other documents
//	node.go      the nodes of a tree, their tags, and the memory for them
//	characters.go  which characters the reader accepts
//	plan.go      Apply and Remove find the edits that RFC 6902 operations need
//	block.go     how a list or a mapping in block style is edited
//	flow.go      how one in flow style is edited
//	scan.go      where a bracket, a quoted scalar or a line ends
//	encode.go    how a new value is written
//	value.go     what the operations do to decoded values
//	edit.go      Edit, and how edits are carried out
//
// After every edit the new text is decoded and must equal the patched original. A style of YAML
// that this package does not cover is therefore refused and never damaged.
//
// The package does not depend on Kubernetes.
package manifest
