package app

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func get(t *testing.T, h *health, path string) (int, string) {
	t.Helper()
	recorder := httptest.NewRecorder()
	h.mux().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
	return recorder.Code, recorder.Body.String()
}

func TestReadiness(t *testing.T) {
	sound := func() error { return nil }
	broken := func() error { return errors.New("the certificate has expired") }
	for name, tt := range map[string]struct {
		checks []check
		code   int
		exp    string
	}{
		"all is well": {[]check{{name: "a", err: sound}, {name: "b"}}, 200, "a: ok\nb: ok\n"},
		"one check fails": {
			[]check{{name: "a", err: broken}, {name: "b", err: sound}},
			503,
			"a: the certificate has expired\nb: ok\n",
		},
		"a note does not fail it": {
			[]check{{name: "a", note: func() string { return "the file is refused" }}},
			200,
			"a: ok; the file is refused\n",
		},
		"an empty note is left out": {[]check{{name: "a", err: sound, note: func() string { return "" }}}, 200, "a: ok\n"},
	} {
		t.Run(name, func(t *testing.T) {
			h := &health{checks: tt.checks}
			code, text := get(t, h, "/readyz")
			assert.Equal(t, tt.code, code)
			assert.Equal(t, tt.exp, text)
			code, _ = get(t, h, "/healthz")
			assert.Equal(t, http.StatusOK, code, "a replica that is not ready lives all the same")
		})
	}
}

func TestNotReadyBeforeItServes(t *testing.T) {
	var isServing atomic.Bool
	require.Error(t, started(&isServing)())
	isServing.Store(true)
	require.NoError(t, started(&isServing)())
}

func TestClosingIsNotReady(t *testing.T) {
	var isClosing atomic.Bool
	require.NoError(t, notClosing(&isClosing)())
	isClosing.Store(true)
	require.Error(t, notClosing(&isClosing)())
}
