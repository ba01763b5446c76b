package claims

import (
	"context"
	"errors"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// A volume that was Released keeps the UID of the claim that is gone, and would never be bound again. Source: Kubernetes,
// Persistent Volumes, Retain. It is given back in two steps: the new claim is made with its name, and then the volume gets the
// UID of that claim. So there is no moment at which anybody else's claim of the name could be bound to it.

// errLater ends a visit that saw things change under it, or not settled yet: it is repeated soon, and is no error.
var errLater = errors.New("things are changing")

// withVolume returns the wanted claim as it is to be made: for the volume that a claim of its name had, if there is one. Only
// a volume with the labels of this very namespace is taken: [visit.markVolume] writes them while it is bound, and an
// administrator who writes them consents.
func (v *visit) withVolume(ctx context.Context, wanted *corev1.PersistentVolumeClaim) (*corev1.PersistentVolumeClaim, error) {
	volumes, err := v.candidates(ctx, wanted.Spec.VolumeName)
	if err != nil || len(volumes) == 0 {
		return wanted, err
	}
	home, err := v.liveHome(ctx)
	if err != nil {
		return nil, err
	}
	key := client.ObjectKeyFromObject(wanted)
	held := diagnose.HeldFor(key, "", home, volumes)
	switch {
	case len(held.Volumes) == 1:
		return v.fitting(wanted, &held.Volumes[0])
	case len(held.Volumes) > 1:
		return nil, refusal(diagnose.Ambiguous(key.Name, held.Volumes))
	case wanted.Spec.VolumeName != "": // it names its volume and waits for it; what for is said then
		return wanted, nil
	}
	if i := slices.IndexFunc(held.Earlier, func(e corev1.PersistentVolume) bool { return e.Spec.ClaimRef.UID == "" }); i >= 0 {
		return nil, refusal(diagnose.Reserved(key, held.Earlier[i].Name))
	}
	v.earlier = held.Earlier
	return wanted, nil
}

// candidates are the volume that the claim is to name, or those that the labels say were provisioned for the namespace.
func (v *visit) candidates(ctx context.Context, name string) ([]corev1.PersistentVolume, error) {
	if name != "" {
		volume, err := readByName(ctx, v.live, name, &corev1.PersistentVolume{}, kindVolume)
		if err != nil || volume == nil {
			return nil, err
		}
		return []corev1.PersistentVolume{*volume}, nil
	}
	var list corev1.PersistentVolumeList
	if err := v.live.List(ctx, &list, client.MatchingLabels{storage.LabelNamespace: v.use.Namespace}); err != nil {
		return nil, refused(err, diagnose.ReasonCreateRefused, "list the PersistentVolumes of the namespace")
	}
	return list.Items, nil
}

// fitting is the wanted claim for a volume that exists: not larger (it grows once it is bound), and of the volume's class.
func (v *visit) fitting(wanted *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume) (*corev1.PersistentVolumeClaim, error) {
	fitting := wanted.DeepCopy()
	fitting.Spec.VolumeName, fitting.Spec.StorageClassName = volume.Name, &volume.Spec.StorageClassName
	if size, want := volume.Spec.Capacity[corev1.ResourceStorage], diagnose.Requested(wanted); size.Cmp(want) < 0 {
		fitting.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: size}
	}
	if why := diagnose.VolumeMisfits(fitting, volume); len(why) > 0 {
		return nil, refusal(diagnose.Unfit(wanted.Name, volume.Name, v.profile.Name, why))
	}
	return fitting, nil
}

// giveBack gives the volume that a waiting claim of this installation names to that claim, if it held the data of a claim of
// that name in this very namespace.
//
// The order of the reads is the proof: the volume, with its version; the namespace; then the claim, which lives, so it is
// the namespace's, and the other claim whose UID the volume has is gone for ever, because two cannot have one name.
func (v *visit) giveBack(ctx context.Context) error {
	if !v.own() || bound(v.claim) {
		return nil
	}
	volume, err := v.readVolume(ctx)
	if err != nil || volume == nil || volume.Spec.ClaimRef == nil || volume.Spec.ClaimRef.UID == "" {
		return err
	}
	home, err := v.liveHome(ctx)
	if err != nil {
		return err
	}
	held := diagnose.HeldFor(client.ObjectKeyFromObject(v.claim), v.claim.UID, home, []corev1.PersistentVolume{*volume})
	if len(held.Volumes) == 0 {
		return nil
	}
	if volume.Status.Phase != corev1.VolumeReleased { // Kubernetes has not seen yet that the claim is gone
		return errLater
	}
	if err := v.stillThere(ctx); err != nil {
		return err
	}
	patch := object{
		"metadata": object{"resourceVersion": volume.ResourceVersion},
		"spec":     object{"claimRef": object{"uid": v.claim.UID, "resourceVersion": nil}},
	}
	if err := v.patch(ctx, volume, patch); err != nil {
		if apierrors.IsConflict(err) {
			return errLater
		}
		return refused(err, diagnose.ReasonVolumeReleased, "give back PersistentVolume "+volume.Name)
	}
	restoredTotal.Inc()
	v.notices.tell(v.claimRef(), nil, diagnose.Restored(volume.Name))
	return nil
}

// stillThere returns nil if the API server has the very claim that this visit looks at: a cache may be behind.
func (v *visit) stillThere(ctx context.Context) error {
	var live corev1.PersistentVolumeClaim
	err := v.live.Get(ctx, client.ObjectKeyFromObject(v.claim), &live)
	switch {
	case apierrors.IsNotFound(err), err == nil && live.UID != v.claim.UID:
		return errLater
	case err != nil:
		return refused(err, diagnose.ReasonCreateRefused, "read claim "+v.claim.Name)
	}
	return nil
}

// liveHome is the UID of the namespace as the API server has it: a cache may still have the one of the same name that was
// deleted.
func (v *visit) liveHome(ctx context.Context) (types.UID, error) {
	namespace := metadataOf("Namespace")
	err := v.live.Get(ctx, client.ObjectKey{Name: v.use.Namespace}, namespace)
	switch {
	case apierrors.IsNotFound(err), err == nil && namespace.DeletionTimestamp != nil:
		return "", errNamespaceEnds
	case err != nil:
		return "", refused(err, diagnose.ReasonCreateRefused, "read namespace "+v.use.Namespace)
	}
	return namespace.UID, nil
}
