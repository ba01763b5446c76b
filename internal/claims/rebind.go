package claims

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// A Released volume has the UID of the deleted claim, and Kubernetes never binds it again.
// Source: Kubernetes, Persistent Volumes, Retain. It is re-bound in two steps: the new claim is
// created with its name, and then the volume gets the UID of that claim. So there is no moment at
// which a third party's claim of the name could be bound to it.

// chooseVolume returns the wanted claim as it is to be created: for the volume that a claim of its
// name had, if there is one. Only a volume with the labels of this very namespace is chosen:
// [reconciliation.labelVolume] writes them while it is bound, and an administrator who writes them
// consents.
func (r *reconciliation) chooseVolume(
	ctx context.Context, wanted *corev1.PersistentVolumeClaim,
) (*corev1.PersistentVolumeClaim, error) {
	volumes, err := r.candidateVolumes(ctx, wanted.Spec.VolumeName)
	if err != nil || len(volumes) == 0 {
		return wanted, err
	}
	namespaceUID, err := r.liveNamespaceUID(ctx)
	if err != nil {
		return nil, err
	}
	key := client.ObjectKeyFromObject(wanted)
	released := diagnose.ReleasedFor(key, "", namespaceUID, volumes)
	switch {
	case len(released.Volumes) == 1:
		return r.claimFor(wanted, &released.Volumes[0])
	case len(released.Volumes) > 1:
		return nil, refusal(diagnose.Ambiguous(key.Name, released.Volumes))
	case wanted.Spec.VolumeName != "": // it names its volume and waits for it; the reason is reported then
		return wanted, nil
	}
	isReserved := func(v corev1.PersistentVolume) bool { return v.Spec.ClaimRef.UID == "" }
	if i := slices.IndexFunc(released.Earlier, isReserved); i >= 0 {
		return nil, refusal(diagnose.Reserved(key, released.Earlier[i].Name))
	}
	r.earlier = released.Earlier
	return wanted, nil
}

// candidateVolumes returns the volume that the claim is to name, or those with the label of the
// namespace. A list may be long in a cluster with many volumes, so the API server selects by label.
// Volumes that never had the label are no candidates.
func (r *reconciliation) candidateVolumes(ctx context.Context, name string) ([]corev1.PersistentVolume, error) {
	if name != "" {
		volume, err := readByName(ctx, r.live, name, &corev1.PersistentVolume{}, kube.KindVolume)
		if err != nil || volume == nil {
			return nil, err
		}
		return []corev1.PersistentVolume{*volume}, nil
	}
	var list corev1.PersistentVolumeList
	if err := r.live.List(ctx, &list, client.MatchingLabels{storage.LabelNamespace: r.ref.Namespace}); err != nil {
		return nil, asRefusal(err, diagnose.ReasonCreateRefused, "list the PersistentVolumes of the namespace")
	}
	return list.Items, nil
}

// claimFor returns the wanted claim for a volume that exists: not larger (it grows once it is
// bound), and of the volume's class. Kubernetes compares class, size, modes and volumeMode of a
// claim that names its volume.
// Source: Kubernetes, pkg/controller/volume/persistentvolume checkVolumeSatisfyClaim.
func (r *reconciliation) claimFor(
	wanted *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume,
) (*corev1.PersistentVolumeClaim, error) {
	claim := wanted.DeepCopy()
	claim.Spec.VolumeName, claim.Spec.StorageClassName = volume.Name, &volume.Spec.StorageClassName
	claim.Spec.DataSourceRef = nil // the volume has data, and a claim must not name another origin of it
	if size, want := volume.Spec.Capacity[corev1.ResourceStorage], diagnose.Requested(wanted); size.Cmp(want) < 0 {
		claim.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: size}
	}
	if why := diagnose.VolumeMisfits(claim, volume); len(why) > 0 {
		return nil, refusal(diagnose.Unfit(wanted.Name, volume.Name, r.profile.Name, why))
	}
	return claim, nil
}

