package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// TestMain runs the tests where the program runs: in the repository's root.
func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		panic(err)
	}
	m.Run()
}

func TestGeneratedFilesAreUpToDate(t *testing.T) {
	const chart = "charts/pipeline-storage"
	files, err := makeFiles(chart)
	require.NoError(t, err)
	for path, expected := range files {
		actual, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, string(expected), string(actual), "%s is not up to date: go run ./hack/chartdocs %s", path, chart)
	}
}

func TestRefusesValuesWithoutADescription(t *testing.T) {
	cases := map[string]struct{ values, exp string }{
		"a key without a comment":       {"a: 1\n", "line 1: a: write a comment above it: what it is for"},
		"a key below without a comment": {"# A.\na:\n  b: 1\n", "line 3: a.b: write a comment"},
		"a comment that is a directive": {"# +docs:schema={type: string}\na: b\n", "line 2: a: write a comment"},
		"a default without a type":      {"# A.\na: null\n", "line 2: a: its default has no type"},
		"a directive that is no YAML":   {"# A.\n# +docs:schema={type\na: b\n", "line 3: a: +docs:schema="},
		"no values":                     {"# A.\n", "there are no values"},
		"a file that is no YAML at all": {"a: [\n", "line"},
		"a default that its enum forbids": {
			"# A.\n# +docs:schema={enum: [x]}\na: b\n",
			"the defaults do not meet their own schema",
		},
		"an invalid schema": {"# A.\n# +docs:schema={type: wrong}\na: b\n", "/properties/a/type"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			values, err := parseValues([]byte(c.values))
			if err == nil {
				_, err = makeSchema(values)
			}
			require.ErrorContains(t, err, c.exp)
		})
	}
}

func TestSchemaFollowsFromDefaults(t *testing.T) {
	values, err := parseValues([]byte("" +
		"# How\n# many.\n# +docs:section=First\n# +docs:schema={minimum: 1}\ncount: 2\n\n" +
		"# An image.\nimage:\n  # Its tag, a|b.\n  tag: \"\"\n  # Args.\n  # +docs:schema={items: {type: string}}\n" +
		"  args: []\n\n" +
		"# How often.\n# +docs:schema={properties: {late: {type: integer}}}\nprobe:\n  # Seconds.\n  every: 1\n\n" +
		"# Which.\n# +docs:schema={$ref: \"#/definitions/LabelSelector\"}\nselector: {}\n"))
	require.NoError(t, err)
	text, err := makeSchema(values)
	require.NoError(t, err)
	var schema struct {
		AdditionalProperties *bool
		Properties           map[string]any
	}
	require.NoError(t, json.Unmarshal(text, &schema))
	assert.False(t, *schema.AdditionalProperties)
	assert.Equal(t, map[string]any{
		"count": map[string]any{"description": "How many.", "type": "integer", "default": 2.0, "minimum": 1.0},
		"image": map[string]any{
			"description": "An image.", "type": "object", "additionalProperties": false,
			"properties": map[string]any{
				"tag": map[string]any{"description": "Its tag, a|b.", "type": "string", "default": ""},
				"args": map[string]any{
					"description": "Args.", "type": "array", "default": []any{}, "items": map[string]any{"type": "string"},
				},
			},
		},
		"probe": map[string]any{
			"description": "How often.", "type": "object", "additionalProperties": false,
			"properties": map[string]any{
				"every": map[string]any{"description": "Seconds.", "type": "integer", "default": 1.0},
				"late":  map[string]any{"type": "integer"},
			},
		},
		"selector": map[string]any{
			"description": "Which.", "allOf": []any{map[string]any{"$ref": "#/definitions/LabelSelector"}},
		},
	}, schema.Properties)

	assert.Equal(t, `
### First

| Value | Type | Default | Meaning |
|---|---|---|---|
| `+"`count` | integer | `2`"+` | How many. |
| `+"`image`"+` | | | **An image.** |
| `+"`image.tag`"+` | string |  | Its tag, a\|b. |
| `+"`image.args` | list of string | `[]`"+` | Args. |
| `+"`probe`"+` | | | **How often.** |
| `+"`probe.every` | integer | `1`"+` | Seconds. |
| `+"`selector` | LabelSelector | `{}`"+` | Which. |

`, makeTables(values))
}

func TestReadmeKeepsTheTextAroundTheTable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "README.md")
	require.NoError(t, os.WriteFile(file, []byte("before\n"+tableStart+"old\n"+tableEnd+"after\n"), 0o600))
	text, err := makeReadme(file, "new\n")
	require.NoError(t, err)
	assert.Equal(t, "before\n"+tableStart+"new\n"+tableEnd+"after\n", string(text))

	require.NoError(t, os.WriteFile(file, []byte("before\n"), 0o600))
	_, err = makeReadme(file, "new\n")
	require.ErrorContains(t, err, "the table belongs between the lines")
}

// Every profile that package storage takes, the schema takes too: a file for the post-renderer is
// one for the chart.
func TestSchemaTakesTheObjectsOfPackageStorage(t *testing.T) {
	values, err := parseValues([]byte("# The file.\n# +docs:schema={$ref: \"#/definitions/Config\"}\n" +
		"config:\n  # Storages.\n  # +docs:schema={items: {type: object}}\n  profiles: [{name: a}]\n"))
	require.NoError(t, err)
	text, err := makeSchema(values)
	require.NoError(t, err)
	schema, err := compile(text)
	require.NoError(t, err)

	files, err := filepath.Glob("pkg/inject/storage/testdata/objects/*.in.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var content map[string]any
		require.NoError(t, yaml.Unmarshal(text, &content))
		if _, _, err := storage.Load(text); err != nil {
			continue // not a valid configuration
		}
		assert.NoError(t, schema.Validate(map[string]any{"config": content}), file)
	}
}

func TestBackendsFollowPackageStorage(t *testing.T) {
	text, err := makeBackends()
	require.NoError(t, err)
	var content struct {
		Aliases  map[string]string
		Backends map[string]backend
	}
	require.NoError(t, yaml.Unmarshal(text, &content))
	for _, b := range storage.Backends {
		known := content.Backends[b.Name]
		assert.Equal(t, b.Driver, known.Driver)
		assert.Contains(t, []string{"csi", "local", "hostPath"}, known.Source)
		assert.Len(t, known.Performance, len(b.Performance))
		assert.Equal(t, b.FreeHandle, known.HandleSeparator != "")
	}
	assert.Len(t, content.Backends, len(storage.Backends))
	assert.Equal(t, "aws-ebs", content.Aliases["kubernetes.io/aws-ebs"])
	assert.Equal(t, "aws-ebs", content.Aliases["ebs.csi.aws.com"])
	assert.Equal(t, "host-path", content.Aliases["hostPath"])
}
