// Package app wires the webhook program: flags, the manager, and what runs in it.
package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/pipeline-storage/pipeline-storage/internal/admission"
	"github.com/pipeline-storage/pipeline-storage/internal/certificates"
	"github.com/pipeline-storage/pipeline-storage/internal/claims"
	"github.com/pipeline-storage/pipeline-storage/internal/configfile"
	"github.com/pipeline-storage/pipeline-storage/internal/drift"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// Path is where reviews are posted.
const Path = "/inject"

// shutdownTimeout is how long requests and the controller may take to end after the drain.
const shutdownTimeout = 15 * time.Second

// version is set by the build.
var version = "(unknown)"

// Main runs the program and returns its exit code.
func Main(args []string, out, errs io.Writer) int {
	o, err := ParseOptions(args)
	switch {
	case err != nil:
	case o.Help:
		fmt.Fprint(out, o.Usage())
		return 0
	case o.Admitted != nil:
		err = tellAdmitted(*o.Admitted, out)
	case o.Version:
		fmt.Fprintf(out, "webhook %s (%s)\n", version, runtime.Version())
		return 0
	case o.DeleteWebhookConfiguration != "":
		err = deleteWebhookConfiguration(o, out)
	default:
		err = run(o, errs)
	}
	if err != nil {
		fmt.Fprintf(errs, "webhook: %v\n", err)
		return 1
	}
	return 0
}

func run(o *Options, errs io.Writer) error {
	logger := newLogger(o, errs)
	log.SetLogger(logger)
	klog.SetLogger(logger)
	config, err := restConfig(o.Kubeconfig)
	if err != nil {
		return err
	}
	s, err := newServer(o, config, logger)
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	return s.run(ctx)
}

// tellAdmitted is for "helm test": a pod hands it its own mark.
func tellAdmitted(mark string, out io.Writer) error {
	if mark == "" {
		return errors.New("this pod has no mark: no webhook admitted it with storage")
	}
	fmt.Fprintf(out, "admitted with the storage of %s\n", mark)
	return nil
}

// newLogger writes one JSON object a line, or text. What the standard library logs, such as a failed handshake, goes there too.
func newLogger(o *Options, to io.Writer) logr.Logger {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "error": slog.LevelError}
	options := &slog.HandlerOptions{Level: levels[o.LogLevel]}
	handler := slog.Handler(slog.NewJSONHandler(to, options))
	if o.LogFormat == "text" {
		handler = slog.NewTextHandler(to, options)
	}
	slog.SetDefault(slog.New(handler))
	return logr.FromSlogHandler(handler)
}

// restConfig is the own pod's, or that of a kubeconfig. It has no limit of its own: the API server's priorities and fairness
// limit what is too much, and a new leader of hundreds of namespaces has much to read.
func restConfig(kubeconfig string) (config *rest.Config, err error) {
	if kubeconfig == "" {
		config, err = rest.InClusterConfig()
	} else {
		config, err = clientcmd.BuildConfigFromFlags("", kubeconfig)
	}
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	config.UserAgent = "pipeline-storage/" + version
	config.QPS = -1
	return config, nil
}

// server is everything that runs.
type server struct {
	options      *Options
	log          logr.Logger
	file         *configfile.File
	certificates *certificates.Certificates
	manager      manager.Manager
	servers      []manager.Runnable
	index        *claims.Index
	overlap      func() string
	drift        *drift.Watcher
	events       events.EventRecorder
	namespaces   namespaces
	changed      chan struct{}
	isServing    atomic.Bool
	isClosing    atomic.Bool
}

func newServer(o *Options, config *rest.Config, logger logr.Logger) (*server, error) {
	if o.PprofAddress == "" {
		runtime.MemProfileRate = 0 // nobody can read the profile, which takes 1.4 MiB
	}
	file, warnings, err := configfile.Open(o.Config, configfile.Interval)
	if err != nil {
		return nil, err
	}
	s := &server{options: o, log: logger, file: file, changed: make(chan struct{}, 1)}
	s.tell(file.Current(), warnings)
	client, err := certificates.NewClient(config)
	if err != nil {
		return nil, err
	}
	if s.certificates, err = certificates.New(client, o.certificates()); err != nil {
		return nil, err
	}
	if s.manager, err = s.newManager(config); err != nil {
		return nil, fmt.Errorf("make the manager: %w", err)
	}
	s.events = s.manager.GetEventRecorder("pipeline-storage")
	return s, s.add()
}

