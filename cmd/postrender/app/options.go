package app

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// Options are the command line, read and checked, before any file is. Files that flags name are
// not opened yet. [ParseOptions] has checked all that can be checked without them.
type Options struct {
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
	// Remove removes what was injected, instead.
	Remove postrender.Removal
	// Strict refuses manifests that request storage somewhere and get none there.
	Strict bool
	// Report is the file for the report; empty: none. It is never -, which would be standard output.
	Report string
	// Explain and Diff print for people instead of the stream.
	Explain, Diff bool
	// Color is when the diff is coloured: auto, always or never.
	Color string
	// PrintConfig prints the effective configuration; Version the version; Help the help.
	PrintConfig, Version, Help bool
	// Helm is the major version of the Helm that runs the program, where that matters; 0: unknown.
	// The plugin for Helm 4 sets it, because that Helm loses the warnings and errors of a post-renderer.
	Helm int

	// overrides are the fields of the configuration that flags set, in the order of the table.
	overrides []override
	sections  *sections
}

// sections are the groups of flags in the help. pflag prints one list of flags; the help has one
// for each topic.
type sections struct {
	// order has one set of flags for each section, in the order of the help; all has the flags of
	// every section and is the one that is parsed.
	order []*pflag.FlagSet
	all   *pflag.FlagSet
}

// add defines a section of the help. Flags appear in the order in which define adds them.
func (s *sections) add(title string, define func(*pflag.FlagSet)) {
	fs := pflag.NewFlagSet(title, pflag.ContinueOnError)
	fs.SortFlags = false
	define(fs)
	s.order = append(s.order, fs)
	s.all.AddFlagSet(fs)
}

// usage is the text of --help. It is generated from the flags, so that no flag can lack its line.
func (s *sections) usage() string {
	var b strings.Builder
	b.WriteString("postrender adds durable storage to the pods of rendered manifests: it reads them on " +
		"standard input and writes them to\n" +
		"standard output with a StorageClass, a PersistentVolumeClaim and, for an existing volume, a PersistentVolume.\n" +
		"With --remove it removes what it has added.\n\n" +
		"Usage:\n" +
		"  helm template RELEASE CHART | postrender --namespace NAMESPACE --release RELEASE\n" +
		"  helm install RELEASE CHART --post-renderer postrender \\\n" +
		"    --post-renderer-args=--namespace=NAMESPACE --post-renderer-args=--release=RELEASE \\\n" +
		"    --post-renderer-args=--strict\n" +
		"  kustomize build --enable-alpha-plugins --enable-exec DIRECTORY   (as a KRM function: docs/gitops.md)\n")
	for _, fs := range s.order {
		fmt.Fprintf(&b, "\n%s:\n%s", fs.Name(), fs.FlagUsages())
	}
	return b.String()
}

// ParseOptions reads a command line. It is pure: no file is opened and nothing is printed. An
// error comes with the options that were read before it: they show whether Helm 4 would lose it.
// Args are those without the program's name. The options of a failed parse are for the reporting
// of that error only.
func ParseOptions(args []string) (*Options, error) {
	o := &Options{}
	s, values := o.flags()
	o.sections = s
	if err := s.all.Parse(args); err != nil {
		return o, fmt.Errorf("%w (see --help)", err)
	}
	if s.all.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q: manifests are read from standard input (see --help)", s.all.Arg(0))
	}
	for _, f := range fieldFlags {
		if s.all.Changed(f.name) {
			o.overrides = append(o.overrides, override{f, *values[f.name]})
		}
	}
	return o, o.complete(s.all)
}

