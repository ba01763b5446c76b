package storage_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
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
	seen := map[string]bool{}
	for i := range storage.Placeholders {
		row := &storage.Placeholders[i]
		t.Run(row.Pattern, func(t *testing.T) {
			assert.Regexp(t, `^\{[^{}]+\}$`, row.Pattern)
			assert.False(t, seen[row.Pattern], "a pattern names one row")
			seen[row.Pattern] = true
			assert.Equal(t, strings.Contains(row.Pattern, "KEY"), row.Noun != "", "messages name what has the key")
			assert.Equal(t, row.FieldPath != "", row.Variable != "", "the kubelet fills a field through a variable")
			assert.Equal(t, strings.Contains(row.FieldPath, "KEY"), strings.Contains(row.Variable, "KEY"))
			assert.True(t, row.FieldPath != "" || row.Later == nil, "only the kubelet can fill what comes later")
			require.NotNil(t, row.Value)
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
