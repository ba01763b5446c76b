package app

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// notInChart are the flags that no template sets, each with who sets it and why.
var notInChart = map[string]string{
	"repair-webhooks":    "you, by `extraArgs`: `false` leaves repairs to your GitOps tool",
	"pprof-bind-address": "you, by `extraArgs`: profiles are for an investigation",
	"http2":              "you, by `extraArgs`: no API server needs it",
	"leader-elect":       "you, by `extraArgs`: `false` is for a single replica without a Lease",
	"pending-after":      "you, by `extraArgs`: for a backend that is slow to provision",
	"kubeconfig":         "you, at a terminal: a pod has an account",
	"help":               "you, at a terminal",
}

// policyModeFlags are those of policy mode, which the two Deployments of config/ with a webhook lack.
var policyModeFlags = []string{"webhook", "admission-policy"}

var (
	// argument is an item of args in a manifest or template.
	argument = regexp.MustCompile(`(?m)^\s*(?:- |args: \["?)--([a-z0-9-]+)`)
	// environmentInUsage is how the usage of a flag ends whose default is an environment variable.
	environmentInUsage = regexp.MustCompile(` \(default (\$\w+)\)$`)
)

// TestEveryFlagIsDocumented compares the table in docs/operations.md with the flags.
func TestEveryFlagIsDocumented(t *testing.T) {
	for _, name := range []string{"POD_NAMESPACE", "POD_NAME", "POD_UID"} {
		t.Setenv(name, "") // they are defaults
	}
	inChart := chartFlags(t)
	var rows []string
	new(Options).flagSet().VisitAll(func(f *pflag.Flag) {
		rows = append(rows, flagRow(f, inChart))
	})
	generatedTable(t, "| Flag |", rows)
}

// TestEveryFlagIsSetByTheChart finds flags that exist only at a terminal: a new one needs an
// argument in the chart, or a reason to have none.
func TestEveryFlagIsSetByTheChart(t *testing.T) {
	t.Parallel()
	inChart := chartFlags(t)
	flags := new(Options).flagSet()
	flags.VisitAll(func(f *pflag.Flag) {
		isSet, reason := slices.Contains(inChart, f.Name), notInChart[f.Name]
		assert.True(t, isSet || reason != "", "--%s: set it in charts/pipeline-storage/templates/deployment.yaml and in "+
			"config/, or add the reason why not to notInChart", f.Name)
		assert.False(t, isSet && reason != "", "--%s: the chart sets it: remove it from notInChart", f.Name)
	})
	for _, name := range slices.Concat(inChart, slices.Collect(maps.Keys(notInChart))) {
		assert.NotNil(t, flags.Lookup(name), "--%s is set or listed, and no flag of the webhook", name)
	}
}

// TestConfigSetsTheFlagsOfTheChart compares names only; TestConfigIsTheChart in test/chart has the
// values.
func TestConfigSetsTheFlagsOfTheChart(t *testing.T) {
	t.Parallel()
	inConfig := argumentsIn(t, "config/manager/deployment.yaml", "config/certmanager/deployment.yaml")
	inChart := slices.DeleteFunc(argumentsIn(t, "charts/pipeline-storage/templates/deployment.yaml"),
		func(name string) bool { return slices.Contains(policyModeFlags, name) })
	assert.Equal(t, inChart, inConfig,
		"config/manager/deployment.yaml or config/certmanager/deployment.yaml needs the arguments of the chart's Deployment")
}

func flagRow(f *pflag.Flag, inChart []string) string {
	name, value, usage := "`--"+f.Name+"`", f.DefValue, f.Usage
	if f.Shorthand != "" {
		name = "`-" + f.Shorthand + "`, " + name
	}
	if m := environmentInUsage.FindStringSubmatch(usage); m != nil {
		value, usage = m[1], strings.TrimSuffix(usage, m[0])
	}
	if value == "false" {
		value = ""
	}
	if value != "" {
		value = "`" + value + "`"
	}
	setBy := notInChart[f.Name]
	if slices.Contains(inChart, f.Name) {
		setBy = "the chart"
	}
	return fmt.Sprintf("| %s | %s | %s | %s |", name, value, usage, setBy)
}

// chartFlags returns the flags that a template of the chart sets: as an argument, or as the
// environment variable that is the flag's default.
func chartFlags(t *testing.T) []string {
	t.Helper()
	const templates = "charts/pipeline-storage/templates/"
	names := argumentsIn(t, templates+"*.yaml", templates+"*/*.yaml")
	deployment, err := os.ReadFile(filepath.Join(repository, templates, "deployment.yaml"))
	require.NoError(t, err)
	new(Options).flagSet().VisitAll(func(f *pflag.Flag) {
		m := environmentInUsage.FindStringSubmatch(f.Usage)
		if m != nil && strings.Contains(string(deployment), "- name: "+m[1][1:]+"\n") {
			names = append(names, f.Name)
		}
	})
	return names
}

// argumentsIn returns the flags in the args of files, sorted and each once.
func argumentsIn(t *testing.T, patterns ...string) []string {
	t.Helper()
	var names []string
	for _, pattern := range patterns {
		files, err := filepath.Glob(filepath.Join(repository, pattern))
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, match := range argument.FindAllSubmatch(text, -1) {
				names = append(names, string(match[1]))
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
