// Package inject decides what a pod needs to see a durable volume, and what to remove from one that
// is to lose it.
//
// It is pure, as the two packages below it are: no I/O, no client, no clock, no environment. Who
// imports whom:
//
//	kinds    where pods are in an object: the table of kinds, and what is read of a pod
//	storage  what an administrator wrote, and the storage objects made from it (imports kinds)
//	inject   what to do to a pod (imports both)
//
// Given a [storage.Config] and the pods of an object, [Patch] returns an ordered list of RFC 6902
// "add" operations, with a [Reason] and warnings for each pod. Two thin edges carry the operations
// out:
//
//	render     stdin ─ manifest.Split ─ each document: decode to read ─ inject.Patch ─ Tree.Apply ─┐
//	                                                                                              ├─ stdout
//	           storage.Objects ─ encode ─ before the first kind that Helm installs after a claim ─┘
//
//	admission  AdmissionReview ─ decode once, to read ─ inject.Patch ─ answer with the operations
//
// Rules that hold everywhere:
//
//   - Read typed, write patches. What is decoded is only looked at and never marshalled back, so
//     fields that this version does not have survive.
//   - Only "add" exists. A missing, null or empty list gets one operation with the whole list, any
//     other list gets its new items one by one at its head. Operations are computed once, against
//     the original; slices decide their order. [Remove] alone removes, for users who uninstall;
//     neither path of injection calls it.
//   - Idempotence is structural: what counts is whether this claim is mounted in this container,
//     never an annotation.
//   - A conflict refuses the whole object with a sentence; nothing is ever half done.
//
// decision.go has the contract: [Request], [Decision], [Reason], [Addition] and [Result]. Each
// thing that is added has a file of its own, with what adds it and what removes it: volume.go,
// mount.go, env.go, fsgroup.go, colocation.go, label.go and annotation.go.
package inject
