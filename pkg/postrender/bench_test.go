package postrender_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
	"github.com/pipeline-storage/pipeline-storage/test/bench/stream"
)

// BenchmarkRender measures the renderer alone, on the streams of make bench.
func BenchmarkRender(b *testing.B) {
	r := &postrender.Renderer{
		Config:   storage.Default(),
		Release:  storage.Release{Name: "rel", Namespace: "pipelines"},
		Selector: labels.Everything(),
	}
	for _, size := range stream.Sizes() {
		b.Run(size.Name, func(b *testing.B) {
			in, err := stream.Generate(size)
			require.NoError(b, err)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Render(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
