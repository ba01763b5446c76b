package diagnose

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// Released are the volumes that have the data of a deleted claim.
type Released struct {
	// Volumes, the newest first, have the data of a claim of this name in this very namespace, or
	// labels by which an administrator consents.
	Volumes []corev1.PersistentVolume
	// Earlier, the newest first, have the data of a claim of this name in an earlier or unknown
	// namespace of this name.
	Earlier []corev1.PersistentVolume
}

// ReleasedFor returns the volumes that a claim had. Their claimRef names it, with the UID of a
// deleted claim or without a UID. A volume that is deleted with its claim is left out. claim is the
// UID of the claim that exists now, empty where it does not. namespaceUID is the UID of its
// namespace.
func ReleasedFor(key types.NamespacedName, claim, namespaceUID types.UID, volumes []corev1.PersistentVolume) Released {
	var released Released
	for i := range volumes {
		v := &volumes[i]
		ref := v.Spec.ClaimRef
		switch {
		case ref == nil, ref.Namespace != key.Namespace, ref.Name != key.Name, claim != "" && ref.UID == claim,
			v.DeletionTimestamp != nil, v.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimRetain:
		case v.Labels[storage.LabelNamespace] == key.Namespace && v.Labels[storage.LabelNamespaceUID] == string(namespaceUID):
			released.Volumes = append(released.Volumes, *v)
		default:
			released.Earlier = append(released.Earlier, *v)
		}
	}
	for _, found := range [][]corev1.PersistentVolume{released.Volumes, released.Earlier} {
		slices.SortStableFunc(found, func(a, b corev1.PersistentVolume) int {
			return b.CreationTimestamp.Compare(a.CreationTimestamp.Time)
		})
	}
	return released
}

// Rebound is about a claim that has its volume again. source is the dataSource of the profile as
// [SourceOf] describes it, which was not used; empty: it has none.
func Rebound(volume, source string) Finding {
	what := fmt.Sprintf("PersistentVolume %s is re-bound: it has the data of the deleted claim of this name", volume)
	if source == "" {
		return advise(ReasonRebound, what, "")
	}
	return advise(ReasonRebound, fmt.Sprintf("%s, and the %s was not restored. ", what, source),
		"To restore that, give the profile another claim.name")
}

// Ambiguous is about a claim for which several volumes have data, the newest first: people decide
// which is meant.
func Ambiguous(claim string, volumes []corev1.PersistentVolume) Finding {
	return advise(ReasonVolumesAmbiguous,
		fmt.Sprintf("PersistentVolumes %s all have data of deleted claims of the name %s: "+
			"nothing is created until one is left; ", listed(volumes), claim),
		fmt.Sprintf("remove the label from each that you do not mean (nothing else of it changes), for instance: kubectl "+
			"label persistentvolume %s %s-",
			volumes[len(volumes)-1].Name, storage.LabelNamespaceUID))
}

// Unfit is about a volume with the data of a claim that no longer fits it.
func Unfit(claim, volume, profile string, why []string) Finding {
	return advise(ReasonVolumeDiffers,
		fmt.Sprintf("PersistentVolume %s has the data of the deleted claim %s, but the profile %s requires another: %s. "+
			"Nothing is created until that is resolved: ", volume, claim, profile, strings.Join(why, "; ")),
		"restore the profile, or give it another claim.name to begin with an empty volume")
}

// EarlierNamespace is about a new claim whose name had data in a deleted namespace of the same
// name. The newest volume is the first.
func EarlierNamespace(claim *corev1.PersistentVolumeClaim, volumes []corev1.PersistentVolume) Finding {
	begin := "an empty volume"
	if source := SourceOf(claim); source != "" {
		begin = "the data of the " + source
	}
	return advise(ReasonVolumeReleased,
		fmt.Sprintf("claim %s begins with %s: PersistentVolume %s has the data of a claim of this name, "+
			"but of an earlier namespace %s, which may have been another team's. ", claim.Name, begin, listed(volumes),
			claim.Namespace),
		"To use that data, consent and delete the new claim: "+ConsentCommand(volumes[0].Name, claim.Namespace))
}

// ByHand is about volumes with the data of a deleted claim that no claims controller creates, such as one
// that Helm rendered. The newest volume is the first. claim is the one that exists now; nil: none does.
func ByHand(key types.NamespacedName, claim *corev1.PersistentVolumeClaim, volumes []corev1.PersistentVolume) Finding {
	free := fmt.Sprintf(`kubectl patch persistentvolume %s --type=merge `+
		`--patch '{"spec":{"claimRef":{"uid":null,"resourceVersion":null}}}'`, volumes[0].Name)
	if claim == nil {
		return advise(ReasonVolumeReleased,
			fmt.Sprintf("PersistentVolume %s is Released: it has the data of the deleted claim %s, which no claims controller "+
				"creates. ", listed(volumes), key.Name),
			"To use that data, free the volume for a new claim of that name, and then install what has the claim again: "+free)
	}
	return advise(ReasonVolumeReleased,
		fmt.Sprintf("claim %s has another volume: PersistentVolume %s has the data of a deleted claim of this name, which "+
			"no claims controller creates. ", key.Name, listed(volumes)),
		"To use that data, remove the pods of the claim, free the volume, delete the claim, and then install what has it "+
			"again: "+free+fmt.Sprintf(" && kubectl delete persistentvolumeclaim %s --namespace %s", key.Name, key.Namespace))
}

// Reserved is about a claim that would be bound to a volume with the data of an earlier namespace:
// the volume is reserved for a claim of that name.
func Reserved(key types.NamespacedName, volume string) Finding {
	return advise(ReasonVolumeReleased,
		fmt.Sprintf("PersistentVolume %s is free for the claim %s, but has the data of an earlier namespace %s, "+
			"which may have been another team's: nothing is created, because it would be bound. ", volume, key.Name,
			key.Namespace),
		"To use that data, consent: "+ConsentCommand(volume, key.Namespace))
}

// ConsentCommand returns the command by which an administrator gives a Released volume to the claim
// that its claimRef names.
func ConsentCommand(volume, namespace string) string {
	return fmt.Sprintf("kubectl label persistentvolume %s %s=%s %s=$(kubectl get namespace %s "+
		"--output=jsonpath={.metadata.uid}) --overwrite",
		volume, storage.LabelNamespace, namespace, storage.LabelNamespaceUID, namespace)
}

// mostListed is how many volumes a sentence names: an Event has room for a command behind it.
const mostListed = 3

// listed returns the names of the first volumes, and how many more there are.
func listed(volumes []corev1.PersistentVolume) string {
	var names []string
	for i := range volumes[:min(len(volumes), mostListed)] {
		names = append(names, volumes[i].Name)
	}
	if more := len(volumes) - mostListed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names, ", "), more)
	}
	return strings.Join(names, ", ")
}
