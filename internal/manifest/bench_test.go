package manifest_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"gomodules.xyz/jsonpatch/v2"
	corev1 "k8s.io/api/core/v1"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
	"github.com/pipeline-storage/pipeline-storage/test/bench/stream"
)

// BenchmarkSplit measures the one look at every line.
func BenchmarkSplit(b *testing.B) {
	for _, size := range stream.Sizes() {
		b.Run(size.Name, func(b *testing.B) {
			in, err := stream.Generate(size)
			require.NoError(b, err)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				manifest.Split(in)
			}
		})
	}
}

// BenchmarkApply measures how volumes are added to a small pod: encoding them is most of the work.
func BenchmarkApply(b *testing.B) {
	const volumes = 20
	tree, err := manifest.Decode([]byte("kind: Pod\nspec:\n  volumes:\n  - name: old\n"))
	require.NoError(b, err)
	ops := make([]jsonpatch.Operation, volumes)
	for i := range ops {
		ops[i] = jsonpatch.NewOperation("add", fmt.Sprintf("/spec/volumes/%d", i), corev1.Volume{
			Name: fmt.Sprintf("volume-%d", i),
			VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "claim"},
			},
		})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tree.Apply(ops); err != nil {
			b.Fatal(err)
		}
	}
}
