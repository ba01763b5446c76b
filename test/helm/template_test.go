package helm_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/pipeline-storage/pipeline-storage/test/stream"
)

func TestTemplateMountsClaimInLabelledPods(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		for _, name := range examples {
			t.Run(name, func(t *testing.T) {
				labelled := 0
				for _, d := range stream.Objects(t, h.Must(t, h.template(example(name), "--hooks=all")...)) {
					if h.Name == "helm3" && d.GetAnnotations()["helm.sh/hook"] != "" {
						continue // a later test is about them
					}
					for _, pod := range podsOf(t, d.Object) {
						if pod.Labels["pipeline-storage"] != "enabled" {
							continue
						}
						labelled++
						assert.True(t, mounts(pod, "pvc-data-pipeline.rel", "/data"), "%s/%s", d.GetKind(), d.GetName())
					}
				}
				want := map[string]map[string]int{
					"helm3": {"etl-cronjob": 2, "training-job": 1, "ray-cluster": 2},
					"helm4": {"etl-cronjob": 2, "training-job": 4, "ray-cluster": 2},
				}
				assert.Equal(t, want[h.Name][name], labelled, "labelled pods")
			})
		}
	})
}

func TestTemplateNamesSourceOfStorage(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		const source = "# Source: pipeline-storage/storage.yaml\n"
		out := h.Must(t, h.template(example("etl-cronjob"))...)
		assert.Equal(t, 2, strings.Count(out, source))
		assert.NotContains(t, out, "postrender-filename", "Helm 4's annotation is removed again")
		assert.NotContains(t, out, "generated-by-postrender", "every document has a name that stays")

		only := h.Must(t, append(h.template(example("etl-cronjob")), "--show-only", "storage.yaml")...)
		assert.Equal(t, []string{"StorageClass/fast.team.rel", "PersistentVolumeClaim/pvc-data-pipeline.rel"},
			names(stream.Objects(t, only)))
	})
}

func TestTemplateIsDeterministic(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		for _, name := range examples {
			first := h.Must(t, h.template(example(name))...)
			assert.Equal(t, first, h.Must(t, h.template(example(name))...), name)
		}
	})
}

func TestTemplateOnlyAddsLines(t *testing.T) {
	t.Parallel()
	plain := map[string]func(name string) []string{
		// Helm 4 rewrites every document before and after any post-renderer, so one that copies is
		// the measure.
		"helm4": func(name string) []string {
			return []string{"template", "rel", example(name), "--post-renderer", "copy"}
		},
		"helm3": func(name string) []string { return []string{"template", "rel", example(name)} },
	}
	for _, h := range []tool{helm3(t), helm4(t)} {
		for _, name := range examples {
			t.Run(h.Name+" "+name, func(t *testing.T) {
				t.Parallel()
				before := h.Must(t, append(plain[h.Name](name), "--namespace", "team")...)
				after := h.Must(t, h.template(example(name))...)

				require.Contains(t, before, "#", "the example has comments")
				assert.Empty(t, missingLines(before, after), "lines that were lost or changed")
				assert.Equal(t, names(stream.Objects(t, before)), withoutStorage(names(stream.Objects(t, after))))
			})
		}
	}
}

func TestRenderingIsIdempotent(t *testing.T) {
	t.Parallel()
	h := helm3(t)
	for _, name := range examples {
		once := h.Must(t, h.template(example(name))...)
		again := exec.Command(postrenderer(t), "--namespace=team", "--release=rel", "--hooks=none")
		again.Stdin = strings.NewReader(once)
		twice, err := again.Output()
		require.NoError(t, err)
		assert.Equal(t, once, string(twice), name)
	}
}

