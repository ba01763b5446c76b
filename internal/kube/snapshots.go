package kube

import (
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// KindSnapshot is the kind of a snapshot of a volume.
const KindSnapshot = "VolumeSnapshot"

var snapshotVersion = schema.GroupVersion{Group: "snapshot.storage.k8s.io", Version: "v1"}

// SnapshotGroup is the group of external-snapshotter. Its objects are read without types, because
// its module would bring its own versions of what every program here is built with.
func SnapshotGroup() Group {
	return Group{
		Version: snapshotVersion, Namespaced: []string{KindSnapshot},
		Register: func(scheme *runtime.Scheme) error {
			scheme.AddKnownTypeWithName(snapshotVersion.WithKind(KindSnapshot), &unstructured.Unstructured{})
			scheme.AddKnownTypeWithName(snapshotVersion.WithKind(KindSnapshot+"List"), &unstructured.UnstructuredList{})
			return nil
		},
	}
}

// NewSnapshot returns an empty VolumeSnapshot to read into.
func NewSnapshot() *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(snapshotVersion.WithKind(KindSnapshot))
	return object
}

// NewSnapshotList returns an empty list of VolumeSnapshots to read into.
func NewSnapshotList() *unstructured.UnstructuredList {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(snapshotVersion.WithKind(KindSnapshot + "List"))
	return list
}

// IsUnserved reports whether a request has failed because the cluster has no such kind. An API server
// answers NotFound for a missing kind as it does for a missing object, but with another cause.
// Source: apimachinery, pkg/api/errors NewGenericServerResponse.
func IsUnserved(err error) bool {
	return meta.IsNoMatchError(err) ||
		apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}
