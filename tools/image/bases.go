package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"time"

	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// base stands in for a base image that cannot be pulled: the configuration that the steps inherit,
// and those of its files that the image needs.
type base struct {
	config ocispecs.ImageConfig
	files  []file
}

// file is a file or directory of an image, as its layer has it.
type file struct {
	path     string
	mode     fs.FileMode
	uid, gid int
	text     string
}

const (
	root    = 0
	nonroot = 65532
	pathEnv = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// bases are the base images of the Dockerfile by repository.
var bases = map[string]base{
	// Steps run with this machine's Go toolchain, so nothing of the image is needed.
	"docker.io/library/golang": {},

	// Source: GoogleContainerTools/distroless, static/static.bzl and common/BUILD.bazel. Left out
	// are time zones, media types, /etc/services, os-release and the CAs of the public web. The
	// webhook connects to the API server alone and reads its CA from the ServiceAccount's files;
	// the post-renderer makes no connections.
	"gcr.io/distroless/static-debian12": {
		config: ocispecs.ImageConfig{
			Env:        []string{pathEnv, "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"},
			User:       "65532",
			WorkingDir: "/home/nonroot",
		},
		files: []file{
			{path: "etc", mode: fs.ModeDir | 0o755, uid: root, gid: root},
			{path: "etc/group", mode: 0o644, uid: root, gid: root,
				text: "root:x:0:\nnobody:x:65534:\ntty:x:5:\nstaff:x:50:\nnonroot:x:65532:\n"},
			{path: "etc/passwd", mode: 0o644, uid: root, gid: root, text: "root:x:0:0:root:/root:/sbin/nologin\n" +
				"nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n" +
				"nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"},
			{path: "home", mode: fs.ModeDir | 0o755, uid: root, gid: root},
			{path: "home/nonroot", mode: fs.ModeDir | 0o700, uid: nonroot, gid: nonroot},
			{path: "root", mode: fs.ModeDir | 0o700, uid: root, gid: root},
			{path: "tmp", mode: fs.ModeDir | fs.ModeSticky | 0o777, uid: root, gid: root},
		},
	},
}

// findBase returns the stand-in for an image reference, with or without tag and digest.
func findBase(ref string) (base, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return base{}, fmt.Errorf("read the image name %q: %w", ref, err)
	}

	b, ok := bases[named.Name()]
	if !ok {
		return base{}, fmt.Errorf("the base image %s has no stand-in: add one to tools/image/bases.go", named.Name())
	}

	return b, nil
}

// registry answers as registries do about base images, from the table of stand-ins.
type registry struct{}

// ResolveImageConfig implements BuildKit's resolver of image names.
func (registry) ResolveImageConfig(
	_ context.Context, ref string, opt sourceresolver.Opt,
) (string, digest.Digest, []byte, error) {
	b, err := findBase(ref)
	if err != nil {
		return "", "", nil, err
	}

	platform := platforms.DefaultSpec()
	if opt.ImageOpt != nil && opt.ImageOpt.Platform != nil {
		platform = *opt.ImageOpt.Platform
	}

	layer, err := layerOf(b.files)
	if err != nil {
		return "", "", nil, err
	}

	diffID, err := layer.DiffID()
	if err != nil {
		return "", "", nil, fmt.Errorf("read the stand-in for %s: %w", ref, err)
	}

	text, err := json.Marshal(dockerspec.DockerOCIImage{
		Image: ocispecs.Image{
			Platform: platform,
			RootFS:   ocispecs.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.Digest(diffID.String())}},
			History:  []ocispecs.History{{Created: &time.Time{}, CreatedBy: "stand-in for " + ref}},
		},
		Config: dockerspec.DockerOCIImageConfig{ImageConfig: b.config},
	})

	return ref, "", text, err
}
