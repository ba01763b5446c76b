// Package status answers the question why a pod has its storage or not. It is the work of kubectl pipeline-storage status,
// in three steps:
//
//	Gather(cluster) ─ Snapshot ─ Analyze ─ Status ─ Print
//
// Gather is the only step that talks to the cluster. It gets a reader, so that it cannot write; it lists each sort of object
// once, page by page, and asks nothing for each pod. What the caller may not read, it notes and leaves out. Analyze is pure;
// why a claim waits it asks package diagnose, as the claims controller does. Whether a pod has its storage is looked up in
// its containers by package inject, never taken from a mark.
package status
