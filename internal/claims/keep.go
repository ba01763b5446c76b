package claims

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// compare looks at a claim that exists beside what the profile says: a larger size is asked for if the claim is this
// installation's, and everything else is said.
func (v *visit) compare(ctx context.Context) error {
	if v.claim == nil {
		return nil
	}
	if len(v.wanted.Claims) == 0 { // it is somebody else's by the configuration: any size, class and mode that mounts
		if diagnose.IsBlock(v.claim) {
			v.warn(diagnose.Finding{Reason: diagnose.ReasonClaimDiffers, Note: fmt.Sprintf("claim %s has volumeMode Block, but pods mount a file system: use another claim", v.claim.Name)})
		}
		return nil
	}
	wanted := v.wanted.Claims[0]
	if !v.own() {
		if why := v.foreignMisfits(); len(why) > 0 {
			v.warn(foreignMisfit(v.profile.Name, v.claim.Name, why))
		}
		return nil
	}
	if what := differences(v.claim, wanted); len(what) > 0 {
		v.warn(ownDifference(v.profile.Name, v.claim.Name, what))
	}
	return v.expand(ctx, wanted)
}

// foreignMisfits says why somebody else's claim cannot stand in for the one that the profile would create.
func (v *visit) foreignMisfits() []string {
	if v.claim == nil || v.own() || len(v.wanted.Claims) == 0 {
		return nil
	}
	return misfits(v.claim, v.wanted.Claims[0])
}

func foreignMisfit(profile, claim string, why []string) diagnose.Finding {
	return diagnose.Finding{Reason: diagnose.ReasonClaimDiffers, Note: fmt.Sprintf("claim %s exists, was not made by this installation and does not fit the profile %s: %s. "+
		"It is left as it is: give the profile another claim.name, or use this claim with claim.create: false", claim, profile, strings.Join(why, "; "))}
}

func ownDifference(profile, claim string, what []string) diagnose.Finding {
	return diagnose.Finding{Reason: diagnose.ReasonClaimDiffers, Note: fmt.Sprintf("claim %s is no longer what the profile %s says: %s. "+
		"A claim cannot be changed so: put the profile back, or give it another claim.name and copy the data", claim, profile, strings.Join(what, "; "))}
}

func classDifference(profile, class string, what []string) diagnose.Finding {
	return diagnose.Finding{Reason: diagnose.ReasonClassDiffers, Note: fmt.Sprintf("StorageClass %s exists and is not quite what the profile %s says: %s. "+
		"It is used as it is: give the profile another storageClass.name, or put the profile in line with it", class, profile, strings.Join(what, "; "))}
}

func foreignVolume(profile, volume string, what []string) diagnose.Finding {
	return diagnose.Finding{Reason: diagnose.ReasonVolumeDiffers, Note: fmt.Sprintf("PersistentVolume %s exists and is not what the profile %s says: %s. "+
		"Nothing is created until that is put right: give the profile another volume.name, put one of the two in line with the other, "+
		"or accept the volume as it is with volume.create: false", volume, profile, strings.Join(what, "; "))}
}

func boundVolume(profile, claim, volume string, what []string) diagnose.Finding {
	return diagnose.Finding{Reason: diagnose.ReasonVolumeDiffers, Note: fmt.Sprintf("claim %s is bound to PersistentVolume %s, which is no longer what the profile %s says: %s. "+
		"Pods go on with the volume as it is: put the profile back, or give it another claim.name and volume.name", claim, volume, profile, strings.Join(what, "; "))}
}

func neverShrinks(profile, claim, from, to string) diagnose.Finding {
	return diagnose.Finding{Reason: diagnose.ReasonNeverShrinks, Note: fmt.Sprintf("claim %s has %s and the profile %s says %s: claims never shrink, so it stays as it is; "+
		"put the size back, or give the profile another claim.name and copy the data", claim, from, profile, to)}
}

