package admission_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/reviews"
)

// BenchmarkHandler measures one review without the network; make bench-admission measures the program with it.
func BenchmarkHandler(b *testing.B) {
	for _, size := range reviews.Sizes() {
		made, err := size.Make(1)
		require.NoError(b, err)
		for name, h := range map[string]http.Handler{"pipeline-storage": handler(b), "controller-runtime": theirs()} {
			b.Run(size.Name+"/"+name, func(b *testing.B) {
				b.SetBytes(int64(len(made[0].Body)))
				b.ReportAllocs()
				body := bytes.NewReader(nil)
				request := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/inject", body)
				request.Header.Set("Content-Type", "application/json")
				request.ContentLength = int64(len(made[0].Body))
				for b.Loop() {
					body.Reset(made[0].Body)
					h.ServeHTTP(&discard{header: http.Header{}}, request)
				}
			})
		}
	}
}

// discard is a response that costs nothing.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header            { return d.header }
func (d *discard) Write(text []byte) (int, error) { return len(text), nil }
func (d *discard) WriteHeader(int)                {}
