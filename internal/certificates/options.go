package certificates

import (
	"cmp"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
)

// Defaults of [Options].
const (
	// DefaultCALifetime is how long a CA is valid. It is rotated when two thirds are over.
	DefaultCALifetime = 365 * 24 * time.Hour
	// DefaultLifetime is how long a certificate is valid. It is renewed when two thirds are over.
	DefaultLifetime = 30 * 24 * time.Hour
	// DefaultPropagation is the time in which API servers receive a new caBundle. They watch it,
	// and mostly take milliseconds.
	DefaultPropagation = 10 * time.Second
	// DefaultOverlap is how long a CA that is not used any more is still trusted.
	DefaultOverlap = time.Hour
	// DefaultPoll is the time between two rounds when no watch reports a change.
	DefaultPoll = 10 * time.Second
)

// Options configure the source of the certificates, and the configuration that must trust them.
// Zero durations mean the defaults.
type Options struct {
	// Self makes and rotates the certificates: Secret and DNSNames are needed. Otherwise they are
	// read from Dir.
	Self bool
	// Secret holds the CAs with Self. It is created when it is missing.
	Secret types.NamespacedName
	// DNSNames are the names, or IP addresses, that certificates are signed for with Self, see
	// [ServiceNames].
	DNSNames []string

	// Dir holds tls.crt, tls.key and, for InjectCA, ca.crt.
	Dir string
	// InjectCA writes the caBundle of the configuration. With Self it is always on.
	InjectCA bool

	// WebhookConfiguration is the name of the own MutatingWebhookConfiguration.
	WebhookConfiguration string

	// CALifetime is the life of a CA, see [DefaultCALifetime].
	CALifetime time.Duration
	// Lifetime is the life of a certificate, see [DefaultLifetime].
	Lifetime time.Duration
	// Propagation is how long the live configuration must have carried a CA before a certificate by
	// it replaces one that is still good. See [DefaultPropagation].
	Propagation time.Duration
	// Overlap is how long the caBundle retains a CA that this installation does not use, or not any
	// more: another replica may still serve a certificate by it. It must be longer than Propagation
	// and Poll together. See [DefaultOverlap].
	Overlap time.Duration
	// Poll is the time between two rounds when no watch reports a change, see [DefaultPoll].
	Poll time.Duration
	// Clock is the real one by default.
	Clock clock.Clock
}

// ServiceNames returns the names under which API servers and other clients in the cluster reach a
// Service. The first is the one that an API server checks.
// Source: k8s.io/apiserver, pkg/util/webhook.
func ServiceNames(service, namespace string) []string {
	name := serviceHost(service, namespace)
	return []string{name, name + ".cluster.local"}
}

func serviceHost(service, namespace string) string {
	return service + "." + namespace + ".svc"
}

// complete fills in the defaults and refuses options that cannot work.
func (o Options) complete() (Options, error) {
	o.InjectCA = o.InjectCA || o.Self
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	o.CALifetime = cmp.Or(o.CALifetime, DefaultCALifetime)
	o.Lifetime = cmp.Or(o.Lifetime, DefaultLifetime)
	o.Propagation = cmp.Or(o.Propagation, DefaultPropagation)
	o.Overlap = cmp.Or(o.Overlap, DefaultOverlap)
	o.Poll = cmp.Or(o.Poll, DefaultPoll)
	return o, o.check()
}

func (o Options) check() error {
	var errs []error
	refuse := func(bad bool, sentence string) {
		if bad {
			errs = append(errs, errors.New(sentence))
		}
	}
	refuse(o.WebhookConfiguration == "", "certificates: name the MutatingWebhookConfiguration that must trust them")
	refuse(o.Self && (o.Secret.Name == "" || o.Secret.Namespace == ""),
		"certificates: name the Secret, and its namespace, that holds the CA")
	refuse(o.Self && len(o.DNSNames) == 0, "certificates: name the Service that they are for")
	refuse(!o.Self && o.Dir == "", "certificates: name the directory that holds tls.crt and tls.key")
	refuse(min(o.CALifetime, o.Lifetime, o.Propagation, o.Overlap, o.Poll) < 0, "certificates: a duration is negative")
	refuse(o.Overlap <= o.Propagation+o.Poll,
		"certificates: the overlap must be longer than propagation and polling together, "+
			"or an old CA is removed while it is in use")
	return errors.Join(errs...)
}
