package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/pipeline-storage/pipeline-storage/internal/admission"
	"github.com/pipeline-storage/pipeline-storage/internal/certificates"
	"github.com/pipeline-storage/pipeline-storage/internal/claims"
	"github.com/pipeline-storage/pipeline-storage/internal/configfile"
	"github.com/pipeline-storage/pipeline-storage/internal/drift"
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/internal/overlap"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// shutdownTimeout is how long requests and the controller may take to end after the drain.
const shutdownTimeout = 15 * time.Second

// server is the running program. Everything in it is made before anything runs, so that a wrong
// flag ends the program at once.
type server struct {
	options      *Options
	log          logr.Logger
	file         *configfile.File
	certificates *certificates.Certificates
	manager      manager.Manager
	servers      []manager.Runnable
	index        *claims.Index
	overlap      *overlap.Watcher
	drift        *drift.Watcher
	events       kube.Events
	namespaces   namespaces
	changed      kube.Signal
	isServing    atomic.Bool
	isClosing    atomic.Bool
	isStarted    atomic.Bool // the manager's caches are filled
}

// newServer makes everything and starts nothing, but it listens for reviews and probes: a port in
// use is an error here. Without --pprof-bind-address it turns memory profiling off.
func newServer(o *Options, config *rest.Config, logger logr.Logger) (*server, error) {
	if o.PprofAddress == "" {
		runtime.MemProfileRate = 0 // the profile takes 1.4 MiB, and no client can read it
	}
	file, warnings, err := configfile.Open(o.Config, configfile.Interval)
	if err != nil {
		return nil, err
	}
	s := &server{options: o, log: logger, file: file, changed: kube.NewSignal()}
	s.logWarnings(file.Current(), warnings)
	if o.Webhook {
		if err := s.newCertificates(config); err != nil {
			return nil, err
		}
	}
	if s.manager, err = s.newManager(config); err != nil {
		return nil, fmt.Errorf("make the manager: %w", err)
	}
	s.events.Recorder = s.manager.GetEventRecorder(kube.Reporter)
	return s, s.add()
}

// newCertificates makes the source of the certificates of the webhook.
func (s *server) newCertificates(config *rest.Config) error {
	client, err := certificates.NewClient(config)
	if err != nil {
		return err
	}
	s.certificates, err = certificates.New(client, s.options.certificates())
	return err
}

// claims returns the options of the claims controller. The cache needs them also
// with --claims=false.
func (s *server) claims() claims.Options {
	return claims.Options{
		Config: s.file.Current, Changed: s.changed, PendingAfter: s.options.PendingAfter,
		Installation: s.options.Installation, Selection: s.options.selection(),
	}
}

// newManager makes the manager. Leader election serves the claims controller: without it every
// replica counts as the leader. The Lease is released at the end, so that the next leader need not
// wait until it expires.
// Source: controller-runtime, manager.Options.LeaderElectionReleaseOnCancel.
func (s *server) newManager(config *rest.Config) (manager.Manager, error) {
	o := s.options
	timeout := shutdownTimeout
	return manager.New(config, manager.Options{
		Scheme:                        kube.Scheme(kube.Groups()...),
		MapperProvider:                mapper,
		Cache:                         claims.CacheOptions(s.claims()),
		Logger:                        s.log,
		Metrics:                       metricsserver.Options{BindAddress: o.MetricsAddress},
		HealthProbeBindAddress:        "0", // see health, which reports why
		PprofBindAddress:              o.PprofAddress,
		LeaderElection:                o.LeaderElect && o.Claims,
		LeaderElectionID:              o.LeaderElectionID,
		LeaderElectionNamespace:       o.Namespace,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       &timeout,
	})
}

// mapper makes no discovery request. controller-runtime's own mapper makes some at its first use.
// Source: controller-runtime, pkg/client/apiutil NewDynamicRESTMapper.
func mapper(*rest.Config, *http.Client) (meta.RESTMapper, error) {
	return kube.Mapper(kube.Groups()...), nil
}