func (s *server) claims() claims.Options {
	return claims.Options{
		Config: s.file.Current, Changed: s.changed, PendingAfter: s.options.PendingAfter,
		Installation: s.options.Installation, WebhookConfiguration: s.options.WebhookConfiguration,
	}
}

func (s *server) newManager(config *rest.Config) (manager.Manager, error) {
	o := s.options
	timeout := shutdownTimeout
	return manager.New(config, manager.Options{
		Scheme:                        claims.Scheme(),
		MapperProvider:                func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return claims.Mapper(), nil },
		Cache:                         claims.CacheOptions(s.claims()),
		Logger:                        s.log,
		Metrics:                       metricsserver.Options{BindAddress: o.MetricsAddress},
		HealthProbeBindAddress:        "0", // our own says why, see health
		PprofBindAddress:              o.PprofAddress,
		LeaderElection:                o.LeaderElect && o.Claims,
		LeaderElectionID:              o.LeaderElectionID,
		LeaderElectionNamespace:       o.Namespace,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       &timeout,
	})
}

// tls is TLS 1.3 with the certificate of the moment, over HTTP/1.1, as API servers call a Service, unless a flag adds HTTP/2.
func (s *server) tls() *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: s.certificates.GetCertificate, NextProtos: []string{"http/1.1"}}
	if s.options.HTTP2 {
		c.NextProtos = []string{"h2", "http/1.1"}
	}
	return c
}

