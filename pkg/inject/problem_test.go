package inject_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// configOf is a configuration without its head, or the default one.
func configOf(t testing.TB, text string) *storage.Config {
	t.Helper()
	if text == "" {
		return storage.Default()
	}
	return injecttest.Load(t, text)
}

// warningsOf are the warnings about a pod that is not refused.
func warningsOf(t *testing.T, config, pod string) []string {
	t.Helper()
	result := patch(t, configOf(t, config), injecttest.Pod(t, pod))
	require.Nil(t, result.Refused(), result.Decisions[0].Message)
	return result.Decisions[0].Warnings
}

func TestUserNamespaces(t *testing.T) {
	const nfs = "profiles: [{name: default, storageClass: {backend: nfs, parameters: {server: s, share: /x}}}]\n"
	const pod = "hostUsers: %s\ncontainers: [{name: main}]"
	assert.Equal(t, []string{
		`profile "default": the pod has hostUsers: false, which needs idmapped mounts; NFS has none, and the pod does not ` +
			`start: remove hostUsers: false, or use a backend that has idmapped mounts`,
	}, warningsOf(t, nfs, fmt.Sprintf(pod, "false")))
	assert.Empty(t, warningsOf(t, nfs, fmt.Sprintf(pod, "true")))
	assert.Empty(t, warningsOf(t, nfs, "containers: [{name: main}]"))
	assert.Empty(t, warningsOf(t, "", fmt.Sprintf(pod, "false")), "a disk has a file system that has them")
}

func TestSELinuxLabelsOfOnePod(t *testing.T) {
	const level = "securityContext: {seLinuxOptions: {level: 's0:c%d'}}"
	const differ = `containers "a" and "b" mount the claim "pvc-data-pipeline.demo" with different seLinuxOptions, and ` +
		`from Kubernetes 1.37 such a pod does not start on a node with SELinux: give them the same options, or exclude ` +
		`one of them`
	own := func(n int) string { return fmt.Sprintf(level, n) }
	for name, tt := range map[string]struct {
		config, pod string
		exp         []string
	}{
		"two labels": {"", "containers: [{name: a, " + own(1) + "}, {name: b, " + own(2) + "}]", []string{differ}},
		"one of three": {
			"", "containers: [{name: a, " + own(1) + "}, {name: c, " + own(1) + "}, {name: b, " + own(2) + "}]",
			[]string{differ},
		},
		"the pod's and a container's": {
			"", own(1) + "\ncontainers: [{name: a}, {name: b, " + own(2) + "}]", []string{differ},
		},
		"with the policy Recursive, which does not help": {
			"profiles: [{name: default, seLinuxChangePolicy: Recursive}]\n",
			"containers: [{name: a, " + own(1) + "}, {name: b, " + own(2) + "}]",
			[]string{differ},
		},
		"one label":    {"", "containers: [{name: a, " + own(1) + "}, {name: b, " + own(1) + "}]", nil},
		"one and none": {"", "containers: [{name: a, " + own(1) + "}, {name: b}]", nil},
		"an empty one": {
			"", "containers: [{name: a, " + own(1) + "}, {name: b, securityContext: {seLinuxOptions: {}}}]", nil,
		},
		"a container left out": {
			"profiles: [{name: default, mount: {excludeContainers: [b]}}]\n",
			"containers: [{name: a, " + own(1) + "}, {name: b, " + own(2) + "}]", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tt.exp, warningsOf(t, tt.config, tt.pod))
		})
	}
}

// TestOneWarningForAllNestedPaths has one line, however many containers and paths there are.
func TestOneWarningForAllNestedPaths(t *testing.T) {
	const config = "profiles: [{name: default, mount: {path: /hp}}]\n"
	containers := func(count int, mounts string) string {
		list := make([]string, count)
		for i := range list {
			list[i] = fmt.Sprintf("{name: c%d, volumeMounts: [%s]}", i, strings.ReplaceAll(mounts, "N", strconv.Itoa(i)))
		}
		return "volumes: [{name: v, emptyDir: {}}]\ncontainers: [" + strings.Join(list, ", ") + "]"
	}
	assert.Equal(t, []string{
		`containers "c0", "c1", "c2" and 57 more: mount path /hp nests with /hp/some/where of volume "v"`,
	}, warningsOf(t, config, containers(60, "{name: v, mountPath: /hp/some/where}")))
	assert.Equal(t, []string{
		`containers "c0" and "c1": mount path /hp nests with /hp/a of volume "v"; ` +
			`containers "c0" and "c1": mount path /hp nests with /hp/b of volume "v"`,
	}, warningsOf(t, config, containers(2, "{name: v, mountPath: /hp/a}, {name: v, mountPath: /hp/b}")))
	assert.Equal(t, []string{
		`container "c0": mount path /hp nests with /hp/0 of volume "v"; container "c1": mount path /hp nests with /hp/1 of ` +
			`volume "v"; container "c2": mount path /hp nests with /hp/2 of volume "v"; and 57 more`,
	}, warningsOf(t, config, containers(60, "{name: v, mountPath: /hp/N}")))
	assert.Equal(t, []string{
		`container "main": mount path /hp nests with /hp/x/y of volume "x"; container "main": mount path /hp/x nests with ` +
			`/hp/x/y of volume "x"; container "main": mount path /hp/x nests with /hp of volume "pipeline-storage"`,
	}, warningsOf(t, "profiles: [{name: default, mount: {path: /hp}}, {name: b, default: true, mount: {path: /hp/x}}]\n",
		"annotations: {pipeline-storage.io/profiles: 'default, b'}\n---\nvolumes: [{name: x, emptyDir: {}}]\n"+
			"containers: [{name: main, volumeMounts: [{name: x, mountPath: /hp/x/y}]}]"), "of both profiles")
}

// TestProblemsComeFirst because a client may see the first warnings only.
func TestProblemsComeFirst(t *testing.T) {
	result := patch(t, injecttest.Load(t, "profiles: [{name: default, fsGroup: 1, storageClass: {backend: nfs, "+
		"parameters: {server: s, share: /x}}}]\n"), injecttest.Pod(t, "annotations: "+
		"{pipeline-storage.io/mount-pth: /x}\n---\nhostUsers: false\nvolumes: [{name: o, persistentVolumeClaim: "+
		"{claimName: other}}]\ncontainers: [{name: main}]"))
	d := &result.Decisions[0]
	require.Len(t, d.Warnings, 3)
	require.Len(t, d.Problems, 1)
	assert.Equal(t, d.Problems[0].Message(), d.Warnings[0])
	assert.Equal(t, inject.ProblemNoIDMap, d.Problems[0].Reason)
}

// TestARefusedPodHasNoProblems: it gets nothing.
func TestARefusedPodHasNoProblems(t *testing.T) {
	result := patch(t, injecttest.Load(t, "profiles: [{name: default}, {name: b, default: true, mount: {path: /b}}]\n"),
		injecttest.Pod(t, "annotations: {pipeline-storage.io/profiles: 'default, b'}\n---\n"+ownVolumes("input:ro")+
			"containers: [{name: a, volumeMounts: [{name: input, mountPath: /in}]}, {name: c, volumeMounts: [{name: x, "+
			"mountPath: /b}]}]"))
	require.NotNil(t, result.Refused())
	assert.Empty(t, result.Decisions[0].Problems)
	assert.NotEmpty(t, result.Decisions[0].Warnings)
}
