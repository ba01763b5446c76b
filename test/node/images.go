package node

import (
	"archive/tar"
	"errors"
	"os"
)

// Names of the images of every node.
const (
	// BoxImage has the program of package box as its entrypoint.
	BoxImage = "registry.example/box:1"
	// PauseImage holds the namespaces of a pod.
	PauseImage = "registry.example/pause:1"
	// ShellImage has what the provisioner's manifest needs: a shell, mkdir and rm.
	ShellImage = "docker.io/library/busybox:latest"
	// ProvisionerImage is the provisioner of local volumes.
	ProvisionerImage = "docker.io/rancher/local-path-provisioner:v0.0.30"
)

// Images are the images of every node by the stage of images/Dockerfile that builds them, with the program that they
// are made of: Box or the name of a part.
var Images = map[string]struct{ Name, Program string }{
	"box":         {BoxImage, Box},
	"pause":       {PauseImage, Box},
	"shell":       {ShellImage, "sh"},
	"provisioner": {ProvisionerImage, "local-path-provisioner"},
}

// WriteArchive writes an OCI layout, a directory, to a file for Options.Programs.
func WriteArchive(file, layout string) (err error) {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(out)
	return errors.Join(archive.AddFS(os.DirFS(layout)), archive.Close(), out.Close())
}
