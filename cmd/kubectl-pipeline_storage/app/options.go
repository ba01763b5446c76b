package app

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/client-go/tools/clientcmd"
)

// Commands of the plugin.
const (
	// help prints the usage, status the status of pods and claims, version the version.
	commandHelp    = "help"
	commandStatus  = "status"
	commandVersion = "version"
)

// Options are the command line, read and checked. The connection flags are those of kubectl, from
// its own library.
type Options struct {
	// Command is status, version or help.
	Command string
	// AllNamespaces looks at all that the caller may list pods of. A caller who may not list the
	// pods of all namespaces gets those of one.
	AllNamespaces bool
	// Config is the file that takes the place of the installation's configuration; empty: it is
	// looked for in the cluster.
	Config string
	// Output is empty for tables, or wide, or json. The form of JSON is stable, those of the tables
	// are not.
	Output string
	// Color is auto, always or never.
	Color string
	// ExitCode makes the exit code show whether something is wrong. Without it the exit code shows
	// only whether the cluster answered.
	ExitCode bool
	// Kubeconfig and Connection choose the cluster, the user and the namespace. They have the
	// meaning that kubectl gives them, with the same defaults.
	Kubeconfig string
	Connection clientcmd.ConfigOverrides

	// flags and connection are the two sections of the help.
	flags, connection *pflag.FlagSet
}

// ParseOptions reads a command line. It is pure: it opens no file and sends no request. Args are
// those without the program's name. Without a command, or with --help, the command is help.
func ParseOptions(args []string) (*Options, error) {
	o := &Options{Command: commandHelp}
	all := o.flagSet()
	if err := all.Parse(args); err != nil {
		return o, fmt.Errorf("%w (see kubectl pipeline-storage help)", err)
	}
	if help, _ := all.GetBool("help"); help || all.NArg() == 0 {
		return o, nil
	}
	o.Command = all.Arg(0)
	if !slices.Contains([]string{commandHelp, commandStatus, commandVersion}, o.Command) {
		return o, fmt.Errorf("there is no command %q, only status, version and help", o.Command)
	}
	if all.NArg() > 1 {
		return o, fmt.Errorf("unexpected argument %q (see kubectl pipeline-storage help)", all.Arg(1))
	}
	return o, o.validate()
}

// validate refuses values and combinations that no command has. The error names the flag.
func (o *Options) validate() error {
	switch {
	case !slices.Contains([]string{"", "wide", "json"}, o.Output):
		return fmt.Errorf("--output: %q is neither wide nor json", o.Output)
	case !slices.Contains([]string{"auto", "always", "never"}, o.Color):
		return fmt.Errorf("--color: %q is neither auto, always nor never", o.Color)
	case o.AllNamespaces && o.Connection.Context.Namespace != "":
		return fmt.Errorf(
			"--all-namespaces and --namespace %s cannot be combined: choose one", o.Connection.Context.Namespace,
		)
	}
	return nil
}

// flagSet defines the flags with their defaults. The returned set has those of both sections of
// the help; parsing it fills the options.
func (o *Options) flagSet() *pflag.FlagSet {
	o.flags = pflag.NewFlagSet("Flags", pflag.ContinueOnError)
	o.flags.BoolVarP(&o.AllNamespaces, "all-namespaces", "A", false, "look at all namespaces")
	o.flags.StringVar(&o.Config, "config", "", "StorageConfig file to judge by, in place of the installation's own")
	o.flags.StringVarP(&o.Output, "output", "o", "", "wide for more columns, json for programs; default: tables")
	o.flags.StringVar(&o.Color, "color", "auto", "colors: auto (on a terminal without NO_COLOR), always or never")
	o.flags.BoolVar(
		&o.ExitCode, "exit-code", false,
		"exit with 3 when something is wrong, and with 2 when nothing is but something could not be read",
	)
	o.flags.BoolP("help", "h", false, "print this help")

	o.connection = pflag.NewFlagSet("Connection", pflag.ContinueOnError)
	o.connection.StringVar(
		&o.Kubeconfig, clientcmd.RecommendedConfigPathFlag, "",
		"kubeconfig file; default: $KUBECONFIG, then the usual one",
	)
	clientcmd.BindOverrideFlags(&o.Connection, o.connection, clientcmd.RecommendedConfigOverrideFlags(""))

	all := pflag.NewFlagSet("kubectl pipeline-storage", pflag.ContinueOnError)
	all.Usage = func() {}
	for _, fs := range []*pflag.FlagSet{o.flags, o.connection} {
		fs.SortFlags = false
		all.AddFlagSet(fs)
	}
	return all
}

// Usage is the text of the help. It needs [ParseOptions] first, which defines the flags.
func (o *Options) Usage() string {
	var b strings.Builder
	b.WriteString(
		"Shows which pods have their storage, which have not and why, and what to do next. It only reads, with your " +
			"own rights.\n\n" +
			"Usage:\n" +
			"  kubectl pipeline-storage status [--namespace NAMESPACE | --all-namespaces] [--output wide|json]\n" +
			"  kubectl pipeline-storage version\n",
	)
	for _, fs := range []*pflag.FlagSet{o.flags, o.connection} {
		fmt.Fprintf(&b, "\n%s:\n%s", fs.Name(), fs.FlagUsages())
	}
	b.WriteString("\nExit code: 0 when the status was printed, 1 when a request to the cluster failed; see --exit-code.\n")
	return b.String()
}
