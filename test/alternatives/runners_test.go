package alternatives_test

import (
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
	"github.com/pipeline-storage/pipeline-storage/test/stream"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// kindsOf counts the objects of a stream by their kinds.
func kindsOf(t *testing.T, manifests string) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, object := range stream.Objects(t, manifests) {
		counts[object.GetKind()]++
	}
	return counts
}

func readFile(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(data)
}

func writeFile(t *testing.T, data string, elements ...string) string {
	t.Helper()
	file := filepath.Join(elements...)
	require.NoError(t, os.WriteFile(file, []byte(data), 0o600))
	return file
}

// awaitAdmission returns when the API server adds storage to the plain pod, or no longer does.
func awaitAdmission(t *testing.T, mounts bool) {
	t.Helper()
	namespace := newNamespace(t)
	suite.Eventually(t, "the admission should be as wanted", func(context.Context) error {
		dryRun := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
		created, _, err := running{}.create(t, namespace, plain(t), dryRun)
		if err == nil && (len(mountsOf(&created.Spec.Containers[0])) > 0) != mounts {
			err = errors.New("it is not")
		}
		return err
	})
}

func startPolicy(policy string) func(t *testing.T) running {
	return func(t *testing.T) running {
		t.Helper()
		file := filepath.Join("testdata", policy)
		kubectl(t, "apply", "--filename", file, "--filename", filepath.Join("testdata", "class.yaml"))
		awaitAdmission(t, true)
		return running{objects: kindsOf(t, readFile(t, file)), remove: func() {
			kubectl(t, "delete", "--filename", file)
			awaitAdmission(t, false)
		}}
	}
}

// startKyverno patches by the part of Kyverno that does so in its admission controller.
func startKyverno(t *testing.T) running {
	t.Helper()
	kubectl(t, "apply", "--filename", filepath.Join("testdata", "class.yaml"))
	shell := suite.Shell{Programs: parts.Require(t, "kyverno")}
	policy := filepath.Join("testdata", "kyverno.yaml")
	return running{offline: true, render: func(t *testing.T, _ string, p *pod) (*pod, []string, error) {
		t.Helper()
		data, err := yaml.Marshal(p)
		require.NoError(t, err)
		result := shell.Exec(t.Context(), t, "kyverno", policy, writeFile(t, string(data), t.TempDir(), "in.yaml"))
		if result.Err != nil {
			return nil, nil, errors.New(result.Stderr)
		}
		patched := &pod{}
		require.NoError(t, yaml.UnmarshalStrict([]byte(result.Stdout), patched))
		return patched, nil, nil
	}}
}

// workload writes a Deployment of the pod to a file.
func workload(t *testing.T, p *pod, elements ...string) string {
	t.Helper()
	data, err := yaml.Marshal(deploymentOf(p))
	require.NoError(t, err)
	return writeFile(t, string(data), elements...)
}

// podOf returns the pod of the Deployment in a stream.
func podOf(t *testing.T, manifests string) *pod {
	t.Helper()
	for _, object := range stream.Objects(t, manifests) {
		if object.GetKind() == "Deployment" {
			deployment := &appsv1.Deployment{}
			require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, deployment))
			template := deployment.Spec.Template
			p := &pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
			p.Name = deployment.Name
			return p
		}
	}
	require.Fail(t, "the stream has no Deployment", manifests)
	return nil
}

func startKustomize(*testing.T) running {
	build := func(t *testing.T, p *pod) suite.Result {
		t.Helper()
		dir := t.TempDir()
		for _, file := range []string{"kustomize/kustomization.yaml", "class.yaml", "claim.yaml"} {
			writeFile(t, readFile(t, filepath.Join("testdata", file)), dir, filepath.Base(file))
		}
		workload(t, p, dir, "workload.yaml")
		return suite.Shell{Programs: parts.Require(t, "kustomize")}.Exec(t.Context(), t, "kustomize", "build", dir)
	}
	run := func(verb string) func(t *testing.T, namespace string) {
		return func(t *testing.T, namespace string) {
			t.Helper()
			file := writeFile(t, build(t, plain(t)).Must(t), t.TempDir(), "built.yaml")
			kubectl(t, verb, "--namespace", namespace, "--filename", file)
		}
	}
	return running{
		render:  rendered(func(t *testing.T, _ string, p *pod) suite.Result { t.Helper(); return build(t, p) }),
		prepare: func(*testing.T, string) {},
		install: run("apply"), uninstall: run("delete"),
	}
}

