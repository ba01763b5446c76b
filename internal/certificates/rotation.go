package certificates

import (
	"crypto/x509"
	"time"
)

// signers are the authorities in the Secret, and the requests of its operators.
type signers struct {
	// current signs what is served. next is on its way into the caBundle.
	current, next *authority
	// asked is the value of AnnotationRotate, and answered the last value that a rotation was begun for.
	asked, answered string
}

// action is what has to be done with the Secret.
type action string

const (
	keep    action = ""
	found   action = "made a new authority, because there is none that can be used"
	begin   action = "began a rotation: the next authority goes into the caBundle beside the current one"
	promote action = "promoted the next authority: the live configuration trusts it"
)

// plan returns the next step of a rotation. settled are the roots of the live configuration that API servers know by now.
func (s signers) plan(settled bundle, now time.Time) action {
	switch {
	case !s.current.usable(now) && s.next.usable(now):
		return promote
	case !s.current.usable(now):
		return found
	case s.next.usable(now) && settled.has(s.next.cert):
		return promote
	case s.next.usable(now):
		return keep
	case s.next != nil || due(s.current.cert, now) || s.requested():
		return begin
	default:
		return keep
	}
}

func (s signers) requested() bool {
	return s.asked != "" && s.asked != s.answered
}

// carryOut returns the signers after an action.
func (s signers) carryOut(do action, now time.Time, lifetime time.Duration) (signers, error) {
	if do == promote {
		s.current, s.next = s.next, nil
		return s, nil
	}
	fresh, err := newAuthority(now, lifetime)
	if err != nil {
		return signers{}, err
	}
	s.answered = s.asked
	if do == begin {
		s.next = fresh
		return s, nil
	}
	s.current, s.next = fresh, nil
	return s, nil
}

// trusted returns the certificates of the authorities.
func (s signers) trusted() bundle {
	var certs []*x509.Certificate
	for _, a := range []*authority{s.current, s.next} {
		if a != nil {
			certs = append(certs, a.cert)
		}
	}
	return newBundle(certs...)
}
