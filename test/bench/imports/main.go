// Command imports is command copy with the libraries that postrender links, none of them called:
// what remains of postrender's start-up time and memory when it does nothing. The list follows
// the imports of postrender's packages.
package main

import (
	"fmt"
	"io"
	"os"

	_ "github.com/spf13/pflag"
	_ "go.yaml.in/yaml/v3"
	_ "k8s.io/api/core/v1"
	_ "k8s.io/api/storage/v1"
	_ "k8s.io/apimachinery/pkg/api/resource"
	_ "k8s.io/apimachinery/pkg/labels"
	_ "k8s.io/apimachinery/pkg/util/validation/field"
)

// Nothing is decoded: the libraries only initialize their tables.
func main() {
	if _, err := io.Copy(stdout(), stdin()); err != nil {
		fmt.Fprintln(os.Stderr, "imports:", err)
		os.Exit(1)
	}
}

// stdin and stdout hide the shortcuts of *os.File, as in command copy.
func stdin() io.Reader  { return struct{ io.Reader }{os.Stdin} }
func stdout() io.Writer { return struct{ io.Writer }{os.Stdout} }
