package storage_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// TestEveryBackendIsComplete comes before all tests that build volumes: a row without its source would end
// the first of them without a name.
func TestEveryBackendIsComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range storage.Backends {
		assert.False(t, seen[b.Name] || seen[b.Driver], "the name and the driver of %s are those of one row", b.Name)
		seen[b.Name], seen[b.Driver] = true, true
		t.Run(b.Name, func(t *testing.T) {
			assert.NotEmpty(t, b.Handle, "the documentation describes a handle")
			assert.NotEmpty(t, b.Docs, "the documentation has the sources")
			assert.Equal(t, b.Name == "csi", b.Driver == "")
			require.True(t, b.HasSource(), "%s needs its source in pkg/inject/storage/backends.go", b.Name)
			config := staticConfig(t, b)
			require.Len(t, config.Profiles[0].Claim.AccessModes, 1)
			assert.Contains(t, b.AccessModes, config.Profiles[0].Claim.AccessModes[0], "the default must work")
			for name, preset := range b.Performance {
				assert.Contains(t, []string{"standard", "fast", "throughput"}, name)
				assert.NotEmpty(t, preset.Parameters)
				if preset.MinSize != "" {
					_, err := resource.ParseQuantity(preset.MinSize)
					require.NoError(t, err)
				}
			}
			if standard, ok := b.Performance["standard"]; ok {
				for key, value := range standard.Parameters {
					assert.Equal(t, b.Parameters[key], value, "standard is the default")
				}
			}
			if len(b.SnapshotParameters)+len(b.ToSnapshot) > 0 {
				assert.True(t, b.Snapshots)
			}
		})
	}
}

// TestReadmeNamesEveryBackend holds the sentence of README.md that lists the backends.
func TestReadmeNamesEveryBackend(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(docs, "..", "README.md"))
	require.NoError(t, err)
	_, list, hasList := strings.Cut(string(text), "\nStorage backends: ")
	require.True(t, hasList, "README.md needs a sentence that begins with %q", "Storage backends: ")
	list, _, _ = strings.Cut(list, ". ")
	names := regexp.MustCompile(`[a-z0-9-]+`).FindAllString(list, -1)
	for _, b := range storage.Backends {
		isNamed := slices.Contains(names, b.Name)
		assert.True(t, isNamed, "README.md needs %s in the sentence that begins with %q", b.Name, "Storage backends: ")
	}
}

// TestBackendsDocument holds the tables of docs/backends.md to the table of backends, with a section for
// each of them.
func TestBackendsDocument(t *testing.T) {
	after := generated(t, "backends.md", "backends", "TestBackendsDocument", backendTables())
	for _, b := range storage.Backends {
		hasSection := strings.Contains(after, "\n### "+b.Name+"\n")
		assert.True(t, hasSection, "docs/backends.md needs a section ### %s: what is special about it", b.Name)
	}
}

// TestTheDocumentedClassesLoad is about the parts of a profile in docs/backends.md.
func TestTheDocumentedClassesLoad(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "backends.md"))
	require.NoError(t, err)
	parts := 0
	for _, block := range strings.Split(string(text), "```yaml\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		if strings.HasPrefix(block, "apiVersion:") {
			continue // an object of the cluster: test/samples
		}
		parts++
		config := injecttest.Load(
			t,
			"profiles:\n- name: default\n  "+strings.ReplaceAll(strings.TrimSpace(block), "\n", "\n  ")+"\n",
		)
		p := config.Profiles[0]
		assert.True(t, p.AttributesClass != nil || p.SnapshotClass != nil || p.Claim.DataSource != nil)
	}
	assert.Equal(t, 3, parts)
}

func backendTables() string {
	var b strings.Builder
	b.WriteString("\n| Backend | Driver | Access modes | Parameters that you give | An existing volume: `handle` | " +
		"and its attributes | read-only for every pod by | no idmapped mounts of | Its `zone` is a node's |\n" +
		"|---|---|---|---|---|---|---|---|---|\n")
	for _, row := range storage.Backends {
		writeRow(
			&b,
			row.Name,
			code(row.Driver),
			modes(row),
			needs(row),
			row.Handle,
			attributes(row),
			readOnly(row),
			row.NoIDMap,
			code(row.TopologyKey),
		)
	}
	b.WriteString("\n| Backend | Parameters by default | `performance` | `attributesClass` may have | `snapshotClass` " +
		"| Facts from |\n|---|---|---|---|---|---|\n")
	for _, row := range storage.Backends {
		writeRow(&b, row.Name, settings(row.Parameters), presets(row), mutable(row), snapshots(row), row.Docs)
	}
	return b.String() + "\n"
}

func writeRow(b *strings.Builder, cells ...string) {
	for i, cell := range cells {
		if cell == "" {
			cells[i] = "–"
		}
	}
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

func codes(list []string) string {
	out := make([]string, len(list))
	for i, text := range list {
		out[i] = code(text)
	}
	return strings.Join(out, ", ")
}

func settings(values map[string]string) string {
	var list []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		list = append(list, key+"="+values[key])
	}
	return codes(list)
}

func modes(b storage.Backend) string {
	var list []string
	for _, mode := range b.AccessModes {
		list = append(list, string(mode))
	}
	return strings.Join(list, ", ")
}

func needs(b storage.Backend) string {
	var parts []string
	if len(b.Required) > 0 {
		parts = append(parts, codes(b.Required))
	}
	var list []string
	for _, names := range b.ToProvision {
		list = append(list, strings.ReplaceAll(codes(names), ", ", " or "))
	}
	if len(list) > 0 {
		parts = append(parts, "for new volumes "+strings.Join(list, ", "))
	}
	if b.StaticOnly {
		parts = append(parts, "no new volumes")
	}
	return strings.Join(parts, "; ")
}

func attributes(b storage.Backend) string {
	parts := []string{}
	if len(b.ToMount) > 0 {
		parts = append(parts, codes(b.ToMount))
	}
	if b.StageSecret {
		parts = append(parts, "`nodeStageSecret`")
	}
	return strings.Join(parts, ", ")
}

func readOnly(b storage.Backend) string {
	var parts []string
	if b.ReadOnlyOption != "" {
		parts = append(parts, code(b.ReadOnlyOption))
	}
	if b.ReadOnlyAttach {
		parts = append(parts, "`csi.readOnly`")
	}
	return strings.Join(parts, ", ")
}

func presets(b storage.Backend) string {
	var list []string
	for _, name := range []string{"standard", "fast", "throughput"} {
		preset, ok := b.Performance[name]
		if !ok {
			continue
		}
		text := name + ": " + settings(preset.Parameters)
		if preset.MinSize != "" {
			text += " (from " + preset.MinSize + ")"
		}
		list = append(list, text)
	}
	return strings.Join(list, "; ")
}

func mutable(b storage.Backend) string {
	if b.Driver == "" {
		return "what your driver has"
	}
	if len(b.ToModify) > 0 {
		return codes(b.Mutable) + "; the StorageClass needs " + codes(b.ToModify)
	}
	return codes(b.Mutable)
}

func snapshots(b storage.Backend) string {
	switch {
	case b.Driver == "":
		return "as your driver does"
	case !b.Snapshots:
		return ""
	case len(b.ToSnapshot) > 0:
		return "yes; needs " + codes(b.ToSnapshot)
	case len(b.SnapshotParameters) > 0:
		return "yes, with " + settings(b.SnapshotParameters)
	}
	return "yes"
}
