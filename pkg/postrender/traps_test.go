package postrender_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// trap is what must come of a hostile stream. Those that are not in the table pass untouched.
type trap struct {
	// path is the mount path, where it is not that of the others.
	path string
	// injected and refused count pods; reported counts those that are left alone with a reason.
	injected, refused, reported int
	// expErr is the error that refuses the stream.
	expErr string
}

var traps = map[string]trap{
	"01-comments":             {injected: 1},
	"02-key-order":            {injected: 1},
	"05-octal-mode":           {injected: 1},
	"09-folded-more-indented": {injected: 1},
	"13-crlf":                 {injected: 1},
	"14-crlf-mixed":           {injected: 1},
	"15-bom":                  {injected: 1},
	"16-bom-middle":           {injected: 1},
	"18-merge-keys":           {injected: 1},
	"19-alias-shared-list":    {injected: 1},
	"20-alias-shared-podspec": {injected: 2},
	"23-duplicate-volumes":    {injected: 1},
	"24-sep-in-block":         {reported: 1},
	"26-sep-with-comment":     {injected: 1},
	"27-sep-glued":            {injected: 1},
	"29-end-markers":          {injected: 1},
	"30-directives":           {injected: 1},
	"31-empty-docs":           {injected: 1},
	"37-quoted-path-keys":     {injected: 1},
	"38-flow-podspec":         {injected: 1},
	"39-json-doc":             {injected: 1},
	"40-null-lists":           {injected: 1},
	"41-indent-styles":        {injected: 2},
	"42-no-final-newline":     {injected: 1},
	"43-list-foot-comments":   {injected: 1},
	"44-init-and-sidecars":    {injected: 1},
	"45-name-collision": {
		refused: 1,
		expErr: `^document 1 Deployment/d: container "e": mount path /mnt/pipeline is taken by volume "other": choose ` +
			`another by mount.path, --mount-path or the pod annotation pipeline-storage.io/mount-path$`,
	},
	"46-second-run":           {reported: 1},
	"47-list-kind":            {injected: 1},
	"48-hooks":                {injected: 1, reported: 1},
	"50-filename-annotation":  {injected: 1},
	"54-namespaces":           {injected: 3},
	"56-podspec-in-configmap": {reported: 1},
	"57-template-text":        {injected: 1},
	"58-cr-podspecs":          {injected: 6},
	"59-statefulset-vct": {
		path: "/data", refused: 1,
		expErr: `^document 1 StatefulSet/s: container "c": mount path /data is taken by volume "data": choose another by ` +
			`mount.path, --mount-path or the pod annotation pipeline-storage.io/mount-path$`,
	},
	"60-no-metadata":               {injected: 1},
	"61-windows-and-hostile-names": {injected: 3},
	"63-long-line-100k":            {injected: 1},
	"65-large-crd":                 {injected: 1},
	"66-gvk-not-kind":              {injected: 2, reported: 1}, // the Volcano Job and the Rollout by their own rows
	"67-own-trio-present": {
		injected: 1,
		expErr:   `^document 2 PersistentVolumeClaim/pipeline-storage-rel: .* the profile "default" would create another`,
	},
}

func TestTraps(t *testing.T) {
	found := 0
	for _, file := range sharedFiles(t, "traps") {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		if _, ok := traps[name]; ok {
			found++
		}
		t.Run(name, func(t *testing.T) { requireTrap(t, file, traps[name]) })
	}
	assert.Equal(t, len(traps), found, "the table names traps that are not there")
}

func requireTrap(t *testing.T, file string, want trap) {
	in, err := os.ReadFile(file)
	require.NoError(t, err)
	r := trapRenderer(t, want.path)
	out := requireProperties(t, r, in)
	assert.Equal(t, want.injected, out.Report.Count(inject.ReasonInjected), "injected")
	assert.Equal(t, want.refused, workloadsBy(&out.Report, inject.ReasonConflict, inject.ReasonInvalid), "refused")
	assert.Len(t, out.Report.Workloads, want.injected+want.refused+want.reported)
	if want.expErr != "" {
		require.NotEmpty(t, out.Report.Error)
		require.Regexp(t, want.expErr, out.Report.Error)
		return
	}
	require.Empty(t, out.Report.Error)
	assertAddedLines(t, out)
	assertOneLineBreak(t, in, out.Bytes())
	if want.injected == 0 {
		assert.Equal(t, string(in), string(out.Bytes()), "must pass untouched")
	}
}

// assertOneLineBreak asserts that a stream with CR LF only keeps to it.
func assertOneLineBreak(t *testing.T, in, out []byte) {
	t.Helper()
	if strings.Count(string(in), "\n") == strings.Count(string(in), "\r\n") {
		assert.Equal(t, strings.Count(string(out), "\n"), strings.Count(string(out), "\r\n"))
	}
}

// trapRenderer uses the names that the traps were made with.
func trapRenderer(t *testing.T, path string) *postrender.Renderer {
	t.Helper()
	if path == "" {
		path = "/mnt/pipeline"
	}
	config, _, err := storage.New(func(c *storage.Config) error {
		c.Profiles[0].Mount.Path = path
		c.Profiles[0].Claim.Name = "pipeline-storage-rel"
		return nil
	})
	require.NoError(t, err)
	return &postrender.Renderer{
		Config: config, Release: storage.Release{Name: "rel", Namespace: "pipelines"}, Selector: labels.Everything(),
	}
}

// TestErrorsLeakNoSecret holds error messages to what they may contain: no value of a Secret.
func TestErrorsLeakNoSecret(t *testing.T) {
	in, err := os.ReadFile(filepath.Join(shared(t, "traps"), "52-secret-broken.yaml"))
	require.NoError(t, err)
	// As a Deployment the same broken text must be parsed, and is refused.
	in = []byte(strings.Replace(string(in), "kind: Secret", "kind: Deployment", 1))
	out, err := trapRenderer(t, "").Render(in)
	require.Error(t, err)
	assert.Regexp(t, `^document 2 Deployment: cannot be parsed: line \d+: `, err.Error())
	assert.NotContains(t, errors.Join(err, errors.New(out.Report.Error)).Error(), "MUST-NOT-LEAK")
	assert.Empty(t, out.Bytes())
}
