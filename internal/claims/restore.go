package claims

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// restore returns the wanted claim as it is to be made: for the volume that a claim of its name had, if there is one, which
// it frees first. A volume that was Released keeps the UID of the claim that is gone, and would never be bound again.
// Source: Kubernetes, Persistent Volumes, Retain.
//
// Only a volume with the labels of this very namespace is taken: [visit.markVolume] writes them while it is bound, and an
// administrator who writes them consents. A claim that exists has its volume, unless it waits for the one that it names.
func (v *visit) restore(ctx context.Context, wanted *corev1.PersistentVolumeClaim) (*corev1.PersistentVolumeClaim, error) {
	var existing types.UID
	if v.claim != nil {
		if !v.own() || wanted.Spec.VolumeName == "" {
			return wanted, nil
		}
		existing = v.claim.UID
	}
	volumes, err := v.candidates(ctx, wanted.Spec.VolumeName)
	if err != nil || len(volumes) == 0 {
		return wanted, err
	}
	home, err := v.liveHome(ctx)
	if err != nil {
		return nil, err
	}
	key := client.ObjectKeyFromObject(wanted)
	held := diagnose.HeldFor(key, existing, home, volumes)
	switch len(held.Volumes) {
	case 0:
		v.earlier = held.Earlier
		return wanted, nil
	case 1:
		return v.giveBack(ctx, wanted, &held.Volumes[0])
	}
	return nil, refusal(diagnose.Ambiguous(key.Name, held.Volumes))
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
	if err := v.live.List(ctx, &list, client.MatchingLabels{inject.LabelNamespace: v.use.Namespace}); err != nil {
		return nil, fmt.Errorf("list the volumes of the namespace: %w", err)
	}
	return list.Items, nil
}

// giveBack frees the volume for the claim that its claimRef names, if it is not free yet, and returns the claim that fits it:
// not larger (it grows once it is bound), and of its class, which says nothing about a volume that exists.
func (v *visit) giveBack(ctx context.Context, wanted *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume) (*corev1.PersistentVolumeClaim, error) {
	fitting := wanted.DeepCopy()
	fitting.Spec.VolumeName, fitting.Spec.StorageClassName = volume.Name, &volume.Spec.StorageClassName
	if size, want := volume.Spec.Capacity[corev1.ResourceStorage], diagnose.Requested(wanted); size.Cmp(want) < 0 {
		fitting.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: size}
	}
	if why := diagnose.VolumeMisfits(fitting, volume); len(why) > 0 {
		return nil, refusal(diagnose.Unfit(wanted.Name, volume.Name, v.profile.Name, why))
	}
	if volume.Spec.ClaimRef.UID == "" {
		return fitting, nil
	}
	// The version makes sure that it is still the claim's: somebody may have given it away in between.
	patch := object{
		"metadata": object{"resourceVersion": volume.ResourceVersion},
		"spec":     object{"claimRef": object{"uid": nil, "resourceVersion": nil}},
	}
	if err := v.patch(ctx, volume, patch); err != nil {
		return nil, refused(err, diagnose.ReasonVolumeReleased, "give back PersistentVolume "+volume.Name)
	}
	restoredTotal.Inc()
	v.sayRestored(volume.Name)
	return fitting, nil
}

// sayRestored tells it of the claim, or, while there is none, of the pods that wait for it.
func (v *visit) sayRestored(volume string) {
	if v.claim != nil {
		v.notices.tell(v.claimRef(), nil, actionProvide, diagnose.Restored(volume))
		return
	}
	for i := range v.pods {
		v.notices.tell(podRef(&v.pods[i]), nil, actionProvide, diagnose.Restored(volume))
	}
}

// liveHome is the UID of the namespace as the API server has it: a cache may still have the one of the same name that was
// deleted.
func (v *visit) liveHome(ctx context.Context) (types.UID, error) {
	namespace := metadataOf("Namespace")
	if err := v.live.Get(ctx, client.ObjectKey{Name: v.use.Namespace}, namespace); err != nil {
		return "", fmt.Errorf("read the namespace: %w", err)
	}
	return namespace.UID, nil
}
