// Package inject is the core of pipeline-storage: it decides what a pod needs to see a durable volume.
//
// It is pure: no I/O, no client, no clock, no environment. Given a [Config] and an object that holds pods, it returns an
// ordered list of RFC 6902 "add" operations with a [Reason] and warnings. Two thin edges carry them out:
//
//	render     stdin ─ manifest.Split ─ per document: decode to read ─ inject.Patch ─ manifest.Apply (byte insertion) ─┐
//	                                                    ▲      │                                                      ├─ stdout
//	           inject.Objects (the trio) ─ encode ─ placed before the first kind that Helm installs after a claim ────┘
//	                                                    │      ▼
//	admission  AdmissionReview ─ decode once, to read ─ inject.Patch ─ answer with the operations
//
// Rules that hold everywhere:
//
//   - Read typed, write patches. What is decoded is only looked at and never marshalled back, so fields that this
//     version does not know survive.
//   - Only "add" exists. A missing, null or empty list gets one operation with the whole list, any other list gets its
//     new items one by one at its head. Operations are computed once, against the original; slices decide their order.
//     [Remove] alone removes, for those who leave; neither path of injection calls it.
//   - Idempotence is structural: what counts is whether this claim is mounted in this container, never a marker.
//   - A conflict refuses the whole object with a sentence; nothing is ever half done.
//
// The kinds that hold pods ([BuiltinKinds]) and the storage backends ([Backends]) are tables.
package inject
