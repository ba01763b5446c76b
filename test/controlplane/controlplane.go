// Package controlplane runs a real etcd and a real kube-apiserver for tests, on free ports of 127.0.0.1 and with a
// state folder of their own. They need no root, no container engine and no network.
//
// One test starts one by [Require]. A package shares one by its TestMain:
//
//	var plane *controlplane.ControlPlane
//
//	func TestMain(m *testing.M) {
//		var err error
//		if plane, err = controlplane.Start(context.Background()); err != nil {
//			fmt.Fprintln(os.Stderr, err)
//			os.Exit(1)
//		}
//
//		code := m.Run()
//		if err := plane.Stop(); err != nil {
//			fmt.Fprintln(os.Stderr, err)
//			code = 1
//		}
//
//		os.Exit(code)
//	}
//
// No controller manager runs. So a Deployment is stored and nothing makes its pods, no claim gets bound, and no
// namespace has a default ServiceAccount; for the last reason the ServiceAccount admission plugin is off.
package controlplane

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

const (
	startTimeout = 2 * time.Minute
	stopTimeout  = 20 * time.Second
	readyPoll    = 20 * time.Millisecond
	attempts     = 5
	folderPrefix = "pipeline-storage-controlplane-"
	lockFile     = "lock"
	privateFile  = 0o600
)

// ControlPlane is a running control plane.
type ControlPlane struct {
	// Host is the URL of the API server.
	Host string
	// Kubeconfig is a file with Host and the credentials below in it.
	Kubeconfig string
	// CA, Cert and Key are PEM: the authority of the server, and a client in the group system:masters.
	CA, Cert, Key []byte

	dir       string
	lock      *flock.Flock
	processes []*process
}

// Start starts a control plane and returns when it answers. ctx limits the start only: call Stop to end it.
// The parts are built first if the cache has none, see package parts.
func Start(ctx context.Context) (*ControlPlane, error) {
	return start(ctx, table, freePort)
}

// Require starts a control plane for one test and stops it when the test ends.
// If the test failed, the ends of the logs are in its output.
func Require(tb testing.TB) *ControlPlane {
	tb.Helper()

	plane, err := Start(tb.Context())
	if err != nil {
		tb.Fatalf("this test needs a control plane: %v", err)
	}

	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Log(plane.Logs())
		}

		if err := plane.Stop(); err != nil {
			tb.Error(err)
		}
	})

	return plane
}

// Client returns an HTTP client with the credentials, for requests to URLs that begin with Host.
func (c *ControlPlane) Client() (*http.Client, error) {
	return newClient(c.CA, c.Cert, c.Key)
}

// Logs returns the end of the log of every part.
func (c *ControlPlane) Logs() string {
	logs := make([]string, 0, len(c.processes))
	for _, p := range c.processes {
		logs = append(logs, p.logTail())
	}

	return strings.Join(logs, "\n")
}

// Stop ends the processes that Start started, the last one first, and removes their state. It fails if one of them had
// ended before: a test must not pass on a control plane that died under it. It may be called again.
func (c *ControlPlane) Stop() error {
	var died []error

	for _, p := range c.processes {
		died = append(died, p.died())
	}

	if err := errors.Join(errors.Join(died...), c.remove()); err != nil {
		return fmt.Errorf("stop the control plane: %w", err)
	}

	return nil
}

func (c *ControlPlane) remove() error {
	for _, p := range slices.Backward(c.processes) {
		p.stop(stopTimeout)
	}

	c.processes = nil

	return errors.Join(os.RemoveAll(c.dir), c.lock.Close())
}

// start tries again with other ports when another process took one between the choice and the use.
func start(ctx context.Context, rows []part, port func() (int, error)) (*ControlPlane, error) {
	programs := map[string]string{}

	for _, row := range rows {
		path, err := parts.Path(ctx, row.name)
		if err != nil {
			return nil, fmt.Errorf("start a control plane: %w", err)
		}

		programs[row.name] = path
	}

	// Only now, because a build may take many minutes.
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	var err error

	for range attempts {
		var plane *ControlPlane

		plane, err = attempt(ctx, rows, programs, port)
		if err == nil {
			return plane, nil
		}

		if !errors.Is(err, errPortTaken) {
			break
		}
	}

	return nil, fmt.Errorf("start a control plane: %w", err)
}

func attempt(
	ctx context.Context, rows []part, programs map[string]string, port func() (int, error),
) (*ControlPlane, error) {
	plane, err := newControlPlane()
	if err != nil {
		return nil, err
	}

	if err := plane.run(ctx, rows, programs, port); err != nil {
		return nil, errors.Join(err, plane.remove())
	}

	return plane, nil
}

// newControlPlane makes the folder and holds a lock in it for as long as the control plane lives: see sweep.
func newControlPlane() (*ControlPlane, error) {
	sweep(os.TempDir())

	unlocked, err := os.MkdirTemp("", "new-"+folderPrefix)
	if err != nil {
		return nil, fmt.Errorf("make a folder for the state: %w", err)
	}

	lock := flock.New(filepath.Join(unlocked, lockFile))
	if err := lock.Lock(); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the folder for the state: %w", err), os.RemoveAll(unlocked))
	}

	// Under the name that sweep looks for only when it is locked.
	dir := filepath.Join(filepath.Dir(unlocked), strings.TrimPrefix(filepath.Base(unlocked), "new-"))
	if err := os.Rename(unlocked, dir); err != nil {
		return nil, errors.Join(fmt.Errorf("name the folder for the state: %w", err), os.RemoveAll(unlocked))
	}

	return &ControlPlane{dir: dir, lock: lock}, nil
}

// run starts the parts one after the other: each needs the one before it.
func (c *ControlPlane) run(
	ctx context.Context, rows []part, programs map[string]string, port func() (int, error),
) error {
	s, err := newSettings(c.dir, rows, port)
	if err != nil {
		return err
	}

	c.CA, c.Cert, c.Key = s.pki.ca, s.pki.cert, s.pki.key

	client, err := c.Client()
	if err != nil {
		return err
	}

	defer client.CloseIdleConnections()

	for _, row := range rows {
		p, err := startProcess(programs[row.name], row.args(s), c.dir, row.name)
		if err != nil {
			return err
		}

		c.processes = append(c.processes, p)

		for _, path := range row.ready {
			if err := p.waitReady(ctx, client, s.url(row.name)+path); err != nil {
				return err
			}
		}
	}

	c.Host = s.url("kube-apiserver")
	c.Kubeconfig = filepath.Join(c.dir, "kubeconfig")

	if err := os.WriteFile(c.Kubeconfig, kubeconfig(c.Host, c.CA, c.Cert, c.Key), privateFile); err != nil {
		return fmt.Errorf("write the kubeconfig: %w", err)
	}

	return nil
}

// sweep removes the folders of control planes whose test program was killed before it could: nobody holds their lock.
// What it cannot remove it leaves, because the tests do not depend on it.
func sweep(dir string) {
	folders, _ := filepath.Glob(filepath.Join(dir, folderPrefix+"*"))
	for _, folder := range folders {
		lock := flock.New(filepath.Join(folder, lockFile))
		if free, err := lock.TryLock(); err == nil && free {
			_ = os.RemoveAll(folder)
		}

		_ = lock.Close()
	}
}

func newClient(ca, cert, key []byte) (*http.Client, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("read the client certificate: %w", err)
	}

	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)

	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{
			RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12,
		},
	}}, nil
}
