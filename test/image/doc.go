// Package image holds the Dockerfile to what it promises, without a container engine: the tool of tools/image lets
// BuildKit's own frontend read it, and carries its steps out.
package image
