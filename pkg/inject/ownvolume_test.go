package inject_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// ownVolumes writes volumes of the default claim for a pod: NAME, or NAME:ro for a read-only one.
func ownVolumes(names ...string) string {
	var list []string
	for _, name := range names {
		name, isReadOnly := strings.CutSuffix(name, ":ro")
		readOnly := map[bool]string{true: ", readOnly: true"}[isReadOnly]
		list = append(list, fmt.Sprintf(
			"{name: %s, persistentVolumeClaim: {claimName: pvc-data-pipeline.demo%s}}", name, readOnly,
		))
	}
	return "volumes: [" + strings.Join(list, ", ") + "]\n"
}

func TestVolumesOfThePodItself(t *testing.T) {
	const (
		reader   = "containers: [{name: reader, volumeMounts: [{name: input, mountPath: /in}]}, {name: writer}]"
		readOnly = "profiles: [{name: default, mount: {readOnly: true}}]\n"
		stuck    = `container "writer" cannot write at /data, because the pod's own volume "input" mounts the claim ` +
			`"pvc-data-pipeline.demo" read-only: remove readOnly from the volume and set it on the mounts that only read, ` +
			`or set the annotation pipeline-storage.io/read-only: "true"`
		several = `volumes "input" and "output" have the same claim "pvc-data-pipeline.demo"; before Kubernetes 1.35 such ` +
			`a pod never starts, and later all of them are read-only if the last one is: mount one volume wherever the claim ` +
			`is needed`
	)
	mountOf := func(container int, name, more string) string {
		const operation = `add /spec/containers/%d/volumeMounts [{"mountPath":"/data","name":"%s"%s}]`
		return fmt.Sprintf(operation, container, name, more)
	}
	for name, tt := range map[string]struct {
		config, pod string
		exp         []string
		expWarn     []string
		expProblems []inject.ProblemReason
	}{
		"a read-only volume that a container mounts is used with a warning": {
			pod: ownVolumes("input:ro") + reader, exp: []string{mountOf(1, "input", "")},
			expWarn: []string{stuck}, expProblems: []inject.ProblemReason{inject.ProblemReadOnlyVolume},
		},
		"a read-only profile may use it": {
			config: readOnly, pod: ownVolumes("input:ro") + reader, exp: []string{mountOf(1, "input", `,"readOnly":true`)},
		},
		"a read-only pod may use it": {
			pod: "annotations: {pipeline-storage.io/read-only: 'true'}\n---\n" + ownVolumes("input:ro") + reader,
			exp: []string{mountOf(1, "input", `,"readOnly":true`)},
		},
		"one that nothing mounts is left alone: the kubelet passes over it": {
			pod: ownVolumes("input:ro") + "containers: [{name: writer}]",
			exp: []string{"add /spec/volumes/0 " + volume, "add /spec/containers/0/volumeMounts [" + mount + "]"},
		},
		"one that nothing mounts is used where it has the name of the profile's": {
			pod: ownVolumes("pipeline-storage:ro") + "containers: [{name: writer}]",
			exp: []string{mountOf(0, "pipeline-storage", "")}, expProblems: []inject.ProblemReason{inject.ProblemReadOnlyVolume},
			expWarn: []string{strings.ReplaceAll(stuck, "input", "pipeline-storage")},
		},
		"a writable volume behind a read-only one is used": {
			pod: ownVolumes("input:ro", "output") + "containers: [{name: writer}]", exp: []string{mountOf(0, "output", "")},
		},
		"a writable volume beside a read-only one that is mounted": {
			pod: ownVolumes("input:ro", "output") + reader, exp: []string{mountOf(1, "output", "")},
			expWarn: []string{several}, expProblems: []inject.ProblemReason{inject.ProblemSeveralVolumes},
		},
		"of two alike the mounted one is used": {
			pod: ownVolumes("output", "input") + reader, exp: []string{mountOf(1, "input", "")},
		},
		"of two for a read-only profile the mounted one is used": {
			config: readOnly, pod: ownVolumes("output", "input:ro") + reader,
			exp: []string{mountOf(1, "input", `,"readOnly":true`)},
		},
		"two that are mounted already": {
			pod: ownVolumes("input", "output") + "containers: [{name: a, volumeMounts: [{name: input, mountPath: /in}]}, " +
				"{name: b, volumeMounts: [{name: output, mountPath: /out}]}]",
			expWarn: []string{several}, expProblems: []inject.ProblemReason{inject.ProblemSeveralVolumes},
		},
		"what an earlier round mounted read-only": {
			pod:     ownVolumes("input:ro") + "containers: [{name: writer, volumeMounts: [{name: input, mountPath: /data/}]}]",
			expWarn: []string{stuck}, expProblems: []inject.ProblemReason{inject.ProblemReadOnlyVolume},
		},
		"a mount that is read-only itself is the pod's choice": {
			pod: ownVolumes("input:ro") + "containers: [{name: writer, volumeMounts: [{name: input, mountPath: /data, " +
				"readOnly: true}]}]",
		},
		"a mount at a path of its own is the pod's choice": {
			pod: ownVolumes("input:ro") + "containers: [{name: reader, volumeMounts: [{name: input, mountPath: /in}]}]",
		},
		"many containers that cannot write": {
			pod: ownVolumes("input:ro") + "containers: [{name: a, volumeMounts: [{name: input, mountPath: /in}]}, {name: b}, " +
				"{name: c}, {name: d}, {name: e}, {name: f}]",
			exp: []string{
				mountOf(1, "input", ""), mountOf(2, "input", ""), mountOf(3, "input", ""), mountOf(4, "input", ""),
				mountOf(5, "input", ""),
			},
			expWarn:     []string{strings.ReplaceAll(stuck, `container "writer"`, `containers "b", "c", "d" and 2 more`)},
			expProblems: []inject.ProblemReason{inject.ProblemReadOnlyVolume},
		},
	} {
		t.Run(name, func(t *testing.T) {
			result := patch(t, configOf(t, tt.config), injecttest.Pod(t, tt.pod))
			decision := &result.Decisions[0]
			require.Nil(t, result.Refused(), decision.Message)
			assert.Equal(t, tt.exp, lines(t, result))
			assert.Equal(t, tt.expWarn, decision.Warnings)
			var problems []inject.ProblemReason
			for _, p := range decision.Problems {
				problems = append(problems, p.Reason)
			}
			assert.Equal(t, tt.expProblems, problems)
		})
	}
}

// TestExternalContainersMayMountAVolume: whether they do is not known, so that a read-only volume
// remains the only one.
func TestExternalContainersMayMountAVolume(t *testing.T) {
	result := patch(t, configOf(t, ""), injecttest.Decode(t,
		"apiVersion: tekton.dev/v1\nkind: Task\nspec:\n  volumes: [{name: input, persistentVolumeClaim: "+
			"{claimName: pvc-data-pipeline.demo, readOnly: true}}]\n  steps: [{name: a}, {name: b, ref: {name: other}}]\n"))
	assert.Contains(t, strings.Join(lines(t, result), "\n"), `{"mountPath":"/data","name":"input"}`)
}
