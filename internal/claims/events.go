package claims

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
)

// actionProvide is the action of every Event of this package.
const actionProvide = "ProvideStorage"

// warn sends a Warning about the claim, if there is one, and about the pods.
//
// A pod's Event is related to the claim even while the claim does not exist. client-go counts an
// Event with the same object, reason and related object as a repetition, and drops its note. So of
// a pod's two profiles only the first would be reported.
// Source: client-go, tools/events/event_broadcaster.go getKey.
func (r *reconciliation) warn(f diagnose.Finding) {
	if r.claim != nil {
		r.warnClaim(f)
	}
	for i := range r.pods {
		r.send(corev1.EventTypeWarning, podReference(&r.pods[i]), r.wantedClaimReference(), f)
	}
}

// warnClaim sends a Warning about the claim only.
func (r *reconciliation) warnClaim(f diagnose.Finding) {
	r.send(corev1.EventTypeWarning, r.claimReference(), nil, f)
}

// inform sends a Normal Event about the claim, with the pod for which it was created or nil.
func (r *reconciliation) inform(related *corev1.ObjectReference, f diagnose.Finding) {
	r.send(corev1.EventTypeNormal, r.claimReference(), related, f)
}

// send sends an Event at most once in ten minutes, see [kube.Events.SendOnce]: a problem is
// reconciled far more often.
func (r *reconciliation) send(eventType string, about, related *corev1.ObjectReference, f diagnose.Finding) {
	r.events.SendOnce(kube.Event{
		Type: eventType, About: about, Related: related, Reason: f.Reason, Action: actionProvide, Note: f.Note,
	})
}

// claimReference needs r.claim. It has the UID, so that kubectl describe shows the Event for this
// claim and not for a later one of the name.
// Source: kubectl, pkg/describe (Events are searched by name and UID).
func (r *reconciliation) claimReference() *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion: "v1", Kind: kube.KindClaim, Namespace: r.claim.Namespace, Name: r.claim.Name, UID: r.claim.UID,
	}
}

// wantedClaimReference refers to the claim of the profile, which may not exist. Nil: the profile is
// unknown.
func (r *reconciliation) wantedClaimReference() *corev1.ObjectReference {
	switch {
	case r.claim != nil:
		return r.claimReference()
	case r.names.Claim == "":
		return nil
	}
	return &corev1.ObjectReference{APIVersion: "v1", Kind: kube.KindClaim, Namespace: r.ref.Namespace, Name: r.names.Claim}
}

// podReference refers to a pod by its metadata: the cache has no more of it.
func podReference(pod *metav1.PartialObjectMetadata) *corev1.ObjectReference {
	return &corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID}
}
