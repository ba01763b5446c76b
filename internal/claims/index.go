package claims

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// indexProfile is the name of the cache index of live pods by the profiles of their injected
// annotation.
const indexProfile = "profile"

// Index answers, without a lock and without a request, what the admission path warns of. Every
// replica has one. A nil Index has no warnings.
type Index struct {
	pods   sync.Map // storage.ProfileRef to *atomic.Int64, the number of its live pods
	synced func() bool
	names  claimNames
	lost   lostClaims
}

// Warnings returns warnings for people about a pod that is admitted to the namespace and mounts the
// profile: its claim is lost, a claim for one node has other users, or a claim that this
// installation does not create is missing. Before the caches are filled it returns no warning.
func (i *Index) Warnings(namespace string, profile *storage.Profile) []string {
	if i == nil {
		return nil
	}
	name := profile.ClaimName(storage.Release{}, namespace)
	warnings := i.lost.warnings(namespace, name)
	// The access modes of an unmanaged claim are not in memory.
	if *profile.Claim.Create && profile.SingleNode() && !profile.Colocates() && i.synced() {
		if others := i.podsOf(storage.ProfileRef{Profile: profile.Name, Namespace: namespace}); others > 0 {
			warnings = append(warnings, sharedWarning(name, profile.Claim.AccessModes, others))
		}
	}
	if !*profile.Claim.Create && i.names.missing(namespace, name) {
		warnings = append(warnings, fmt.Sprintf("claim %s does not exist in namespace %s: the pod waits until someone "+
			"creates it", name, namespace))
	}
	return warnings
}

// sharedWarning is about a claim that has other users already: others is at least 1. The warning
// differs by access mode: one pod in the cluster, or the pods of one node.
// Source: Kubernetes, Persistent Volumes, Access Modes.
func sharedWarning(claim string, modes []corev1.PersistentVolumeAccessMode, others int64) string {
	users := "another pod uses it"
	if others > 1 {
		users = fmt.Sprintf("%d other pods use it", others)
	}
	if slices.Contains(modes, corev1.ReadWriteOncePod) {
		return fmt.Sprintf("claim %s is ReadWriteOncePod and %s: only one pod at a time can", claim, users)
	}
	return fmt.Sprintf("claim %s is ReadWriteOnce and %s: they must run on one node", claim, users)
}

// podsOf returns the number of live pods that mount a profile in a namespace. A pod that
// is being admitted counts only after the API server has stored it.
func (i *Index) podsOf(ref storage.ProfileRef) int64 {
	if count, ok := i.pods.Load(ref); ok {
		return count.(*atomic.Int64).Load()
	}
	return 0
}

// refs returns the profiles that have live pods, with their namespaces. They have
// no order. Pods that come meanwhile may be missing: they are enqueued by their own events.
func (i *Index) refs() []storage.ProfileRef {
	var refs []storage.ProfileRef
	for ref := range i.pods.Range {
		refs = append(refs, ref.(storage.ProfileRef))
	}
	return refs
}

// handler feeds the index. An informer calls its handler from one goroutine, so writers need no
// lock.
func (i *Index) handler() toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(pod any) { i.count(pod, 1) },
		UpdateFunc: func(before, after any) {
			i.count(after, 1)
			i.count(before, -1)
		},
		DeleteFunc: func(pod any) { i.count(pod, -1) },
	}
}

// count adds n to the number of users of each profile of a pod, and forgets a profile without
// users.
func (i *Index) count(object any, n int64) {
	pod, ok := kube.HandledMetadata(object)
	if !ok {
		return
	}
	for _, ref := range refsOf(pod) {
		count, _ := i.pods.LoadOrStore(ref, new(atomic.Int64))
		if count.(*atomic.Int64).Add(n) <= 0 {
			i.pods.Delete(ref) // namespaces come and go
		}
	}
}

// liveProfiles returns the profiles that a pod needs: none once it is being deleted. Pods in the
// cache have few of them, see [boundedProfiles].
func liveProfiles(pod client.Object) []string {
	if pod.GetDeletionTimestamp() != nil {
		return nil
	}
	return inject.InjectedProfiles(pod.GetAnnotations())
}

// refsOf returns the profiles that a pod needs, with its namespace.
func refsOf(pod *metav1.PartialObjectMetadata) []storage.ProfileRef {
	var refs []storage.ProfileRef
	for _, profile := range liveProfiles(pod) {
		refs = append(refs, storage.ProfileRef{Profile: profile, Namespace: pod.Namespace})
	}
	return refs
}

// refOfClaim returns the profile for which this installation created a claim. Without the label
// of the profile the name is empty, and no configuration has such a profile.
func refOfClaim(claim *corev1.PersistentVolumeClaim) storage.ProfileRef {
	return storage.ProfileRef{Profile: claim.Labels[storage.LabelProfile], Namespace: claim.Namespace}
}
