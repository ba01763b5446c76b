// Command allow is a controller-runtime webhook that allows every pod unread: what
// controller-runtime costs by itself.
package main

import (
	"context"
	"fmt"
	"os"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/servers/standard"
)

func main() {
	err := standard.Run(admission.HandlerFunc(func(context.Context, admission.Request) admission.Response {
		return admission.Allowed("")
	}))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
