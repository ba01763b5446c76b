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
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// create creates the missing storage objects of pods whose claim is not bound: class, volume,
// claim. Existing objects are compared before any is created, because a claim's class and volume
// cannot be changed later. For an unmanaged claim that does not fit, neither class nor volume is
// created, which could bind it: [reconciliation.compare] reports it.
func (r *reconciliation) create(ctx context.Context) error {
	if bound(r.claim) || len(r.pods) == 0 || len(r.unmanagedMisfits()) > 0 {
		return nil
	}
	if err := r.supply(ctx, r.supplies()); err != nil {
		return err
	}
	if len(r.wanted.Claims) == 0 {
		return nil
	}
	if r.claim == nil {
		wanted, err := r.chooseVolume(ctx, r.wanted.Claims[0])
		if err != nil {
			return err
		}
		if err := r.ensureClaim(ctx, wanted); err != nil {
			return err
		}
	}
	return r.rebind(ctx)
}

// supplied is an object that a claim needs.
type supplied struct {
	kind             string
	wanted, existing client.Object
	check            func() error // returns why existing, once read, cannot be used
}

// supplies returns the class before the volume, the order in which they are created. A profile that
// creates neither has none.
func (r *reconciliation) supplies() []supplied {
	var all []supplied
	for _, class := range r.wanted.StorageClasses {
		all = append(all, r.classSupply(class))
	}
	for _, volume := range r.wanted.Volumes {
		all = append(all, r.volumeSupply(volume))
	}
	return all
}

// classSupply accepts a class whose parameters differ, and reports that: an administrator may have
// tuned them. Provisioner and reclaim policy decide where data is and how long, so they must be
// equal.
func (r *reconciliation) classSupply(wanted *storagev1.StorageClass) supplied {
	existing := &storagev1.StorageClass{}
	return supplied{kube.KindStorageClass, wanted, existing, func() error {
		if why := classRefusal(existing, wanted); why != "" {
			return refusal{Reason: diagnose.ReasonClassDiffers, Note: why}
		}
		if what := classDifferences(existing, wanted); len(what) > 0 {
			r.warn(classDifference(r.ref.Profile, existing.Name, what))
		}
		return nil
	}}
}

// volumeSupply accepts no volume with another source or policy: a claim that is bound to it would
// have the wrong data, and could not be bound to another volume later.
func (r *reconciliation) volumeSupply(wanted *corev1.PersistentVolume) supplied {
	existing := &corev1.PersistentVolume{}
	return supplied{kube.KindVolume, wanted, existing, func() error {
		if why := volumeRefusal(existing, wanted); why != "" {
			return refusal{Reason: diagnose.ReasonVolumeTaken, Note: why}
		}
		if what := r.compareVolume(existing, wanted); len(what) > 0 {
			return refusal(otherVolume(r.ref.Profile, existing.Name, what))
		}
		return nil
	}}
}

// supply reads and checks all, and then creates the missing ones in their order. Each is checked
// again after a third party was faster to create it.
func (r *reconciliation) supply(ctx context.Context, all []supplied) error {
	var missing []supplied
	for _, s := range all {
		found, err := r.readObject(ctx, s.wanted, s.existing, s.kind)
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
		found, err := r.createObject(ctx, s.wanted, s.existing, s.kind)
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

// ensureClaim sets r.claim: to the existing claim, or to a created one. Only the latter is
// reported, on the claim and with the pod for which it was created.
func (r *reconciliation) ensureClaim(ctx context.Context, wanted *corev1.PersistentVolumeClaim) error {
	existing, created := &corev1.PersistentVolumeClaim{}, wanted.DeepCopy()
	found, err := r.readObject(ctx, created, existing, kube.KindClaim)
	if err == nil && !found {
		found, err = r.createObject(ctx, created, existing, kube.KindClaim)
	}
	if err != nil {
		return err
	}
	if r.claim = existing; !found {
		r.claim = created
		r.inform(podReference(&r.pods[0]), diagnose.Finding{
			Reason: diagnose.ReasonCreated,
			Note:   fmt.Sprintf("created for the profile %s, which the pod %s uses", r.profile.Name, r.pods[0].Name),
		})
		if len(r.earlier) > 0 {
			r.warn(diagnose.EarlierNamespace(created, r.earlier))
		}
	}
	return nil
}

// readObject reads the object of the wanted one's name into existing. It reads without a cache. Not
// found is no error.
func (r *reconciliation) readObject(
	ctx context.Context, wanted, existing client.Object, kind string,
) (found bool, err error) {
	key := client.ObjectKeyFromObject(wanted)
	err = r.live.Get(ctx, key, existing)
	if err != nil && !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("read %s %s: %w", kind, key.Name, err)
	}
	return err == nil, nil
}

// createObject creates the wanted object. Where a third party was faster, found is true, and its
// object is read into existing. The object gets the label of this installation, without which
// the controller never changes it, see [reconciliation.own]. Other errors go through [asRefusal].
func (r *reconciliation) createObject(
	ctx context.Context, wanted, existing client.Object, kind string,
) (found bool, err error) {
	key := client.ObjectKeyFromObject(wanted)
	labels := maps.Clone(wanted.GetLabels())
	labels[storage.LabelInstallation] = r.Installation
	wanted.SetLabels(labels)
	err = r.writer.Create(ctx, wanted)
	switch {
	case err == nil:
		createdTotal.WithLabelValues(kind).Inc()
		log.FromContext(ctx).Info("Created", "kind", kind,
			"name", key.Name, "namespace", key.Namespace, "profile", r.ref.Profile)
		return false, nil
	case apierrors.IsAlreadyExists(err):
		if err := r.live.Get(ctx, key, existing); err != nil {
			return false, fmt.Errorf("read %s %s: %w", kind, key.Name, err)
		}
		return true, nil
	}
	return false, asRefusal(err, diagnose.ReasonCreateRefused, fmt.Sprintf("create %s %s", kind, key.Name))
}
