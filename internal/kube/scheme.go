package kube

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
)

// Kinds of the storage objects.
const (
	KindStorageClass = "StorageClass"
	KindVolume       = "PersistentVolume"
	KindClaim        = "PersistentVolumeClaim"
)

// KindWebhookConfiguration is the kind of the object that registers the webhook.
const KindWebhookConfiguration = "MutatingWebhookConfiguration"

// Kinds of the objects of policy mode. The first two are served since Kubernetes 1.36.
const (
	KindPolicy                  = "MutatingAdmissionPolicy"
	KindPolicyBinding           = "MutatingAdmissionPolicyBinding"
	KindValidatingPolicy        = "ValidatingAdmissionPolicy"
	KindValidatingPolicyBinding = "ValidatingAdmissionPolicyBinding"
)

// Group is an API group and the kinds of it that a program reads or writes.
type Group struct {
	Version schema.GroupVersion
	// Register adds the types of the group to a scheme.
	Register func(*runtime.Scheme) error
	// Namespaced and Cluster are the kinds by their scope.
	Namespaced, Cluster []string
}

// Groups returns what the webhook program uses. client-go's own scheme registers every group, which
// costs memory and time at the start.
func Groups() []Group {
	return []Group{
		{
			Version: corev1.SchemeGroupVersion, Register: corev1.AddToScheme,
			Namespaced: []string{"Pod", KindClaim, "Secret", "ConfigMap"}, Cluster: []string{KindVolume, "Namespace"},
		},
		{Version: storagev1.SchemeGroupVersion, Register: storagev1.AddToScheme, Cluster: []string{KindStorageClass}},
		{Version: coordinationv1.SchemeGroupVersion, Register: coordinationv1.AddToScheme, Namespaced: []string{"Lease"}},
		{Version: eventsv1.SchemeGroupVersion, Register: eventsv1.AddToScheme, Namespaced: []string{"Event"}},
		{
			Version: admissionregistrationv1.SchemeGroupVersion, Register: admissionregistrationv1.AddToScheme,
			Cluster: []string{KindWebhookConfiguration, KindPolicy, KindPolicyBinding},
		},
		SnapshotGroup(),
	}
}

// Scheme returns the types of the groups, and no others. It panics only if Kubernetes' own types
// clash.
func Scheme(groups ...Group) *runtime.Scheme {
	scheme := runtime.NewScheme()
	for _, group := range groups {
		utilruntime.Must(group.Register(scheme))
	}
	return scheme
}

// Mapper returns where the kinds of the groups are served. With it a client makes no discovery
// request, which takes several at the start.
func Mapper(groups ...Group) meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, group := range groups {
		for _, kind := range group.Namespaced {
			mapper.Add(group.Version.WithKind(kind), meta.RESTScopeNamespace)
		}
		for _, kind := range group.Cluster {
			mapper.Add(group.Version.WithKind(kind), meta.RESTScopeRoot)
		}
	}
	return mapper
}
