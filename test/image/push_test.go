package image_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// registry keeps what is pushed to it, by the end of its path: a digest or a tag.
// Source: OCI distribution specification, "Pushing blobs" and "Pushing manifests".
type registry struct {
	mu   sync.Mutex
	kept map[string]string
	part map[string]string // uploads that are not complete
}

func (r *registry) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	body, err := io.ReadAll(request.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	key := path.Base(request.URL.Path)
	switch request.Method {
	case http.MethodPost:
		w.Header().Set("Location", fmt.Sprintf("%s%d", request.URL.Path, len(r.part)))
		r.part[strconv.Itoa(len(r.part))] = ""
		w.WriteHeader(http.StatusAccepted)
	case http.MethodPatch:
		r.part[key] += string(body)
		w.Header().Set("Location", request.URL.Path)
		w.WriteHeader(http.StatusAccepted)
	case http.MethodPut:
		text := string(body)
		if digest := request.URL.Query().Get("digest"); digest != "" {
			key, text = digest, r.part[key]+text
		}
		r.kept[key] = text
		w.WriteHeader(http.StatusCreated)
	default:
		if _, ok := r.kept[key]; !ok && key != "v2" {
			w.WriteHeader(http.StatusNotFound)
		}
	}
}

// layoutOf writes a layout with an image for one platform and returns the digest of its index.
func layoutOf(t *testing.T, dir string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755))
	blob := func(kind, text string) string {
		sum := sha256.Sum256([]byte(text))
		digest := hex.EncodeToString(sum[:])
		require.NoError(t, os.WriteFile(filepath.Join(dir, "blobs", "sha256", digest), []byte(text), 0o644))
		return fmt.Sprintf(`{"mediaType":"application/vnd.oci.image.%s","digest":"sha256:%s","size":%d}`,
			kind, digest, len(text))
	}
	layer := blob("layer.v1.tar+gzip", "a layer")
	config := blob("config.v1+json", `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:`+
		strings.Repeat("0", 2*sha256.Size)+`"]}}`)
	image := blob("manifest.v1+json", `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",`+
		`"config":`+config+`,"layers":[`+layer+`]}`)
	list := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[%s]}`
	index := fmt.Sprintf(list, image)
	entry := fmt.Sprintf(list, blob("index.v1+json", index))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "index.json"), []byte(entry), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644))
	sum := sha256.Sum256([]byte(index))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func TestPushSendsEveryByteOfTheLayout(t *testing.T) {
	t.Parallel()
	r := &registry{kept: map[string]string{}, part: map[string]string{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	dir := newLayout(t)
	digest := layoutOf(t, dir)
	repository := strings.TrimPrefix(server.URL, "http://") + "/team/pipeline-storage"

	stdout, stderr, err := run(t, "push", "-layout", dir, "-name", repository+":1.2.3")
	require.NoError(t, err, stderr)
	assert.Equal(t, repository+"@"+digest+"\n", stdout)

	blobs, err := filepath.Glob(filepath.Join(dir, "blobs", "sha256", "*"))
	require.NoError(t, err)
	require.Len(t, blobs, 4)
	for _, blob := range blobs {
		text, err := os.ReadFile(blob)
		require.NoError(t, err)
		key := "sha256:" + filepath.Base(blob)
		if key == digest {
			key = "1.2.3" // pushed by its tag
		}
		assert.Equal(t, string(text), r.kept[key], key)
	}
}

func TestPushRefuses(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(server.Close)
	dir := newLayout(t)
	layoutOf(t, dir)
	for what, c := range map[string]struct {
		layout, name, want string
	}{
		"a name without a registry": {dir, "pipeline-storage:1", "write REGISTRY/REPOSITORY:TAG"},
		"a name without a tag":      {dir, "registry.example.com/a", "write REGISTRY/REPOSITORY:TAG"},
		"a directory without a layout": {
			t.TempDir(), "registry.example.com/a:1", "read the layout",
		},
		"a registry that forbids it": {
			dir, strings.TrimPrefix(server.URL, "http://") + "/a:1", "log in first: docker login REGISTRY",
		},
	} {
		stdout, stderr, err := run(t, "push", "-layout", c.layout, "-name", c.name)
		require.Error(t, err, what)
		assert.Empty(t, stdout, what)
		assert.Contains(t, stderr, c.want, what)
	}
}
