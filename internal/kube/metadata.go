package kube

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
)

// Labels that every object of an installation has. Source: Kubernetes, Recommended Labels.
const (
	// LabelName with the value [ProductName] finds the objects of every installation.
	LabelName = "app.kubernetes.io/name"
	// ProductName is the value of [LabelName].
	ProductName = "pipeline-storage"
	// LabelInstance is the name of the Helm release.
	LabelInstance = "app.kubernetes.io/instance"
)

// MetadataOf returns an empty object of a core kind that is read without its spec and status.
func MetadataOf(kind string) *metav1.PartialObjectMetadata {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kind))
	return object
}

// HandledMetadata returns the metadata that an informer passes to an event handler. Of an object
// whose deletion the watch missed, it returns the last known state. False: the informer is for
// another type.
// Source: client-go, tools/cache DeletedFinalStateUnknown.
func HandledMetadata(object any) (*metav1.PartialObjectMetadata, bool) {
	if missed, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		object = missed.Obj
	}
	metadata, ok := object.(*metav1.PartialObjectMetadata)
	return metadata, ok
}

// MetadataListOf is [MetadataOf] for a list of the kind.
func MetadataListOf(kind string) *metav1.PartialObjectMetadataList {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kind + "List"))
	return list
}