func TestHelm4AnnotatesEveryDocument(t *testing.T) {
	t.Parallel()
	const filenameAnnotation = "postrenderer.helm.sh/postrender-filename"
	sent := filepath.Join(t.TempDir(), "sent.yaml")
	helm4(t).Must(t, "template", "rel", example("training-job"), "--post-renderer", "copy", "--post-renderer-args", sent)

	input, err := os.Open(sent)
	require.NoError(t, err)
	defer input.Close()
	render := exec.Command(postrenderer(t), "--helm=4", "--namespace=team", "--release=rel")
	render.Stdin = input
	out, err := render.Output()
	require.NoError(t, err)

	filenames := map[string]string{}
	for _, d := range stream.Objects(t, string(out)) {
		filenames[d.GetKind()+"/"+d.GetName()] = d.GetAnnotations()[filenameAnnotation]
	}
	assert.Equal(t, map[string]string{
		"StorageClass/fast.team.rel":                  "pipeline-storage/storage.yaml",
		"PersistentVolumeClaim/pvc-data-pipeline.rel": "pipeline-storage/storage.yaml",
		"Job/rel-train":                               "training-job/templates/job.yaml",
		"Job/rel-preflight":                           "training-job/templates/hooks.yaml",
		"Job/rel-register":                            "training-job/templates/hooks.yaml",
		"Pod/rel-test":                                "training-job/templates/tests/checkpoints.yaml",
	}, filenames)
}

func TestRendersListItems(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		out := h.Must(t, h.template(testchart("list"))...)
		assert.Contains(t, out, "- name: main # stays")

		pods := 0
		var kinds []string
		for _, d := range stream.Objects(t, out) {
			kinds = append(kinds, d.GetKind())
			for _, pod := range podsOf(t, d.Object) {
				pods++
				assert.True(t, mounts(pod, "pvc-data-pipeline.rel", "/data"))
			}
		}
		assert.Equal(t, 2, pods)
		if h.Name == "helm3" {
			assert.Equal(t, []string{"StorageClass", "PersistentVolumeClaim", "List"}, kinds)
		} else { // it splits the list before it calls a post-renderer
			assert.Equal(t, []string{"StorageClass", "PersistentVolumeClaim", "Deployment", "Deployment"}, kinds)
		}
	})
}

func TestEmptyChartStaysEmpty(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		for _, name := range []string{"empty", "comments"} {
			report := filepath.Join(t.TempDir(), "report.json")
			out := h.Must(t, h.template(testchart(name), "--report="+report)...)
			assert.Empty(t, stream.Objects(t, out), name)
			assert.Equal(t, []string{"nothing was selected: the stream holds no pods"}, readReport(t, report).Warnings, name)
		}
		out := h.Must(t, h.template(testchart("empty"))...)
		assert.Equal(t, "\n", out, "not a comment either")
		if h.Name == "helm3" { // Helm 4 drops comments before any post-renderer
			assert.Equal(t, h.Must(t, "template", "rel", testchart("comments")), h.Must(t, h.template(testchart("comments"))...))
		}
	})
}

func TestUnlabelledChartIsUnchanged(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		report := filepath.Join(t.TempDir(), "report.json")
		out := h.Must(t, h.template(testchart("unlabelled"), "--report="+report)...)
		assert.Equal(t, []string{"Deployment/train"}, names(stream.Objects(t, out)))
		assert.NotContains(t, out, "volumes:")

		workload := readReport(t, report).Workloads[0]
		assert.Contains(t, strings.Join(workload.Warnings, "\n"), "the label is on the Deployment, not on its pods")
	})
}

func TestHelm3SkipsPostRendererWhenWritingFiles(t *testing.T) {
	t.Parallel()
	h := helm3(t)
	dir := t.TempDir()
	h.Must(t, append(h.template(example("etl-cronjob")), "--output-dir", dir)...)
	text, err := os.ReadFile(filepath.Join(dir, "etl-cronjob", "templates", "cronjob.yaml"))
	require.NoError(t, err)
	assert.NotContains(t, string(text), "pvc-data-pipeline.rel", "if Helm 3 has learned this, change the documentation")
	assert.NoDirExists(t, filepath.Join(dir, "pipeline-storage"))
}

func TestHelm4WritesFilesWithStorage(t *testing.T) {
	t.Parallel()
	h := helm4(t)
	dir := t.TempDir()
	h.Must(t, append(h.template(example("etl-cronjob")), "--output-dir", dir)...)
	text, err := os.ReadFile(filepath.Join(dir, "etl-cronjob", "templates", "cronjob.yaml"))
	require.NoError(t, err)
	assert.Contains(t, string(text), "pvc-data-pipeline.rel")
	text, err = os.ReadFile(filepath.Join(dir, "pipeline-storage", "storage.yaml"))
	require.NoError(t, err)
	assert.Len(t, stream.Objects(t, string(text)), 2)
}

