package webhook

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/reviews"
	"github.com/pipeline-storage/pipeline-storage/test/cluster"
)

// drain is drainSeconds of testdata/values.yaml.
const drain = 6 * time.Second

// sample is the state of a replica and its Service at one moment.
type sample struct {
	at                              time.Time
	ready, served, answered, closes bool
}

// replicaDrains deletes a replica and checks the order of what follows: it reports that it is not
// ready, the Service removes it, it answers until its drain is over, closing clients' connections,
// and ends with the code 0.
func replicaDrains(t *testing.T, s *site) {
	victim := s.replicas()[0]
	client := s.direct(t, victim)
	review, err := reviews.Sizes()[0].Make(1)
	require.NoError(t, err)
	ended := s.followEnds(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended.when(victim.Pod, cancel) // no process answers for the address of a deleted pod, not even with an error

	begun := time.Now()
	require.NoError(t, s.Client.CoreV1().Pods(releaseNamespace).Delete(ctx, victim.Pod, metav1.DeleteOptions{}))
	var samples []sample
	for ctx.Err() == nil {
		if now := s.sample(ctx, victim, client, review[0].Body); ctx.Err() == nil {
			samples = append(samples, now)
		}
	}

	code, err := ended.code(victim.Pod)
	require.NoError(t, err)
	assert.Zero(t, code)
	assertDrained(t, samples, begun)
	s.awaitServing(t)
}

func (s *site) sample(ctx context.Context, p cluster.Process, client *direct, body []byte) sample {
	now := sample{at: time.Now()}
	answer, err := client.post(ctx, jsonType, body)
	if now.answered = err == nil && answer.review.Response.Allowed; now.answered {
		now.closes = answer.closes
	}
	status, _, err := get(ctx, p, healthPort, "/readyz")
	now.ready = err == nil && status == http.StatusOK
	known, err := s.endpoints(ctx)
	now.served = err != nil || slices.Contains(known, p.Address.String())
	return now
}

func assertDrained(t *testing.T, samples []sample, begun time.Time) {
	t.Helper()
	after := func(index int) time.Duration { return samples[index].at.Sub(begun).Round(time.Millisecond) }
	unready := slices.IndexFunc(samples, func(s sample) bool { return !s.ready })
	withoutEndpoint := slices.IndexFunc(samples, func(s sample) bool { return !s.served })
	require.GreaterOrEqual(t, unready, 0, "it was never not ready")
	require.GreaterOrEqual(t, withoutEndpoint, 0, "the Service never forgot it")
	silent := slices.IndexFunc(samples, func(s sample) bool { return !s.answered })
	if silent < 0 { // it ended before another request
		silent = len(samples) - 1
	}
	require.Positive(t, silent, "it never answered")
	t.Logf("not ready %s after it was deleted, without its Service after %s, silent after %s", after(unready),
		after(withoutEndpoint), after(silent))
	assert.GreaterOrEqual(t, after(silent), drain-200*time.Millisecond, "it must answer until the drain is over")
	assert.Less(t, after(unready), drain/2, "it must report at once that it is not ready")
	assert.Less(t, after(withoutEndpoint), drain, "the Service must forget it while it answers")
	for _, s := range samples[silent+1:] {
		assert.False(t, s.answered, "it was silent and answered again")
	}
	assert.True(t, samples[silent-1].closes, "a replica must ask its clients to open another connection")
}
