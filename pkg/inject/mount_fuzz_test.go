package inject_test

import (
	"encoding/json"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
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

// subject is the pod that the kubelet starts, and the release that it is of.
type subject struct {
	corev1.Pod
	release string
}

// source is a place of a subject that a placeholder can read.
type source struct {
	name string
	set  func(s *subject, value string)
}

// The sources by when they have their value: known before the mount is added, or later. A row of
// [storage.Placeholders] that reads a new place needs an entry.
var (
	knownSources = []source{
		{"namespace", func(s *subject, value string) { s.Namespace = value }},
		{"release", func(s *subject, value string) { s.release = value }},
		{"label", func(s *subject, value string) { s.Labels[knownKey] = value }},
		{"annotation", func(s *subject, value string) { s.Annotations[knownKey] = value }},
	}
	laterSources = []source{
		{"name", func(s *subject, value string) { s.Name = value }},
		{"label of a controller", func(s *subject, value string) { s.Labels[laterKey] = value }},
	}
)

// newSubject is a subject with the value x in every source.
func newSubject() *subject {
	s := &subject{}
	s.Labels, s.Annotations = map[string]string{}, map[string]string{}
	for _, source := range slices.Concat(knownSources, laterSources) {
		source.set(s, "x")
	}
	return s
}

// TestEveryPlaceholderReadsOneSource holds the sources of the fuzz test to the table: a row reads one of
// them, the same when the mount is added and when the kubelet fills it.
func TestEveryPlaceholderReadsOneSource(t *testing.T) {
	for i := range storage.Placeholders {
		row := &storage.Placeholders[i]
		t.Run(row.Pattern, func(t *testing.T) {
			config := storage.Default()
			config.Profiles[0].Mount.SubPath = row.Text(knownKey)
			plain, isMounted := mountedDirectory(t, config, newSubject())
			require.True(t, isMounted)
			var read []string
			for _, source := range slices.Concat(knownSources, laterSources) {
				changed := newSubject()
				source.set(changed, "y")
				if directory, _ := mountedDirectory(t, config, changed); directory != plain {
					read = append(read, source.name)
				}
			}
			require.Len(t, read, 1, "a row that reads a new place needs a source in pkg/inject/mount_fuzz_test.go")
		})
	}
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
			requireInPlace(t, knownSources, before+row.Text(knownKey)+after, value)
		}
		if row.Later == nil {
			return
		}
		require.Contains(t, accepted, row.Pattern, "a value that comes later is one that the API server accepts")
		if len(accepted[row.Pattern](value)) == 0 {
			requireInPlace(t, laterSources, before+row.Text(laterKey)+after, value)
		}
	})
}

// requireInPlace compares the directory that a container mounts with that for the value x. One source after
// the other has the value, so that it reaches the directory by no other way than the row's own.
func requireInPlace(t *testing.T, sources []source, subPath, value string) {
	t.Helper()
	config := storage.Default()
	config.Profiles[0].Mount.SubPath = "runs/" + subPath
	if len(config.Validate()) > 0 {
		return
	}
	plain, isMounted := mountedDirectory(t, config, newSubject())
	if !isMounted {
		return // refused whatever the value
	}
	for _, source := range sources {
		hostile := newSubject()
		source.set(hostile, value)
		directory, isMounted := mountedDirectory(t, config, hostile)
		if !isMounted {
			continue
		}
		require.True(t, strings.HasPrefix(path.Clean(directory), "runs/"), "%s: %s", source.name, directory)
		require.Equal(t, strings.Count(path.Clean(plain), "/"), strings.Count(path.Clean(directory), "/"),
			"%s: %s", source.name, directory)
	}
}

// references are what the kubelet replaces in an expression.
// Source: Kubernetes, third_party/forked/golang/expansion.
var references = regexp.MustCompile(`\$\$|\$\([A-Z0-9_]+\)`)

// expand fills every variable of the container's subPathExpr with what its fieldRef reads of the pod, as the
// kubelet does.
func expand(t *testing.T, c *corev1.Container, pod *corev1.Pod) string {
	t.Helper()
	values := map[string]string{"$$": "$"}
	for _, variable := range c.Env {
		values["$("+variable.Name+")"] = injecttest.PodField(t, pod, variable.ValueFrom.FieldRef.FieldPath)
	}
	return references.ReplaceAllStringFunc(c.VolumeMounts[0].SubPathExpr, func(reference string) string {
		require.Contains(t, values, reference, "a variable that the container lacks")
		return values[reference]
	})
}

// mountedDirectory is the directory that a container of the subject mounts. It is false where the pod is
// refused.
func mountedDirectory(t *testing.T, config *storage.Config, s *subject) (string, bool) {
	t.Helper()
	metadata := map[string]any{
		"labels":      map[string]any{knownKey: s.Labels[knownKey]},
		"annotations": map[string]any{knownKey: s.Annotations[knownKey]},
	}
	document := map[string]any{"apiVersion": "batch/v1", "kind": "Job", "spec": map[string]any{"template": map[string]any{
		"metadata": metadata, "spec": map[string]any{"containers": []any{map[string]any{"name": "main"}}},
	}}}
	objects := injecttest.Find(t, config, document)
	request := inject.Request{
		Release:   storage.Release{Name: s.release, Namespace: "ml"},
		Namespace: s.Namespace, Selector: labels.Everything(),
	}
	result := inject.Patch(config, request, objects[0].Pods...)
	if result.Refused() != nil {
		return "", false
	}
	text, err := json.Marshal(injecttest.Apply(t, document, result))
	require.NoError(t, err)
	var job batchv1.Job
	require.NoError(t, json.Unmarshal(text, &job))
	container := &job.Spec.Template.Spec.Containers[0]
	require.Len(t, container.VolumeMounts, 1, "a pod that is not refused has the mount")
	if container.VolumeMounts[0].SubPathExpr != "" {
		return expand(t, container, &s.Pod), true
	}
	return container.VolumeMounts[0].SubPath, true
}
