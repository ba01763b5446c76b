// Package app is the command line of kubectl-pipeline_storage. kubectl finds the program by its
// name on the PATH and runs it for kubectl pipeline-storage. The work is package status's: this
// package connects to the cluster, and prints.
package app

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/go-logr/logr"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/pipeline-storage/pipeline-storage/internal/cli"
	"github.com/pipeline-storage/pipeline-storage/internal/status"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// version is set by the linker; without it the version of the module is printed.
var version string

// Exit codes.
const (
	exitFailed  = 1 // a request failed
	exitUnread  = 2 // with --exit-code: nothing is wrong in what could be read, which is not all
	exitProblem = 3 // with --exit-code: something is wrong
)

// What many requests at once may be, as kubectl has it. Source: kubectl, pkg/cmd
// NewDefaultKubectlCommand.
const (
	// The defaults of the client, 5 and 10, would make a status of many namespaces wait. Source:
	// client-go, rest/config.go DefaultQPS, DefaultBurst.
	requestsPerSecond = 50
	requestBurst      = 300
)

// Run runs the command and returns its exit code. Args are those without the program's name. The
// context ends the requests that are open. The status goes to stdout; an error goes to stderr on
// one line.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	log.SetLogger(logr.Discard()) // the client's warnings are not for people who look
	o, err := ParseOptions(args)
	code := 0
	if err == nil {
		code, err = o.run(ctx, stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "error:", err)
		return exitFailed
	}
	return code
}

// run carries out the command. The exit code counts only without an error.
func (o *Options) run(ctx context.Context, stdout io.Writer) (int, error) {
	switch o.Command {
	case commandHelp:
		_, err := io.WriteString(stdout, o.Usage())
		return 0, err
	case commandVersion:
		_, err := fmt.Fprintln(stdout, "kubectl-pipeline_storage", Version())
		return 0, err
	}
	snapshot, err := o.gather(ctx)
	if err != nil {
		return 0, err
	}
	s := status.Analyze(snapshot)
	if o.Output == "json" {
		err = status.JSON(stdout, s)
	} else {
		err = status.Print(stdout, s, status.Style{Color: cli.Color(o.Color, stdout), Wide: o.Output == "wide"})
	}
	return o.exitCode(snapshot, s), err
}

// exitCode is 1 when an answer is missing, with or without the flag. A caller such as a CI job
// needs the flag; people do not expect an error code from a command that printed an answer.
func (o *Options) exitCode(snapshot *status.Snapshot, s *status.Status) int {
	switch {
	case snapshot.Failed:
		return exitFailed
	case !o.ExitCode:
		return 0
	case s.Problems() > 0:
		return exitProblem
	case len(s.Unread) > 0:
		return exitUnread
	}
	return 0
}

// gather connects as kubectl does, and reads. The errors of the kubeconfig come before any
// request. The client has no cache and never writes.
func (o *Options) gather(ctx context.Context) (*status.Snapshot, error) {
	config, err := o.config()
	if err != nil {
		return nil, err
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &o.Connection)
	rest, err := loader.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	rest.QPS, rest.Burst, rest.UserAgent = requestsPerSecond, requestBurst, "kubectl-pipeline_storage/"+Version()
	c, err := client.New(rest, client.Options{Scheme: status.Scheme(), Mapper: status.Mapper()})
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return status.Gather(ctx, c, status.Options{Namespace: namespace, All: o.AllNamespaces, Config: config})
}

// config reads the file of --config; nil without one. The file is read as the webhook reads it,
// so that pods are judged as at admission.
func (o *Options) config() (*storage.Config, error) {
	if o.Config == "" {
		return nil, nil
	}
	text, err := os.ReadFile(o.Config)
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	config, _, err := storage.LoadForAdmission(text)
	if err != nil {
		return nil, fmt.Errorf("--config %s: %w", o.Config, err)
	}
	return config, nil
}

// Version is the version that the linker set, or that of the module. It is also in the User-Agent
// of the requests, which the audit log of the API server has.
func Version() string { return cli.Version(version) }
