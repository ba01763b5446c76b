package claims

import (
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
)

// lostClaims holds the claims of this installation that lost their volume, from the cache that the
// controller has of them. So admission can warn of them without a request. The phases of a third
// party's claims are not in memory: kubectl pipeline-storage status finds those.
type lostClaims struct {
	volumes sync.Map // types.NamespacedName of the claim to the name of its volume
}

// warnings returns the warning about a claim that is lost, or nil.
func (l *lostClaims) warnings(namespace, name string) []string {
	volume, isLost := l.volumes.Load(types.NamespacedName{Namespace: namespace, Name: name})
	if !isLost {
		return nil
	}
	return []string{fmt.Sprintf(
		"claim %s is Lost: its PersistentVolume %s was deleted or bound to another claim, and the pod waits: restore the "+
			"volume, or delete the claim to have a new one", name, volume,
	)}
}

// OnAdd notes a claim that is lost.
func (l *lostClaims) OnAdd(object any, _ bool) { l.note(object) }

// OnUpdate notes a claim that is lost now, and forgets one that is bound again.
func (l *lostClaims) OnUpdate(_, after any) { l.note(after) }

// OnDelete forgets a claim.
func (l *lostClaims) OnDelete(object any) {
	if missed, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		object = missed.Obj
	}
	if claim, ok := object.(*corev1.PersistentVolumeClaim); ok {
		l.volumes.Delete(types.NamespacedName{Namespace: claim.Namespace, Name: claim.Name})
	}
}

// note stores what a claim is now.
func (l *lostClaims) note(object any) {
	claim, ok := object.(*corev1.PersistentVolumeClaim)
	if !ok {
		return
	}
	name := types.NamespacedName{Namespace: claim.Namespace, Name: claim.Name}
	if claim.Status.Phase == corev1.ClaimLost {
		l.volumes.Store(name, claim.Spec.VolumeName)
	} else {
		l.volumes.Delete(name)
	}
}
