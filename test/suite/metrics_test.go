package suite

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSumsSeriesOfAMetric(t *testing.T) {
	t.Parallel()
	const metrics Metrics = "# TYPE requests counter\n" +
		"requests{code=\"200\",method=\"GET\"} 2\nrequests{code=\"200\",method=\"PUT\"} 1e+1\nrequests_failed 7\nup 1\n"
	cases := map[string]struct {
		name   string
		labels []string
		want   float64
	}{
		"all series, and no other metric that begins alike": {"requests", nil, 12},
		"series with a label":                               {"requests", []string{`code="200"`, `method="PUT"`}, 10},
		"no series with a label":                            {"requests", []string{`method="POST"`}, 0},
		"a metric without labels":                           {"up", nil, 1},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sum, err := metrics.Sum(tc.name, tc.labels...)
			require.NoError(t, err)
			assert.InDelta(t, tc.want, sum, 0)
		})
	}
	_, err := metrics.Sum("request")
	require.ErrorContains(t, err, "there is no metric request")
}
