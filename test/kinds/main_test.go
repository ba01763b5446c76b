// Package kinds_test lets a real API server validate what is injected into custom resources: the
// projects' own definitions refuse fields that are unknown or in the wrong place.
package kinds_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
)

var update = flag.Bool("update", false, "update the expected files and the table of docs/kinds.md")

// plane is started by the first test that needs it: the generators of documents need none.
var plane struct {
	sync.Once
	*controlplane.ControlPlane
	client client.Client
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if plane.ControlPlane != nil {
		if err := plane.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// cluster returns a client of the API server that the tests share.
func cluster(t *testing.T) client.Client {
	t.Helper()
	plane.Do(func() {
		if plane.ControlPlane, plane.err = controlplane.Start(context.Background()); plane.err != nil {
			return
		}
		scheme := runtime.NewScheme()
		plane.err = apiextensionsv1.AddToScheme(scheme)
		var err error
		plane.client, err = client.New(&rest.Config{
			Host: plane.Host, QPS: -1, WarningHandler: rest.NoWarnings{},
			TLSClientConfig: rest.TLSClientConfig{CAData: plane.CA, CertData: plane.Cert, KeyData: plane.Key},
		}, client.Options{Scheme: scheme})
		plane.err = errors.Join(plane.err, err)
	})
	require.NoError(t, plane.err)
	return plane.client
}
