package inject_test

import (
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// The keys of fuzzed placeholders: one that only the template has, and one that the controller of a Job adds.
const (
	knownKey = "team"
	laterKey = "job-name"
)

// accepted is what the API server requires of values that come after the mount is added. A row with Later
// needs an entry.
// Source: Kubernetes, apimachinery pkg/api/validation NameIsDNSSubdomain and IsValidLabelValue.
var accepted = map[string]func(string) []string{
	"{pod.name}": validation.IsDNS1123Subdomain,
	"{pod.labels['KEY']}": func(value string) []string {
		if value == "" {
			return []string{"a controller adds no empty label"}
		}
		return validation.IsValidLabelValue(value)
	},
}

// FuzzPlaceholders states the invariant of every row of [storage.Placeholders]: whatever the value, the
// mount is refused, or its path has one more element than the text around the placeholder, and no element
// leads out of it.
func FuzzPlaceholders(f *testing.F) {
	for row := range storage.Placeholders {
		for _, value := range []string{
			"", ".", "..", "../..", "a/b", "/", "a", "A.b-c_1", "$(HOME)", "$$", "{pod.name}", "..a", "a\x00b",
		} {
			f.Add(row, "", value, "")
			f.Add(row, ".", value, "")
			f.Add(row, "$(HOME)/.", value, ".")
			f.Add(row, "{release}", value, "{namespace}")
		}
	}
	f.Fuzz(func(t *testing.T, n int, before, value, after string) {
		if n < 0 || n >= len(storage.Placeholders) {
			return
		}
		row := &storage.Placeholders[n]
		if row.Later == nil || row.Noun != "" {
			requireInPlace(t, before+row.Text(knownKey)+after, value)
		}
		if row.Later == nil {
			return
		}
		require.Contains(t, accepted, row.Pattern, "a value that comes later is one that the API server accepts")
		if len(accepted[row.Pattern](value)) == 0 {
			requireInPlace(t, before+row.Text(laterKey)+after, value)
		}
	})
}

// requireInPlace compares the directory that a container mounts for a value with that for the value x.
func requireInPlace(t *testing.T, subPath, value string) {
	t.Helper()
	config := storage.Default()
	config.Profiles[0].Mount.SubPath = "runs/" + subPath
	if len(config.Validate()) > 0 {
		return
	}
	plain, isMounted := mountedDirectory(t, config, "x")
	if !isMounted {
		return // refused whatever the value
	}
	directory, isMounted := mountedDirectory(t, config, value)
	if !isMounted {
		return
	}
	require.True(t, strings.HasPrefix(path.Clean(directory), "runs/"), directory)
	require.Equal(t, strings.Count(path.Clean(plain), "/"), strings.Count(path.Clean(directory), "/"), directory)
}

// references are what the kubelet replaces in an expression.
// Source: Kubernetes, third_party/forked/golang/expansion.
var references = regexp.MustCompile(`\$\$|\$\(PIPELINE_STORAGE_POD_[A-Z0-9_]*\)`)

// expand fills every variable of a subPathExpr with the value, as the kubelet does.
func expand(expression, value string) string {
	return references.ReplaceAllStringFunc(expression, func(reference string) string {
		if reference == "$$" {
			return "$"
		}
		return value
	})
}

// mountedDirectory is the directory that a container mounts where a value is that of the namespace, the
// release, and every field of the pod. It is false where the pod is refused.
func mountedDirectory(t *testing.T, config *storage.Config, value string) (string, bool) {
	t.Helper()
	values := map[string]any{knownKey: value}
	metadata := map[string]any{"labels": values, "annotations": values}
	document := map[string]any{"apiVersion": "batch/v1", "kind": "Job", "spec": map[string]any{"template": map[string]any{
		"metadata": metadata, "spec": map[string]any{"containers": []any{map[string]any{"name": "main"}}},
	}}}
	objects := injecttest.Find(t, config, document)
	request := inject.Request{
		Release: storage.Release{Name: value, Namespace: "ml"}, Namespace: value, Selector: labels.Everything(),
	}
	result := inject.Patch(config, request, objects[0].Pods...)
	if result.Refused() != nil {
		return "", false
	}
	for _, operation := range lines(t, result) {
		_, text, isMount := strings.Cut(operation, "/volumeMounts ")
		if !isMount {
			continue
		}
		mount := injecttest.DecodeJSON(t, []byte(strings.Trim(text, "[]")))
		if expression, ok := mount["subPathExpr"].(string); ok {
			return expand(expression, value), true
		}
		directory, _ := mount["subPath"].(string)
		return directory, true
	}
	assert.Fail(t, "a pod that is not refused has the mount")
	return "", false
}
