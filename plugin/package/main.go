// Command package builds the Helm 4 plugin for every platform and packs it with Helm's own packager
// into the directory dist:
//
//	go run ./plugin/package
//
// VERSION is the plugin's version in place of that in plugin.yaml. With PLUGIN_SIGN_KEY the package
// is signed with that key of the file PLUGIN_KEYRING, whose passphrase, if it has one, is in the
// file PLUGIN_PASSPHRASE_FILE.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/pipeline-storage/pipeline-storage/plugin"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

// destination is the directory for the package.
const destination = "dist"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "package:", err)
		os.Exit(1)
	}
}

// run prints the path of the package, and whether it is signed. It builds Helm first where that is
// missing.
func run(ctx context.Context, stdout io.Writer) error {
	helm, err := parts.Path(ctx, "helm4")
	if err != nil {
		return err
	}
	packager := plugin.Packager{
		Helm:           helm,
		Version:        os.Getenv("VERSION"),
		Platforms:      plugin.Platforms,
		SignKey:        os.Getenv("PLUGIN_SIGN_KEY"),
		Keyring:        os.Getenv("PLUGIN_KEYRING"),
		PassphraseFile: os.Getenv("PLUGIN_PASSPHRASE_FILE"),
	}
	file, err := packager.Package(ctx, destination)
	if err != nil {
		return err
	}
	signed := "signed and verified"
	if packager.SignKey == "" {
		signed = "not signed: set PLUGIN_SIGN_KEY and PLUGIN_KEYRING for that"
	}
	_, err = fmt.Fprintf(stdout, "%s (%s)\n", file, signed)
	return err
}
