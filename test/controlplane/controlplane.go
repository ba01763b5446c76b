// Package controlplane runs a real etcd and a real kube-apiserver by controller-runtime's envtest, and
// if requested a real kube-controller-manager and kube-scheduler beside them, on free ports of
// 127.0.0.1. They need no root, no container engine and no network.
//
// Without Options.Controllers a Deployment is stored and nothing makes its pods, no claim gets bound,
// and no namespace has a default ServiceAccount. It never has a node: package cluster has one.
//
// The API server calls webhooks through a proxy of the test program, see [ControlPlane.Route]. So a
// chart is installed as users install it, and a process on loopback answers in place of its pods.
package controlplane

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/pipeline-storage/pipeline-storage/test/process"
	"github.com/pipeline-storage/pipeline-storage/test/scratch"
)

const (
	startTimeout = 2 * time.Minute
	dirPrefix    = "pipeline-storage-controlplane-"
	privateFile  = 0o600
	logTailSize  = 4096
)

// ControlPlane is a running control plane.
type ControlPlane struct {
	// Host is the URL of the API server.
	Host string
	// Kubeconfig is a file with the credentials of an administrator.
	Kubeconfig string
	// CA is the CA of the API server, in PEM.
	CA []byte

	dir      *scratch.Dir
	options  Options
	programs map[string]string
	env      *envtest.Environment
	egress   *egress
	release  func()

	mutex      sync.Mutex // a test may kill a part while another reads the logs
	components map[string]*process.Process
}

// Options is what a control plane has in addition to etcd and the API server. The zero value adds
// nothing.
type Options struct {
	// Controllers adds kube-controller-manager and kube-scheduler, and turns the ServiceAccount
	// admission plugin on. Classes of the provisioner kubernetes.io/host-path then make real
	// directories, below /tmp/hostpath_pv.
	Controllers bool
	// Address is the address of this machine on which the API server listens, on port 6443, in place of
	// a free port of 127.0.0.1. Webhooks are then called at the endpoints of their Services, and not
	// through the proxy. Use it in a network namespace of your own.
	Address string
	// Node is the name of a node whose kubelet the API server can send requests, for logs for
	// instance: NodeCredentials returns what it needs. The controller manager watches its lease.
	Node string
	// AuditLog has the API server record every request, see ControlPlane.Audit.
	AuditLog bool
}

// Start starts the parts and returns when they answer. Call Stop to end them. The parts are built
// first if the cache has none, see package parts.
func Start(ctx context.Context, options Options) (*ControlPlane, error) {
	programs, err := findPrograms(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("start a control plane: %w", err)
	}
	dir, err := scratch.New(dirPrefix, nil)
	if err != nil {
		return nil, fmt.Errorf("start a control plane: %w", err)
	}
	c := &ControlPlane{
		dir: dir, options: options, programs: programs, components: map[string]*process.Process{},
		Kubeconfig: filepath.Join(dir.Path, "kubeconfig"),
	}
	if err := c.start(ctx); err != nil {
		return nil, fmt.Errorf("start a control plane: %w", errors.Join(err, c.remove()))
	}
	return c, nil
}

// Require starts a control plane for one test and stops it when the test ends.
// If the test failed, the ends of the logs are in its output.
func Require(tb testing.TB, options Options) *ControlPlane {
	tb.Helper()
	plane, err := Start(tb.Context(), options)
	if err != nil {
		tb.Fatalf("this test needs a control plane: %v", err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Log(plane.Logs().Tails())
		}
		if err := plane.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return plane
}

// RESTConfig returns a configuration for clients of the group system:masters, without a rate limit.
// Each call returns one of its own, which the caller may change.
func (c *ControlPlane) RESTConfig() *rest.Config {
	config := rest.CopyConfig(c.env.Config)
	config.QPS, config.Burst = -1, 0
	return config
}

// Logs returns the log of every part, NAME.log. Stop removes them.
func (c *ControlPlane) Logs() process.Logs { return process.LogsIn(c.file("*")) }

func (c *ControlPlane) file(name string) string { return filepath.Join(c.dir.Path, name) }

// Stop ends the parts and removes their state. It fails if one of them had ended before: a test must
// not pass on a control plane that died under it. It may be called again.
func (c *ControlPlane) Stop() error {
	var ended []error
	for name := range c.programs {
		if c.release != nil && !c.runs(name) {
			ended = append(ended, fmt.Errorf("%s ended before\n%s", name, process.LogsIn(c.file(name)).Tails()))
		}
	}
	if err := errors.Join(errors.Join(ended...), c.remove()); err != nil {
		return fmt.Errorf("stop the control plane: %w", err)
	}
	return nil
}

// remove ends each part at once: no state is retained, and a graceful end takes seconds.
func (c *ControlPlane) remove() error {
	var failed []error
	for name := range c.programs {
		if c.runs(name) {
			failed = append(failed, c.Kill(name))
		}
	}
	// Not by envtest's Stop, which fails when it has not yet noticed the end, and has nothing else to do.
	if c.release != nil {
		c.release()
		c.release = nil
	}
	if c.egress != nil {
		failed = append(failed, c.egress.close())
		c.egress = nil
	}
	return errors.Join(errors.Join(failed...), c.dir.Remove())
}
