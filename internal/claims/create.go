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

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// create makes the trio for pods whose claim is not bound: class, volume, claim. Everything that exists is compared before
// anything is made, because a claim's class and volume cannot be changed later. A claim of others that does not fit is
// not helped to a class or a volume, which could bind it: [visit.compare] tells of it.
func (v *visit) create(ctx context.Context) error {
	if bound(v.claim) || len(v.pods) == 0 || len(v.foreignMisfits()) > 0 {
		return nil
	}
	if err := v.supply(ctx, v.supplies()); err != nil {
		return err
	}
	if len(v.wanted.Claims) == 0 {
		return nil
	}
	if v.claim == nil {
		wanted, err := v.withVolume(ctx, v.wanted.Claims[0])
		if err != nil {
			return err
		}
		if err := v.ensureClaim(ctx, wanted); err != nil {
			return err
		}
	}
	return v.giveBack(ctx)
}

// supplied is an object that a claim needs.
type supplied struct {
	kind             string
	wanted, existing client.Object
	check            func() error // says why existing, once read, cannot be used
}

func (v *visit) supplies() []supplied {
	var all []supplied
	for _, class := range v.wanted.StorageClasses {
		all = append(all, v.classSupply(class))
	}
	for _, volume := range v.wanted.Volumes {
		all = append(all, v.volumeSupply(volume))
	}
	return all
}

func (v *visit) classSupply(wanted *storagev1.StorageClass) supplied {
	existing := &storagev1.StorageClass{}
	return supplied{kindClass, wanted, existing, func() error {
		if why := classRefusal(existing, wanted); why != "" {
			return refusal{Reason: diagnose.ReasonClassDiffers, Note: why}
		}
		if what := classDifferences(existing, wanted); len(what) > 0 {
			v.warn(classDifference(v.use.Profile, existing.Name, what))
		}
		return nil
	}}
}

func (v *visit) volumeSupply(wanted *corev1.PersistentVolume) supplied {
	existing := &corev1.PersistentVolume{}
	return supplied{kindVolume, wanted, existing, func() error {
		if why := volumeRefusal(existing, wanted); why != "" {
			return refusal{Reason: diagnose.ReasonVolumeTaken, Note: why}
		}
		if what := v.differing(existing, wanted); len(what) > 0 {
			return refusal(foreignVolume(v.use.Profile, existing.Name, what))
		}
		return nil
	}}
}

// supply reads and checks all, and then makes what is missing in their order.
func (v *visit) supply(ctx context.Context, all []supplied) error {
	var missing []supplied
	for _, s := range all {
		found, err := v.read(ctx, s.wanted, s.existing, s.kind)
		if err != nil {
			return err
		}
		if !found {
			missing = append(missing, s)
			continue
		}
		if err := s.check(); err != nil {
			return err
		}
	}
	for _, s := range missing {
		found, err := v.make(ctx, s.wanted, s.existing, s.kind)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		if err := s.check(); err != nil {
			return err
		}
	}
	return nil
}

func (v *visit) ensureClaim(ctx context.Context, wanted *corev1.PersistentVolumeClaim) error {
	existing, made := &corev1.PersistentVolumeClaim{}, wanted.DeepCopy()
	found, err := v.read(ctx, made, existing, kindClaim)
	if err == nil && !found {
		found, err = v.make(ctx, made, existing, kindClaim)
	}
	if err != nil {
		return err
	}
	if v.claim = existing; !found {
		v.claim = made
		v.notices.tell(v.claimRef(), podRef(&v.pods[0]), diagnose.Finding{
			Reason: diagnose.ReasonCreated, Note: fmt.Sprintf("created for the profile %s, which the pod %s uses", v.profile.Name, v.pods[0].Name),
		})
		if len(v.earlier) > 0 {
			v.warn(diagnose.EarlierNamespace(client.ObjectKeyFromObject(made), v.earlier))
		}
	}
	return nil
}

// read reads the object of the wanted one's name into existing.
func (v *visit) read(ctx context.Context, wanted, existing client.Object, kind string) (found bool, err error) {
	key := client.ObjectKeyFromObject(wanted)
	err = v.live.Get(ctx, key, existing)
	if err != nil && !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("read %s %s: %w", kind, key.Name, err)
	}
	return err == nil, nil
}

// make creates the wanted object. Whoever makes one of its name in between wins: then it is found, and read into existing.
func (v *visit) make(ctx context.Context, wanted, existing client.Object, kind string) (found bool, err error) {
	key := client.ObjectKeyFromObject(wanted)
	labels := maps.Clone(wanted.GetLabels())
	labels[storage.LabelInstallation] = v.Installation
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
	return false, refused(err, diagnose.ReasonCreateRefused, fmt.Sprintf("create %s %s", kind, key.Name))
}

// refused turns an answer that will stay the same until someone changes something (rights, quota, policies, values that
// the API does not accept) into a refusal. Any other error is tried again.
func refused(err error, reason, what string) error {
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return errNamespaceEnds
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		errorsTotal.Inc()
		return refusal{Reason: reason, Note: fmt.Sprintf("the API server refused to %s: %v", what, err)}
	}
	return fmt.Errorf("%s: %w", what, err)
}
