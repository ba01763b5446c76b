// Package claims creates the storage objects that injected pods lack: a controller creates a
// profile's StorageClass, its static PersistentVolume and its PersistentVolumeClaim when a pod with
// the injected annotation needs them and they are missing. Only this package creates objects. So a
// dry run of an admission creates none, and a refused pod leaves none behind.
//
// # What it does
//
//   - The unit of work is a [storage.ProfileRef], a profile in a namespace. Pods name it in
//     [inject.AnnotationInjected].
//   - Order of creation: class, volume, claim. Existing objects are read and compared before any is
//     created, and never changed. A class with another provisioner or reclaim policy is refused. So
//     is a static volume with another source, reclaim policy or class, or for another claim. After
//     a refusal nothing is created until people have decided. Other parameters of a class are
//     accepted, and reported.
//   - An unmanaged claim that fits is used. For one that does not fit, neither class nor volume is
//     created, which could bind it.
//   - The profile's namespaceSelector and its static volume's namespace are checked again
//     ([storage.Profile.Serves]), because anyone who creates pods can forge the injected
//     annotation.
//   - A bound claim of this installation grows to the profile's size when its class allows that. It
//     never shrinks, but an expansion that this controller requested and that was not carried out is
//     taken back: see [diagnose.CanReduce]. An Event reports a smaller size otherwise. Other changes of
//     the profile, such as another volume.handle, change neither claim nor volume: an Event reports the
//     difference. It gets the labels and annotations of the profile that it lacks, once for each
//     configuration. None is overwritten.
//   - The volume of a bound claim of this installation gets [storage.LabelNamespace] and
//     [storage.LabelNamespaceUID]. When the claim was deleted and pods need it again, the claim is
//     recreated and the volume is re-bound to it. A namespace that was deleted and recreated has
//     another UID, so its claims get the old volumes only when an administrator sets these labels.
//     Where several volumes have data for one claim, nothing is created until people have decided.
//   - The profile's claim.dataSource is for claims that have no volume to re-bind. A claim that exists
//     without it is used, and reported: Kubernetes fills new claims only.
//   - Every other problem is reported only: an Event on the claim, and on at most ten of the pods
//     that wait for it, has the cause and the next step. Differences never become a loop of errors.
//
// # What it never does
//
// It deletes no object, removes no finalizer, and changes no object without the label
// [storage.LabelInstallation] of its own installation. There are two exceptions, both on a volume
// whose claimRef has the UID of a claim of this installation: the labels above, and the UID in the
// claimRef of a Released volume that is re-bound. A claim with Helm's annotations is Helm's even
// with that label. So a rendered claim and a created one never conflict, and neither do two
// installations.
//
// # What it reads, and why it stays small
//
// Pods are cached as metadata only, with the opt-in label and neither Succeeded nor Failed. The API
// server selects by both, so other pods cost nothing here. They are stripped to their name, UID,
// times and injected annotation. Claims are cached with the label of this installation only.
// StorageClasses and PersistentVolumes are read one by one when a claim is not bound yet. Before a
// claim is created for a volume to be provisioned, the volumes with the label of its namespace are
// listed. A bound claim that is in sync is not read again before it or the configuration changes,
// or ten minutes have passed.
//
// # Replicas
//
// Every replica runs the caches and the [Index], only the leader writes. A new leader reconciles
// all injected pods once: a bound claim costs it one read (of the volume).
package claims