func TestConfigurationFileMountsTwoProfiles(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		out := h.Must(t, append(h.template(example("training-job"), "--config="+example("storageconfig.yaml")),
			"--no-hooks", "--set", "storageProfiles={default,checkpoints}")...)
		var pod corev1.PodTemplateSpec
		all := stream.Objects(t, out)
		for _, d := range all {
			if d.GetName() == "rel-train" {
				pod = podOf(t, d)
			}
		}
		assert.ElementsMatch(t, []string{
			"StorageClass/fast.team.rel", "StorageClass/fast-checkpoints.team.rel",
			"PersistentVolume/pv-data-pipeline-checkpoints.team.rel",
			"PersistentVolumeClaim/pvc-data-pipeline.rel", "PersistentVolumeClaim/pvc-data-pipeline-checkpoints.rel",
			"Job/rel-train",
		}, names(all))
		assert.True(t, mounts(pod, "pvc-data-pipeline.rel", "/data"))

		pod.Spec.InitContainers = nil // the second storage is for the container "train" only
		assert.True(t, mounts(pod, "pvc-data-pipeline-checkpoints.rel", "/checkpoints"))
	})
}

func TestPodsWithoutProfileGetDefaults(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		render := func(arguments ...string) ([]string, corev1.PodTemplateSpec) {
			all := stream.Objects(t,
				h.Must(t,
					append(h.template(example("training-job"), append(arguments, "--config="+example("three-storages.yaml"))...),
						"--no-hooks")...))
			return names(all), podOf(t, all[len(all)-1])
		}
		objects, pod := render()
		assert.ElementsMatch(t, []string{
			"StorageClass/fast-datasets.team.rel", "StorageClass/fast-scratch.team.rel", "StorageClass/fast-models.team.rel",
			"PersistentVolume/pv-data-pipeline-datasets.team.rel",
			"PersistentVolumeClaim/pvc-data-pipeline-datasets.rel", "PersistentVolumeClaim/pvc-data-pipeline-scratch.rel",
			"PersistentVolumeClaim/pvc-data-pipeline-models.rel", "Job/rel-train",
		}, objects)
		assert.True(t, mounts(pod, "pvc-data-pipeline-datasets.rel", "/datasets"))
		assert.True(t, mounts(pod, "pvc-data-pipeline-scratch.rel", "/scratch"))
		assert.True(t, pod.Spec.Containers[0].VolumeMounts[0].ReadOnly)
		pod.Spec.InitContainers = nil // models are for the container "train" only
		assert.True(t, mounts(pod, "pvc-data-pipeline-models.rel", "/models"))

		objects, _ = render("--profile=scratch")
		assert.ElementsMatch(t,
			[]string{
				"StorageClass/fast-scratch.team.rel", "PersistentVolumeClaim/pvc-data-pipeline-scratch.rel",
				"Job/rel-train",
			}, objects)
	})
}

func TestExamplesPassLint(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		for _, name := range examples {
			h.Must(t, "lint", "--strict", example(name))
		}
	})
}

func TestPassesArgumentsUnchanged(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		out := h.Must(t, h.template(example("etl-cronjob"),
			"--claim={release}-data", "--set=storageClass.parameters.tag=a b\\,$HOME ${HELM_PLUGIN_DIR}")...)
		assert.Contains(t, out, "claimName: rel-data\n")
		assert.Contains(t, out, `tag: "a b,$HOME ${HELM_PLUGIN_DIR}"`)
	})
}

func TestHelm4RequiresPlugin(t *testing.T) {
	t.Parallel()
	output := helm4(t).Fails(t, "template", "rel", example("etl-cronjob"), "--post-renderer", postrenderer(t))
	assert.Contains(t, output, "not found", "if Helm 4 accepts a path now, change the documentation")
}

// missingLines returns the lines of before that after does not have in the same order.
func missingLines(before, after string) []string {
	var missing []string
	rest := strings.Split(after, "\n")
	for line := range strings.SplitSeq(before, "\n") {
		at := 0
		for at < len(rest) && rest[at] != line {
			at++
		}
		if at == len(rest) {
			missing = append(missing, line)
			continue
		}
		rest = rest[at+1:]
	}
	return missing
}

// withoutStorage removes the storage objects, none of which the examples have themselves.
func withoutStorage(names []string) []string {
	var rest []string
	for _, name := range names {
		if !strings.HasPrefix(name, "StorageClass/") && !strings.HasPrefix(name, "PersistentVolume") {
			rest = append(rest, name)
		}
	}
	return rest
}
