package app

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/internal/cli"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// Options are the command line, read and checked, before any file is. Files that flags name are
// not opened yet. [ParseOptions] has checked all that can be checked without them.
type Options struct {
	// File has the manifests; empty or - is standard input.
	File string
	// ConfigFile is the configuration file; empty: the flags alone make one profile. A ResourceList
	// with a functionConfig has its own.
	ConfigFile string
	// Release and Namespace complete the names of what is created. Helm passes neither to a
	// post-renderer, so both may be empty.
	Release, Namespace string
	// Selector chooses pods by their labels; nil is the default label. With --remove and no
	// --selector it is nil, which then selects every pod.
	Selector labels.Selector
	// Profiles are those of pods that name none; empty: those of the configuration.
	Profiles []string
	// Kinds and Names narrow the selection. Kinds are compared without regard to case, names
	// exactly; empty: any.
	Kinds, Names []string
	// Hooks is the hook policy.
	Hooks postrender.HookPolicy
	// Set are fields of the profile with their values, as Helm's --set has them.
	Set []string
	// Remove removes what was injected, instead.
	Remove postrender.Removal
	// Strict refuses manifests that request storage somewhere and get none there.
	Strict bool
	// Report is the file for the report; empty: none. It is never -, which would be standard output.
	Report string
	// Explain and Diff print for people instead of the stream. ExitCode is for a diff: it makes the
	// exit code show whether there is one.
	Explain, Diff, ExitCode bool
	// Color is when the diff is coloured: auto, always or never.
	Color string
	// PrintConfig prints the effective configuration.
	PrintConfig bool
	// Helm is the major version of the Helm that runs the program, where that matters; 0: unknown.
	// The plugin for Helm 4 sets it, because that Helm loses the warnings and errors of a post-renderer.
	Helm int

	// fieldFlags are the flags that set fields of the profile and are set, in the order of the table.
	fieldFlags []setFlag
	// values has what such flags were set to, by name.
	values map[string]*[]string
	// proceed is whether cobra left something to do, which help, version and completion do not.
	proceed bool
	// helpErr is the error of printing the help.
	helpErr error
}

// The values of flags that have a few only.
var (
	accessModes  = []string{"ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany", "ReadOnlyMany"}
	colors       = []string{"auto", "always", "never"}
	hookPolicies = []string{string(postrender.HooksSafe), string(postrender.HooksAll), string(postrender.HooksNone)}
	removals     = []string{string(postrender.RemovePods), string(postrender.RemoveAll)}
)

// ParseOptions reads a command line. It is pure: no file is opened and nothing is printed. An
// error comes with the options that were read before it: they show whether Helm 4 would lose it.
// Args are those without the program's name. The options of a failed parse are for the reporting
// of that error only.
func ParseOptions(args []string) (*Options, error) {
	o := &Options{}
	return o, o.execute(args, Streams{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard})
}

