package certificates

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
)

func fixedClock() *clocktesting.FakeClock {
	return clocktesting.NewFakeClock(noon)
}

func TestOptionsHaveDefaults(t *testing.T) {
	o, err := Options{WebhookConfiguration: "storage", Dir: "/tls"}.complete()
	require.NoError(t, err)
	assert.Equal(t, []time.Duration{365 * day, 30 * day, 10 * time.Second, time.Hour, 10 * time.Second},
		[]time.Duration{o.CALifetime, o.Lifetime, o.Propagation, o.Overlap, o.Poll})
	assert.False(t, o.InjectCA)
	assert.NotNil(t, o.Clock)
}

func TestOptionsThatCannotWork(t *testing.T) {
	self := Options{
		Self: true, Secret: types.NamespacedName{Namespace: "team", Name: "ca"},
		DNSNames: ServiceNames("storage", "team"), WebhookConfiguration: "storage",
	}
	for name, tt := range map[string]struct {
		change func(*Options)
		exp    string
	}{
		"no configuration":     {func(o *Options) { o.WebhookConfiguration = "" }, "name the MutatingWebhookConfiguration"},
		"no Secret":            {func(o *Options) { o.Secret.Name = "" }, "name the Secret"},
		"no namespace":         {func(o *Options) { o.Secret.Namespace = "" }, "name the Secret, and its namespace"},
		"no names":             {func(o *Options) { o.DNSNames = nil }, "name the Service"},
		"no directory":         {func(o *Options) { o.Self = false }, "name the directory"},
		"a negative duration":  {func(o *Options) { o.Poll = -1 }, "negative"},
		"too short an overlap": {func(o *Options) { o.Overlap = 20 * time.Second }, "the overlap must be longer"},
	} {
		t.Run(name, func(t *testing.T) {
			o := self
			tt.change(&o)
			_, err := New(nil, o)
			assert.ErrorContains(t, err, tt.exp)
		})
	}

	c, err := New(nil, self)
	require.NoError(t, err)
	assert.True(t, c.options.InjectCA, "no other program writes the caBundle for Self")
	assert.False(t, c.NeedLeaderElection())
	_, err = c.GetCertificate(nil)
	require.ErrorContains(t, err, "no certificate to serve yet")
	require.ErrorContains(t, c.Ready(), "no certificate yet")
}
