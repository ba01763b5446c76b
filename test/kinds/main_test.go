// Package kinds_test lets a real API server judge what is injected into custom resources: the projects' own definitions
// refuse fields that are unknown or in the wrong place.
package kinds_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
)

var cluster dynamic.Interface

func TestMain(m *testing.M) {
	code, err := runTests(context.Background(), m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runTests(ctx context.Context, m *testing.M) (code int, err error) {
	plane, err := controlplane.Start(ctx)
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, plane.Stop()) }()
	cluster, err = dynamic.NewForConfig(&rest.Config{
		Host: plane.Host, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: plane.CA, CertData: plane.Cert, KeyData: plane.Key},
	})
	if err != nil {
		return 1, fmt.Errorf("make a client: %w", err)
	}
	return m.Run(), nil
}