// sections defines every flag, in the order of the help. Defaults of flags that set a field are
// not set here: a field that no flag sets must not override the file.
func (o *Options) sections() []*pflag.FlagSet {
	o.values = map[string]*[]string{}
	return []*pflag.FlagSet{
		section("Release", func(fs *pflag.FlagSet) {
			fs.StringVarP(&o.Namespace, "namespace", "n", "", "namespace of the release, which Helm does not pass")
			fs.StringVar(&o.Release, "release", "", "name of the release, which Helm does not pass")
			fs.StringVar(&o.ConfigFile, "config", "", "StorageConfig file, for several profiles; flags override it")
			fs.StringVarP(&o.File, "filename", "f", "", "file of manifests; standard input without it, and for -")
			cli.NameValues(fs, "namespace", "NAMESPACE", "release", "NAME", "config", "FILE", "filename", "FILE")
		}),
		section("Selection", func(fs *pflag.FlagSet) {
			fs.StringP("selector", "l", kinds.Label+"="+kinds.LabelEnabled, "label selector of pods; empty selects all")
			fs.StringSliceVar(&o.Kinds, "kind", nil, "only objects of this kind; repeatable")
			fs.StringSliceVar(&o.Names, "name", nil, "only objects of this name; repeatable")
			fs.StringSliceVar(&o.Profiles, "profile", nil, "profile of the file for pods that name none; repeatable")
			fs.StringVar((*string)(&o.Hooks), "hooks", string(postrender.HooksSafe),
				"Helm hooks to inject: safe (those after the claim), all or none")
			cli.NameValues(fs, "selector", "SELECTOR", "kind", "KIND", "name", "NAME", "profile", "PROFILE", "hooks", "POLICY")
		}),
		section("Storage", o.fieldFlagsOf),
		section("Output", func(fs *pflag.FlagSet) {
			fs.BoolVar(&o.Strict, "strict", false, "fail where storage is requested and no pod gets it, instead of a warning")
			fs.BoolVar(&o.Diff, "diff", false, "print a unified diff instead of the manifests")
			fs.BoolVar(&o.ExitCode, "exit-code", false, "with --diff: exit with 2 when something would change")
			fs.BoolVar(&o.Explain, "explain", false, "print a table of decisions and reasons instead of the manifests")
			fs.StringVar(&o.Report, "report", "", "write the decision about every workload to a JSON file")
			fs.StringVar((*string)(&o.Remove), "remove", "",
				"remove from pods what was injected; all removes the storage objects, too")
			fs.Lookup("remove").NoOptDefVal = string(postrender.RemovePods)
			fs.BoolVar(&o.PrintConfig, "print-config", false, "print the effective StorageConfig and stop")
			fs.StringVar(&o.Color, "color", "auto", "color of the diff: auto, always or never")
			fs.IntVar(&o.Helm, "helm", 0, "major version of the Helm that runs this program, 3 or 4; the Helm 4 plugin sets it")
			fs.Lookup("helm").Hidden = true
			cli.NameValues(fs, "report", "FILE", "remove", "WHAT", "color", "WHEN")
			fs.BoolP("help", "h", false, "print this help")
			fs.BoolP("version", "v", false, "print the version")
		}),
	}
}

// section makes one section of the help.
func section(title string, define func(*pflag.FlagSet)) *pflag.FlagSet {
	fs := pflag.NewFlagSet(title, pflag.ContinueOnError)
	fs.SortFlags = false
	define(fs)
	return fs
}

// complete checks flags against each other. The first problem is returned, by the name of its
// flag. It runs after parsing, because it reads which flags were set.
func (o *Options) complete(fs *pflag.FlagSet) error {
	for _, f := range setFlags {
		if fs.Changed(f.name) {
			o.fieldFlags = append(o.fieldFlags, f)
		}
	}
	selector, err := labels.Parse(fs.Lookup("selector").Value.String())
	if err != nil {
		return fmt.Errorf("--selector: %w", err)
	}
	o.Selector = selector
	if o.Remove != postrender.RemoveNothing && !fs.Changed("selector") {
		o.Selector = nil // what was injected is known without its label
	}
	return o.validate()
}

// validate refuses values that a flag does not have, and flags that cannot be combined.
func (o *Options) validate() error {
	switch {
	case o.Remove != postrender.RemoveNothing && !slices.Contains(removals, string(o.Remove)):
		return fmt.Errorf("--remove: %q is neither pods nor all", o.Remove)
	case o.Strict && o.Remove != postrender.RemoveNothing:
		return errors.New("--strict and --remove cannot be combined: a removal leaves pods without storage")
	case o.Explain && o.Diff:
		return errors.New("--explain and --diff cannot be combined: choose one")
	case o.isSet("existing-claim") && o.isSet(createdWithClaim...):
		return fmt.Errorf("--existing-claim creates nothing: leave out --%s", strings.Join(createdWithClaim, ", --"))
	case o.ExitCode && !o.Diff:
		return errors.New("--exit-code needs --diff")
	case !slices.Contains(colors, o.Color):
		return fmt.Errorf("--color: %q is neither auto, always nor never", o.Color)
	case !slices.Contains(hookPolicies, string(o.Hooks)):
		return fmt.Errorf("--hooks: %q is neither safe, all nor none", o.Hooks)
	case o.Helm != 0 && o.Helm != 3 && o.Helm != 4:
		return fmt.Errorf("--helm: there is no Helm %d, only 3 and 4", o.Helm)
	case o.Report == "-":
		return errors.New("--report: standard output carries the manifests; name a file")
	}
	return nil
}

// createdWithClaim are the flags about what --existing-claim does not create.
var createdWithClaim = []string{"claim", "size", "access-mode", "storage-class", "volume-handle"}

// isSet reports whether one of the flags that set a field is set.
func (o *Options) isSet(names ...string) bool {
	return slices.ContainsFunc(o.fieldFlags, func(f setFlag) bool { return slices.Contains(names, f.name) })
}
