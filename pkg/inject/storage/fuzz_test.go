package storage_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// FuzzConfig loads arbitrary text. What loads is valid, and prints as text that loads the same.
func FuzzConfig(f *testing.F) {
	files, err := filepath.Glob("testdata/objects/*.in.yaml")
	require.NoError(f, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(text)
	}
	for _, text := range []string{
		"profiles: [{name: a, fsGroup: 0, env: A, namespaceSelector: {matchLabels: {a: b}}}]\n",
		"profiles: [{name: a, claim: {size: 1e3, accessModes: [ReadWriteOncePod]}}]\n",
		"profiles: [{name: a}]\nkinds: [{group: g, kind: K, pods: [{podTemplate: a.b, replicas: ['$.c[*].d']}]}, {kind: " +
			"L, objects: ['items[*]']}]\n",
		"profiles: [{name: a, default: true, colocate: true, mount: {subPath: " +
			"\"{namespace}/{pod.name}/{pod.labels['a/b']}\"}}]\n",
		"profiles: [{name: a}]\nkinds: [{kind: K, pods: [{scope: 'a[*]', metadata: [.], spec: ., securityContext: [b], " +
			"volumes: $.v, containers: [., 'c[*]']}]}]\n",
		"profiles: [{name: a}]\nkinds: [{kind: K, clusterScoped: true, advice: x, pods: [{scope: 'a{*}', labels: $.l, " +
			"why: w}, {podTemplate: t, labels: $.l, shared: [{mounts: ['$.m'], env: ['$.e']}], names: {c: n}}]}, " +
			"{kind: L, advice: x}]\n",
		"profiles: [{name: a, claim: {labels: {a.b/c: '{namespace}'}, annotations: {d: '{release}'}}, storageClass: " +
			"{labels: {e: f}, allowedTopologies: [{matchLabelExpressions: [{key: g, values: [h, i]}]}]}, volume: {handle: j, " +
			"labels: {k: ''}}}]\n",
		"profiles: [{name: a, storageClass: {name: ClusterDefault}, mount: {path: /usr/local/a}, env: HOME}]\n",
		"profiles: &p [{name: a, <<: {env: X}}]\nmetadata: {a: 1.5, b: 2026-01-01, c: ~, d: 0x1f, e: !!binary aGk=}\n",
	} {
		f.Add([]byte(injecttest.FileHead + text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		config, _, err := storage.Load(text)
		if err != nil {
			require.Nil(t, config)
			return
		}
		require.Empty(t, config.Validate())
		requireSameWhenPrinted(t, config)
		for i := range config.Profiles {
			config.Profiles[i].Warnings()
			ref := storage.ProfileRef{Profile: config.Profiles[i].Name, Namespace: "ml"}
			if _, err := storage.Objects(config, injecttest.Release, ref); err != nil {
				require.NotNil(t, config.Profiles[i].Volume, "only a static volume can be in the wrong namespace")
			}
		}
	})
}
