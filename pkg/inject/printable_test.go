package inject_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/net"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// TestAPIServerAcceptsEveryWarning has pods with control characters where Kubernetes allows any text.
func TestAPIServerAcceptsEveryWarning(t *testing.T) {
	t.Parallel()
	for path, exp := range map[string]string{
		"/data/x":       "/data/x",
		`/data/é "\n"`:  `/data/é "\n"`,
		"/data/x\n":     `/data/x\n`,
		"/data/\x1b[2J": `/data/\x1b[2J`,
		"/data/\u0085":  `/data/\u0085`,
		"/data/'\t":     `/data/'\t`,
	} {
		pod := map[string]any{
			"apiVersion": "v1", "kind": "Pod",
			"metadata": map[string]any{"labels": map[string]any{"pipeline-storage": "enabled"}},
			"spec": map[string]any{
				"volumes": []any{map[string]any{"name": "v", "emptyDir": map[string]any{}}},
				"containers": []any{map[string]any{"name": "a", "volumeMounts": []any{
					map[string]any{"name": "v", "mountPath": path},
				}}},
			},
		}
		objects := injecttest.Find(t, storage.Default(), pod)
		request := inject.Request{Release: injecttest.Release, Namespace: "ml"}
		result := inject.Patch(storage.Default(), request, objects[0].Pods...)
		require.Len(t, result.Decisions[0].Warnings, 1, path)
		warning := result.Decisions[0].Warnings[0]
		assert.Equal(t, `container "a": mount path /data nests with `+exp+` of volume "v"`, warning)
		_, err := net.NewWarningHeader(299, "", warning)
		assert.NoError(t, err)
	}
}

// TestConflictHasNoControlCharacters has a key of Spark's configuration in the message, which a terminal shows.
func TestConflictHasNoControlCharacters(t *testing.T) {
	t.Parallel()
	application := injecttest.Decode(t, `{apiVersion: sparkoperator.k8s.io/v1beta2, kind: SparkApplication, spec: `+
		`{driver: {labels: {pipeline-storage: enabled}}, sparkConf: `+
		`{"spark.kubernetes.driver.volumes.hostPath.d\x1b[2J.mount.path": /data}}}`)
	objects := injecttest.Find(t, storage.Default(), application)
	request := inject.Request{Release: injecttest.Release, Namespace: "ml"}
	result := inject.Patch(storage.Default(), request, objects[0].Pods...)
	refused := result.Refused()
	require.NotNil(t, refused)
	assert.Contains(t, refused.Message, `is taken by spark.kubernetes.driver.volumes.hostPath.d\x1b[2J.mount.path: `)
}
