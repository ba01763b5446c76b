package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/test/node"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

const (
	// ProductRepository is the image of the product without its tag, as the chart names it.
	ProductRepository = "ghcr.io/pipeline-storage/pipeline-storage"

	boxPackage = "test/node/box"
	layoutDir  = "layout"
)

// makeImages builds the program of package box, the images of the node, and that of the repository's Dockerfile under
// the name that the chart has by default.
func makeImages(ctx context.Context, dir string) error {
	root, err := parts.Repository()
	if err != nil {
		return err
	}
	box := filepath.Join(dir, imagesDir, node.Box)
	if err := parts.Compile(ctx, boxPackage, box); err != nil {
		return err
	}
	layout := filepath.Join(dir, layoutDir)
	dockerfile := filepath.Join(root, "test", "node", "images", "Dockerfile")
	for stage, image := range node.Images {
		program := box
		if image.Program != node.Box {
			if program, err = parts.Path(ctx, image.Program); err != nil {
				return err
			}
		}
		if err := buildImage(ctx, layout, image.Name, "-context", filepath.Dir(program), "-file", dockerfile,
			"-target", stage); err != nil {
			return err
		}
	}
	version, err := appVersion(root)
	if err != nil {
		return err
	}
	if err := buildImage(ctx, layout, ProductRepository+":"+version, "-context", root,
		"-build-arg", "VERSION="+version); err != nil {
		return err
	}
	return errors.Join(node.WriteArchive(filepath.Join(dir, imagesDir, node.Archive), layout), os.RemoveAll(layout))
}

// appVersion is the tag of the product's image.
func appVersion(root string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, "charts", "pipeline-storage", "Chart.yaml"))
	if err != nil {
		return "", err
	}
	var chart struct {
		AppVersion string `json:"appVersion"`
	}
	err = yaml.Unmarshal(text, &chart)
	return chart.AppVersion, err
}

// buildImage builds an image for this machine and adds it to a layout.
func buildImage(ctx context.Context, layout, name string, args ...string) error {
	program, err := parts.Path(ctx, "image")
	if err != nil {
		return err
	}
	common := []string{"build", "-output", layout, "-append", "-name", name, "-platform", "linux/" + runtime.GOARCH}
	command := exec.CommandContext(ctx, program, append(common, args...)...)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build the image %s: %w\n%s", name, err, out)
	}
	return nil
}
