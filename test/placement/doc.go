// Package placement tests, with the real API server and the real scheduler, where pods go that pkg/inject has patched, and
// where the webhook's own go.
package placement
