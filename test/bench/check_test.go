package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/test/bench/claim"
)

const before = `---
# Source: chart/templates/config.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: pipelines}
data:
  pod.yaml: |
    ---
    kind: Deployment
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: pipelines}
spec:
  template:
    spec:
      affinity:
      initContainers:
      - {name: prepare}
      containers:
      - name: api
        volumeMounts:
        - {name: tmp, mountPath: /tmp}
      volumes:
      - {name: tmp, emptyDir: {}}
`

const after = storage + `---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: pipelines}
data:
  pod.yaml: |
    ---
    kind: Deployment
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: pipelines}
spec:
  template:
    spec:
      initContainers:
      - name: prepare
        volumeMounts:
        - {name: added, mountPath: /data} # prepare
      containers:
      - name: api
        volumeMounts:
        - {name: added, mountPath: /data} # api
        - {name: tmp, mountPath: /tmp}
      volumes:
      - {name: tmp, emptyDir: {}}
      - {name: added, persistentVolumeClaim: {claimName: pvc-data-pipeline.rel}}
`

func TestAcceptsCorrectEdit(t *testing.T) {
	assert.NoError(t, checkEdit(read(t, before), []byte(after)))
}

func TestRefusesIncorrectEdit(t *testing.T) {
	for name, test := range map[string]struct{ old, new, want string }{
		"no claim object":             {"kind: PersistentVolumeClaim", "kind: Secret", "0 PersistentVolumeClaims"},
		"another claim in the pod":    {"claimName: pvc-data-pipeline.rel", "claimName: other", "no volume holds the claim"},
		"an init container forgotten": {"- {name: added, mountPath: /data} # prepare", "", `"prepare" does not mount`},
		"a container forgotten":       {"- {name: added, mountPath: /data} # api", "", `container "api" does not mount`},
		"a lost mount":                {"- {name: tmp, mountPath: /tmp}", "", "changed beyond"},
		"a changed ConfigMap": {
			"    kind: Deployment\n---", "    kind: Job\n---",
			"ConfigMap pipelines/settings: is changed",
		},
		"a mount twice": {
			"- {name: tmp, mountPath: /tmp}", "- {name: tmp, mountPath: /tmp}\n        - {name: added, mountPath: /data}",
			"changed beyond",
		},
		"a mount that is read-only": {
			"mountPath: /data} # api", "mountPath: /data, readOnly: true}", `container "api" does not mount`,
		},
		"an unknown field": {"      containers:", "      kontainers: []\n      containers:", "unknown field"},
		"a lost document":  {"name: settings", "name: others", "is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, after, test.old)
			err := checkEdit(read(t, before), []byte(strings.Replace(after, test.old, test.new, 1)))
			assert.ErrorContains(t, err, test.want)
		})
	}
}

func TestRefusesRepeatedDocument(t *testing.T) {
	assert.ErrorContains(t, checkEdit(read(t, before), []byte(after+"---\n"+after)), "twice")
}

func TestRefusesChangedCopy(t *testing.T) {
	require.NoError(t, checkCopy([]byte("a"), []byte("a")))
	assert.ErrorContains(t, checkCopy([]byte("a"), []byte("a\n")), "differs from the input")
}

func TestPatchMountsInEveryContainer(t *testing.T) {
	workload := read(t, before)[1]
	text, err := yaml.Marshal(patch(workload))
	require.NoError(t, err)
	patched := read(t, string(text))[0]

	assert.Equal(t, "apps/v1 Deployment pipelines/api", patched.id())
	require.NoError(t, claim.Remove(patched.pod, claimName, mountPath))
	assert.Len(t, patched.pod.InitContainers, 1)
	assert.Len(t, patched.pod.Containers, 1)
}

func read(t *testing.T, text string) []document {
	t.Helper()
	all, err := documents([]byte(text))
	require.NoError(t, err)
	return all
}
