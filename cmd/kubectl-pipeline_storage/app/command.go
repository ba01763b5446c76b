package app

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/pipeline-storage/pipeline-storage/internal/cli"
)

// name is how people run the plugin.
const name = "kubectl pipeline-storage"

// Command returns the command, for programs that write its reference. [Run] runs it.
func Command() *cobra.Command {
	root, _ := command(func(*cobra.Command, *Options) error { return nil })
	return root
}

// command is the plugin for cobra, with what carries out its status. It returns the options that
// the flags fill.
func command(status func(*cobra.Command, *Options) error) (*cobra.Command, *Options) {
	root := &cobra.Command{
		Use:           "kubectl-pipeline_storage",
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: name},
		Short:         "Show which pods have their storage",
		Long:          "Show which pods have their storage, which do not and why, and what to do next.",
		Version:       Version(),
		SilenceErrors: true, // Run prints them
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w (see %s --help)", err, c.CommandPath())
	})
	sub, o := statusCommand(status)
	root.AddCommand(sub, &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), name, "version", Version())
			return err
		},
	})
	return root, o
}

// statusCommand is the subcommand status.
func statusCommand(status func(*cobra.Command, *Options) error) (*cobra.Command, *Options) {
	o := &Options{}
	cmd := &cobra.Command{
		Use:   "status [flags]",
		Short: "Show pods and claims, what is wrong with them and what to do next",
		Long: `Show which pods have their storage, which do not and why, and what to do next.
It only reads, with your own rights.

The exit code is 0 when the status was printed, and 1 when a request to the cluster failed.
With --exit-code it is 3 when something is wrong, and 2 when nothing is but something could not
be read.`,
		Example: `  kubectl pipeline-storage status
  kubectl pipeline-storage status -A -o wide
  kubectl pipeline-storage status -n ml -o json
  kubectl pipeline-storage status -n ml --watch`,
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			return status(c, o)
		},
	}
	flags, connection := o.flags(), o.connection()
	cmd.Flags().AddFlagSet(flags)
	cmd.Flags().AddFlagSet(connection)
	cmd.Flags().SortFlags = false
	cmd.SetUsageFunc(func(c *cobra.Command) error { return printUsage(c.OutOrStderr(), c, flags, connection) })
	for flag, values := range map[string][]string{"output": outputs, "color": colors, clientcmd.FlagNamespace: nil} {
		cli.Complete(cmd, flag, values...)
	}
	return cmd, o
}

// printUsage prints how the command is used, with the flags in two sections. cobra prints one list.
func printUsage(w io.Writer, c *cobra.Command, flags, connection *pflag.FlagSet) error {
	_, err := fmt.Fprintf(w, "Usage:\n  %s\n\nExamples:\n%s\n\nFlags:\n%s\nConnection, as kubectl has it:\n%s",
		c.UseLine(), c.Example, cli.Usages(flags), cli.Usages(connection))
	return err
}

// flags are those of the status itself.
func (o *Options) flags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("status", pflag.ContinueOnError)
	fs.SortFlags = false
	fs.BoolVarP(&o.AllNamespaces, "all-namespaces", "A", false, "look at all namespaces")
	fs.StringVarP(&o.Output, "output", "o", "", "form of the output: wide, json or yaml (default: tables)")
	fs.BoolVarP(&o.Watch, "watch", "w", false, "print the status again when it has changed, until Ctrl-C")
	fs.DurationVar(&o.Interval, "interval", 5*time.Second, "with --watch: time between two readings")
	fs.BoolVar(&o.ExitCode, "exit-code", false, "exit with 3 when something is wrong, 2 when not all could be read")
	fs.StringVar(&o.Config, "config", "", "StorageConfig file to judge by, in place of the installation's")
	fs.StringVar(&o.Color, "color", "auto", "when to color: auto (on a terminal without NO_COLOR), always or never")
	fs.BoolP("help", "h", false, "print this help")
	cli.NameValues(fs, "output", "FORM", "interval", "DURATION", "config", "FILE", "color", "WHEN")
	return fs
}

// connection are the flags that choose cluster, user and namespace.
func (o *Options) connection() *pflag.FlagSet {
	fs := pflag.NewFlagSet("connection", pflag.ContinueOnError)
	fs.SortFlags = false
	fs.StringVar(&o.Kubeconfig, clientcmd.RecommendedConfigPathFlag, "",
		"kubeconfig file (default $KUBECONFIG, then the usual one)")
	cli.NameValues(fs, clientcmd.RecommendedConfigPathFlag, "FILE")
	clientcmd.BindOverrideFlags(&o.Connection, fs, clientcmd.RecommendedConfigOverrideFlags(""))
	return fs
}
