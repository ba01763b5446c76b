package chart_test

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// hub is what Artifact Hub reads of Chart.yaml. Source: artifacthub.io, Helm annotations.
type hub struct {
	Version, Icon, Home string
	Annotations         map[string]string
}

// link is an entry of the annotation links, and of links in changes.
type link struct{ Name, URL string }

// readHub reads Chart.yaml, and the annotation of that name into content.
func readHub(t *testing.T, annotation string, content any) hub {
	t.Helper()
	var h hub
	readYAML(t, chart+"/Chart.yaml", &h)
	text := h.Annotations["artifacthub.io/"+annotation]
	require.NotEmpty(t, text, annotation)
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), content), annotation)
	return h
}

func TestArtifactHubNamesTheImage(t *testing.T) {
	t.Parallel()
	var images []struct {
		Name, Image string
		Platforms   []string
	}
	readHub(t, "images", &images)
	require.Len(t, images, 1)

	containers, found, err := unstructured.NestedSlice(
		one(t, render(t, "storage"), "Deployment").Object, "spec", "template", "spec", "containers")
	require.NoError(t, err)
	require.True(t, found)
	container, ok := containers[0].(map[string]any)
	require.True(t, ok)
	assert.Equal(t, container["image"], images[0].Image, "write the image of the pods into artifacthub.io/images")

	dockerfile, err := os.ReadFile(root + "/Dockerfile")
	require.NoError(t, err)
	assert.Contains(t, string(dockerfile), "--platform "+strings.Join(images[0].Platforms, ",")+" ")
}

func TestArtifactHubDescribesTheRelease(t *testing.T) {
	t.Parallel()
	var changes []struct {
		Kind, Description string
		Links             []link
	}
	h := readHub(t, "changes", &changes)
	for _, change := range changes {
		assert.Contains(t, []string{"added", "changed", "deprecated", "removed", "fixed", "security"}, change.Kind)
		assert.NotEmpty(t, change.Description)
	}
	// A version with a hyphen is a pre-release. Source: Semantic Versioning 2.0.0, 9.
	isPrerelease := map[bool]string{true: "true", false: "false"}[strings.Contains(h.Version, "-")]
	assert.Equal(t, isPrerelease, h.Annotations["artifacthub.io/prerelease"])
	assert.Equal(t, "Apache-2.0", h.Annotations["artifacthub.io/license"])
}

// The addresses of files of this project end with the path of a file.
func TestArtifactHubLinksToFilesOfTheRepository(t *testing.T) {
	t.Parallel()
	var links []link
	h := readHub(t, "links", &links)
	links = append(links, link{"icon", strings.Replace(h.Icon, "//raw.githubusercontent.com/", "//github.com/", 1)})
	for _, l := range links {
		rest, found := strings.CutPrefix(l.URL, h.Home+"/")
		require.True(t, found, "%s is outside of the project: %s", l.Name, l.URL)
		if rest == "issues" {
			continue
		}
		assert.FileExists(t, root+"/"+strings.TrimPrefix(strings.TrimPrefix(rest, "blob/"), "main/"), l.Name)
	}
}

func TestIconIsAnImage(t *testing.T) {
	t.Parallel()
	file, err := os.Open(chart + "/icon.svg")
	require.NoError(t, err)
	defer file.Close()
	decoder := xml.NewDecoder(file)
	var names []string
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if start, ok := token.(xml.StartElement); ok {
			names = append(names, start.Name.Local)
		}
	}
	require.NotEmpty(t, names)
	assert.Equal(t, "svg", names[0])
	assert.NotContains(t, names, "script")
	assert.NotContains(t, names, "image", "an image within it would be read from another address")
}
