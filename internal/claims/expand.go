package claims

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
)

// resize requests the profile's size where the API accepts that: for a bound claim, and a smaller
// size only in place of an expansion that this controller requested and that was not carried out.
// Every other difference is reported.
// Source: Kubernetes, pkg/apis/core/validation ValidatePersistentVolumeClaimUpdate.
func (r *reconciliation) resize(ctx context.Context, wanted *corev1.PersistentVolumeClaim) error {
	from, to := diagnose.Requested(r.claim), diagnose.Requested(wanted)
	switch {
	case diagnose.CanReduce(r.claim, to):
		return r.reduce(ctx, to)
	case bound(r.claim) && to.Cmp(from) > 0:
		return r.expand(ctx, to)
	}
	if f := diagnose.NeverShrinks(r.profile.Name, r.claim, to); f != nil {
		r.inform(nil, *f)
	}
	if f := diagnose.Infeasible(r.claim); f != nil {
		r.warnClaim(*f)
	}
	return nil
}

// expand requests a larger size, if the class of the claim allows that.
func (r *reconciliation) expand(ctx context.Context, to resource.Quantity) error {
	allowed, err := r.allowsExpansion(ctx)
	if err != nil {
		return err
	}
	from := diagnose.Requested(r.claim)
	if !allowed {
		r.warn(expansionNotAllowed(r.profile.Name, r.claim, from.String(), to.String()))
		return nil
	}
	if err := r.request(ctx, to); err != nil {
		return asRefusal(err, diagnose.ReasonExpandRefused, "expand claim "+r.claim.Name)
	}
	r.inform(nil, expanding(r.profile.Name, from.String(), to.String()))
	return nil
}

// reduce takes back an expansion that was not carried out. An API server that takes none back is no
// refusal: the claim is in use as it is, and the same request would be refused again.
func (r *reconciliation) reduce(ctx context.Context, to resource.Quantity) error {
	from := diagnose.Requested(r.claim)
	err := r.request(ctx, to)
	switch {
	case err == nil:
		r.inform(nil, reduced(r.profile.Name, from.String(), to.String()))
	case takesNoRequestBack(err):
		r.warnClaim(diagnose.ReduceRefused(r.profile.Name, r.claim, to))
	default:
		return asRefusal(err, diagnose.ReasonReduceRefused, "reduce the request of claim "+r.claim.Name)
	}
	return nil
}

// request requests a size. The version makes sure that no other client has requested another one in
// between.
func (r *reconciliation) request(ctx context.Context, size resource.Quantity) error {
	return kube.MergePatch(ctx, r.writer, r.claim, kube.Fields{
		"metadata": kube.Fields{"resourceVersion": r.claim.ResourceVersion},
		"spec":     kube.Fields{"resources": kube.Fields{"requests": kube.Fields{"storage": size.String()}}},
	})
}

// takesNoRequestBack reports whether an API server without RecoverVolumeExpansionFailure has refused
// a smaller size.
// Source: Kubernetes, pkg/apis/core/validation ValidatePersistentVolumeClaimUpdate.
func takesNoRequestBack(err error) bool {
	return apierrors.IsInvalid(err) && strings.Contains(err.Error(), "can not be less than previous value")
}

// allowsExpansion reports whether the claim's class exists and allows expansion.
func (r *reconciliation) allowsExpansion(ctx context.Context) (bool, error) {
	class, err := r.readClass(ctx)
	return class != nil && ptr.Deref(class.AllowVolumeExpansion, false), err
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

// reduced is about an expansion that was taken back.
func reduced(profile, from, to string) diagnose.Finding {
	const format = "requested %s in place of %s, which was not carried out, as the profile %s requires"
	return finding(diagnose.ReasonReduced, format, to, from, profile)
}
