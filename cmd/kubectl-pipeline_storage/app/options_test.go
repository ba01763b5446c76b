package app

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReadsFlags(t *testing.T) {
	t.Parallel()

	for name, row := range map[string]struct {
		args []string
		want func(*testing.T, *Options)
	}{
		"status by itself": {[]string{"status"}, func(t *testing.T, o *Options) {
			t.Helper()
			assert.False(t, o.AllNamespaces)
			assert.False(t, o.Watch)
			assert.Equal(t, "auto", o.Color)
			assert.Equal(t, 5*time.Second, o.Interval)
		}},
		"all flags": {
			[]string{
				"status", "-n", "ml", "-o", "yaml", "--color", "never", "--exit-code", "--config", "f", "--context", "c",
				"--kubeconfig", "k", "--as", "me", "-w", "--interval=2s",
			},
			func(t *testing.T, o *Options) {
				t.Helper()
				assert.Equal(t, "ml", o.Connection.Context.Namespace)
				assert.Equal(t, "yaml", o.Output)
				assert.Equal(t, "never", o.Color)
				assert.True(t, o.ExitCode)
				assert.Equal(t, "f", o.Config)
				assert.Equal(t, "c", o.Connection.CurrentContext)
				assert.Equal(t, "k", o.Kubeconfig)
				assert.Equal(t, "me", o.Connection.AuthInfo.Impersonate)
				assert.True(t, o.Watch)
				assert.Equal(t, 2*time.Second, o.Interval)
			},
		},
		"all namespaces": {
			[]string{"status", "-A"}, func(t *testing.T, o *Options) { t.Helper(); assert.True(t, o.AllNamespaces) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			isRun := false
			cmd, o := command(func(*cobra.Command, *Options) error { isRun = true; return nil })
			cmd.SetArgs(row.args)
			require.NoError(t, cmd.Execute())
			assert.True(t, isRun)
			row.want(t, o)
		})
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()

	const program = "kubectl pipeline-storage"
	for name, row := range map[string]struct {
		args []string
		want string
	}{
		"another command": {[]string{"delete"}, `unknown command "delete" for "` + program + `"`},
		"a mistake in a command": {
			[]string{"stauts"}, `unknown command "stauts" for "` + program + "\"\n\nDid you mean this?\n\tstatus\n",
		},
		"an argument":        {[]string{"status", "ml"}, `unknown command "ml" for "` + program + ` status"`},
		"an unknown flag":    {[]string{"status", "--wach"}, "unknown flag: --wach (see " + program + " status --help)"},
		"another output":     {[]string{"status", "-o", "xml"}, `--output: "xml" is not one of wide, json, yaml`},
		"another colour":     {[]string{"status", "--color", "red"}, `--color: "red" is neither auto, always nor never`},
		"a storm of readers": {[]string{"status", "-w", "--interval=9ms"}, "--interval: 9ms is shorter than 1s"},
		"one and all": {
			[]string{"status", "-A", "-n", "ml"}, "--all-namespaces and --namespace ml cannot be combined: choose one",
		},
		"a file that isn't": {
			[]string{"status", "--config", "no-such-file"}, "--config: open no-such-file: no such file or directory",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, problems bytes.Buffer
			assert.Equal(t, 1, Run(t.Context(), row.args, &out, &problems))
			assert.Equal(t, "error: "+row.want+"\n", problems.String())
			assert.Empty(t, out.String())
		})
	}
}

func TestPrintsHelpAndVersion(t *testing.T) {
	t.Parallel()

	for want, args := range map[string]string{
		"kubectl pipeline-storage version " + Version() + "\n": "version",
		"Show which pods have their storage":                   "",
		"Available Commands:":                                  "help",
		"Connection, as kubectl has it:":                       "status --help",
		"--watch  ":                                            "help status",
		"__start_kubectl-pipeline_storage":                     "completion bash",
		"yaml\n":                                               "__complete status -o y",
	} {
		var out, problems bytes.Buffer
		assert.Equal(t, 0, Run(t.Context(), strings.Fields(args), &out, &problems), problems.String())
		assert.Contains(t, out.String(), want, args)
	}
}