// rendered makes a running.render of what renders a Deployment: what it prints to standard error are its warnings, or
// why it fails.
func rendered(render func(t *testing.T, namespace string, p *pod) suite.Result) func(
	*testing.T, string, *pod,
) (*pod, []string, error) {
	return func(t *testing.T, namespace string, p *pod) (*pod, []string, error) {
		t.Helper()
		result := render(t, namespace, p)
		if result.Err != nil {
			return nil, nil, errors.New(result.Stderr)
		}
		var printed []string
		if result.Stderr != "" {
			printed = strings.Split(strings.TrimSpace(result.Stderr), "\n")
		}
		return podOf(t, result.Stdout), printed, nil
	}
}

const release = "alternative"

func startPostrender(t *testing.T) running {
	t.Helper()
	config, err := filepath.Abs(filepath.Join("testdata", "storage.yaml"))
	require.NoError(t, err)
	program := suite.Program(t, "cmd/postrender")
	flags := func(namespace string) []string {
		return []string{"--config=" + config, "--namespace=" + namespace, "--release=" + release}
	}
	helm := suite.Helm(t, "helm3")
	return running{
		render: rendered(func(t *testing.T, namespace string, p *pod) suite.Result {
			t.Helper()
			command := "postrender " + strings.Join(flags(namespace), " ") + " < " + workload(t, p, t.TempDir(), "in.yaml")
			return suite.Shell{Programs: map[string]string{"postrender": program}}.Run(t.Context(), t, command)
		}),
		prepare: func(*testing.T, string) {},
		install: func(t *testing.T, namespace string) {
			t.Helper()
			args := []string{"upgrade", "--install", release, chart(t), "--namespace", namespace, "--post-renderer", program}
			for _, flag := range flags(namespace) {
				args = append(args, "--post-renderer-args="+flag)
			}
			silent(t, helm.Run(t.Context(), args...))
		},
		uninstall: func(t *testing.T, namespace string) {
			t.Helper()
			silent(t, helm.Run(t.Context(), "uninstall", release, "--namespace", namespace))
		},
	}
}

// chart writes a chart with a Deployment of the plain pod.
func chart(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "templates"), 0o700))
	writeFile(t, "apiVersion: v2\nname: application\nversion: 0.1.0\n", dir, "Chart.yaml")
	workload(t, plain(t), dir, "templates", "workload.yaml")
	return dir
}

// startChart installs the chart in a namespace of its own, with processes in place of its pods.
func startChart(file string) func(t *testing.T) running {
	return func(t *testing.T) running {
		t.Helper()
		namespace := "storage-" + strings.TrimSuffix(file, ".yaml")
		values, err := filepath.Abs(filepath.Join("testdata", file))
		require.NoError(t, err)
		installed := suite.InstallWebhook(t.Context(), t, suite.Installation{
			Release: release, Namespace: namespace, Helm: []string{"--values=" + values},
		})
		helm := suite.Helm(t, "helm4")
		awaitAdmission(t, true)
		awaitRefusal(t)
		// In base64 as all data of Secrets.
		certificates := strings.Count(kubectl(t, "get", "secrets", "--namespace", namespace,
			"--output", `jsonpath={.items[*].data.ca\.crt}`), base64.StdEncoding.EncodeToString([]byte("-----BEGIN C")))
		return running{
			objects:      kindsOf(t, helm.Must(t, "get", "manifest", release, "--namespace", namespace)),
			certificates: certificates, makesClaim: true,
			stop: func() func() {
				installed.Stop()
				return func() { require.NoError(t, installed.Start(t.Context(), 1)) }
			},
			remove: func() {
				installed.Stop()
				helm.Must(t, "uninstall", release, "--namespace", namespace, "--no-hooks")
				awaitAdmission(t, false)
			},
			account: "system:serviceaccount:" + namespace + ":" + installed.Name,
		}
	}
}

// awaitRefusal returns when a pod is refused that stands in the way: the API server notices a policy that refuses by
// itself, and not with the one that mounts.
func awaitRefusal(t *testing.T) {
	t.Helper()
	namespace, conflicting := newNamespace(t), plain(t)
	conflicting.Spec.Containers[0].Env = []corev1.EnvVar{{Name: variable, Value: "/mnt"}}
	suite.Eventually(t, "a pod that stands in the way should be refused", func(context.Context) error {
		dryRun := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
		if _, _, err := (running{}).create(t, namespace, conflicting, dryRun); err == nil {
			return errors.New("it is not")
		}
		return nil
	})
}
