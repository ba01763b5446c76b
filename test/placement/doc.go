// Package placement tests, with the real API server and the real scheduler, on which nodes the pods
// run that pkg/inject has patched, and the webhook's own.
package placement
