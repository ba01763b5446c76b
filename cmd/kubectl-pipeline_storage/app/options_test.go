package app_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/cmd/kubectl-pipeline_storage/app"
)

func TestParseOptions(t *testing.T) {
	t.Parallel()

	for name, row := range map[string]struct {
		args []string
		want func(*testing.T, *app.Options)
	}{
		"nothing prints the help": {
			nil, func(t *testing.T, o *app.Options) { t.Helper(); assert.Equal(t, "help", o.Command) },
		},
		"so does help": {
			[]string{"help"}, func(t *testing.T, o *app.Options) { t.Helper(); assert.Equal(t, "help", o.Command) },
		},
		"so does a command's own help": {
			[]string{"status", "-h"},
			func(t *testing.T, o *app.Options) { t.Helper(); assert.Equal(t, "help", o.Command) },
		},
		"status by itself": {[]string{"status"}, func(t *testing.T, o *app.Options) {
			t.Helper()
			assert.Equal(t, "status", o.Command)
			assert.False(t, o.AllNamespaces)
			assert.Equal(t, "auto", o.Color)
		}},
		"all flags": {
			[]string{
				"status", "-n", "ml", "-o", "json", "--color", "never", "--exit-code", "--config", "f", "--context", "c",
				"--kubeconfig", "k", "--as", "me",
			},
			func(t *testing.T, o *app.Options) {
				t.Helper()
				assert.Equal(t, "ml", o.Connection.Context.Namespace)
				assert.Equal(t, "json", o.Output)
				assert.Equal(t, "never", o.Color)
				assert.True(t, o.ExitCode)
				assert.Equal(t, "f", o.Config)
				assert.Equal(t, "c", o.Connection.CurrentContext)
				assert.Equal(t, "k", o.Kubeconfig)
				assert.Equal(t, "me", o.Connection.AuthInfo.Impersonate)
			},
		},
		"all namespaces": {
			[]string{"-A", "status"}, func(t *testing.T, o *app.Options) { t.Helper(); assert.True(t, o.AllNamespaces) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, err := app.ParseOptions(row.args)
			require.NoError(t, err)
			row.want(t, o)
		})
	}
}

func TestParseOptionsRefuses(t *testing.T) {
	t.Parallel()

	for name, row := range map[string]struct {
		args []string
		want string
	}{
		"another command": {[]string{"delete"}, `there is no command "delete", only status, version and help`},
		"an argument":     {[]string{"status", "ml"}, `unexpected argument "ml" (see kubectl pipeline-storage help)`},
		"an unknown flag": {[]string{"status", "--watch"}, "unknown flag: --watch (see kubectl pipeline-storage help)"},
		"another output":  {[]string{"status", "-o", "yaml"}, `--output: "yaml" is neither wide nor json`},
		"another colour":  {[]string{"status", "--color", "red"}, `--color: "red" is neither auto, always nor never`},
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
			assert.Equal(t, 1, app.Run(t.Context(), row.args, &out, &problems))
			assert.Equal(t, "error: "+row.want+"\n", problems.String())
			assert.Empty(t, out.String())
		})
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()

	var out bytes.Buffer
	assert.Equal(t, 0, app.Run(t.Context(), []string{"version"}, &out, &out))
	assert.Equal(t, "kubectl-pipeline_storage "+app.Version()+"\n", out.String())
}
