// Package kinds finds pods and pod templates in decoded Kubernetes objects.
//
// A [Kind] is a row of a table: its paths lead to the pods of an object of that kind, to their
// volumes and to their containers. [NewTable] joins the built-in rows ([Builtin]) with those of a
// configuration file. [Table.Find] follows a row and returns each [Pod], with the JSON pointers
// (RFC 6901) at which it can be extended.
//
// [FromPod] is the second reader: of a typed pod, as a client has it. Admission has a third,
// streaming one; a test in internal/admission holds that all three read the same.
//
// The package only reads, and imports nothing of this module. The rows of a project are in
// builtin_PROJECT.go, each with the source that it was read from.
package kinds
