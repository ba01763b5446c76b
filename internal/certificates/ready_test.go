package certificates

import (
	"errors"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

func TestReady(t *testing.T) {
	a, b := caAt(t, noon.Add(-day)), caAt(t, noon)
	served := leafBy(t, a, noon)
	live := func(roots bundle) configuration {
		return configuration{
			name: "storage", resourceVersion: "1",
			hooks: []hook{{name: "storage.example", host: hosts[0], roots: roots}},
		}
	}
	otherHost := live(certs(a))
	otherHost.hooks[0].host = "other.team.svc"
	half := live(certs(a))
	half.hooks = append(half.hooks, hook{name: "second.example", host: hosts[0]})

	for name, tt := range map[string]struct {
		served *leaf
		live   configuration
		after  time.Duration
		exp    []string // parts of the sentence; none means ready
	}{
		"all is well":                 {served, live(certs(a)), 0, nil},
		"another one is trusted, too": {served, live(certs(a, b)), 0, nil},
		"there is no certificate":     {nil, live(certs(a)), 0, []string{"no certificate yet"}},
		"there is no configuration": {
			served,
			configuration{name: "storage"},
			0,
			[]string{"there is no MutatingWebhookConfiguration storage", "install it"},
		},
		"it has no webhook": {
			served,
			configuration{name: "storage", resourceVersion: "1"},
			0,
			[]string{"has no webhook"},
		},
		"it has no caBundle": {
			served, live(nil), 0,
			[]string{"webhook storage.example", "no caBundle yet", "cert-manager"},
		},
		"one webhook has none": {served, half, 0, []string{"webhook second.example", "no caBundle yet"}},
		"only another one is trusted": {
			served, live(certs(b)), 0,
			[]string{"API servers do not trust", "storage", "signed by unknown"},
		},
		"the configuration means another": {served, otherHost, 0, []string{"do not trust", "other.team.svc"}},
		"the certificate has expired": {
			served, live(certs(a)), DefaultLifetime,
			[]string{"expired at 2026-07-01T12:00:00Z"},
		},
		"the last moment of a certificate": {served, live(certs(a)), DefaultLifetime - time.Second, nil},
	} {
		t.Run(name, func(t *testing.T) {
			v := newView(tt.served, tt.live, trust{}.observe(tt.live.roots(), noon, propagation), noon)
			err := v.ready(noon.Add(tt.after), DefaultCALifetime)
			if tt.exp == nil {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			for _, part := range tt.exp {
				assert.ErrorContains(t, err, part)
			}
		})
	}
}

func TestReadyNamesItsTrouble(t *testing.T) {
	trouble := errors.New("the Secret cannot be read")
	require.ErrorContains(t, (*view)(nil).ready(noon, time.Hour), "the first round is not finished")
	require.ErrorIs(t, (&view{trouble: trouble}).ready(noon, time.Hour), trouble)

	certificate := leafBy(t, caAt(t, noon), noon).Certificate
	require.ErrorIs(t, (&view{
		certificate: certificate, problem: errors.New("no caBundle"),
		trouble: trouble,
	}).ready(noon, time.Hour), trouble)

	v := &view{certificate: certificate, seen: noon, until: noon.Add(day), trouble: trouble}
	require.NoError(t, v.ready(noon.Add(time.Hour), time.Hour), "the served one is still good")
	err := v.ready(noon.Add(time.Hour+1), time.Hour)
	require.ErrorIs(t, err, trouble)
	require.ErrorContains(t, err, "was last read at 2026-06-01T12:00:00Z")

	v = &view{certificate: certificate, seen: noon, from: noon.Add(propagation), until: noon.Add(day)}
	require.ErrorContains(t, v.ready(noon, time.Hour), "another 10s")
	require.NoError(t, v.ready(noon.Add(propagation), time.Hour))
}

func TestReadyIsCheap(t *testing.T) {
	a := caAt(t, noon)
	c := &Certificates{options: Options{Overlap: time.Hour, Clock: fixedClock()}}
	live := configuration{
		name: "storage", resourceVersion: "1",
		hooks: []hook{{name: "storage.example", host: hosts[0], roots: certs(a)}},
	}
	c.view.Store(newView(leafBy(t, a, noon), live, trust{}.observe(live.roots(), noon, propagation), noon))
	require.NoError(t, c.Ready())

	assert.Zero(t, testing.AllocsPerRun(100, func() { _ = c.Ready() }))
	assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = c.GetCertificate(nil) }))
}

func TestExpiryIsMeasured(t *testing.T) {
	c := &Certificates{options: Options{Overlap: time.Hour, Clock: fixedClock()}, log: logr.Discard()}
	served := leafBy(t, caAt(t, noon), noon)
	c.serve(served, true, nil)
	assert.InDelta(t, noon.Add(DefaultLifetime).Unix(), gauge(t, "pipeline_storage_certificate_expiry_seconds"), 0)
}

// gauge returns what a scrape would.
func gauge(t *testing.T, name string) float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}
