package claims

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
)

// expand requests the profile's size when it is larger. The API accepts that for a bound claim
// only, and if its class allows it. The version makes sure that no other client has requested more
// in between.
// Source: Kubernetes, pkg/apis/core/validation ValidatePersistentVolumeClaimUpdate.
func (r *reconciliation) expand(ctx context.Context, wanted *corev1.PersistentVolumeClaim) error {
	from, to := diagnose.Requested(r.claim), diagnose.Requested(wanted)
	if to.Cmp(from) < 0 {
		r.inform(nil, neverShrinks(r.profile.Name, r.claim.Name, from.String(), to.String()))
	}
	if to.Cmp(from) <= 0 || !bound(r.claim) {
		return nil
	}
	allowed, err := r.allowsExpansion(ctx)
	if err != nil {
		return err
	}
	if !allowed {
		r.warn(expansionNotAllowed(r.profile.Name, r.claim, from.String(), to.String()))
		return nil
	}
	err = kube.MergePatch(ctx, r.writer, r.claim, kube.Fields{
		"metadata": kube.Fields{"resourceVersion": r.claim.ResourceVersion},
		"spec":     kube.Fields{"resources": kube.Fields{"requests": kube.Fields{"storage": to.String()}}},
	})
	if err != nil {
		return asRefusal(err, diagnose.ReasonExpandRefused, "expand claim "+r.claim.Name)
	}
	r.inform(nil, expanding(r.profile.Name, from.String(), to.String()))
	return nil
}

// allowsExpansion reports whether the claim's class exists and allows expansion.
func (r *reconciliation) allowsExpansion(ctx context.Context) (bool, error) {
	class, err := r.readClass(ctx)
	return class != nil && ptr.Deref(class.AllowVolumeExpansion, false), err
}

// neverShrinks is about a profile that is smaller than its claim. Kubernetes supports no shrinking.
// Source: Kubernetes, pkg/apis/core/validation ValidatePersistentVolumeClaimUpdate.
func neverShrinks(profile, claim, from, to string) diagnose.Finding {
	const format = "claim %s has %s and the profile %s has %s: claims never shrink, so the claim stays as it is; " +
		"restore the size, or give the profile another claim.name and copy the data"
	return finding(diagnose.ReasonNeverShrinks, format, claim, from, profile, to)
}

// expansionNotAllowed is about a class without allowVolumeExpansion, or one that does not exist any
// more.
func expansionNotAllowed(profile string, claim *corev1.PersistentVolumeClaim, from, to string) diagnose.Finding {
	const format = "claim %s has %s and the profile %s has %s, but its StorageClass %q does not allow expansion: " +
		"set allowVolumeExpansion: true in the class if its driver can, or restore the size"
	return finding(diagnose.ReasonExpandRefused, format, claim.Name, from, profile, to, diagnose.ClassOf(claim))
}

// expanding is about a request that was sent. The driver grows the volume later, and reports that
// itself.
func expanding(profile, from, to string) diagnose.Finding {
	const format = "requested %s in place of %s, as the profile %s requires"
	return finding(diagnose.ReasonExpanding, format, to, from, profile)
}
