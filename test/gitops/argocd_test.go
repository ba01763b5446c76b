package gitops_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// plugin has the fields of a ConfigManagementPlugin that the example uses.
// Source: argo-cd, cmpserver/plugin/config.go.
type plugin struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		Init     pluginCommand `json:"init"`
		Generate pluginCommand `json:"generate"`
	} `json:"spec"`
}

type pluginCommand struct {
	Command []string `json:"command"`
	Args    []string `json:"args"`
}

func readPlugin(t *testing.T) plugin {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "examples", "argocd", "plugin.yaml"))
	require.NoError(t, err)
	var p plugin
	require.NoError(t, yaml.UnmarshalStrict(text, &p))
	assert.Equal(t, "argoproj.io/v1alpha1 ConfigManagementPlugin", p.APIVersion+" "+p.Kind)
	return p
}

// argoEnv is the build environment that Argo CD gives a plugin.
// Source: argo-cd, docs/user-guide/build-environment.md.
func argoEnv(app string, more ...string) []string {
	return append([]string{
		"ARGOCD_APP_NAME=" + app, "ARGOCD_APP_NAMESPACE=pipelines", "ARGOCD_APP_PROJECT_NAME=default",
		"ARGOCD_APP_SOURCE_PATH=charts",
		"KUBE_VERSION=1.33.0", "KUBE_API_VERSIONS=v1,apps/v1,batch/v1,storage.k8s.io/v1,ray.io/v1,ray.io/v1/RayCluster",
	}, more...)
}

// generate runs init and generate as Argo CD does: in the Application's directory, the arguments
// behind the command, with no interpolation.
// Source: argo-cd, cmpserver/plugin/plugin.go runCommand.
func generate(t *testing.T, dir string, env []string) suite.Result {
	t.Helper()
	p := readPlugin(t)
	var r suite.Result
	for _, c := range []pluginCommand{p.Spec.Init, p.Spec.Generate} {
		r = shell(t, dir, env...).Exec(t.Context(), t, c.Command[0], append(c.Command[1:], c.Args...)...)
		if r.Err != nil {
			return r
		}
	}
	return r
}

// withoutHooks removes what Helm 3 sends to no post-renderer.
func withoutHooks(all map[string]*unstructured.Unstructured) map[string]*unstructured.Unstructured {
	for key, object := range all {
		if object.GetAnnotations()["helm.sh/hook"] != "" {
			delete(all, key)
		}
	}
	return all
}

// The plugin renders every example chart as Helm and the post-renderer do.
func TestPluginRendersAsHelm(t *testing.T) {
	t.Parallel()
	for _, chart := range []string{"etl-cronjob", "training-job", "ray-cluster"} {
		t.Run(chart, func(t *testing.T) {
			t.Parallel()
			dir := copied(t, "examples/"+chart)
			got := generate(t, dir, argoEnv("nightly")).Must(t)
			want := shell(t, dir).Exec(t.Context(), t, "helm", "template", "nightly", ".", "--namespace", "pipelines",
				"--kube-version", "1.33.0", "--api-versions", "ray.io/v1/RayCluster",
				"--post-renderer", suite.Program(t, "cmd/postrender"), "--post-renderer-args=--namespace=pipelines",
				"--post-renderer-args=--release=nightly").Must(t)
			require.Contains(t, got, "claimName: pvc-data-pipeline.nightly")
			assert.Equal(t, withoutHooks(objects(t, want)), withoutHooks(objects(t, got)))
		})
	}
}

// Values and configuration are files of the Application, and an Application of another namespace
// has the same release.
func TestPluginReadsApplicationFiles(t *testing.T) {
	t.Parallel()
	dir := copied(t, "examples/training-job")
	config, err := os.ReadFile(filepath.Join(root, "examples", "storageconfig.yaml"))
	require.NoError(t, err)
	write(t, dir, "storage.yaml", string(config))
	write(t, dir, "prod.yaml", "storageProfiles: [default, checkpoints]\n")
	env := argoEnv("team-a_run-7", "ARGOCD_ENV_VALUES=prod.yaml", "ARGOCD_ENV_STORAGE_CONFIG=storage.yaml")
	got := keys(objects(t, generate(t, dir, env).Must(t)))
	claims := 0
	for _, key := range got {
		if strings.HasPrefix(key, "PersistentVolumeClaim/pipelines/") {
			claims++
			assert.Contains(t, key, ".run-7")
		}
	}
	assert.Equal(t, 2, claims, "%v", got)
}

// A directory without a chart is a kustomization. The plugin needs no function in it.
func TestPluginBuildsKustomization(t *testing.T) {
	t.Parallel()
	dir := copied(t, "examples/kustomize")
	edit(t, dir, "kustomization.yaml", "transformers:\n- storage.yaml\n", "")
	got := objects(t, generate(t, dir, argoEnv("nightly", "ARGOCD_ENV_STORAGE_CONFIG=storage.yaml")).Must(t))
	assert.Equal(t, objects(t, build(t, copied(t, "examples/kustomize")).Must(t)), got)
}

// Argo CD must not read a failed rendering as an empty Application.
func TestPluginFailsWithoutOutput(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ file, text, exp string }{
		"when helm fails": {"templates/broken.yaml", "{{ fail \"no such value\" }}\n", "no such value"},
		"on a conflict": {
			"templates/pod.yaml",
			"apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {pipeline-storage: enabled}}\nspec:\n  containers:\n  - " +
				"name: main\n" +
				"    image: x\n    volumeMounts: [{name: s, mountPath: /data}]\n  volumes: [{name: s, emptyDir: {}}]\n",
			`Pod/p: container "main": mount path /data is taken by volume "s": choose another by mount.path, --mount-path or ` +
				`the pod annotation pipeline-storage.io/mount-path`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copied(t, "examples/etl-cronjob")
			write(t, dir, tc.file, tc.text)
			r := generate(t, dir, argoEnv("nightly"))
			require.Error(t, r.Err)
			assert.Empty(t, r.Stdout)
			assert.Contains(t, r.Stderr, tc.exp)
		})
	}
}

// The names by which the three files of the example refer to each other.
func TestExampleFilesAreConsistent(t *testing.T) {
	t.Parallel()
	read := func(name string) *unstructured.Unstructured {
		text, err := os.ReadFile(filepath.Join(root, "examples", "argocd", name))
		require.NoError(t, err)
		object := &unstructured.Unstructured{}
		require.NoError(t, yaml.UnmarshalStrict(text, &object.Object))
		return object
	}
	application, server, p := read("application.yaml"), read("repo-server.yaml"), readPlugin(t)
	name, _, _ := unstructured.NestedString(application.Object, "spec", "source", "plugin", "name")
	assert.Equal(t, p.Metadata.Name, name)
	env, _, _ := unstructured.NestedSlice(application.Object, "spec", "source", "plugin", "env")
	require.NotEmpty(t, env)
	for _, e := range env {
		assert.Contains(t, p.Spec.Generate.Args[0], "ARGOCD_ENV_"+e.(map[string]any)["name"].(string))
	}
	text, err := yaml.Marshal(server.Object)
	require.NoError(t, err)
	assert.Contains(t, string(text), "name: pipeline-storage-plugin", "the ConfigMap of docs/gitops.md")
}
