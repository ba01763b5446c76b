package claims

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
)

// differsInSource reports whether a claim began with other data than the dataSource of the wanted
// one. Without a wanted one nothing differs: a profile does not need its dataSource any more once
// the data is restored.
func differsInSource(existing, wanted *corev1.PersistentVolumeClaim) bool {
	want := diagnose.SourceOf(wanted)
	return want != "" && diagnose.SourceOf(existing) != want
}

// isRebound reports whether the claim was created for a volume that existed before it: nothing is
// copied into that.
func (r *reconciliation) isRebound() bool {
	if !bound(r.claim) {
		return r.claim.Spec.VolumeName != ""
	}
	return r.volume != nil && r.volume.CreationTimestamp.Before(&r.claim.CreationTimestamp)
}

// wantedSource describes the dataSource of the profile. Empty: it has none.
func (r *reconciliation) wantedSource() string {
	if len(r.wanted.Claims) == 0 {
		return ""
	}
	return diagnose.SourceOf(r.wanted.Claims[0])
}

// readSource reads the object from which the volume of the claim is to be filled. Nil: none
// is read.
func (r *reconciliation) readSource(ctx context.Context) (source *diagnose.Source, err error) {
	switch {
	case diagnose.NeedsSnapshot(r.claim):
		source = &diagnose.Source{}
		err = r.readSnapshotSource(ctx, source)
	case diagnose.NeedsClaim(r.claim):
		source = &diagnose.Source{}
		err = r.readClaimSource(ctx, source)
	}
	return source, err
}

// sourceKey is the object in the namespace of the claim that its dataSource names.
func (r *reconciliation) sourceKey() client.ObjectKey {
	return client.ObjectKey{Namespace: r.claim.Namespace, Name: r.claim.Spec.DataSourceRef.Name}
}

// readSnapshotSource reads a VolumeSnapshot. The account may lack the right to: the chart grants it
// where a profile has such a dataSource.
func (r *reconciliation) readSnapshotSource(ctx context.Context, into *diagnose.Source) error {
	object, key := kube.NewSnapshot(), r.sourceKey()
	err := r.live.Get(ctx, key, object)
	switch {
	case err == nil:
		into.Snapshot = diagnose.SnapshotOf(object)
	case apierrors.IsForbidden(err):
		into.Unread = true
	case kube.IsUnserved(err):
		into.Unserved = true
	case !apierrors.IsNotFound(err):
		return fmt.Errorf("read %s %s: %w", kube.KindSnapshot, key.Name, err)
	}
	return nil
}

// readClaimSource reads the claim that is copied, and its volume.
func (r *reconciliation) readClaimSource(ctx context.Context, into *diagnose.Source) error {
	claim, key := &corev1.PersistentVolumeClaim{}, r.sourceKey()
	err := r.live.Get(ctx, key, claim)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("read claim %s: %w", key.Name, err)
	}
	into.Claim = claim
	into.Volume, err = readByName(ctx, r.live, claim.Spec.VolumeName, &corev1.PersistentVolume{}, kube.KindVolume)
	return err
}
