// Command release writes the SBOM of released files, as SPDX 2.3 in JSON:
//
//	sbom -name NAME -version 1.2.3 -created 2026-01-02T03:04:05Z -base URL FILE...
//
// A FILE is an archive (tar, compressed by gzip) or the directory of an OCI layout. The modules are those that the Go
// linker wrote into the programs inside, so the SBOM lists what is shipped and not what go.mod permits. The same files
// and flags give the same bytes.
//
// Its module also pins actionlint and govulncheck.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdxlib"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// options are the values of the flags.
type options struct {
	// name is the document's, version that of the release.
	name, version string
	// base is the address that the released files are below.
	base string
	// created is the time that the format requires. It is given, so that it does not change from build to build.
	created string
}

func run(args []string, stdout io.Writer) error {
	var o options

	flags := flag.NewFlagSet("sbom", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error is reported once, by main
	flags.StringVar(&o.name, "name", "", "name of the document")
	flags.StringVar(&o.version, "version", "", "version of the release")
	flags.StringVar(&o.created, "created", "", "time of the release, as 2006-01-02T15:04:05Z")
	flags.StringVar(&o.base, "base", "", "address that the files are below")

	if err := flags.Parse(args); err != nil {
		return err
	}

	if o.name == "" || o.version == "" || o.base == "" || flags.NArg() == 0 {
		return errors.New("usage: sbom -name NAME -version VERSION -created TIME -base URL FILE...")
	}

	if _, err := time.Parse("2006-01-02T15:04:05Z", o.created); err != nil {
		return fmt.Errorf("read -created: %w", err)
	}

	var artifacts []artifact

	for _, path := range flags.Args() {
		a, err := read(path)
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}

		artifacts = append(artifacts, a)
	}

	d := document(o, artifacts)
	if err := spdxlib.ValidateDocument(d); err != nil {
		return fmt.Errorf("the SBOM is not valid: %w", err)
	}

	return spdxjson.Write(d, stdout, spdxjson.Indent("  "), spdxjson.EscapeHTML(false))
}
