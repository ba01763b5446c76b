package postrender_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// TestInjectsEveryFeature renders every stream of the expected files with two storages that add all there is,
// and requires the properties of the output: what they look like is for TestRenderedStreams.
func TestInjectsEveryFeature(t *testing.T) {
	inputs, err := filepath.Glob(filepath.Join("testdata", "render", "*.in.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, inputs)
	labels, terms, directories := 0, 0, 0
	for _, input := range inputs {
		t.Run(filepath.Base(input), func(t *testing.T) {
			in, err := os.ReadFile(input)
			require.NoError(t, err)
			r := newRenderer(t, storage.DefaultMountPath)
			disk, runs := &r.Config.Profiles[0], storage.Profile{Name: "runs", Default: true, Colocate: true}
			disk.Default, disk.Colocate, disk.Env = true, true, storage.VariableNames{"DATA_PATH"}
			runs.Mount = storage.MountConfig{Path: "/runs", SubPath: "{namespace}/{pod.name}"}
			r.Config.Profiles = append(r.Config.Profiles, runs)
			r.Config.SetDefaults()
			out := requireProperties(t, r, in)
			labels += strings.Count(string(out.Bytes()), "runs.pipeline-storage.io/claim: pvc")
			terms += strings.Count(string(out.Bytes()), "topologyKey: kubernetes.io/hostname")
			directories += strings.Count(string(out.Bytes()), "subPathExpr: ")
		})
	}
	assert.Greater(t, labels, 10)
	assert.Greater(t, terms, 10)
	assert.Greater(t, directories, 10)
}

func TestInjectsColocatedJobWithDirectory(t *testing.T) {
	r := labelled(func(p *storage.Profile) { p.Colocate, p.Mount.SubPath = true, "runs/{pod.labels['job-name']}" })
	out := requireProperties(t, r, []byte(workload("Job", "a", "  parallelism: 3\n")))
	assert.Equal(t, `---
apiVersion: batch/v1
kind: Job
metadata:
  name: a
spec:
  parallelism: 3
  template:
    metadata:
      labels:
        default.pipeline-storage.io/claim: pvc-data-pipeline.rel
        pipeline-storage: enabled
    spec:
      volumes:
      - name: pipeline-storage
        persistentVolumeClaim:
          claimName: pvc-data-pipeline.rel
      affinity:
        podAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
          - labelSelector:
              matchLabels:
                default.pipeline-storage.io/claim: pvc-data-pipeline.rel
            topologyKey: kubernetes.io/hostname
      containers:
      - name: main
        volumeMounts:
        - name: pipeline-storage
          mountPath: /data
          subPathExpr: "runs/$(PIPELINE_STORAGE_POD_LABEL_JOB_NAME)"
        env:
        - name: PIPELINE_STORAGE_POD_LABEL_JOB_NAME
          valueFrom:
            fieldRef:
              fieldPath: "metadata.labels['job-name']"
        image: x
`, string(out.Bytes()[strings.LastIndex(string(out.Bytes()), "---\napiVersion: batch/v1"):]))
	assert.Empty(t, out.Report.Warnings, "colocate is the remedy that the warning names")
}