// addWebhook serves reviews. The server is not controller-runtime's, which limits neither connections nor what they may hold.
func (s *server) addWebhook() error {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", net.JoinHostPort("", strconv.Itoa(s.options.Port)))
	if err != nil {
		return fmt.Errorf("listen for reviews: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle(Path, s.handler())
	httpServer, limited := admission.NewServer(mux, s.tls(), listener, s.log.WithName("admission"))
	s.servers = append(s.servers, &manager.Server{Name: "webhook", Listener: limited, Server: httpServer})
	return nil
}

// add puts everything into the manager.
func (s *server) add() error {
	if err := s.namespaces.follow(s.manager); err != nil {
		return err
	}
	if err := s.addClaims(); err != nil {
		return err
	}
	var err error
	if s.drift, err = drift.Add(s.manager, s.options.drift()); err != nil {
		return err
	}
	s.file.OnChange, s.file.OnRefused = s.configured, s.refused
	if err := s.addWebhook(); err != nil {
		return err
	}
	for _, runnable := range []manager.Runnable{s.file, s.certificates, tidy{}} {
		if err := s.manager.Add(runnable); err != nil {
			return err
		}
	}
	return s.addHealth()
}

// addClaims adds the claims controller, or only the search for other installations.
func (s *server) addClaims() (err error) {
	if !s.options.Claims {
		s.overlap, err = claims.AddOverlap(s.manager, s.claims())
		return err
	}
	if s.index, err = claims.Add(s.manager, s.claims()); err == nil {
		s.overlap = s.index.Overlap
	}
	return err
}

func (s *server) handler() http.Handler {
	h := &admission.Handler{
		Config: s.file.Current, NamespaceLabels: s.namespaces.of, Closing: s.isClosing.Load, Log: s.log.WithName("admission"),
	}
	if s.index != nil {
		h.Warnings = s.index.Warnings
	}
	return h
}

func (s *server) addHealth() error {
	h := &health{checks: []check{
		{name: "process", err: open(&s.isClosing)},
		{name: "server", err: started(&s.isServing)},
		{name: "certificate", err: s.certificates.Ready},
		{name: "namespaces", err: s.namespacesKnown},
		{name: "configuration", note: s.configurationNote},
		{name: "installations", note: s.overlap},
		{name: "webhooks", note: s.drift.Note},
	}}
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

// namespacesKnown fails while pods would be refused because the labels of their namespaces are not there yet.
func (s *server) namespacesKnown() error {
	if s.file.Current().SelectsNamespaces() && !s.namespaces.synced() {
		return errors.New("the labels of the namespaces are not known yet")
	}
	return nil
}

// configurationNote says when the file is not the one in force. The replica stays ready: the one before still serves.
func (s *server) configurationNote() string {
	if reason := s.file.Refused(); reason != nil {
		return "the one before stays in force, because the file is refused: " + reason.Error()
	}
	return ""
}

// configured is told of a new configuration.
func (s *server) configured(config *storage.Config, warnings []string) {
	s.log.Info("the configuration has changed")
	s.tell(config, warnings)
	s.event(corev1.EventTypeNormal, "ConfigurationChanged", "The new configuration is in force.")
	select {
	case s.changed <- struct{}{}:
	default: // one is on its way
	}
}

// refused is told why a new file is not taken.
func (s *server) refused(reason error) {
	s.log.Error(reason, "the configuration is refused, the one before stays in force")
	s.event(corev1.EventTypeWarning, "ConfigurationRefused", "The one before stays in force: "+reason.Error())
}

// tell logs what people should know about a configuration, besides what was found when it was read.
func (s *server) tell(config *storage.Config, warnings []string) {
	for i := range config.Profiles {
		warnings = append(warnings, config.Profiles[i].Warnings()...)
	}
	for _, warning := range warnings {
		s.log.Info("configuration: " + warning)
	}
}

// maxNote is the length of an Event's note. Source: Kubernetes, events/v1 Event.
const maxNote = 1024

// event tells about the own pod, if it is known.
func (s *server) event(kind, reason, note string) {
	if s.options.PodName == "" || s.options.Namespace == "" {
		return
	}
	pod := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: s.options.Namespace, Name: s.options.PodName, UID: types.UID(s.options.PodUID)},
	}
	note = strings.ToValidUTF8(note[:min(len(note), maxNote)], "")
	s.events.Eventf(pod, nil, kind, reason, "Configure", "%s", note)
}

// run serves until the context ends, and then for the drain: a client that still has a connection is asked to open another
// one, and the Service stops to send new ones here once the replica is not ready. The webhook does not end with the manager:
// a replica that loses its Lease drains, too.
func (s *server) run(ctx context.Context) error {
	background := context.WithoutCancel(ctx)
	serving, stopServing := context.WithCancel(background)
	defer stopServing()
	managing, stopManaging := context.WithCancel(background)
	defer stopManaging()
	go s.firstCertificate(ctx)

	served, managed := make(chan error, 1), make(chan error, 1)
	go func() { served <- s.serve(serving) }()
	go func() { managed <- s.manager.Start(managing) }()
	var err error
	select {
	case err = <-served: // a port is taken
		return err
	case err = <-managed: // the Lease is lost, or the API server refused something at the start
		managed <- nil
		s.drain(max(s.options.Drain, unannounced))
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

// unannounced is the least drain of a pod that nobody deletes: its Service forgets it only when its readiness probe has
// failed, which takes two of them, two seconds apart.
const unannounced = 10 * time.Second

// drain answers for a while longer, or until somebody is in a hurry.
func (s *server) drain(duration time.Duration) {
	s.isClosing.Store(true)
	s.log.Info("closing", "drain", duration.String())
	again := make(chan os.Signal, 1)
	signal.Notify(again, os.Interrupt, syscall.SIGTERM)
	select {
	case <-time.After(duration):
	case <-again:
	}
}

// wait waits for what was stopped, but not for ever: a client may hold its connection.
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

// firstCertificate gets a certificate while the manager still starts, so that the replica is ready early.
func (s *server) firstCertificate(ctx context.Context) {
	if err := s.certificates.Load(ctx); err != nil {
		s.log.Info("no certificate yet, trying again", "reason", err.Error())
	}
}

// tidy gives back, once the caches are filled, what starting took: about 2 MiB.
type tidy struct{}

// Start implements manager.Runnable.
func (tidy) Start(context.Context) error {
	debug.FreeOSMemory()
	return nil
}

// NeedLeaderElection is false: every replica has started.
func (tidy) NeedLeaderElection() bool { return false }
