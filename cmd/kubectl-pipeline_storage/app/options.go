package app

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

// Options are the flags of status, read and checked. The connection flags are those of kubectl, from
// its own library.
type Options struct {
	// AllNamespaces looks at all that the caller may list pods of. A caller who may not list the
	// pods of all namespaces gets those of one.
	AllNamespaces bool
	// Config is the file that takes the place of the installation's configuration; empty: it is
	// looked for in the cluster.
	Config string
	// Output is empty for tables, or wide, json or yaml. The form of JSON and YAML is stable, those
	// of the tables are not.
	Output string
	// Color is auto, always or never.
	Color string
	// ExitCode makes the exit code show whether something is wrong. Without it the exit code shows
	// only whether the cluster answered.
	ExitCode bool
	// Watch prints the status again when it has changed, until the context ends. Interval is the time
	// between two readings, at least a second.
	Watch    bool
	Interval time.Duration
	// Kubeconfig and Connection choose the cluster, the user and the namespace. They have the
	// meaning that kubectl gives them, with the same defaults.
	Kubeconfig string
	Connection clientcmd.ConfigOverrides
}

// The values of flags that have a few only.
var (
	outputs = []string{"wide", "json", "yaml"}
	colors  = []string{"auto", "always", "never"}
)

// shortestInterval is what the API server is spared from: each reading lists pods.
const shortestInterval = time.Second

// validate refuses values and combinations that do not exist. The error names the flag.
func (o *Options) validate() error {
	switch {
	case o.Output != "" && !slices.Contains(outputs, o.Output):
		return fmt.Errorf("--output: %q is not one of %s", o.Output, strings.Join(outputs, ", "))
	case !slices.Contains(colors, o.Color):
		return fmt.Errorf("--color: %q is neither auto, always nor never", o.Color)
	case o.Interval < shortestInterval:
		return fmt.Errorf("--interval: %s is shorter than %s", o.Interval, shortestInterval)
	case o.AllNamespaces && o.Connection.Context.Namespace != "":
		return fmt.Errorf(
			"--all-namespaces and --namespace %s cannot be combined: choose one", o.Connection.Context.Namespace,
		)
	}
	return nil
}
