package diagnose

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// Released is what volumes keep for a claim that was deleted.
type Released struct {
	// Volumes, the newest first, have the data of a claim of this name in this very namespace, or an administrator says so by their labels.
	Volumes []corev1.PersistentVolume
	// Earlier have that of a claim of this name in a namespace of this name that is gone, or that nobody knows. The newest
	// is the first.
	Earlier []corev1.PersistentVolume
}

// ReleasedFor looks for the volumes that a claim had. They name it in their claimRef with the UID of a claim that is not there,
// or with none because they are free for it already. A volume that goes with its claim is none of them. claim is the UID of
// the one that there is now, empty if there is none; home is the UID of its namespace.
func ReleasedFor(key types.NamespacedName, claim, home types.UID, volumes []corev1.PersistentVolume) Released {
	var held Released
	for i := range volumes {
		v := &volumes[i]
		ref := v.Spec.ClaimRef
		switch {
		case ref == nil, ref.Namespace != key.Namespace, ref.Name != key.Name, claim != "" && ref.UID == claim,
			v.DeletionTimestamp != nil, v.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimRetain:
		case v.Labels[storage.LabelNamespace] == key.Namespace && v.Labels[storage.LabelNamespaceUID] == string(home):
			held.Volumes = append(held.Volumes, *v)
		default:
			held.Earlier = append(held.Earlier, *v)
		}
	}
	for _, found := range [][]corev1.PersistentVolume{held.Volumes, held.Earlier} {
		slices.SortStableFunc(found, func(a, b corev1.PersistentVolume) int { return b.CreationTimestamp.Compare(a.CreationTimestamp.Time) })
	}
	return held
}

// Rebound is told of a claim that has its volume again.
func Rebound(volume string) Finding {
	return advise(ReasonRebound, fmt.Sprintf("PersistentVolume %s is given back, with the data of the claim of this name that was deleted", volume), "")
}

// Ambiguous is said of a claim for which several volumes have data, the newest first: which of them is meant, only people
// know.
func Ambiguous(claim string, volumes []corev1.PersistentVolume) Finding {
	return advise(ReasonVolumesAmbiguous, fmt.Sprintf("PersistentVolumes %s all have data of deleted claims of the name %s: "+
		"nothing is created until one is left; ", listed(volumes), claim),
		fmt.Sprintf("take the label from each that is not meant (nothing else of it changes), for instance: kubectl label persistentvolume %s %s-",
			volumes[len(volumes)-1].Name, storage.LabelNamespaceUID))
}

// Unfit is said of a volume that has the data of a claim that no longer fits it.
func Unfit(claim, volume, profile string, why []string) Finding {
	return advise(ReasonVolumeDiffers, fmt.Sprintf("PersistentVolume %s has the data of the deleted claim %s, but the profile %s asks for another: %s. "+
		"Nothing is created until that is resolved: ", volume, claim, profile, strings.Join(why, "; ")),
		"restore the profile, or give it another claim.name to begin with an empty volume")
}

// EarlierNamespace is said of a new claim whose name had data in a namespace of the same name that is gone. The newest volume
// is the first.
func EarlierNamespace(key types.NamespacedName, volumes []corev1.PersistentVolume) Finding {
	return advise(ReasonVolumeReleased, fmt.Sprintf("claim %s begins with an empty volume: PersistentVolume %s has the data of a claim of this name, "+
		"but of an earlier namespace %s, which may have been somebody else's. ", key.Name, listed(volumes), key.Namespace),
		"To use that data, say so and delete the new claim: "+ConsentCommand(volumes[0].Name, key.Namespace))
}

// Reserved is said where a claim would be bound to a volume that has the data of an earlier namespace, because it was made
// free for the claim of that name.
func Reserved(key types.NamespacedName, volume string) Finding {
	return advise(ReasonVolumeReleased, fmt.Sprintf("PersistentVolume %s is free for the claim %s, but has the data of an earlier namespace %s, "+
		"which may have been somebody else's: nothing is created, because it would be bound. ", volume, key.Name, key.Namespace),
		"To use that data, say so: "+ConsentCommand(volume, key.Namespace))
}

// ConsentCommand is what an administrator runs to give a Released volume to the claim that its claimRef names.
func ConsentCommand(volume, namespace string) string {
	return fmt.Sprintf("kubectl label persistentvolume %s %s=%s %s=$(kubectl get namespace %s --output=jsonpath={.metadata.uid}) --overwrite",
		volume, storage.LabelNamespace, namespace, storage.LabelNamespaceUID, namespace)
}

// mostListed is how many volumes a sentence names: an Event has room for a command behind it.
const mostListed = 3

func listed(volumes []corev1.PersistentVolume) string {
	var names []string
	for i := range volumes[:min(len(volumes), mostListed)] {
		names = append(names, volumes[i].Name)
	}
	if more := len(volumes) - mostListed; more > 0 {
		return fmt.Sprintf("%s (and %d more)", strings.Join(names, ", "), more)
	}
	return strings.Join(names, ", ")
}