// expand asks for the profile's size when it is larger. The API accepts that for a bound claim only, and if its class
// allows it. The version makes sure that nobody has asked for more in between.
func (v *visit) expand(ctx context.Context, wanted *corev1.PersistentVolumeClaim) error {
	from, to := diagnose.Requested(v.claim), diagnose.Requested(wanted)
	if to.Cmp(from) < 0 {
		v.notices.tell(v.claimRef(), nil, neverShrinks(v.profile.Name, v.claim.Name, from.String(), to.String()))
	}
	if to.Cmp(from) <= 0 || !bound(v.claim) {
		return nil
	}
	allowed, err := v.mayExpand(ctx)
	if err != nil {
		return err
	}
	if !allowed {
		v.warn(diagnose.Finding{Reason: diagnose.ReasonExpandRefused, Note: fmt.Sprintf("claim %s has %s and the profile %s says %s, but its StorageClass %q does not allow expansion: "+
			"set allowVolumeExpansion: true in the class if its driver can, or put the size back", v.claim.Name, from.String(), v.profile.Name, to.String(), diagnose.ClassOf(v.claim))})
		return nil
	}
	patch := object{"metadata": object{"resourceVersion": v.claim.ResourceVersion}, "spec": object{"resources": object{"requests": object{"storage": to.String()}}}}
	if err := v.patch(ctx, v.claim, patch); err != nil {
		return refused(err, diagnose.ReasonExpandRefused, "expand claim "+v.claim.Name)
	}
	v.notices.tell(v.claimRef(), nil, diagnose.Finding{Reason: diagnose.ReasonExpanding, Note: fmt.Sprintf("asked for %s in place of %s, as the profile %s says", to.String(), from.String(), v.profile.Name)})
	return nil
}

func (v *visit) mayExpand(ctx context.Context) (bool, error) {
	class, err := v.readClass(ctx)
	return class != nil && class.AllowVolumeExpansion != nil && *class.AllowVolumeExpansion, err
}

// readClass reads the class that the claim names; nil: there is none.
func (v *visit) readClass(ctx context.Context) (*storagev1.StorageClass, error) {
	return readByName(ctx, v.live, diagnose.ClassOf(v.claim), &storagev1.StorageClass{}, kindClass)
}

// readVolume reads the volume that the claim names; nil: there is none.
func (v *visit) readVolume(ctx context.Context) (*corev1.PersistentVolume, error) {
	return readByName(ctx, v.live, v.claim.Spec.VolumeName, &corev1.PersistentVolume{}, kindVolume)
}

func readByName[T client.Object](ctx context.Context, from client.Reader, name string, into T, kind string) (T, error) {
	var none T
	if name == "" {
		return none, nil
	}
	if err := from.Get(ctx, client.ObjectKey{Name: name}, into); err != nil {
		if apierrors.IsNotFound(err) {
			return none, nil
		}
		return none, fmt.Errorf("read %s %s: %w", kind, name, err)
	}
	return into, nil
}

// markVolume writes on the volume that is bound to a claim of this installation which namespace it serves, for
// [visit.withVolume],
// and says when a static volume is no longer what the profile says: a changed volume.handle changes no volume.
func (v *visit) markVolume(ctx context.Context) error {
	if !v.own() {
		return nil
	}
	volume, err := v.readVolume(ctx)
	if err != nil || volume == nil || volume.Spec.ClaimRef == nil || volume.Spec.ClaimRef.UID != v.claim.UID {
		return err
	}
	for _, wanted := range v.wanted.Volumes {
		if wanted.Name != volume.Name {
			continue // compare has told that
		}
		if what := v.differing(volume, wanted); len(what) > 0 {
			v.warn(boundVolume(v.profile.Name, v.claim.Name, volume.Name, what))
		}
	}
	if volume.Labels[storage.LabelNamespace] == v.use.Namespace && volume.Labels[storage.LabelNamespaceUID] == string(v.home) {
		return nil
	}
	home, err := v.liveHome(ctx)
	if err != nil {
		return err
	}
	if err := v.stillThere(ctx); err != nil { // read after the namespace, so it is this one's
		return err
	}
	patch := object{"metadata": object{
		"resourceVersion": volume.ResourceVersion,
		"labels":          object{storage.LabelNamespace: v.use.Namespace, storage.LabelNamespaceUID: home},
	}}
	if err := v.patch(ctx, volume, patch); err != nil {
		if apierrors.IsConflict(err) {
			return errLater
		}
		return refused(err, diagnose.ReasonCreateRefused, "write the namespace's labels on PersistentVolume "+volume.Name)
	}
	return nil
}

// object is a JSON object.
type object map[string]any

// patch sends a JSON merge patch, and only what it says: what was read is not sent back.
func (v *visit) patch(ctx context.Context, target client.Object, patch object) error {
	text, err := json.Marshal(patch)
	if err != nil {
		return fmt.Errorf("encode a patch: %w", err)
	}
	return v.writer.Patch(ctx, target, client.RawPatch(types.MergePatchType, text))
}
