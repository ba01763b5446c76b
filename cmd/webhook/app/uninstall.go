package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	v1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/certificates"
)

const (
	// deletionLimit ends the deletion before the Job of the chart ends it, so that the log has the
	// reason.
	deletionLimit = 30 * time.Second
	// deletionInterval is the time between two requests: the right to delete may reach the API
	// server a moment late.
	deletionInterval = 500 * time.Millisecond
	// deletionPropagation is the time that API servers get to take the deletion over. Each has a
	// cache, filled by a watch: for a moment after the object is deleted, they still call the
	// webhook.
	deletionPropagation = 5 * time.Second
)

// deletion deletes a MutatingWebhookConfiguration while its webhook still answers. It needs the
// right to delete that one object and no other right: an object is deleted when its next deletion
// finds none.
type deletion struct {
	api                          client.Writer
	name                         string
	limit, interval, propagation time.Duration
}

// deleteWebhookConfiguration is what the chart's pre-delete hook runs.
func deleteWebhookConfiguration(o *Options, out io.Writer) error {
	config, err := restConfig(o.Kubeconfig)
	if err != nil {
		return err
	}
	api, err := certificates.NewClient(config)
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	d := deletion{
		api: api, name: o.DeleteWebhookConfiguration,
		limit: deletionLimit, interval: deletionInterval, propagation: deletionPropagation,
	}
	if err := d.run(ctx); err != nil {
		return err
	}
	fmt.Fprintf(out, "the MutatingWebhookConfiguration %s is deleted: API servers call the webhook no more\n", d.name)
	return nil
}

// run returns when the object is deleted and the API servers had time to notice. It fails when the
// limit ends first, or on SIGTERM. The wait for the API servers does not count against the limit.
func (d deletion) run(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, d.limit)
	defer cancel()
	if err := d.untilDeleted(limited); err != nil {
		return fmt.Errorf("delete the MutatingWebhookConfiguration %s: %w", d.name, err)
	}
	return sleep(ctx, d.propagation)
}

// untilDeleted deletes until the API server answers that the object does not exist. The error has
// the last answer.
func (d deletion) untilDeleted(ctx context.Context) error {
	last := errors.New("no answer")
	for {
		err := d.request(ctx)
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case err == nil:
			last = errors.New("it is still there: look for a finalizer, and for a program that creates it again")
		case ctx.Err() == nil:
			last = err
		}
		if err := sleep(ctx, d.interval); err != nil {
			return fmt.Errorf("not within %s: %w", d.limit, last)
		}
	}
}

// request deletes once. The object may still exist afterwards, with a finalizer.
func (d deletion) request(ctx context.Context) error {
	return d.api.Delete(ctx, &v1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: d.name}})
}

// sleep waits, or returns why it was interrupted.
func sleep(ctx context.Context, duration time.Duration) error {
	select {
	case <-time.After(duration):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
