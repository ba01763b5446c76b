package app

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

var update = flag.Bool("update", false, "write the table of flags into README.md")

// readme is where the table of flags stands, between flagsBegin and flagsEnd.
const (
	readme     = "../../../README.md"
	flagsBegin = "<!-- flags -->\n"
	flagsEnd   = "<!-- /flags -->"
)

// TestReadmeFlags keeps the table of flags in README.md as the flags are.
func TestReadmeFlags(t *testing.T) {
	text, err := os.ReadFile(readme)
	require.NoError(t, err, "README.md is to have a table of flags between %q and %q; go test "+
		"./cmd/postrender/app -update writes it", flagsBegin, flagsEnd)
	before, rest, hasBegin := bytes.Cut(text, []byte(flagsBegin))
	table, after, hasEnd := bytes.Cut(rest, []byte(flagsEnd))
	require.True(t, hasBegin && hasEnd, "README.md needs a line %q and behind it a line %q: go test "+
		"./cmd/postrender/app -update writes the table of flags between them",
		strings.TrimSpace(flagsBegin), flagsEnd)
	if *update {
		require.NoError(t, os.WriteFile(readme, slices.Concat(before, []byte(flagsBegin+flagTable()+flagsEnd), after), 0o644))
		return
	}
	assert.Equal(t, flagTable(), string(table), "go test ./cmd/postrender/app -update writes it")
}

// defaultInUsage is how the usage of a field flag ends with its default: "(default VALUE)" or
// "(default: in words)".
var defaultInUsage = regexp.MustCompile(` \(default(:?) (.*)\)$`)

// flagTable writes the flags as Markdown, a table for each section.
func flagTable() string {
	sections, _ := new(Options).flags()
	var b strings.Builder
	for _, fs := range sections.order {
		fmt.Fprintf(&b, "\n**%s**\n\n| Flag | Default | Meaning |\n|---|---|---|\n", fs.Name())
		fs.VisitAll(func(f *pflag.Flag) {
			b.WriteString(flagRow(f))
		})
	}
	b.WriteString("\n")
	return b.String()
}

func flagRow(f *pflag.Flag) string {
	name, value, usage := "`--"+f.Name+"`", f.DefValue, f.Usage
	if f.Shorthand != "" {
		name = "`-" + f.Shorthand + "`, " + name
	}
	inWords := false
	if m := defaultInUsage.FindStringSubmatch(usage); m != nil {
		inWords, value, usage = m[1] != "", m[2], strings.TrimSuffix(usage, m[0])
	}
	switch {
	case slices.Contains([]string{"", "[]", "false", "0"}, value):
		value = ""
	case !inWords:
		value = "`" + value + "`"
	}
	return fmt.Sprintf("| %s | %s | %s |\n", name, value, strings.ReplaceAll(usage, "|", `\|`))
}

// TestEveryFieldHasAFlag walks the fields of a profile. Those that one flag cannot hold are named here.
func TestEveryFieldHasAFlag(t *testing.T) {
	withoutFlag := []string{
		"name", "default", "namespaceSelector", "claim.create", "storageClass.create", "volume.create", "attributesClass.create", "snapshotClass.create",
	}
	var actual []string
	for _, f := range fieldFlags {
		if f.name != "create" {
			actual = append(actual, f.path)
		}
		assert.Contains(t, fieldSections, f.section, "%s would be no flag at all", f.name)
	}
	assert.ElementsMatch(t, fieldPaths(t), append(actual, withoutFlag...))
}

// fieldPaths are the fields of a profile, as a configuration file spells them.
func fieldPaths(t *testing.T) []string {
	t.Helper()
	full := storage.Default().Profiles[0]
	full.Claim.Name, full.StorageClass.Name, full.StorageClass.Driver, full.Env = "x", "x", "x", "x"
	full.StorageClass.Parameters = map[string]string{"x": "x"}
	full.StorageClass.Performance, full.StorageClass.MountOptions = "x", []string{"x"}
	full.AttributesClass = &storage.AttributesClass{Name: "x", Parameters: map[string]string{"x": "x"}, Create: new(true)}
	full.SnapshotClass = &storage.SnapshotClass{
		Name: "x", Parameters: map[string]string{"x": "x"},
		DeletionPolicy: "x", Create: new(true),
	}
	full.Volume = &storage.Volume{
		Name: "x", Handle: "x", Zone: "x", TopologyKey: "x", Namespace: "x",
		Shared: true, Attributes: map[string]string{"x": "x"}, Create: new(true),
	}
	full.Volume.MountOptions, full.Volume.NodeStageSecret = []string{"x"}, &storage.SecretReference{Name: "x"}
	full.Mount = storage.MountConfig{
		Path: "x", SubPath: "x", ReadOnly: true, Containers: []string{"x"},
		ExcludeContainers: []string{"x"},
	}
	full.FSGroup, full.Default, full.Colocate = new(int64(1)), true, true
	text, err := json.Marshal(full)
	require.NoError(t, err)
	var content map[string]any
	require.NoError(t, json.Unmarshal(text, &content))
	paths := []string{"namespaceSelector"}
	for key, value := range content {
		nested, _ := value.(map[string]any)
		for name := range nested {
			paths = append(paths, key+"."+name)
		}
		if nested == nil {
			paths = append(paths, key)
		}
	}
	return paths
}
