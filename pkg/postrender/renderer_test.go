package postrender_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// workload is a manifest with one labelled pod template.
func workload(kind, name string, more ...string) string {
	group := map[string]string{"Job": "batch/v1", "CronJob": "batch/v1"}[kind]
	if group == "" {
		group = "apps/v1"
	}
	return "---\napiVersion: " + group + "\nkind: " + kind + "\nmetadata:\n  name: " + name + "\nspec:\n" +
		strings.Join(more, "") +
		"  template:\n    metadata:\n      labels:\n        pipeline-storage: enabled\n    spec:\n      " +
		"containers:\n      - name: main\n        image: x\n"
}

// labelled selects by the default label.
func labelled(change ...func(*storage.Profile)) *postrender.Renderer {
	config, _, err := storage.New(func(c *storage.Config) error {
		for _, f := range change {
			f(&c.Profiles[0])
		}
		return nil
	})
	if err != nil {
		panic(err)
	}
	return &postrender.Renderer{Config: config, Release: storage.Release{Name: "rel", Namespace: "pipelines"}}
}

func TestRunImplementsPostRendererOfHelm(t *testing.T) {
	in := workload("Deployment", "a")
	out, err := labelled().Run(bytes.NewBufferString(in))
	require.NoError(t, err)
	assert.Contains(t, out.String(), "claimName: pvc-data-pipeline.rel")
	out, err = labelled().Run(bytes.NewBufferString("apiVersion: v1\nkind: Pod\nspec: [\n"))
	require.Error(t, err)
	assert.Nil(t, out)
}

func TestRefusesInvalidRelease(t *testing.T) {
	for exp, release := range map[string]storage.Release{
		`the namespace "N S" is not valid: `:  {Name: "rel", Namespace: "N S"},
		`the release "My/Rel" is not valid: `: {Name: "My/Rel", Namespace: "ns"},
	} {
		r := labelled()
		r.Release = release
		_, err := r.Render(nil)
		require.ErrorContains(t, err, exp)
	}
}
