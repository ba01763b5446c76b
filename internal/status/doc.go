// Package status answers the question why a pod has its storage or not. It is the work of kubectl
// pipeline-storage status, in three steps:
//
//	Gather(cluster) ─ Snapshot ─ Analyze ─ Status ─ Print
//
// Gather is the only step that talks to the cluster. It gets a reader, so that it cannot write; it
// lists each sort of object once, page by page, and requests nothing for each pod. It notes what
// the caller may not read, and leaves it out. Analyze is pure; package diagnose finds why a claim
// waits, as for the claims controller. Package inject finds in the containers whether a pod has its
// storage; the injected annotation proves nothing.
package status
