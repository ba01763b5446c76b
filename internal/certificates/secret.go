package certificates

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/kube"
)

// Keys of the Secret's data. All are PEM.
const (
	// KeyCACertificate is the CA that signs.
	KeyCACertificate = "ca.crt"
	// KeyCAKey is its private key.
	KeyCAKey = "ca.key"
	// KeyNextCACertificate is, during a rotation, the CA that will sign.
	KeyNextCACertificate = "next-ca.crt"
	// KeyNextCAKey is its private key.
	KeyNextCAKey = "next-ca.key"
)

// Annotations of the Secret.
const (
	// AnnotationRotate begins a rotation each time an operator gives it a new value.
	AnnotationRotate = "pipeline-storage.io/rotate"
	// AnnotationRotated is the last value of AnnotationRotate for which a rotation began.
	AnnotationRotated = "pipeline-storage.io/rotated"
)

// selfMade holds CAs in a Secret and signs with them.
type selfMade struct {
	api      client.Client
	name     types.NamespacedName
	names    []string
	ca, life time.Duration
	log      logr.Logger

	signed *leaf
}

// current does the next step of a rotation, if there is one. It fails with a conflict when another
// replica did it first.
func (s *selfMade) current(ctx context.Context, propagated bundle, now time.Time) (bundle, *leaf, error) {
	object, err := s.read(ctx)
	if err != nil {
		return nil, s.signed, err
	}
	state := decodeSigners(object)
	if do := state.plan(propagated, now); do != noAction {
		if state, err = state.carryOut(do, now, s.ca); err != nil {
			return nil, s.signed, err
		}
		if err = s.write(ctx, object, state); err != nil {
			return nil, s.signed, err
		}
		s.log.Info(string(do), "secret", s.name.String())
	}
	if err := s.sign(state.current, now); err != nil {
		return nil, s.signed, err
	}
	return state.trusted(), s.signed, nil
}

// sign replaces the certificate when another CA signs now, or when it is old.
func (s *selfMade) sign(by *ca, now time.Time) error {
	if s.signed != nil && s.signed.issuer.same(by) && !due(s.signed.Leaf, now) {
		return nil
	}
	signed, err := by.sign(s.names, now, s.life)
	if err != nil {
		return err
	}
	s.signed = signed
	return nil
}

// read returns the Secret, or an object that is to be created.
func (s *selfMade) read(ctx context.Context) (*corev1.Secret, error) {
	var object corev1.Secret
	err := s.api.Get(ctx, s.name, &object)
	switch {
	case errors.IsNotFound(err):
		return s.newSecret(), nil
	case err != nil:
		return nil, fmt.Errorf("read the Secret %s: %w", s.name, err)
	case isThirdParty(&object):
		return nil, fmt.Errorf("the Secret %s holds data of a third party: name another Secret for the CA of the webhook",
			s.name)
	}
	return &object, nil
}

// newSecret returns an empty Secret with the product's label, by which [isThirdParty] recognizes it
// even when its CA was removed.
func (s *selfMade) newSecret() *corev1.Secret {
	object := &corev1.Secret{Type: corev1.SecretTypeOpaque}
	object.Namespace, object.Name = s.name.Namespace, s.name.Name
	object.Labels = map[string]string{kube.LabelName: kube.ProductName}
	return object
}

// isThirdParty reports whether a Secret has data, and neither a CA of this program nor its label.
func isThirdParty(object *corev1.Secret) bool {
	_, own := object.Data[KeyCAKey]
	return len(object.Data) > 0 && !own && object.Labels[kube.LabelName] != kube.ProductName
}

// write creates or updates the Secret. The resourceVersion that was read makes a lost race a
// conflict.
func (s *selfMade) write(ctx context.Context, object *corev1.Secret, state signers) error {
	if err := state.encode(object); err != nil {
		return err
	}
	if object.ResourceVersion == "" {
		if err := s.api.Create(ctx, object, client.FieldOwner(FieldManager)); err != nil {
			return fmt.Errorf("create the Secret %s: %w", s.name, err)
		}
		return nil
	}
	if err := s.api.Update(ctx, object, client.FieldOwner(FieldManager)); err != nil {
		return fmt.Errorf("update the Secret %s: %w", s.name, err)
	}
	return nil
}

// decodeSigners reads a Secret. A CA that is missing or broken is nil, and is replaced.
func decodeSigners(object *corev1.Secret) signers {
	return signers{
		current:       decodeCA(object, KeyCACertificate, KeyCAKey),
		next:          decodeCA(object, KeyNextCACertificate, KeyNextCAKey),
		rotateRequest: object.Annotations[AnnotationRotate],
		rotateDone:    object.Annotations[AnnotationRotated],
	}
}

// decodeCA returns nil for a CA that is missing or that [parseCA] refuses.
func decodeCA(object *corev1.Secret, certificate, key string) *ca {
	a, err := parseCA(object.Data[certificate], object.Data[key])
	if err != nil {
		return nil
	}
	return a
}

// encode writes the signers into a Secret and leaves everything else in it alone.
func (s signers) encode(object *corev1.Secret) error {
	data := maps.Clone(object.Data)
	if data == nil {
		data = map[string][]byte{}
	}
	if err := encodeCA(data, s.current, KeyCACertificate, KeyCAKey); err != nil {
		return err
	}
	if err := encodeCA(data, s.next, KeyNextCACertificate, KeyNextCAKey); err != nil {
		return err
	}
	object.Data = data
	if s.rotateDone != "" {
		if object.Annotations == nil {
			object.Annotations = map[string]string{}
		}
		object.Annotations[AnnotationRotated] = s.rotateDone
	}
	return nil
}

// encodeCA writes the two keys of a CA into data, or removes both when a is nil.
func encodeCA(data map[string][]byte, a *ca, certificate, key string) (err error) {
	if a == nil {
		delete(data, certificate)
		delete(data, key)
		return nil
	}
	data[certificate], data[key], err = a.encode()
	return err
}
