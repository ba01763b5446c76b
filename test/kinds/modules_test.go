package kinds_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// modulesFile is the table of Go modules whose files are definitions.
const modulesFile = "testdata/modules.yaml"

// module is a Go module of a project.
type module struct {
	Module  string `json:"module"`
	Version string `json:"version"`
	// Sum is the module's hash, as in a go.sum.
	Sum string `json:"sum"`
	// Files are the definitions in it.
	Files []string `json:"files"`

	// dir is where the module cache has it.
	dir string
}

// query is the module in the words of the go command.
func (m *module) query() string { return m.Module + "@" + m.Version }

// readModules downloads the modules, unless the module cache has them.
func readModules(t *testing.T) []module {
	t.Helper()
	text, err := os.ReadFile(modulesFile)
	require.NoError(t, err)
	var all []module
	require.NoError(t, yaml.UnmarshalStrict(text, &all))
	args := []string{"mod", "download", "-json"}
	for i := range all {
		args = append(args, all[i].query())
	}
	command := exec.CommandContext(t.Context(), "go", args...)
	command.Dir = t.TempDir() // outside of this module
	output, err := command.Output()
	downloaded := downloads(t, output)
	for i := range all {
		m := &all[i]
		d := downloaded[m.query()]
		require.Empty(t, d.Error, "download %s", m.query())
		require.Equal(t, m.Sum, d.Sum, "%s: the sum in %s", m.query(), modulesFile)
		m.dir = d.Dir
	}
	require.NoError(t, err)
	return all
}

// download is what the go command prints about one module.
type download struct{ Path, Version, Dir, Sum, Error string }

// downloads are those of the go command's output, by PATH@VERSION.
func downloads(t *testing.T, output []byte) map[string]download {
	t.Helper()
	all := map[string]download{}
	decoder := json.NewDecoder(bytes.NewReader(output))
	for {
		var d download
		err := decoder.Decode(&d)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		all[d.Path+"@"+d.Version] = d
	}
}

// sources are the module's files, as rows of the definitions.
func (m *module) sources() []sourceOf {
	all := make([]sourceOf, len(m.Files))
	for i, file := range m.Files {
		all[i] = sourceOf{file: filepath.Base(file), source: m.query(), path: file}
	}
	return all
}
