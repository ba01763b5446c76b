package claims

import (
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// Defaults of [Options].
const (
	DefaultPendingAfter = 30 * time.Second
	DefaultRecheck      = time.Minute
	DefaultWorkers      = 2
)

// Options say for whom the controller works. The first four are required, the others have defaults.
type Options struct {
	// Config returns the configuration in force. It must not return nil.
	Config func() *storage.Config
	// Changed is sent to when Config returns another one: every known use is then looked at again. Nil: it never changes.
	Changed <-chan struct{}
	// Installation is the value of [storage.LabelInstallation] on what is created.
	Installation string
	// WebhookConfiguration is the name of the installation's own MutatingWebhookConfiguration. Empty: nobody looks for
	// other installations.
	WebhookConfiguration string
	// PendingAfter is how long a pod may wait for its claim before an Event says why. Default: [DefaultPendingAfter].
	PendingAfter time.Duration
	// Recheck is how often something that is wrong is looked at again while pods wait for it. Default: [DefaultRecheck].
	Recheck time.Duration
	// Workers is how many uses are worked on at once. Default: [DefaultWorkers].
	Workers int
}

func (o Options) withDefaults() Options {
	if o.PendingAfter == 0 {
		o.PendingAfter = DefaultPendingAfter
	}
	if o.Recheck == 0 {
		o.Recheck = DefaultRecheck
	}
	if o.Workers == 0 {
		o.Workers = DefaultWorkers
	}
	return o
}

// Scheme returns the types that the program reads and writes, and no others: client-go's own scheme registers every
// group, which costs memory and time at the start. It panics only if Kubernetes' own types clash.
func Scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, storagev1.AddToScheme, admissionregistrationv1.AddToScheme,
		coordinationv1.AddToScheme, eventsv1.AddToScheme,
	} {
		utilruntime.Must(add(s))
	}
	return s
}

// Mapper returns where the kinds that the program uses are served. With it a manager need not ask the API server for
// everything that it serves, which takes several requests at the start.
func Mapper() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper(nil)
	for gv, kinds := range map[schema.GroupVersion]map[string]meta.RESTScope{
		corev1.SchemeGroupVersion: {
			"Pod": meta.RESTScopeNamespace, kindClaim: meta.RESTScopeNamespace, "Secret": meta.RESTScopeNamespace,
			"ConfigMap": meta.RESTScopeNamespace, kindVolume: meta.RESTScopeRoot, "Namespace": meta.RESTScopeRoot,
		},
		storagev1.SchemeGroupVersion:      {kindClass: meta.RESTScopeRoot},
		coordinationv1.SchemeGroupVersion: {"Lease": meta.RESTScopeNamespace},
		eventsv1.SchemeGroupVersion:       {"Event": meta.RESTScopeNamespace},
		admissionregistrationv1.SchemeGroupVersion: {
			"MutatingWebhookConfiguration": meta.RESTScopeRoot,
		},
	} {
		for kind, scope := range kinds {
			m.Add(gv.WithKind(kind), scope)
		}
	}
	return m
}

// Kinds of the trio.
const (
	kindClass  = "StorageClass"
	kindVolume = "PersistentVolume"
	kindClaim  = "PersistentVolumeClaim"
)

// metadataOf returns an empty metadata-only object of a core kind, as the caches know it.
func metadataOf(kind string) *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kind))
	return m
}

// metadataListOf is [metadataOf] for lists.
func metadataListOf(kind string) *metav1.PartialObjectMetadataList {
	l := &metav1.PartialObjectMetadataList{}
	l.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kind + "List"))
	return l
}
