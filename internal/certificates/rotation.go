package certificates

import (
	"crypto/x509"
	"time"
)

// signers are the CAs in the Secret, and the requests of its operators.
type signers struct {
	// current signs what is served. next is on its way into the caBundle.
	current, next *ca
	// rotateRequest is the value of AnnotationRotate, and rotateDone the last value for which a
	// rotation began.
	rotateRequest, rotateDone string
}

// action is the next change of the Secret.
type action string

const (
	noAction      action = ""
	createCA      action = "created a CA, because no usable one exists"
	beginRotation action = "began a rotation: the caBundle gets the next CA in addition to the current one"
	promoteNext   action = "promoted the next CA: the live configuration trusts it"
)

// plan returns the next step of a rotation. propagated are the roots of the live configuration that
// API servers have received by now.
func (s signers) plan(propagated bundle, now time.Time) action {
	switch {
	case !s.current.usable(now) && s.next.usable(now):
		return promoteNext
	case !s.current.usable(now):
		return createCA
	case s.next.usable(now) && propagated.has(s.next.cert):
		return promoteNext
	case s.next.usable(now):
		return noAction
	case s.next != nil || due(s.current.cert, now) || s.requested():
		return beginRotation
	default:
		return noAction
	}
}

// requested reports whether an operator has set [AnnotationRotate] to a value for which no rotation
// has begun.
func (s signers) requested() bool {
	return s.rotateRequest != "" && s.rotateRequest != s.rotateDone
}

// carryOut returns the signers after an action.
func (s signers) carryOut(do action, now time.Time, lifetime time.Duration) (signers, error) {
	if do == promoteNext {
		s.current, s.next = s.next, nil
		return s, nil
	}
	created, err := newCA(now, lifetime)
	if err != nil {
		return signers{}, err
	}
	s.rotateDone = s.rotateRequest
	if do == beginRotation {
		s.next = created
		return s, nil
	}
	s.current, s.next = created, nil
	return s, nil
}

// trusted returns the certificates of the CAs.
func (s signers) trusted() bundle {
	var certs []*x509.Certificate
	for _, a := range []*ca{s.current, s.next} {
		if a != nil {
			certs = append(certs, a.cert)
		}
	}
	return newBundle(certs...)
}
