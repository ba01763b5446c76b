// Package claims keeps the storage of injected pods present: a controller that creates a profile's StorageClass, its
// static PersistentVolume and its PersistentVolumeClaim when a pod that the webhook marked needs them and they are
// missing. It is the part that makes objects, so that the admission path never does (a dry run makes nothing, and a
// refused pod leaves nothing behind).
//
// # What it does
//
//   - The unit of work is a [storage.ProfileRef], a profile in a namespace. Marked pods name it ([inject.AnnotationInjected]).
//   - Order of creation: class, volume, claim. What exists already is read and compared before anything is made, and never
//     changed. A class with another provisioner or reclaim policy, and a static volume with another source, reclaim policy or
//     class or for another claim, is refused: nothing is made until people have decided. Other parameters of a class are
//     used as they are, and said.
//   - A claim of others that fits is used. One that does not gets neither class nor volume from here, which could bind it.
//   - The profile's namespaceSelector and its static volume's namespace are checked again ([storage.Profile.Serves]),
//     because anybody who makes pods can forge a mark.
//   - A bound claim of its own grows to the profile's size when its class allows that. It never shrinks, and an Event says
//     so when the profile asks for less. What else the profile says later, such as another volume.handle, changes neither
//     claim nor volume: an Event says what differs.
//   - The volume of a bound claim of its own gets [storage.LabelNamespace] and [storage.LabelNamespaceUID]. When the claim was
//     deleted and pods need it again, it is made for that volume, static or provisioned, which is freed for it; a namespace
//     that was deleted and made again is not taken for the one that had the data, unless an administrator says so by these
//     labels. Where several volumes have data for one claim, nothing is made until people have decided.
//   - Everything else is said and not done: an Event on the claim and on at most ten of the pods that wait for it tells
//     what is wrong and what to do. Differences never become a loop of errors.
//
// # What it never does
//
// It deletes nothing, removes no finalizer, and changes no object without the label [storage.LabelInstallation] of its
// own installation; the exceptions are the labels above, and the claim's UID taken from a volume that was released, on a volume whose claimRef has the UID of its own claim. A
// claim with Helm's marks is Helm's even with that label. So a rendered claim and a made one never fight, and neither
// do two installations.
//
// # What it reads, and why it stays small
//
// Pods come as metadata only, with the opt-in label and neither Succeeded nor Failed (both are selected by the API
// server, so other pods cost nothing here), stripped to their name, UID, times and mark. Claims come with the label of
// this installation only. StorageClasses and PersistentVolumes are read one by one when a claim is not bound yet, and before
// a claim is made for a volume to be provisioned, the volumes with the label of its namespace are listed. A bound claim that was found right is not looked at
// again before it or the configuration changes, or ten minutes have passed.
//
// # Without the controller
//
// [AddOverlap] adds only the search for other installations that take the same pods; it makes no objects but Events.
//
// # Replicas
//
// Every replica runs the caches and the [Index], only the leader writes. A new leader goes through all marked pods once:
// a bound claim costs it one read (of the volume).
package claims
