// Package app is the command line of kubectl-pipeline_storage. kubectl finds the program by its
// name on the PATH and runs it for kubectl pipeline-storage. The work is package status's: this
// package connects to the cluster, and prints.
package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
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
// context ends the requests that are open, and a watch. The status goes to stdout; an error goes to
// stderr.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	log.SetLogger(logr.Discard()) // the client's warnings are not for people who look
	code := 0
	cmd, _ := command(func(c *cobra.Command, o *Options) error {
		var err error
		code, err = o.run(c.Context(), stdout)
		return err
	})
	cmd.SetArgs(append([]string{}, args...)) // cobra takes those of the process for nil
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	if err := cmd.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(stderr, "error:", err)
		return exitFailed
	}
	return code
}

// run prints the status, once or as a watch. The exit code counts only without an error.
func (o *Options) run(ctx context.Context, stdout io.Writer) (int, error) {
	if o.Watch {
		return o.watch(ctx, stdout)
	}
	text, code, err := o.read(ctx, stdout)
	if err == nil {
		_, err = stdout.Write(text)
	}
	return code, err
}

// watch prints the status whenever it differs from the one before. A reading that fails is the end,
// as for kubectl get --watch. The exit code is that of the last status.
func (o *Options) watch(ctx context.Context, stdout io.Writer) (int, error) {
	var before []byte
	code := 0
	for {
		text, now, err := o.read(ctx, stdout)
		if ctx.Err() != nil {
			return code, nil //nolint:nilerr // the end of the watch, which is no error
		}
		if err == nil && !bytes.Equal(text, before) {
			_, err = stdout.Write(o.separated(before, text))
		}
		if err != nil {
			return code, err
		}
		before, code = text, now
		select {
		case <-ctx.Done():
			return code, nil
		case <-time.After(o.Interval):
		}
	}
}

// separated puts between two statuses what the output has there: documents of YAML and objects of
// JSON are a stream, and tables have an empty line.
func (o *Options) separated(before, text []byte) []byte {
	separator := map[string]string{"yaml": "---\n", "": "\n", "wide": "\n"}[o.Output]
	if before == nil {
		separator = ""
	}
	return append([]byte(separator), text...)
}

// read reads the cluster, and returns its status as text and the exit code. Stdout decides about
// colors.
func (o *Options) read(ctx context.Context, stdout io.Writer) ([]byte, int, error) {
	snapshot, err := o.gather(ctx)
	if err != nil {
		return nil, 0, err
	}
	s := status.Analyze(snapshot)
	var text bytes.Buffer
	switch o.Output {
	case "json":
		err = status.JSON(&text, s)
	case "yaml":
		err = status.YAML(&text, s)
	default:
		err = status.Print(&text, s, status.Style{Color: cli.Color(o.Color, stdout), Wide: o.Output == "wide"})
	}
	return text.Bytes(), o.exitCode(snapshot, s), err
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
