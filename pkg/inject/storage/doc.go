// Package storage reads the configuration of storage and makes the storage objects that it
// describes.
//
// A [Config] holds profiles. A [Profile] describes one storage: a StorageClass, a
// PersistentVolumeClaim, an optional PersistentVolume, and how the claim appears in a pod. [Load]
// and [LoadForAdmission] read a file, set its defaults and validate it; every problem comes with
// its line. [Objects] makes what the pods of a namespace need.
//
// The storage backends are a table, [Backends]: drivers, default parameters, access modes, each row
// with its source.
package storage