// tls returns TLS 1.3 with the current certificate, over HTTP/1.1, as API servers call a Service,
// unless a flag adds HTTP/2.
// Source: k8s.io/apiserver, pkg/util/webhook/client.go (NextProtos http/1.1 for a Service).
func (s *server) tls() *tls.Config {
	c := &tls.Config{
		MinVersion: tls.VersionTLS13, GetCertificate: s.certificates.GetCertificate, NextProtos: []string{"http/1.1"},
	}
	if s.options.HTTP2 {
		c.NextProtos = []string{"h2", "http/1.1"}
	}
	return c
}

// addWebhook serves reviews, with a certificate, and compares the installed webhooks. The server is
// not controller-runtime's, which limits neither connections nor the bytes that they hold.
func (s *server) addWebhook() (err error) {
	if err := s.namespaces.follow(s.manager); err != nil {
		return err
	}
	if s.drift, err = drift.Add(s.manager, s.options.drift()); err != nil {
		return err
	}
	if err := s.manager.Add(s.certificates); err != nil {
		return err
	}
	address := net.JoinHostPort("", strconv.Itoa(s.options.Port))
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		return fmt.Errorf("listen for reviews: %w", err)
	}
	mux, handler := http.NewServeMux(), s.handler()
	for path := range inject.AdmissionPaths {
		mux.Handle(path, handler)
	}
	httpServer, limited := admission.NewServer(mux, s.tls(), listener, s.log.WithName("admission"))
	s.servers = append(s.servers, &manager.Server{Name: "webhook", Listener: limited, Server: httpServer})
	return nil
}

// add adds everything to the manager. The webhook comes behind the claims controller, whose index it
// reads.
func (s *server) add() (err error) {
	if err := s.addClaims(); err != nil {
		return err
	}
	if s.overlap, err = overlap.Add(s.manager, s.options.selection()); err != nil {
		return err
	}
	if s.options.Webhook {
		if err := s.addWebhook(); err != nil {
			return err
		}
	}
	s.file.OnChange, s.file.OnRefused = s.configured, s.refused
	for _, runnable := range []manager.Runnable{s.file, freeMemory{isStarted: &s.isStarted}} {
		if err := s.manager.Add(runnable); err != nil {
			return err
		}
	}
	return s.addHealth()
}

// addClaims adds the claims controller, unless a flag turns it off.
func (s *server) addClaims() (err error) {
	if s.options.Claims {
		s.index, err = claims.Add(s.manager, s.claims())
	}
	return err
}

// handler decides reviews by what is in memory. Without the claims controller there is no index,
// and so no warning about claims.
func (s *server) handler() http.Handler {
	h := &admission.Handler{
		Config: s.file.Current, NamespaceLabels: s.namespaces.labelsOf,
		Closing: s.isClosing.Load, Log: s.log.WithName("admission"),
	}
	if s.index != nil {
		h.Warnings = s.index.Warnings
	}
	return h
}

// checks returns the lines of /readyz in their order. Without the webhook a replica is ready when its
// caches are filled, with or without the Lease.
func (s *server) checks() []check {
	all := []check{{name: "process", err: notClosing(&s.isClosing)}, {name: "server", err: started(&s.isServing)}}
	if s.options.Webhook {
		all = append(all,
			check{name: "certificate", err: s.certificates.Ready}, check{name: "namespaces", err: s.namespacesSynced})
	} else {
		all = append(all, check{name: "caches", err: filled(&s.isStarted)})
	}
	all = append(all,
		check{name: "configuration", note: s.configurationNote}, check{name: "installations", note: s.overlap.Note})
	if s.options.Webhook {
		all = append(all, check{name: "webhooks", note: s.drift.Note})
	}
	return all
}

