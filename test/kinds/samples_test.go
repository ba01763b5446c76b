package kinds_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
)

// projects are the files of samples, testdata/NAME.in.yaml.
func projects(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*.in.yaml"))
	require.NoError(t, err)
	require.Contains(t, files, filepath.Join("testdata", builtinProject+".in.yaml"))
	for i, file := range files {
		files[i] = strings.TrimSuffix(filepath.Base(file), ".in.yaml")
	}
	return files
}

// builtinProject needs no definitions: every API server serves its kinds.
const builtinProject = "kubernetes"

// sample is one document of a file of samples, with the result that its comment states.
type sample struct {
	name, text string
	// mounts is how many containers mount the claim.
	mounts int
	// reported is the reason for which it is not injected.
	reported string
	// refused is the message of the refusal.
	refused string
}

var expectation = regexp.MustCompile(`(?m)^# (mounts|reported|refused): (.+)$`)

func samples(t *testing.T, project string) []sample {
	t.Helper()
	stream, err := os.ReadFile(filepath.Join("testdata", project+".in.yaml"))
	require.NoError(t, err)
	var all []sample
	for _, doc := range manifest.Split(stream) {
		text := string(doc.Body)
		if all != nil {
			text = text[1:] // behind the separator
		}
		object := decode(t, doc.Body)[0]
		s := sample{
			text: text,
			name: fmt.Sprintf("%s %s %s%s", object.GetAPIVersion(), object.GetKind(), object.GetName(),
				object.GetGenerateName()),
		}
		found := expectation.FindStringSubmatch(text)
		require.NotNil(t, found, "%s needs a comment: mounts, reported or refused", s.name)
		switch found[1] {
		case "mounts":
			s.mounts, err = strconv.Atoi(found[2])
			require.NoError(t, err)
		case "reported":
			s.reported = found[2]
		case "refused":
			s.refused = found[2]
		}
		all = append(all, s)
	}
	return all
}

func requireFile(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got, "run make generate and read the difference")
}
