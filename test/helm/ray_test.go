package helm_test

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRayClusterHasProjectsDefinition reports whether the tests of this package judge RayClusters by the
// project's own definition.
func TestRayClusterHasProjectsDefinition(t *testing.T) {
	t.Parallel()
	_, err := os.Stat(rayProjects)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("not covered: RayClusters judged by KubeRay's own definition. ../shared/crds is not part of the " +
			"repository, and a definition that accepts any fields took its place")
	}
	require.NoError(t, err)
}
