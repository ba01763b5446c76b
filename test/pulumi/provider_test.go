package pulumi_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/cli"
	"helm.sh/helm/v3/pkg/postrender"
	"helm.sh/helm/v3/pkg/release"

	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// renderChart does what the provider does for helm.v4.Chart, in preview and update alike
// (pulumi-kubernetes, provider/pkg/provider/helm/v4/chart.go, Construct; provider/pkg/helm/tool.go,
// TemplateCommand.Execute): the stream that it then registers object by object. It has no cluster:
// neither its version, nor the function lookup.
func renderChart(t *testing.T, inputs chartInputs) (string, error) {
	t.Helper()
	install := action.NewInstall(new(action.Configuration))
	install.DryRun, install.ClientOnly, install.DisableOpenAPIValidation, install.Replace = true, true, true, true
	install.IncludeCRDs, install.DisableHooks = true, true
	install.ReleaseName, install.Namespace = inputs.Name, inputs.Namespace
	made, err := run(t, install, inputs.Chart, inputs.PostRenderer.Command, inputs.PostRenderer.Args...)
	if err != nil {
		return "", err
	}
	return made.Manifest, nil
}

// installRelease does what the provider does for a new helm.v3.Release (pulumi-kubernetes,
// provider/pkg/provider/helm_release.go, helmCreate).
func installRelease(t *testing.T, configuration *action.Configuration, inputs chartInputs) error {
	t.Helper()
	install := action.NewInstall(configuration)
	install.Wait, install.CreateNamespace = !inputs.SkipAwait, inputs.CreateNamespace
	install.ReleaseName, install.Namespace = inputs.Name, inputs.Namespace
	_, err := run(t, install, inputs.Chart, inputs.Postrender)
	return err
}

func run(t *testing.T, install *action.Install, chart, command string, args ...string) (*release.Release, error) {
	t.Helper()
	usePostrender(t)
	renderer, err := postrender.NewExec(command, args...)
	require.NoError(t, err)
	install.PostRenderer = renderer
	loaded, err := loader.Load(chart)
	require.NoError(t, err)
	return install.RunWithContext(t.Context(), loaded, nil)
}

// helm returns a configuration for a namespace of the cluster.
func helm(t *testing.T, namespace string) *action.Configuration {
	t.Helper()
	settings := cli.New()
	settings.KubeConfig = suite.Plane(t).Kubeconfig
	settings.SetNamespace(namespace)
	configuration := new(action.Configuration)
	require.NoError(t, configuration.Init(settings.RESTClientGetter(), namespace, "secrets", func(string, ...any) {}))
	return configuration
}
