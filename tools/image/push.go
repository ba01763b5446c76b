package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// push sends the one image of a layout to a registry, for all platforms, and prints its name with the digest. It logs
// in as "docker login" has stored it. The bytes are those of the layout, so the digest is the one that build printed.
func push(ctx context.Context, o options, stdout io.Writer) error {
	ref, err := name.NewTag(o.name, name.StrictValidation)
	if err != nil {
		return fmt.Errorf("read the name %q: %w: write REGISTRY/REPOSITORY:TAG", o.name, err)
	}

	index, err := layout.ImageIndexFromPath(o.layout)
	if err != nil {
		return fmt.Errorf("read the layout: %w", err)
	}

	list, err := index.IndexManifest()
	if err != nil {
		return fmt.Errorf("read the layout: %w", err)
	}

	if len(list.Manifests) != 1 {
		return fmt.Errorf("the layout %s has %d images: push needs a layout with one", o.layout, len(list.Manifests))
	}

	digest := list.Manifests[0].Digest

	image, err := index.ImageIndex(digest)
	if err != nil {
		return fmt.Errorf("read the image %s: %w", digest, err)
	}

	if err := remote.WriteIndex(ref, image, remote.WithContext(ctx),
		remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return errors.Join(fmt.Errorf("push %s: %w", ref, err), errNoLogin)
	}

	_, err = fmt.Fprintln(stdout, ref.Context().Digest(digest.String()))

	return err
}

var errNoLogin = errors.New("if the registry refuses you, log in first: docker login REGISTRY")
