package claims

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// Index answers, without a lock and without a request, what the admission path warns of. Every replica has one. A nil
// Index knows nothing.
type Index struct {
	uses    sync.Map // storage.ProfileRef to *atomic.Int64, the number of its live pods
	synced  func() bool
	names   claimNames
	overlap *overlap // nil: nobody looks
}

// Warnings returns what people should know when a pod that uses the profile is admitted to the namespace: that a claim
// for one node has other users, or that a claim that nobody creates is missing. While the caches are not filled yet
// there are no warnings.
func (i *Index) Warnings(namespace string, profile *storage.Profile) []string {
	if i == nil {
		return nil
	}
	name := profile.Names(storage.Release{}, namespace).Claim
	var warnings []string
	if *profile.Claim.Create && profile.SingleNode() && !profile.Colocates() && i.synced() { // of a claim of others nobody knows the modes here
		if others := i.pods(storage.ProfileRef{Profile: profile.Name, Namespace: namespace}); others > 0 {
			warnings = append(warnings, sharedWarning(name, profile.Claim.AccessModes, others))
		}
	}
	if !*profile.Claim.Create && i.names.missing(namespace, name) {
		warnings = append(warnings, fmt.Sprintf("claim %s does not exist in namespace %s: the pod waits until someone creates it", name, namespace))
	}
	return warnings
}

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

// Overlap returns a sentence about another installation that selects the pods of some namespace, too. Empty: there is
// none.
func (i *Index) Overlap() string {
	if i == nil {
		return ""
	}
	return i.overlap.text()
}

func (i *Index) pods(use storage.ProfileRef) int64 {
	if count, ok := i.uses.Load(use); ok {
		return count.(*atomic.Int64).Load()
	}
	return 0
}

// known returns the uses that have live pods.
func (i *Index) known() []storage.ProfileRef {
	var known []storage.ProfileRef
	for use := range i.uses.Range {
		known = append(known, use.(storage.ProfileRef))
	}
	return known
}

// handler feeds the index. An informer calls its handler from one goroutine, so writers need no lock.
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

func (i *Index) count(object any, n int64) {
	if last, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		object = last.Obj
	}
	pod, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return
	}
	for _, use := range usesOf(pod) {
		count, _ := i.uses.LoadOrStore(use, new(atomic.Int64))
		if count.(*atomic.Int64).Add(n) <= 0 {
			i.uses.Delete(use) // namespaces come and go
		}
	}
}
