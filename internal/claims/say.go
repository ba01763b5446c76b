package claims

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// sayPending says, on the claim and its pods, why the claim is not bound, once they have waited long enough.
func (v *visit) sayPending(ctx context.Context) (time.Duration, error) {
	if len(v.pods) == 0 {
		return 0, nil // with WaitForFirstConsumer this is as it should be
	}
	if left := v.PendingAfter - v.waited(time.Now()); left > 0 {
		return left, nil
	}
	s := diagnose.Snapshot{Profile: v.profile, Name: v.names.Claim, Namespace: v.use.Namespace, Claim: v.claim, Own: v.own()}
	if v.claim != nil {
		if err := v.look(ctx, &s); err != nil {
			return 0, err
		}
	}
	v.warn(diagnose.Claim(s))
	return v.Recheck, nil
}

// look reads what a diagnosis of a claim needs.
func (v *visit) look(ctx context.Context, s *diagnose.Snapshot) (err error) {
	if s.Volume, err = v.readVolume(ctx); err != nil {
		return err
	}
	if s.Class, err = v.readClass(ctx); err != nil {
		return err
	}
	s.Pods, err = v.readNodes(ctx)
	return err
}

// waited is how long the pod that has waited longest has done so: not longer than the claim has existed.
func (v *visit) waited(now time.Time) time.Duration {
	since := now
	for i := range v.pods {
		if at := v.pods[i].CreationTimestamp.Time; at.Before(since) {
			since = at
		}
	}
	if v.claim != nil && v.claim.CreationTimestamp.After(since) {
		since = v.claim.CreationTimestamp.Time
	}
	return now.Sub(since)
}

// readNodes reads the live pods of the use with what the metadata does not have: their nodes and conditions. It reads a bounded
// number, and few at once: the author of a pod can make it as large as etcd takes, 1.5 MiB.
func (v *visit) readNodes(ctx context.Context) ([]corev1.Pod, error) {
	var pods []corev1.Pod
	for read, next := 0, ""; read < maxPodsRead; {
		var list corev1.PodList
		err := v.live.List(ctx, &list, client.InNamespace(v.use.Namespace), client.MatchingLabels{kinds.Label: kinds.LabelEnabled},
			client.MatchingFieldsSelector{Selector: unfinished()}, client.Limit(podsAtOnce), client.Continue(next))
		if apierrors.IsResourceExpired(err) { // what has been read is enough for a diagnosis
			return pods, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list the pods that use claim %s: %w", v.names.Claim, err)
		}
		for i := range list.Items {
			if uses(&list.Items[i], v.use.Profile) {
				pods = append(pods, stripToNode(&list.Items[i]))
			}
		}
		read += len(list.Items)
		if next = list.Continue; next == "" {
			break
		}
	}
	return pods, nil
}

// stripToNode keeps of a pod what a diagnosis reads.
func stripToNode(pod *corev1.Pod) corev1.Pod {
	kept := corev1.Pod{ObjectMeta: identity(&pod.ObjectMeta)}
	kept.Spec.NodeName, kept.Status.Conditions = pod.Spec.NodeName, pod.Status.Conditions
	return kept
}

// sayShared says when pods on several nodes want a volume that one node at a time can have. The nodes are read once in a
// while at most: a Job with hundreds of pods is looked at once.
func (v *visit) sayShared(ctx context.Context) (time.Duration, error) {
	if !*v.profile.Claim.Create || !v.profile.SingleNode() || len(v.pods) < 2 {
		return 0, nil
	}
	now := time.Now()
	if last, ok := v.shared.Load(v.use); ok {
		if left := v.PendingAfter - now.Sub(last.(time.Time)); left > 0 {
			return left, nil
		}
	}
	pods, err := v.readNodes(ctx)
	if err != nil {
		return 0, err
	}
	v.shared.Store(v.use, now)
	note, again := diagnose.Spread(v.profile, v.claim.Name, pods, now, v.PendingAfter)
	if note != "" {
		v.notices.warn(v.claimRef(), nil, actionProvide, diagnose.Finding{Reason: diagnose.ReasonSharedByNodes, Note: note})
	}
	return again, nil
}

func uses(pod client.Object, profile string) bool {
	return slices.Contains(liveProfiles(pod), profile)
}

// warn sends a Warning about the claim, if there is one, and about the pods. A pod's Event is related to the claim even while
// there is none: client-go counts an Event with the same object, reason and related object as another one of the first, and
// drops its note, so that of a pod's two profiles only the first would be reported.
// Source: client-go, tools/events/event_broadcaster.go getKey.
func (v *visit) warn(f diagnose.Finding) {
	if v.claim != nil {
		v.notices.warn(v.claimRef(), nil, actionProvide, f)
	}
	for i := range v.pods {
		v.notices.warn(podRef(&v.pods[i]), v.wantedClaimRef(), actionProvide, f)
	}
}

func (v *visit) claimRef() *corev1.ObjectReference {
	return &corev1.ObjectReference{APIVersion: "v1", Kind: kindClaim, Namespace: v.claim.Namespace, Name: v.claim.Name, UID: v.claim.UID}
}

// wantedClaimRef refers to the claim of the profile, which may not exist; nil: there is no such profile.
func (v *visit) wantedClaimRef() *corev1.ObjectReference {
	switch {
	case v.claim != nil:
		return v.claimRef()
	case v.names.Claim == "":
		return nil
	}
	return &corev1.ObjectReference{APIVersion: "v1", Kind: kindClaim, Namespace: v.use.Namespace, Name: v.names.Claim}
}

func podRef(pod *metav1.PartialObjectMetadata) *corev1.ObjectReference {
	return &corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID}
}
