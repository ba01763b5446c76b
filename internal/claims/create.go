package claims

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// create makes the trio for pods whose claim is not bound: class, volume, claim. It stops at the first that cannot be
// had, because a claim's class and volume cannot be changed later.
func (v *visit) create(ctx context.Context) error {
	if bound(v.claim) || len(v.pods) == 0 {
		return nil
	}
	for _, class := range v.wanted.StorageClasses {
		if err := v.ensureClass(ctx, class); err != nil {
			return err
		}
	}
	for _, volume := range v.wanted.Volumes {
		if err := v.ensureVolume(ctx, volume); err != nil {
			return err
		}
	}
	if v.claim != nil || len(v.wanted.Claims) == 0 {
		return nil
	}
	return v.ensureClaim(ctx, v.wanted.Claims[0])
}

func (v *visit) ensureClass(ctx context.Context, wanted *storagev1.StorageClass) error {
	existing := &storagev1.StorageClass{}
	found, err := v.ensure(ctx, wanted, existing, kindClass)
	if err != nil || !found {
		return err
	}
	if why := classRefusal(existing, wanted); why != "" {
		return refusal{reasonClassDiffers, why}
	}
	return nil
}

func (v *visit) ensureVolume(ctx context.Context, wanted *corev1.PersistentVolume) error {
	existing := &corev1.PersistentVolume{}
	found, err := v.ensure(ctx, wanted, existing, kindVolume)
	if err != nil || !found {
		return err
	}
	if why := volumeRefusal(existing, wanted); why != "" {
		return refusal{reasonVolumeTaken, why}
	}
	return nil
}

func (v *visit) ensureClaim(ctx context.Context, wanted *corev1.PersistentVolumeClaim) error {
	existing, made := &corev1.PersistentVolumeClaim{}, wanted.DeepCopy()
	found, err := v.ensure(ctx, made, existing, kindClaim)
	if err != nil {
		return err
	}
	if v.claim = existing; !found {
		v.claim = made
		v.notices.tell(v.claimRef(), podRef(&v.pods[0]), actionProvide, finding{
			reasonCreated, fmt.Sprintf("created for the profile %s, which the pod %s uses", v.profile.Name, v.pods[0].Name),
		})
	}
	return nil
}

// ensure reads the object of the wanted one's name into existing, and creates the wanted one if there is none. Whoever
// makes it in between wins.
func (v *visit) ensure(ctx context.Context, wanted, existing client.Object, kind string) (found bool, err error) {
	key := client.ObjectKeyFromObject(wanted)
	err = v.live.Get(ctx, key, existing)
	if err == nil {
		return true, nil
	}
	if !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("read %s %s: %w", kind, key.Name, err)
	}
	labels := maps.Clone(wanted.GetLabels())
	labels[inject.LabelInstallation] = v.Installation
	wanted.SetLabels(labels)
	err = v.writer.Create(ctx, wanted)
	switch {
	case err == nil:
		createdTotal.WithLabelValues(kind).Inc()
		log.FromContext(ctx).Info("Created", "kind", kind, "name", key.Name, "namespace", key.Namespace, "profile", v.use.Profile)
		return false, nil
	case apierrors.IsAlreadyExists(err):
		if err := v.live.Get(ctx, key, existing); err != nil {
			return false, fmt.Errorf("read %s %s: %w", kind, key.Name, err)
		}
		return true, nil
	}
	return false, refused(err, reasonCreateRefused, fmt.Sprintf("create %s %s", kind, key.Name))
}

// refused turns an answer that will stay the same until someone changes something (rights, quota, policies, values that
// the API does not accept) into a refusal. Any other error is tried again.
func refused(err error, reason, what string) error {
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return errNamespaceEnds
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		errorsTotal.Inc()
		return refusal{reason, fmt.Sprintf("the API server refused to %s: %v", what, err)}
	}
	return fmt.Errorf("%s: %w", what, err)
}
