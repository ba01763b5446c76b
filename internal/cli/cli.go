// Package cli has what the commands for people share. They are postrender and
// kubectl-pipeline_storage; the webhook writes logs and has no use for it.
package cli

import (
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// Version is the version that the linker set, or that of the module. It is "unknown" for a
// program without build information.
func Version(linked string) string {
	if linked != "" {
		return linked
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return strings.TrimPrefix(info.Main.Version, "v")
	}
	return "unknown"
}

// Color decides about colour: when is always, never or auto, which means on a terminal without
// NO_COLOR (no-color.org). W is where the output goes: a pipe and a file are not terminals. Every
// value but these three is never.
func Color(when string, w io.Writer) bool {
	if when != "auto" {
		return when == "always"
	}
	return os.Getenv("NO_COLOR") == "" && IsTerminal(w)
}

// NamedValue shows the name of a flag's value in the help, in the place of its Go type.
type NamedValue struct {
	pflag.Value
	// Name is in capitals, as in the usage of other commands.
	Name string
}

// Type is what pflag prints behind the flag.
func (v NamedValue) Type() string { return v.Name }

// NameValues names the values of flags: pairs of the flag and the name.
func NameValues(fs *pflag.FlagSet, pairs ...string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		flag := fs.Lookup(pairs[i])
		flag.Value = NamedValue{flag.Value, pairs[i+1]}
		if flag.DefValue == "[]" {
			flag.DefValue = "" // an empty list is no default worth a word
		}
	}
}

// Complete has a shell complete the values of a flag, and no files. It panics for a flag that the
// command does not have: that is a mistake in the program, which each of its tests meets.
func Complete(cmd *cobra.Command, flag string, values ...string) {
	completeBy(cmd, flag, cobra.ShellCompDirectiveNoFileComp, func() []string { return values })
}

// CompletePrefixes does what [Complete] does for values that are not complete yet. They are made when
// a shell completes the flag.
func CompletePrefixes(cmd *cobra.Command, flag string, values func() []string) {
	completeBy(cmd, flag, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace, values)
}

func completeBy(cmd *cobra.Command, flag string, directive cobra.ShellCompDirective, values func() []string) {
	complete := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return values(), directive
	}
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err)
	}
}

// Usages is the help of flags. pflag adds to a flag which needs no value the values that it takes,
// which only makes the lines longer.
func Usages(fs *pflag.FlagSet) string { return withoutValues.Replace(fs.FlagUsages()) }

var withoutValues = strings.NewReplacer(
	"[=true|false]", strings.Repeat(" ", len("[=true|false]")), " BOOL[=true]", strings.Repeat(" ", len(" BOOL[=true]")),
)

// IsTerminal reports whether a stream is a terminal. A stream that is not a file is not one.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
