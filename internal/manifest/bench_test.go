package manifest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

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
