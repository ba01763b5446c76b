// Package standard serves a handler as kubebuilder's projects do: by controller-runtime's webhook
// server and its admission.Webhook. It runs without a manager and discards logs, which real ones
// pay for.
package standard

import (
	"context"
	"crypto/tls"
	"fmt"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/servers/listen"
)

// Run is a program with this one handler. It returns when it gets a signal to end, or why it could
// not serve.
func Run(handler admission.Handler) error {
	o := listen.Parse()
	log.SetLogger(logr.Discard())
	server := webhook.NewServer(webhook.Options{
		Host: listen.Host, Port: o.Port, CertDir: o.Certificates, TLSOpts: []func(*tls.Config){o.TLS},
	})
	server.Register(listen.Path, &admission.Webhook{Handler: handler})
	return o.Run(func() error {
		if err := server.Start(context.Background()); err != nil {
			return fmt.Errorf("serve: %w", err)
		}
		return nil
	})
}
