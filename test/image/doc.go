// Package image checks the contract of the Dockerfile without a container engine: the tool of
// tools/image lets BuildKit's own frontend read it, and executes its steps.
package image
