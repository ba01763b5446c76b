package helm_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// The blocks of docs/tools.md that this test runs, and what one for Terraform passes to Helm.
var (
	toolBlock  = regexp.MustCompile("(?s)<!-- run: TestTools -->\n```(\\w+)\n(.*?)```\n")
	binaryPath = regexp.MustCompile(`binary_path = "(.*)"`)
	binaryArgs = regexp.MustCompile(`args += (\[.*\])`)
)

// TestTools passes the post-renderers of docs/tools.md to Helm as the tools do, and patches a CronJob as Sveltos does.
func TestTools(t *testing.T) {
	t.Parallel()
	blocks := toolBlock.FindAllStringSubmatch(suite.Document(t, "docs/tools.md"), -1)
	require.Len(t, blocks, 4, "run the new block here, too")
	terraform, helmfile, ansible, sveltos := blocks[0][2], blocks[1][2], blocks[2][2], blocks[3][2]

	var args []string
	require.NoError(t, yaml.Unmarshal([]byte(binaryArgs.FindStringSubmatch(terraform)[1]), &args))
	rendersStorage(t, binaryPath.FindStringSubmatch(terraform)[1], args)

	var file struct {
		Releases []struct {
			Name, Namespace, Chart, PostRenderer string
			PostRendererArgs                     []string
		}
	}
	require.NoError(t, yaml.UnmarshalStrict([]byte(helmfile), &file))
	release := file.Releases[0]
	assert.Equal(t, "nightly pipelines ./examples/etl-cronjob", release.Name+" "+release.Namespace+" "+release.Chart)
	rendersStorage(t, release.PostRenderer, release.PostRendererArgs)

	script := filepath.Join(t.TempDir(), "storage.sh")
	require.NoError(t, os.WriteFile(script, []byte(ansible), 0o700))
	rendersStorage(t, script, nil)

	labelsByPatch(t, sveltos)
}

// rendersStorage has Helm 3 render the release of the document with a post-renderer.
func rendersStorage(t *testing.T, renderer string, args []string) {
	t.Helper()
	shell := suite.Shell{Dir: documentsDir(t), Programs: map[string]string{"postrender": postrenderer(t)}}
	command := []string{
		"template", "nightly", "examples/etl-cronjob", "--namespace=pipelines", "--post-renderer=" + renderer,
	}
	for _, arg := range args {
		command = append(command, "--post-renderer-args="+arg)
	}
	out := shell.Exec(t.Context(), t, helm3(t).Program, command...).Must(t)
	assert.Contains(t, out, "\n  name: pvc-data-pipeline.nightly\n  namespace: pipelines\n", "%s", renderer)
	assert.Contains(t, out, "claimName: pvc-data-pipeline.nightly\n", "%s", renderer)
}

// labelsByPatch gives the patches of a ClusterProfile to kustomize.
// Source: projectsveltos/libsveltos, lib/patcher, whose post-renderer runs kustomize.
func labelsByPatch(t *testing.T, text string) {
	t.Helper()
	var profile struct {
		Spec struct {
			Patches []any `json:"patches"`
		} `json:"spec"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(text), &profile))
	kustomization, err := yaml.Marshal(map[string]any{"resources": []string{"job.yaml"}, "patches": profile.Spec.Patches})
	require.NoError(t, err)
	dir := t.TempDir()
	for name, content := range map[string]string{
		"kustomization.yaml": string(kustomization),
		"job.yaml": `{"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"}, "spec": {"jobTemplate": {
			"spec": {"template": {"metadata": {"labels": {"app": "etl"}}, "spec": {"containers": [{"name": "main"}]}}}}}}`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	built := suite.Shell{Programs: parts.Require(t, "kustomize")}.Exec(t.Context(), t, "kustomize", "build", dir).Must(t)
	assert.Contains(t, built, "            app: etl\n            pipeline-storage: enabled\n")
}
