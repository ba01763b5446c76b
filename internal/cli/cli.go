// Package cli has what the commands for people share. They are postrender and
// kubectl-pipeline_storage; the webhook writes logs and has no use for it.
package cli

import (
	"io"
	"os"
	"runtime/debug"
	"strings"
)

// Version is the version that the linker set, or that of the module. It is "unknown" for a
// program without build information.
func Version(linked string) string {
	if linked != "" {
		return linked
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return strings.TrimPrefix(info.Main.Version, "v")
	}
	return "unknown"
}

// Color decides about colour: when is always, never or auto, which means on a terminal without
// NO_COLOR (no-color.org). W is where the output goes: a pipe and a file are not terminals. Every
// value but these three is never.
func Color(when string, w io.Writer) bool {
	if when != "auto" {
		return when == "always"
	}
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
