package claims

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
)

// maxReportedPods is how many pods get an Event about one problem.
const maxReportedPods = 10

// readPods reads the live pods of the profile from the cache. Their number is bounded, because they
// only get Events.
func (r *reconciliation) readPods(ctx context.Context) error {
	list := kube.MetadataListOf("Pod")
	err := r.cached.List(ctx, list, client.InNamespace(r.ref.Namespace),
		client.MatchingFields{indexProfile: r.ref.Profile}, client.Limit(maxReportedPods))
	if err != nil {
		return fmt.Errorf("list the injected pods: %w", err)
	}
	r.pods = list.Items
	return nil
}

// selectedNamespace returns the namespace unless it is being deleted or the installation does not
// select it: webhook, or policies, and controller share one selector, and an injected annotation can
// be another installation's, or forged.
func (r *reconciliation) selectedNamespace(ctx context.Context) (*metav1.PartialObjectMetadata, error) {
	namespace, err := r.readNamespace(ctx)
	if err != nil {
		return nil, err
	}
	if namespace.DeletionTimestamp != nil {
		return nil, errNamespaceTerminating
	}
	r.namespaceUID = namespace.UID
	if r.Selection.Name == "" {
		return namespace, nil
	}
	own, err := r.Selection.Read(ctx, r.cached, r.live)
	if err != nil {
		return nil, err
	}
	if !own.MatchesNamespace(namespace.Labels) {
		return nil, errNotSelected
	}
	return namespace, nil
}

// readNamespace reads the namespace from the cache, or, when it was created a moment ago, from the
// API server. A namespace that does not exist ends the reconciliation as one that is being deleted
// does.
func (r *reconciliation) readNamespace(ctx context.Context) (*metav1.PartialObjectMetadata, error) {
	namespace := kube.MetadataOf("Namespace")
	key := client.ObjectKey{Name: r.ref.Namespace}
	err := r.cached.Get(ctx, key, namespace)
	if apierrors.IsNotFound(err) {
		err = r.live.Get(ctx, key, namespace)
	}
	switch {
	case apierrors.IsNotFound(err):
		return nil, errNamespaceTerminating
	case err != nil:
		return nil, fmt.Errorf("read the namespace: %w", err)
	}
	return namespace, nil
}

// readClaim reads the claim of the profile: from the cache, which has those of this installation,
// or from the API server. Without pods an unmanaged claim does not matter, and no request is made
// for it. r.claim stays nil when the claim does not exist.
func (r *reconciliation) readClaim(ctx context.Context) error {
	claim, key := &corev1.PersistentVolumeClaim{}, client.ObjectKey{Namespace: r.ref.Namespace, Name: r.names.Claim}
	err := r.cached.Get(ctx, key, claim)
	if apierrors.IsNotFound(err) && len(r.pods) > 0 {
		err = r.live.Get(ctx, key, claim)
	}
	switch {
	case err == nil:
		r.claim = claim
	case !apierrors.IsNotFound(err):
		return fmt.Errorf("read claim %s: %w", r.names.Claim, err)
	}
	return nil
}

// readClass reads the class that the claim names. Nil: it does not exist.
func (r *reconciliation) readClass(ctx context.Context) (*storagev1.StorageClass, error) {
	return readByName(ctx, r.live, diagnose.ClassOf(r.claim), &storagev1.StorageClass{}, kube.KindStorageClass)
}

// readVolume reads the volume that the claim names. Nil: it does not exist.
func (r *reconciliation) readVolume(ctx context.Context) (*corev1.PersistentVolume, error) {
	return readByName(ctx, r.live, r.claim.Spec.VolumeName, &corev1.PersistentVolume{}, kube.KindVolume)
}

// readByName reads a cluster-wide object. It returns the zero T, nil for a pointer, when the name
// is empty or the object does not exist. kind is for the error.
func readByName[T client.Object](ctx context.Context, from client.Reader, name string, into T, kind string) (T, error) {
	var none T
	if name == "" {
		return none, nil
	}
	if err := from.Get(ctx, client.ObjectKey{Name: name}, into); err != nil {
		if apierrors.IsNotFound(err) {
			return none, nil
		}
		return none, fmt.Errorf("read %s %s: %w", kind, name, err)
	}
	return into, nil
}

// confirmClaim returns nil if the API server has the claim with the UID of this reconciliation's: a
// cache may be behind.
func (r *reconciliation) confirmClaim(ctx context.Context) error {
	var live corev1.PersistentVolumeClaim
	err := r.live.Get(ctx, client.ObjectKeyFromObject(r.claim), &live)
	switch {
	case apierrors.IsNotFound(err), err == nil && live.UID != r.claim.UID:
		return errRequeueSoon
	case err != nil:
		return asRefusal(err, diagnose.ReasonCreateRefused, "read claim "+r.claim.Name)
	}
	return nil
}

// liveNamespaceUID returns the UID of the namespace as the API server has it: a cache may still
// have the one of the same name that was deleted.
func (r *reconciliation) liveNamespaceUID(ctx context.Context) (types.UID, error) {
	namespace := kube.MetadataOf("Namespace")
	err := r.live.Get(ctx, client.ObjectKey{Name: r.ref.Namespace}, namespace)
	switch {
	case apierrors.IsNotFound(err), err == nil && namespace.DeletionTimestamp != nil:
		return "", errNamespaceTerminating
	case err != nil:
		return "", asRefusal(err, diagnose.ReasonCreateRefused, "read namespace "+r.ref.Namespace)
	}
	return namespace.UID, nil
}
