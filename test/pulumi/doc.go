// Package pulumi calls the post-renderer as Pulumi's Kubernetes provider does, and checks
// docs/pulumi.md against the resulting objects.
//
// Neither Pulumi's engine nor the provider is an importable Go module, so the tests start where the
// provider calls Helm's SDK. What the programs of examples/pulumi register with Pulumi are files
// there, which those programs' own tests write (make example-pulumi).
package pulumi
