// Command repack reads an archive that another program wrote, and writes one whose bytes depend on its files alone:
//
//	go run ./hack/archive/repack FROM TO
package main

import (
	"fmt"
	"os"

	"github.com/pipeline-storage/pipeline-storage/hack/archive"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: repack FROM TO")
		os.Exit(1)
	}
	if err := archive.Repack(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "repack:", err)
		os.Exit(1)
	}
}
