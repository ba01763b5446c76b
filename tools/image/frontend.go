package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerui"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// dockerfile is a Dockerfile with values for its arguments.
type dockerfile struct {
	path string
	text []byte
	args map[string]string
	// target is a stage; empty for the last.
	target string
}

func readDockerfile(o options) (dockerfile, error) {
	text, err := os.ReadFile(o.file)
	if err != nil {
		return dockerfile{}, fmt.Errorf("read the Dockerfile: %w", err)
	}

	return dockerfile{path: o.file, text: text, args: o.buildArgs, target: o.target}, nil
}

// options are what the frontend gets from "docker buildx build --platform PLATFORM --target TARGET".
func (d dockerfile) options(platform ocispecs.Platform) dockerfile2llb.ConvertOpt {
	source := llb.NewSourceMap(nil, filepath.Base(d.path), "Dockerfile", d.text)
	source.Definition = &llb.Definition{} // not from a build context; the checks read it all the same

	return dockerfile2llb.ConvertOpt{
		Config: dockerui.Config{
			// A copy, because the frontend writes to it.
			BuildArgs:      maps.Clone(d.args),
			Target:         d.target,
			BuildPlatforms: []ocispecs.Platform{platforms.DefaultSpec()},
		},
		TargetPlatform: &platform,
		MetaResolver:   registry{},
		SourceMap:      source,
	}
}

// convert returns the graph of steps that make the image for a platform, and its configuration.
func (d dockerfile) convert(ctx context.Context, platform ocispecs.Platform) (*dockerfile2llb.Result, error) {
	result, err := dockerfile2llb.Dockerfile2LLB(ctx, d.text, d.options(platform))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", d.path, err)
	}

	return result, nil
}
