package claims

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// metadataState is a claim whose labels and annotations have been completed for a configuration.
type metadataState struct {
	config *storage.Config
	uid    types.UID
}

// addMetadata adds the profile's labels and annotations that a claim of this installation lacks.
// It never changes a value, and looks at a claim once for each configuration: a third party that
// removes a label is not contradicted again and again. Values that differ are reported.
//
// The claim is read without a cache, which does not keep what grows with its author's input.
func (r *reconciliation) addMetadata(ctx context.Context, wanted *corev1.PersistentVolumeClaim) error {
	own := &r.profile.Claim
	state := metadataState{r.config, r.claim.UID}
	if last, ok := r.completed.Load(r.ref); ok && last == state || len(own.Labels)+len(own.Annotations) == 0 {
		return nil
	}
	live := &corev1.PersistentVolumeClaim{}
	err := r.live.Get(ctx, client.ObjectKeyFromObject(r.claim), live)
	switch {
	case apierrors.IsNotFound(err), err == nil && live.UID != r.claim.UID:
		return errRequeueSoon
	case err != nil:
		return fmt.Errorf("read claim %s: %w", r.claim.Name, err)
	}
	labels, different := lacking("label", own.Labels, live.Labels, wanted.Labels)
	annotations, others := lacking("annotation", own.Annotations, live.Annotations, wanted.Annotations)
	if different = append(different, others...); len(different) > 0 {
		r.warn(metadataDifference(r.profile.Name, r.claim.Name, different))
	}
	if len(labels)+len(annotations) > 0 {
		if err := r.patchMetadata(ctx, live, labels, annotations); err != nil {
			return err
		}
	}
	r.completed.Store(r.ref, state)
	return nil
}

// patchMetadata adds labels and annotations to a claim that has not changed since it was read.
func (r *reconciliation) patchMetadata(
	ctx context.Context, live *corev1.PersistentVolumeClaim, labels, annotations kube.Fields,
) error {
	err := kube.MergePatch(ctx, r.writer, live, kube.Fields{"metadata": kube.Fields{
		"resourceVersion": live.ResourceVersion, "labels": labels, "annotations": annotations,
	}})
	switch {
	case apierrors.IsConflict(err):
		return errRequeueSoon
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err):
		// No failure: the claim is in use without them, and the same request would be refused again.
		r.warnClaim(metadataRefused(r.profile.Name, live.Name, err))
	case err != nil:
		return fmt.Errorf("add labels and annotations to claim %s: %w", live.Name, err)
	}
	return nil
}

// lacking returns the values of the profile's keys that an object lacks, and those that differ, as
// in [valueDifferences]. wanted has the values with placeholders filled.
func lacking(kind string, own, have, wanted map[string]string) (kube.Fields, []string) {
	missing, present := kube.Fields{}, map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(own)) {
		if _, ok := have[key]; ok {
			present[key] = wanted[key]
		} else {
			missing[key] = wanted[key]
		}
	}
	return missing, valueDifferences(kind, have, present)
}

// metadataRefused is about labels and annotations that the API server, or a policy, does not let be added.
func metadataRefused(profile, claim string, refusal error) diagnose.Finding {
	const format = "claim %s lacks labels or annotations of the profile %s, and they cannot be added: %s. It is used as " +
		"it is: change what refuses them, or the profile, and add them yourself (kubectl label, kubectl annotate)"
	return finding(diagnose.ReasonClaimDiffers, format, claim, profile, refusal.Error())
}

// metadataDifference is about labels and annotations with other values than the profile's. Who
// wrote them is not known, so that they stay.
func metadataDifference(profile, claim string, what []string) diagnose.Finding {
	const format = "claim %s differs from the profile %s: %s. It stays as it is, because another owner may have written " +
		"it: change it yourself (kubectl label or kubectl annotate, with --overwrite), or put the profile in line with it"
	return finding(diagnose.ReasonClaimDiffers, format, claim, profile, strings.Join(what, "; "))
}
