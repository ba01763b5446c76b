package status

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// sourceOf returns the object from which the volume of a claim is to be filled. Nil: none is
// read.
func (a *analysis) sourceOf(claim *corev1.PersistentVolumeClaim) *diagnose.Source {
	switch {
	case diagnose.NeedsClaim(claim):
		source := a.claim(claim.Spec.DataSourceRef.Name)
		if source == nil {
			return &diagnose.Source{Unread: a.unread(claims)}
		}
		return &diagnose.Source{Claim: source, Volume: a.volume(source.Spec.VolumeName)}
	case diagnose.NeedsSnapshot(claim):
		return a.snapshotSource(claim.Spec.DataSourceRef.Name)
	}
	return nil
}

// snapshotSource finds a VolumeSnapshot of the namespace.
func (a *analysis) snapshotSource(name string) *diagnose.Source {
	source := &diagnose.Source{Unread: a.unread(snapshots), Unserved: a.NoSnapshots}
	i := slices.IndexFunc(a.Snapshots, func(s unstructured.Unstructured) bool {
		return s.GetNamespace() == a.name && s.GetName() == name
	})
	if i >= 0 {
		source.Snapshot = diagnose.SnapshotOf(&a.Snapshots[i])
	}
	return source
}

// useProblems adds what the claims controller reports about a claim in use: expansions that have
// failed, a dataSource of which nothing was copied, and a profile that is smaller than its claim.
func (a *analysis) useProblems(claim *corev1.PersistentVolumeClaim, about string) {
	a.addFinding(diagnose.Infeasible(claim), about)
	profile := a.profile(claim.Labels[storage.LabelProfile])
	if profile == nil || profile.Claim.DataSource != nil {
		a.addFinding(diagnose.SourceIgnored(claim, a.volume(claim.Spec.VolumeName)), about)
	}
	if profile != nil && *profile.Claim.Create && isOwn(claim) {
		a.addFinding(diagnose.NeverShrinks(profile.Name, claim, profile.Claim.Size), about)
	}
}
