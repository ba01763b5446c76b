package storage_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// TestPlaceholdersDocument holds the table of docs/configuration.md to the table of placeholders.
func TestPlaceholdersDocument(t *testing.T) {
	var b strings.Builder
	b.WriteString("\n| Placeholder | Becomes | A value is | Variable in the container |\n|---|---|---|---|\n")
	for _, row := range storage.Placeholders {
		variable := strings.Replace(row.Variable, "KEY", "…", 1)
		writeRow(&b, code(row.Pattern), row.Becomes, row.Values, code(variable))
	}
	generated(t, "configuration.md", "placeholders", "TestPlaceholdersDocument", b.String()+"\n")
}

// TestEveryPlaceholderIsComplete holds each row to what the others are written for.
func TestEveryPlaceholderIsComplete(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: "the-name", Namespace: "the-namespace",
		Labels: map[string]string{"x": "the-label"}, Annotations: map[string]string{"x": "the-annotation"},
	}}
	read := kinds.FromPod(pod)
	subject := storage.Subject{Pod: &read, Namespace: pod.Namespace, Release: "the-release"}
	seen := map[string]bool{}
	for i := range storage.Placeholders {
		row := &storage.Placeholders[i]
		t.Run(row.Pattern, func(t *testing.T) {
			assert.Regexp(t, `^\{[^{}]+\}$`, row.Pattern)
			assert.False(t, seen[row.Pattern], "a pattern names one row")
			assert.False(t, row.Variable != "" && seen[row.Variable], "the Variable of a row is its own: %s", row.Variable)
			seen[row.Pattern], seen[row.Variable] = true, true
			assert.Equal(t, strings.Contains(row.Pattern, "KEY"), row.Noun != "", "messages name what has the key")
			assert.Equal(t, row.FieldPath != "", row.Variable != "", "the kubelet fills a field through a variable")
			if _, field, hasField := strings.Cut(row.FieldPath, "."); hasField {
				assert.Equal(t, "{pod."+field+"}", row.Pattern, "a pattern is named after its field")
			}
			assert.Equal(t, strings.Contains(row.FieldPath, "KEY"), strings.Contains(row.Variable, "KEY"))
			assert.True(t, row.FieldPath != "" || row.Later == nil, "only the kubelet can fill what comes later")
			require.NotNil(t, row.Value)
			if row.FieldPath != "" && row.Pattern != "{pod.name}" { // whose name may come later, so that it is not read
				field := row.EnvVar("x").ValueFrom.FieldRef.FieldPath
				value := injecttest.PodField(t, pod, field)
				assert.Equal(t, value, row.Value(subject, "x"), "Value reads what FieldPath names: %s", field)
			}
			require.NotNil(t, row.Safe)
			for _, value := range []string{"", ".", "..", "../x", "a/b", "/"} {
				assert.False(t, row.Safe(value), "%q is not the name of a directory", value)
			}
			assert.True(t, row.Safe("a"))
			assert.NotEmpty(t, row.Becomes)
			assert.NotEmpty(t, row.Values)
			assert.Contains(t, storage.PlaceholderPatterns(), row.Pattern)
			config := injecttest.Load(t, `profiles: [{name: default, mount: {subPath: "`+row.Text("x")+`"}}]`+"\n")
			assert.Equal(t, row.FieldPath != "", config.Profiles[0].Mount.NeedsVariables())
			assert.Equal(t, row.FieldPath != "", config.SetsEnv())
		})
	}
}
