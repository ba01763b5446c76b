package claims

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

const (
	maxPodsRead = 50 // whose nodes are read
	podsPerPage = 4  // of these
)

// reportPending reports on the claim and its pods why the claim is not bound, once they have waited
// long enough.
func (r *reconciliation) reportPending(ctx context.Context) (time.Duration, error) {
	if len(r.pods) == 0 {
		return 0, nil // with WaitForFirstConsumer this is as it should be
	}
	if left := r.PendingAfter - r.waited(time.Now()); left > 0 {
		return left, nil
	}
	s := diagnose.Snapshot{
		Profile: r.profile, Name: r.names.Claim, Namespace: r.ref.Namespace, Claim: r.claim, Own: r.own(),
	}
	if r.claim != nil {
		if err := r.readSnapshot(ctx, &s); err != nil {
			return 0, err
		}
	}
	r.warn(diagnose.Claim(s))
	return r.Recheck, nil
}

// readSnapshot reads the objects that a diagnosis of a claim needs. Drivers and nodes are left out: the
// account may not read these objects, which only the status command does.
func (r *reconciliation) readSnapshot(ctx context.Context, s *diagnose.Snapshot) (err error) {
	if s.Volume, err = r.readVolume(ctx); err != nil {
		return err
	}
	if s.Class, err = r.readClass(ctx); err != nil {
		return err
	}
	if s.Source, err = r.readSource(ctx); err != nil {
		return err
	}
	s.Pods, err = r.readNodes(ctx)
	return err
}

// waited returns how long the oldest pod has waited: not longer than the claim has existed. The
// clocks of the API server and of this replica may differ: the result may be negative, and then
// means "not long enough".
func (r *reconciliation) waited(now time.Time) time.Duration {
	since := now
	for i := range r.pods {
		if at := r.pods[i].CreationTimestamp.Time; at.Before(since) {
			since = at
		}
	}
	if r.claim != nil && r.claim.CreationTimestamp.After(since) {
		since = r.claim.CreationTimestamp.Time
	}
	return now.Sub(since)
}

// readNodes reads the nodes and conditions of the live pods of the profile, which their metadata
// does not have. It reads a bounded number in small pages: the author of a pod can make it as large
// as etcd accepts, 1.5 MiB. The API server selects by label and phase, and the injected annotation
// is compared here: annotations cannot be selected.
func (r *reconciliation) readNodes(ctx context.Context) ([]corev1.Pod, error) {
	var pods []corev1.Pod
	for read, next := 0, ""; read < maxPodsRead; {
		var list corev1.PodList
		err := r.live.List(ctx, &list, client.InNamespace(r.ref.Namespace),
			client.MatchingLabels{kinds.Label: kinds.LabelEnabled},
			client.MatchingFieldsSelector{Selector: unfinished()}, client.Limit(podsPerPage), client.Continue(next))
		if apierrors.IsResourceExpired(err) { // the pods that were read are enough for a diagnosis
			return pods, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list the pods that use claim %s: %w", r.names.Claim, err)
		}
		for i := range list.Items {
			if slices.Contains(liveProfiles(&list.Items[i]), r.ref.Profile) {
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

// stripToNode returns the part of a pod that a diagnosis reads.
func stripToNode(pod *corev1.Pod) corev1.Pod {
	stripped := corev1.Pod{ObjectMeta: kube.Identity(&pod.ObjectMeta)}
	stripped.Spec.NodeName, stripped.Status.Conditions = pod.Spec.NodeName, pod.Status.Conditions
	return stripped
}

// reportMultiNode reports when pods on several nodes use a volume that one node at a time can
// mount. The nodes are read at most once per [Options.PendingAfter]: a Job with hundreds of pods
// costs one read. It returns the time until the next read, and 0 when only a change of an object
// matters.
func (r *reconciliation) reportMultiNode(ctx context.Context) (time.Duration, error) {
	if !*r.profile.Claim.Create || !r.profile.SingleNode() || len(r.pods) < 2 {
		return 0, nil
	}
	now := time.Now()
	if last, ok := r.nodesRead.Load(r.ref); ok {
		if left := r.PendingAfter - now.Sub(last.(time.Time)); left > 0 {
			return left, nil
		}
	}
	pods, err := r.readNodes(ctx)
	if err != nil {
		return 0, err
	}
	r.nodesRead.Store(r.ref, now)
	note, after := diagnose.MultiNode(r.profile, r.claim.Name, pods, now, r.PendingAfter)
	if note != "" {
		r.warnClaim(diagnose.Finding{Reason: diagnose.ReasonSharedByNodes, Note: note})
	}
	return after, nil
}
