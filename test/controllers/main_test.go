// Package controllers runs the controllers of the webhook against a real API server, with the rights
// that the chart gives them and no others. They share one control plane, so no test may disturb
// another one: see [newFixture], [newSite], [newDriftFixture] and [newOverlapFixture].
package controllers

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	timeout = 20 * time.Second
	poll    = 20 * time.Millisecond
)

func TestMain(m *testing.M) { os.Exit(suite.Main(m, controlplane.Options{})) }

// metric reads what the program's metrics endpoint would return; label is the value of the only
// label, or empty.
func metric(t *testing.T, name, label string) float64 {
	t.Helper()

	families, err := metrics.Registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}
