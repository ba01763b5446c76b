package app

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	v1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const deleted = "storage.ps-pipeline-storage"

var (
	errForbidden = apierrors.NewForbidden(v1.Resource("mutatingwebhookconfigurations"), deleted, errors.New("RBAC: no"))
	errNotFound  = apierrors.NewNotFound(v1.Resource("mutatingwebhookconfigurations"), deleted)
)

// answers is an API server with prepared answers to deletions. The last one stays.
type answers struct {
	client.Writer
	errs     []error
	requests int
}

func (a *answers) Delete(_ context.Context, object client.Object, _ ...client.DeleteOption) error {
	if object.GetName() != deleted {
		return errors.New("another object: " + object.GetName())
	}
	a.requests++
	return a.errs[min(a.requests, len(a.errs))-1]
}

func TestDeletionWaitsUntilTheObjectIsGone(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		errs     []error
		requests int
		exp      string
	}{
		"it is deleted":                   {errs: []error{nil, errNotFound}, requests: 2},
		"the object does not exist":       {errs: []error{errNotFound}, requests: 1},
		"a finalizer is slow":             {errs: []error{nil, nil, nil, errNotFound}, requests: 4},
		"the right comes late":            {errs: []error{errForbidden, nil, errNotFound}, requests: 3},
		"the API server is away for once": {errs: []error{errors.New("connection refused"), nil, errNotFound}, requests: 3},
		"a finalizer stays": {
			errs: []error{nil},
			exp: "delete the MutatingWebhookConfiguration storage.ps-pipeline-storage: not within 50ms: it is still there: " +
				"look for a finalizer, and for a program that creates it again",
		},
		"the right is missing": {errs: []error{errForbidden}, exp: "not within 50ms: mutatingwebhookconfigurations"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := &answers{errs: tt.errs}
			limit := time.Minute // a loaded machine must not end what succeeds
			if tt.exp != "" {
				limit = 50 * time.Millisecond
			}
			d := deletion{api: api, name: deleted, limit: limit, interval: time.Millisecond}
			err := d.run(t.Context())
			if tt.exp != "" {
				require.ErrorContains(t, err, tt.exp)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.requests, api.requests)
		})
	}
}

func TestDeletionGivesTheAPIServersTime(t *testing.T) {
	t.Parallel()
	d := deletion{
		api: &answers{errs: []error{errNotFound}}, name: deleted, limit: time.Minute,
		propagation: 50 * time.Millisecond,
	}
	begun := time.Now()
	require.NoError(t, d.run(t.Context()))
	assert.GreaterOrEqual(t, time.Since(begun), d.propagation)
}

func TestDeletionStopsWhenInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d := deletion{api: &answers{errs: []error{errNotFound}}, name: deleted, limit: time.Minute, propagation: time.Hour}
	require.ErrorIs(t, d.run(ctx), context.Canceled, "the Job is ended: Helm must not go on")
}

func TestDeletionNeedsAName(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	assert.Equal(t, 1, Main([]string{"--delete-webhook-configuration="}, &out, &errs))
	assert.Equal(t, "webhook: --delete-webhook-configuration: set the name of the MutatingWebhookConfiguration\n",
		errs.String())
}

func TestDeletionNeedsNoOtherFlag(t *testing.T) {
	t.Parallel()
	o, err := ParseOptions([]string{"--delete-webhook-configuration=" + deleted})
	require.NoError(t, err)
	assert.Equal(t, deleted, o.DeleteWebhookConfiguration)
	_, err = ParseOptions([]string{"--delete-webhook-configuration=" + deleted, "another"})
	assert.ErrorContains(t, err, `unexpected argument "another"`)
}