// addHealth adds /healthz and /readyz. The metric of readiness exists even when the address is off.
func (s *server) addHealth() error {
	h := &health{checks: s.checks()}
	metrics.Registry.MustRegister(h.gauge())
	if s.options.HealthAddress == "0" {
		return nil
	}
	listener, err := net.Listen("tcp", s.options.HealthAddress)
	if err != nil {
		return fmt.Errorf("listen for health probes: %w", err)
	}
	s.servers = append(s.servers, &manager.Server{
		Name: "health probe", Listener: listener,
		Server: &http.Server{Handler: h.mux(), ReadHeaderTimeout: 10 * time.Second},
	})
	return nil
}

// namespacesSynced returns an error while pods would be refused because the labels of their
// namespaces are not cached yet.
func (s *server) namespacesSynced() error {
	if s.file.Current().SelectsNamespaces() && !s.namespaces.synced() {
		return errors.New("the labels of the namespaces are not known yet")
	}
	return nil
}

// run serves until the context ends, and then for the drain. Meanwhile a client that still has a
// connection must open another one. The Service sends no new ones here once the replica is not
// ready. The webhook does not end with the manager: a replica that loses its Lease drains, too.
func (s *server) run(ctx context.Context) error {
	background := context.WithoutCancel(ctx)
	serving, stopServing := context.WithCancel(background)
	defer stopServing()
	managing, stopManaging := context.WithCancel(background)
	defer stopManaging()
	if s.options.Webhook {
		go s.firstCertificate(ctx)
	}

	served, managed := make(chan error, 1), make(chan error, 1)
	go func() { served <- s.serve(serving) }()
	go func() { managed <- s.manager.Start(managing) }()
	var err error
	select {
	case err = <-served: // a port is in use
		return err
	case err = <-managed: // the Lease is lost, or the API server refused a request at the start
		managed <- nil
		s.drain(max(s.options.Drain, leastDrain))
	case <-ctx.Done():
		s.drain(s.options.Drain)
	}
	stopServing()
	stopManaging()
	return errors.Join(err, wait(served, managed))
}

// serve answers reviews and health probes until the context ends.
func (s *server) serve(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	s.isServing.Store(true)
	for _, runnable := range s.servers {
		group.Go(func() error { return runnable.Start(ctx) })
	}
	return group.Wait()
}

// leastDrain is the least drain of a pod that is not being deleted: its Service removes it only
// when two readiness probes, two seconds apart, have failed.
const leastDrain = 10 * time.Second

// drain answers for a while longer, or until a second signal. Without the webhook nothing calls.
func (s *server) drain(duration time.Duration) {
	s.isClosing.Store(true)
	if !s.options.Webhook {
		return
	}
	s.log.Info("closing", "drain", duration.String())
	again := make(chan os.Signal, 1)
	signal.Notify(again, os.Interrupt, syscall.SIGTERM)
	select {
	case <-time.After(duration):
	case <-again:
	}
}

// wait waits for everything that was stopped, but not forever: a client may hold its connection.
func wait(stopped ...chan error) error {
	deadline := time.After(shutdownTimeout)
	var errs []error
	for _, end := range stopped {
		select {
		case err := <-end:
			errs = append(errs, err)
		case <-deadline:
			return errors.Join(errs...)
		}
	}
	return errors.Join(errs...)
}

// firstCertificate gets a certificate while the manager still starts, so that the replica is ready
// early.
func (s *server) firstCertificate(ctx context.Context) {
	if err := s.certificates.Load(ctx); err != nil {
		s.log.Info("no certificate yet, trying again", "reason", err.Error())
	}
}

// freeMemory returns memory to the system once the caches are filled, which it records: starting needs
// about 2 MiB more than running.
type freeMemory struct{ isStarted *atomic.Bool }

// Start implements manager.Runnable. The manager has waited for its caches.
// Source: controller-runtime, pkg/manager/internal.go Start.
func (f freeMemory) Start(context.Context) error {
	f.isStarted.Store(true)
	debug.FreeOSMemory()
	return nil
}

// NeedLeaderElection is false: every replica has started.
func (freeMemory) NeedLeaderElection() bool { return false }
