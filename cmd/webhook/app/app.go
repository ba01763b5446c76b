// Package app wires the webhook program: flags, the manager, and everything that runs in it.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// version is set by the build.
var version = "(unknown)"

// Main runs the program and returns its exit code. args has the flags without the program's name.
// Results go to out, the log and errors to errs. The code is 0 for success and 1 for every error.
func Main(args []string, out, errs io.Writer) int {
	o, err := ParseOptions(args)
	switch {
	case err != nil:
	case o.Help:
		fmt.Fprint(out, o.Usage())
		return 0
	case o.Admitted != nil:
		err = printAdmitted(*o.Admitted, out)
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

// run serves until SIGINT or SIGTERM, and then drains. controller-runtime and client-go write to
// the same log.
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

// printAdmitted is for "helm test": a pod passes the value of its own injected annotation.
func printAdmitted(injected string, out io.Writer) error {
	if injected == "" {
		return errors.New("this pod has no injected annotation: no webhook admitted it with storage")
	}
	fmt.Fprintf(out, "admitted with the storage of %s\n", injected)
	return nil
}

// newLogger writes one JSON object a line, or text. The standard library's log, such as a failed
// handshake, goes there too.
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

// restConfig returns the own pod's, or that of a kubeconfig. It sets no rate limit: the API
// server's priority and fairness limits clients, and a new leader of hundreds of namespaces has
// much to read. The error means that there is neither a ServiceAccount nor a usable kubeconfig.
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