// flags defines every flag. The values of those that set a field of the configuration are
// returned by name. They are filled when the set is parsed. Defaults of field flags are not set
// here: a field that no flag sets must not override the file.
func (o *Options) flags() (*sections, map[string]*[]string) {
	s := &sections{all: pflag.NewFlagSet("postrender", pflag.ContinueOnError)}
	s.all.SortFlags = false
	s.all.Usage = func() {}
	values := map[string]*[]string{}
	s.add("Release", func(fs *pflag.FlagSet) {
		fs.StringVar(&o.Namespace, "namespace", "", "namespace of the release; Helm does not pass it to a post-renderer")
		fs.StringVar(&o.Release, "release", "", "name of the release; Helm does not pass it to a post-renderer")
		fs.StringVar(&o.ConfigFile, "config", "", "configuration file (StorageConfig); flags override its fields")
	})
	s.add("Selection", func(fs *pflag.FlagSet) {
		fs.String("selector", kinds.Label+"="+kinds.LabelEnabled, "label selector for pods and pod "+
			"templates; empty selects all")
		fs.StringSliceVar(&o.Profiles, "profile", nil, "profile of the file for pods that name none; may "+
			"be repeated (default: those with default: true, or the first)")
		fs.StringSliceVar(&o.Kinds, "kind", nil, "only objects of this kind; may be repeated")
		fs.StringSliceVar(&o.Names, "name", nil, "only objects of this name; may be repeated")
		fs.StringVar((*string)(&o.Hooks), "hooks", string(postrender.HooksSafe), "Helm hooks to inject: "+
			"safe (those that run after the claim is created), all or none")
	})
	for _, section := range fieldSections {
		s.add(section, func(fs *pflag.FlagSet) {
			for _, f := range fieldFlags {
				if f.section == section {
					values[f.name] = f.define(fs)
				}
			}
		})
	}
	s.add("Output", func(fs *pflag.FlagSet) {
		fs.StringVar((*string)(&o.Remove), "remove", "", "remove from the pods what was injected; "+
			"--remove=all removes the storage objects, too")
		remove := fs.Lookup("remove")
		remove.Value, remove.NoOptDefVal = namedValue{remove.Value, "WHAT"}, string(postrender.RemovePods)
		fs.BoolVar(&o.Strict, "strict", false, "refuse manifests where a label, an annotation or the selection "+
			"requests storage that no pod gets, instead of a warning")
		fs.StringVar(&o.Report, "report", "", "write what was decided about every workload to this file, as JSON")
		fs.BoolVar(&o.Explain, "explain", false, "print a table of what would be done, and why not, instead of the manifests")
		fs.BoolVar(&o.Diff, "diff", false, "print a unified diff instead of the manifests")
		fs.StringVar(&o.Color, "color", "auto", "colour of the diff: auto, always or never")
		fs.BoolVar(&o.PrintConfig, "print-config", false, "print the effective configuration and stop")
		fs.IntVar(&o.Helm, "helm", 0, "major version of the Helm that runs this program (3 or 4); the Helm 4 plugin sets 4")
		fs.BoolVar(&o.Version, "version", false, "print the version and stop")
		fs.BoolVarP(&o.Help, "help", "h", false, "print this help and stop")
	})
	return s, values
}

// complete checks flags against each other. The first problem is returned, by the name of its
// flag. It runs after parsing, because it reads which flags were set.
func (o *Options) complete(fs *pflag.FlagSet) error {
	text, _ := fs.GetString("selector")
	selector, err := labels.Parse(text)
	if err != nil {
		return fmt.Errorf("--selector: %w", err)
	}
	o.Selector = selector
	if o.Remove != postrender.RemoveNothing && !fs.Changed("selector") {
		o.Selector = nil // what was injected is known without its label
	}
	switch {
	case !slices.Contains([]postrender.Removal{
		postrender.RemoveNothing, postrender.RemovePods,
		postrender.RemoveAll,
	}, o.Remove):
		return fmt.Errorf("--remove: %q is neither pods nor all", o.Remove)
	case o.Strict && o.Remove != postrender.RemoveNothing:
		return errors.New("--strict and --remove cannot be combined: a removal leaves pods without storage")
	case o.Explain && o.Diff:
		return errors.New("--explain and --diff cannot be combined: choose one")
	case !slices.Contains([]string{"auto", "always", "never"}, o.Color):
		return fmt.Errorf("--color: %q is neither auto, always nor never", o.Color)
	case !slices.Contains([]postrender.HookPolicy{
		postrender.HooksSafe, postrender.HooksAll,
		postrender.HooksNone,
	}, o.Hooks):
		return fmt.Errorf("--hooks: %q is neither safe, all nor none", o.Hooks)
	case o.Helm != 0 && o.Helm != 3 && o.Helm != 4:
		return fmt.Errorf("--helm: there is no Helm %d, only 3 and 4", o.Helm)
	case o.Report == "-":
		return errors.New("--report: standard output carries the manifests; name a file")
	}
	return nil
}
