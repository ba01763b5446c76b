package app_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/cmd/postrender/app"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

func TestParseOptions(t *testing.T) {
	for name, tt := range map[string]struct {
		args string
		exp  func(*app.Options)
	}{
		"no flag": {"", func(*app.Options) {}},
		"a release": {"--release demo --namespace=ml", func(o *app.Options) {
			o.Release,
				o.Namespace = "demo", "ml"
		}},
		"a file": {"--config storage.yaml", func(o *app.Options) { o.ConfigFile = "storage.yaml" }},
		"a kind and names": {"--kind Job --name a,b --name c", func(o *app.Options) {
			o.Kinds,
				o.Names = []string{"Job"}, []string{"a", "b", "c"}
		}},
		"hooks":               {"--hooks all", func(o *app.Options) { o.Hooks = postrender.HooksAll }},
		"a report":            {"--report r.json", func(o *app.Options) { o.Report = "r.json" }},
		"a table":             {"--explain", func(o *app.Options) { o.Explain = true }},
		"a diff in colour":    {"--diff --color always", func(o *app.Options) { o.Diff, o.Color = true, "always" }},
		"the configuration":   {"--print-config", func(o *app.Options) { o.PrintConfig = true }},
		"a file of manifests": {"-f m.yaml", func(o *app.Options) { o.File = "m.yaml" }},
		"standard input":      {"--filename -", func(o *app.Options) { o.File = "-" }},
		"as kubectl has it":   {"-n ml", func(o *app.Options) { o.Namespace = "ml" }},
		"an exit code":        {"--diff --exit-code", func(o *app.Options) { o.Diff, o.ExitCode = true, true }},
		"Helm 3":              {"--helm=3", func(o *app.Options) { o.Helm = 3 }},
		"Helm 4":              {"--helm=4", func(o *app.Options) { o.Helm = 4 }},
	} {
		t.Run(name, func(t *testing.T) {
			exp := &app.Options{Hooks: postrender.HooksSafe, Color: "auto"}
			tt.exp(exp)
			o, err := app.ParseOptions(strings.Fields(tt.args))
			require.NoError(t, err)
			assert.Equal(t, inject.DefaultSelector().String(), o.Selector.String())
			assert.Equal(t, exp.ConfigFile, o.ConfigFile)
			assert.Equal(t, exp.Release, o.Release)
			assert.Equal(t, exp.Namespace, o.Namespace)
			assert.ElementsMatch(t, exp.Kinds, o.Kinds)
			assert.ElementsMatch(t, exp.Names, o.Names)
			assert.Equal(t, exp.Hooks, o.Hooks)
			assert.Equal(t, exp.Report, o.Report)
			assert.Equal(t, exp.Explain, o.Explain)
			assert.Equal(t, exp.Diff, o.Diff)
			assert.Equal(t, exp.Color, o.Color)
			assert.Equal(t, exp.PrintConfig, o.PrintConfig)
			assert.Equal(t, exp.File, o.File)
			assert.Equal(t, exp.ExitCode, o.ExitCode)
			assert.Equal(t, exp.Helm, o.Helm)
			assert.Empty(t, o.Overrides())
		})
	}
}

func TestParseOptionsSelector(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		exp  string
	}{
		"the label":    {nil, "pipeline-storage=enabled"},
		"another":      {[]string{"--selector", "app in (a, b),!c"}, "app in (a,b),!c"},
		"in short":     {[]string{"-l", "app=a"}, "app=a"},
		"every pod":    {[]string{"--selector", ""}, ""},
		"every pod, =": {[]string{"--selector="}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := app.ParseOptions(tt.args)
			require.NoError(t, err)
			assert.Equal(t, tt.exp, o.Selector.String())
			assert.Equal(t, tt.exp == "", o.Selector.Matches(labels.Set{"any": "pod"}))
		})
	}
}

func TestParseOptionsRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		exp  string
	}{
		"an unknown flag":          {[]string{"--clam", "x"}, "unknown flag: --clam (see --help)"},
		"a flag without its value": {[]string{"--claim"}, "flag needs an argument: --claim (see --help)"},
		"an argument": {
			[]string{"x.yaml"},
			`unexpected argument "x.yaml": name a file of manifests with --filename (see --help)`,
		},
		"a dash for standard input": {[]string{"-"}, `unexpected argument "-"`},
		"a command with a mistake":  {[]string{"versio"}, `there is no command "versio": do you mean version?`},
		"a claim that exists, and its size": {
			[]string{"--existing-claim=c", "--size=1Gi"},
			"--existing-claim creates nothing: leave out --claim, --size, --access-mode, --storage-class, --volume-handle",
		},
		"an exit code of nothing":  {[]string{"--exit-code"}, "--exit-code needs --diff"},
		"a value without a field":  {[]string{"--set"}, "flag needs an argument: --set (see --help)"},
		"a table and a diff":       {[]string{"--explain", "--diff"}, "--explain and --diff cannot be combined: choose one"},
		"an invalid selector":      {[]string{"--selector", "a in b"}, "--selector: "},
		"an unknown colour":        {[]string{"--color", "red"}, `--color: "red" is neither auto, always nor never`},
		"an unknown hook policy":   {[]string{"--hooks", "pre"}, `--hooks: "pre" is neither safe, all nor none`},
		"a Helm of the past":       {[]string{"--helm", "2"}, "--helm: there is no Helm 2, only 3 and 4"},
		"a Helm that is no number": {[]string{"--helm", "four"}, `invalid argument "four" for "--helm" flag`},
		"a report among manifests": {[]string{"--report", "-"}, "--report: standard output carries the " +
			"manifests; name a file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := app.ParseOptions(tt.args)
			assert.ErrorContains(t, err, tt.exp)
		})
	}
}

// TestReturnsOptionsWithError lets the command report a mistake where Helm 4 does not lose it.
func TestReturnsOptionsWithError(t *testing.T) {
	for name, args := range map[string][]string{
		"a contradiction": {"--helm=4", "--explain", "--diff"},
		"an unknown flag": {"--helm=4", "--clam"},
		"an argument":     {"--helm=4", "x.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := app.ParseOptions(args)
			require.Error(t, err)
			require.NotNil(t, o)
			assert.Equal(t, 4, o.Helm)
		})
	}
}