// rebind binds a Released volume to the waiting claim of this installation that names it. The
// volume must hold the data of a claim of that name in this very namespace.
//
// The order of the reads is the proof: the volume, with its version; the namespace; then the claim.
// The claim exists, so it is in this namespace. The other claim, whose UID the volume has, is
// deleted forever, because two cannot have one name.
func (r *reconciliation) rebind(ctx context.Context) error {
	if !r.own() || bound(r.claim) {
		return nil
	}
	volume, err := r.readVolume(ctx)
	if err != nil || volume == nil || volume.Spec.ClaimRef == nil || volume.Spec.ClaimRef.UID == "" {
		return err
	}
	namespaceUID, err := r.liveNamespaceUID(ctx)
	if err != nil {
		return err
	}
	released := diagnose.ReleasedFor(client.ObjectKeyFromObject(r.claim), r.claim.UID, namespaceUID,
		[]corev1.PersistentVolume{*volume})
	if len(released.Volumes) == 0 {
		return nil
	}
	if volume.Status.Phase != corev1.VolumeReleased { // Kubernetes has not seen yet that the claim is deleted
		return errRequeueSoon
	}
	if err := r.confirmClaim(ctx); err != nil {
		return err
	}
	err = r.patchVolume(ctx, volume, diagnose.ReasonVolumeReleased, "re-bind", kube.Fields{
		"metadata": kube.Fields{"resourceVersion": volume.ResourceVersion},
		"spec":     kube.Fields{"claimRef": kube.Fields{"uid": r.claim.UID, "resourceVersion": nil}},
	})
	if err != nil {
		return err
	}
	reboundTotal.Inc()
	r.inform(nil, diagnose.Rebound(volume.Name, r.wantedSource()))
	return nil
}

// maintainVolume labels the volume of a bound claim of this installation, and reports when a static
// volume no longer matches the profile: a changed volume.handle changes no volume.
func (r *reconciliation) maintainVolume(ctx context.Context) error {
	if !r.own() {
		return nil
	}
	volume, err := r.readVolume(ctx)
	if err != nil || volume == nil || volume.Spec.ClaimRef == nil || volume.Spec.ClaimRef.UID != r.claim.UID {
		return err
	}
	r.volume = volume
	if f := diagnose.SourceIgnored(r.claim, volume); f != nil && r.wantedSource() != "" {
		r.warnClaim(*f)
	}
	for _, wanted := range r.wanted.Volumes {
		if wanted.Name != volume.Name {
			continue // compare has reported that
		}
		if what := r.compareVolume(volume, wanted); len(what) > 0 {
			r.warn(boundVolume(r.profile.Name, r.claim.Name, volume.Name, what))
		}
	}
	return r.labelVolume(ctx, volume)
}

// labelVolume writes on the volume of the claim which namespace it serves, for
// [reconciliation.chooseVolume]. It reads the namespace and then the claim without a cache. So the
// UID on the volume is that of the namespace in which the claim is.
func (r *reconciliation) labelVolume(ctx context.Context, volume *corev1.PersistentVolume) error {
	if volume.Labels[storage.LabelNamespace] == r.ref.Namespace &&
		volume.Labels[storage.LabelNamespaceUID] == string(r.namespaceUID) {
		return nil
	}
	namespaceUID, err := r.liveNamespaceUID(ctx)
	if err != nil {
		return err
	}
	if err := r.confirmClaim(ctx); err != nil { // read after the namespace, so it is in this one
		return err
	}
	patch := kube.Fields{"metadata": kube.Fields{
		"resourceVersion": volume.ResourceVersion,
		"labels":          kube.Fields{storage.LabelNamespace: r.ref.Namespace, storage.LabelNamespaceUID: namespaceUID},
	}}
	return r.patchVolume(ctx, volume, diagnose.ReasonCreateRefused, "write the namespace's labels on", patch)
}

// patchVolume patches a volume that has not changed since it was read. A conflict requeues; reason
// is that of a refusal, and action its verb. An error is a refusal where the API server refused the
// change, see [asRefusal]. The guardrail policies let the controller change nothing else of a
// volume.
func (r *reconciliation) patchVolume(
	ctx context.Context, volume *corev1.PersistentVolume, reason, action string, patch kube.Fields,
) error {
	err := kube.MergePatch(ctx, r.writer, volume, patch)
	switch {
	case err == nil:
		return nil
	case apierrors.IsConflict(err):
		return errRequeueSoon
	}
	return asRefusal(err, reason, action+" PersistentVolume "+volume.Name)
}
