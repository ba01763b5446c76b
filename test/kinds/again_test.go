package kinds_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// TestSamplesAreInjectedOnce renders every sample a second time, which changes nothing, and removes
// what the first time added, which leaves no mount and no volume.
func TestSamplesAreInjectedOnce(t *testing.T) {
	for _, project := range projects(t) {
		for _, s := range samples(t, project) {
			if s.refused != "" {
				continue
			}
			t.Run(project+" "+s.name, func(t *testing.T) {
				once, err := renderer(t, inject.DefaultSelector()).Render([]byte(s.text))
				require.NoError(t, err)
				again, err := renderer(t, inject.DefaultSelector()).Render(once.Bytes())
				require.NoError(t, err)
				assert.Equal(t, string(once.Bytes()), string(again.Bytes()))

				r := renderer(t, inject.DefaultSelector())
				r.Remove = postrender.RemovePods
				removed, err := r.Render(once.Bytes())
				require.NoError(t, err)
				for _, object := range objects(t, removed.Bytes()) {
					assert.Zero(t, countMounts(object.Object))
					assertClaims(t, object.Object, s.name)
				}
			})
		}
	}
}
