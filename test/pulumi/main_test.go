package pulumi_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/pipeline-storage/pipeline-storage/plugin"
)

// postrenderer is the program under test. It is also in $PATH, where the provider searches for it.
var postrenderer string

func TestMain(m *testing.M) {
	code, err := runTests(context.Background(), m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runTests(ctx context.Context, m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "pipeline-storage-pulumi-")
	if err != nil {
		return 1, fmt.Errorf("make a directory for the post-renderer: %w", err)
	}
	defer os.RemoveAll(dir)

	host := plugin.Host()
	if err := plugin.Stage(ctx, dir, "", host); err != nil {
		return 1, err
	}
	postrenderer = filepath.Join(dir, "postrender")
	if err := os.Symlink(filepath.Join("bin", "postrender-"+host.OS+"-"+host.Arch), postrenderer); err != nil {
		return 1, fmt.Errorf("name the post-renderer as the programs do: %w", err)
	}
	if err := os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH")); err != nil {
		return 1, fmt.Errorf("put the post-renderer into $PATH: %w", err)
	}
	return m.Run(), nil
}
