// Package pulumi holds the post-renderer to the way in which Pulumi's Kubernetes provider calls it, and docs/pulumi.md to the
// objects that come of it.
//
// Neither Pulumi's engine nor the provider is a Go module that can be had, so the tests start where the provider hands over to
// Helm's SDK. What the programs of examples/pulumi register with Pulumi are files there, which those programs' own tests write
// (make example-pulumi).
package pulumi
