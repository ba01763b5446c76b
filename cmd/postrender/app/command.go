package app

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pipeline-storage/pipeline-storage/internal/cli"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// Command returns the command, for programs that write its reference. It reads the options and
// does nothing with them: [Run] runs it.
func Command() *cobra.Command { return new(Options).command() }

// command is postrender for cobra. It has the subcommands that cobra adds, for help and for the
// completion of shells, and one for the version.
func (o *Options) command() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "postrender [flags]",
		Short:   "Add durable storage to the pods of rendered manifests",
		Long:    about,
		Example: examples,
		Version: Version(),
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.proceed = true
			return o.complete(cmd.Flags())
		},
		SilenceErrors:              true, // Run prints them
		SilenceUsage:               true,
		DisableFlagsInUseLine:      true,
		SuggestionsMinimumDistance: 2, // as cobra has it for arguments that it refuses itself
	}
	sections := o.sections()
	for _, fs := range sections {
		cmd.Flags().AddFlagSet(fs)
	}
	cmd.Flags().SortFlags = false
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w (see --help)", err) })
	o.help(cmd, sections)
	completions(cmd)
	cmd.AddCommand(&cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(sub *cobra.Command, _ []string) error {
			return writeString(sub.OutOrStdout(), "postrender version "+Version()+"\n")
		},
	})
	return cmd
}

// noArguments refuses arguments. Most of them are files, or commands that are not there.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return fmt.Errorf("there is no command %q: do you mean %s?", args[0], near[0])
	}
	return fmt.Errorf("unexpected argument %q: name a file of manifests with --filename (see --help)", args[0])
}

// about and examples are the help above the flags.
const (
	about = `postrender reads rendered manifests, mounts a PersistentVolumeClaim into the pods that you select,
and writes the manifests with the claim and its StorageClass.`
	examples = `  helm template NAME CHART | postrender -n NAMESPACE --release NAME --diff
  helm install NAME CHART -n NAMESPACE --post-renderer postrender \
    --post-renderer-args=--namespace=NAMESPACE --post-renderer-args=--release=NAME --post-renderer-args=--strict
  postrender -f FILE -n NAMESPACE --release NAME --set storageClass.performance=fast`
)

// help has the help print the flags in sections. cobra prints one list. An error of the output is
// left in the options, because a help function of cobra returns none.
func (o *Options) help(cmd *cobra.Command, sections []*pflag.FlagSet) {
	ofSubcommand := cmd.HelpFunc()
	cmd.SetHelpFunc(func(c *cobra.Command, args []string) {
		if c != cmd {
			ofSubcommand(c, args)
			return
		}
		o.helpErr = printHelp(c.OutOrStdout(), sections)
	})
}

// printHelp is the text of --help. It is made from the flags, so that no flag can lack its line.
func printHelp(w io.Writer, sections []*pflag.FlagSet) error {
	var b strings.Builder
	b.WriteString(about + "\n\nUsage:\n" + examples + "\n")
	for _, fs := range sections {
		b.WriteString("\n" + fs.Name() + ":\n" + cli.Usages(fs))
	}
	b.WriteString("\nCommands: completion, help, version. The fields of --set and --config: docs/configuration.md\n")
	return writeString(w, b.String())
}

// completions are the values that a shell completes.
func completions(cmd *cobra.Command) {
	for name, values := range map[string][]string{
		"access-mode": accessModes,
		"backend":     backendNames(),
		"color":       colors,
		"hooks":       hookPolicies,
		"remove":      removals,
	} {
		cli.Complete(cmd, name, values...)
	}
	cli.CompletePrefixes(cmd, "set", setPaths)
}

// backendNames are the backends, in the order of their table.
func backendNames() []string {
	names := make([]string, len(storage.Backends))
	for i, b := range storage.Backends {
		names[i] = b.Name
	}
	return names
}

// execute reads the arguments by cobra, which carries out help, version and completion itself.
// Proceed is set when there is more to do.
func (o *Options) execute(args []string, s Streams) error {
	cmd := o.command()
	if args == nil {
		args = []string{} // cobra takes those of the process for nil
	}
	cmd.SetArgs(args)
	cmd.SetIn(s.In)
	cmd.SetOut(s.Out)
	cmd.SetErr(s.Err)
	return errors.Join(cmd.Execute(), o.helpErr)
}
