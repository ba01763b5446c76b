package helm_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/cli"
	helmpostrender "helm.sh/helm/v3/pkg/postrender"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
	"github.com/pipeline-storage/pipeline-storage/test/stream"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

var _ helmpostrender.PostRenderer = (*postrender.Renderer)(nil)

func TestSDKRendersAsCommand(t *testing.T) {
	t.Parallel()
	for _, name := range examples {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			install := newInstall(t, new(action.Configuration), "team")
			install.DryRun, install.ClientOnly = true, true
			chart, err := loader.Load(example(name))
			require.NoError(t, err)
			release, err := install.Run(chart, nil)
			require.NoError(t, err)

			h := helm3(t)
			command := h.Must(t, append(h.template(example(name)), "--no-hooks")...)
			assert.Equal(t, stream.Objects(t, command), stream.Objects(t, release.Manifest))
		})
	}
}

func TestSDKInstalls(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	settings := cli.New()
	settings.KubeConfig = suite.Plane(t).Kubeconfig
	settings.SetNamespace(namespace)
	configuration := new(action.Configuration)
	require.NoError(t, configuration.Init(settings.RESTClientGetter(), namespace, "secrets", func(string, ...any) {}))

	chart, err := loader.Load(example("etl-cronjob"))
	require.NoError(t, err)
	_, err = newInstall(t, configuration, namespace).Run(chart, nil)
	require.NoError(t, err)

	storageOf("rel", namespace).uids(t)
	assert.Contains(t, volumesOf(t, get(t, cronjobs, namespace, "rel-etl")), "pvc-data-pipeline.rel")
}

func TestSDKReturnsConflictReason(t *testing.T) {
	t.Parallel()
	install := newInstall(t, new(action.Configuration), "team")
	install.DryRun, install.ClientOnly = true, true
	chart, err := loader.Load(testchart("conflict"))
	require.NoError(t, err)
	_, err = install.Run(chart, nil)
	assert.ErrorContains(t, err, conflict)
}

func TestSDKRendersEmptyChart(t *testing.T) {
	t.Parallel()
	renderer := newInstall(t, new(action.Configuration), "team").PostRenderer
	out, err := renderer.Run(new(bytes.Buffer))
	require.NoError(t, err)
	text, err := io.ReadAll(out)
	require.NoError(t, err)
	assert.Empty(t, text)
}

func newInstall(t *testing.T, configuration *action.Configuration, namespace string) *action.Install {
	t.Helper()
	install := action.NewInstall(configuration)
	install.ReleaseName, install.Namespace = "rel", namespace
	install.PostRenderer = &postrender.Renderer{
		Config: storage.Default(), Release: storage.Release{Name: "rel", Namespace: namespace},
	}
	return install
}
