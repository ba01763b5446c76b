// Package controlplane runs a real etcd and a real kube-apiserver for tests, and if requested a
// real kube-controller-manager and kube-scheduler, on free ports of 127.0.0.1 and with a state
// directory of their own. They need no root, no container engine and no network.
//
// One test starts one by [Require]. A package shares one by its TestMain:
//
//	var plane controlplane.Shared
//
//	func TestMain(m *testing.M) { os.Exit(plane.Run(m)) }
//
// [Start] runs no controller manager. So a Deployment is stored and nothing makes its pods, no
// claim gets bound, and no namespace has a default ServiceAccount; for the last reason the
// ServiceAccount admission plugin is off. [StartWith] adds all of that, in about two seconds more.
// It never has a node: package cluster simulates some.
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
	"sync"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

const (
	startTimeout = 2 * time.Minute
	readyPoll    = 20 * time.Millisecond
	attempts     = 5
	dirPrefix    = "pipeline-storage-controlplane-"
	lockFile     = "lock"
	privateFile  = 0o600
)

// ControlPlane is a running control plane.
type ControlPlane struct {
	// Host is the URL of the API server.
	Host string
	// Kubeconfig is a file with Host and the credentials below in it.
	Kubeconfig string
	// CA, Cert and Key are PEM: the CA of the server, and a client in the group system:masters.
	CA, Cert, Key []byte

	dir      string
	lock     *flock.Flock
	settings settings
	programs map[string]string
	client   *http.Client

	mutex     sync.Mutex // a test may kill a part while another reads the logs
	processes []*process
}

// Options is what a control plane has in addition to etcd and the API server. The zero value adds
// nothing.
type Options struct {
	// Controllers adds kube-controller-manager and kube-scheduler, and turns the ServiceAccount
	// admission plugin on. Classes of the provisioner kubernetes.io/host-path then make real
	// directories, below /tmp/hostpath_pv.
	Controllers bool
	// Address is an address of this machine on which the API server listens in addition to
	// 127.0.0.1: it then listens on all addresses, and its certificate names this one. Use it in a
	// separate network namespace.
	Address string
	// Node is the name of a node whose kubelet will listen on Address: the API server can then send
	// it requests, for logs for instance, and NodeCredentials returns what it needs. The controller
	// manager watches its lease.
	Node string
	// AuditLog has the API server record every request, see ControlPlane.Audit.
	AuditLog bool
}

func (o Options) stages() [][]part {
	if o.Controllers {
		return append(slices.Clone(stages), controllers)
	}

	return stages
}

// Start starts etcd and an API server and returns when they answer. ctx limits the start only: call
// Stop to end it. The parts are built first if the cache has none, see package parts.
func Start(ctx context.Context) (*ControlPlane, error) {
	return StartWith(ctx, Options{})
}

// StartWith is Start with Options.
func StartWith(ctx context.Context, options Options) (*ControlPlane, error) {
	return start(ctx, options, freePort)
}

// Require starts a control plane for one test and stops it when the test ends.
// If the test failed, the ends of the logs are in its output.
func Require(tb testing.TB) *ControlPlane {
	tb.Helper()

	return RequireWith(tb, Options{})
}

// RequireWith is Require with Options.
func RequireWith(tb testing.TB, options Options) *ControlPlane {
	tb.Helper()

	plane, err := StartWith(tb.Context(), options)
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
	processes := c.running()

	logs := make([]string, 0, len(processes))
	for _, p := range processes {
		logs = append(logs, p.logTail())
	}

	return strings.Join(logs, "\n")
}

// SaveLogs copies the whole log of every part into the directory dir, as NAME.log. Stop removes the
// originals.
func (c *ControlPlane) SaveLogs(dir string) error {
	var failed []error

	for _, p := range c.running() {
		text, err := os.ReadFile(p.log)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(p.log)), text, privateFile)
		}

		failed = append(failed, err)
	}

	if err := errors.Join(failed...); err != nil {
		return fmt.Errorf("save the logs of the control plane: %w", err)
	}

	return nil
}

// NodeCredentials are what the kubelet of Options.Node needs, in PEM: a kubeconfig, the common CA,
// and its own certificate as a server.
type NodeCredentials struct {
	Kubeconfig, CA, Cert, Key []byte
}

// NodeCredentials returns what the kubelet of Options.Node needs.
func (c *ControlPlane) NodeCredentials() NodeCredentials {
	p := c.settings.pki
	user := p.clients[nodeConfig]

	return NodeCredentials{
		Kubeconfig: kubeconfig(c.Host, p.ca, user.cert, user.key), CA: p.ca, Cert: p.kubelet.cert, Key: p.kubelet.key,
	}
}

// Kill ends the part called name, such as "kube-apiserver", at once and without a warning, as a
// crash would. Revive it before Stop, which reports a part that does not run as a failure.
func (c *ControlPlane) Kill(name string) error {
	p, _, err := c.find(name)
	if err != nil {
		return err
	}

	p.kill()

	return nil
}

// Revive starts the part called name again after Kill, with the same flags, port and state, and
// returns when it answers. ctx limits the start only.
func (c *ControlPlane) Revive(ctx context.Context, name string) error {
	p, index, err := c.find(name)
	if err != nil {
		return err
	}

	if p.exitError() == nil {
		return fmt.Errorf("revive %s: it runs: call Kill first", name)
	}

	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	revived, err := startProcess(c.programs[name], p.row.args(c.settings), c.dir, p.row)
	if err != nil {
		return err
	}

	c.mutex.Lock()
	c.processes[index] = revived
	c.mutex.Unlock()

	return c.waitReady(ctx, revived)
}

// Stop ends the processes that Start started, the last one first, and removes their state. It fails
// if one of them had ended before: a test must not pass on a control plane that died under it. It
// may be called again.
func (c *ControlPlane) Stop() error {
	var exitError []error

	for _, p := range c.running() {
		exitError = append(exitError, p.exitError())
	}

	if err := errors.Join(errors.Join(exitError...), c.remove()); err != nil {
		return fmt.Errorf("stop the control plane: %w", err)
	}

	return nil
}

func (c *ControlPlane) remove() error {
	for _, p := range slices.Backward(c.running()) {
		p.kill()
	}

	if c.client != nil {
		c.client.CloseIdleConnections()
	}

	c.mutex.Lock()
	c.processes = nil
	c.mutex.Unlock()

	return errors.Join(os.RemoveAll(c.dir), c.lock.Close())
}

func (c *ControlPlane) running() []*process {
	c.mutex.Lock()
	defer c.mutex.Unlock()

	return slices.Clone(c.processes)
}

func (c *ControlPlane) find(name string) (*process, int, error) {
	processes := c.running()

	index := slices.IndexFunc(processes, func(p *process) bool { return p.row.name == name })
	if index < 0 {
		return nil, 0, fmt.Errorf("this control plane has no %s: see Options", name)
	}

	return processes[index], index, nil
}

// start tries again with other ports when another process got one between the choice and the use.
func start(ctx context.Context, options Options, port func() (int, error)) (*ControlPlane, error) {
	programs := map[string]string{}

	for _, stage := range options.stages() {
		for _, row := range stage {
			path, err := parts.Path(ctx, row.name)
			if err != nil {
				return nil, fmt.Errorf("start a control plane: %w", err)
			}

			programs[row.name] = path
		}
	}

	// Not before, because a build may take many minutes.
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	var err error

	for range attempts {
		var plane *ControlPlane

		plane, err = attempt(ctx, options, programs, port)
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
	ctx context.Context, options Options, programs map[string]string, port func() (int, error),
) (*ControlPlane, error) {
	plane, err := newControlPlane()
	if err != nil {
		return nil, err
	}

	plane.programs = programs

	if err := plane.run(ctx, options, port); err != nil {
		return nil, errors.Join(err, plane.remove())
	}

	return plane, nil
}

// newControlPlane makes the directory and holds a lock in it for as long as the control plane
// lives: see sweep.
func newControlPlane() (*ControlPlane, error) {
	sweep(os.TempDir())

	unlocked, err := os.MkdirTemp("", "new-"+dirPrefix)
	if err != nil {
		return nil, fmt.Errorf("make a directory for the state: %w", err)
	}

	lock := flock.New(filepath.Join(unlocked, lockFile))
	if err := lock.Lock(); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the directory for the state: %w", err), os.RemoveAll(unlocked))
	}

	// It gets the name that sweep searches for only when it is locked.
	dir := filepath.Join(filepath.Dir(unlocked), strings.TrimPrefix(filepath.Base(unlocked), "new-"))
	if err := os.Rename(unlocked, dir); err != nil {
		return nil, errors.Join(fmt.Errorf("name the directory for the state: %w", err), os.RemoveAll(unlocked))
	}

	return &ControlPlane{dir: dir, lock: lock}, nil
}

// run starts the stages one after the other: each needs the one before it.
func (c *ControlPlane) run(ctx context.Context, options Options, port func() (int, error)) error {
	s, err := newSettings(c.dir, options, port)
	if err != nil {
		return err
	}

	c.settings = s
	c.CA, c.Cert, c.Key = s.pki.ca, s.pki.cert, s.pki.key
	c.Host = s.url(apiserver)
	c.Kubeconfig = s.file(adminConfig)

	if c.client, err = c.Client(); err != nil {
		return err
	}

	for _, stage := range options.stages() {
		if err := c.runStage(ctx, stage); err != nil {
			return err
		}
	}

	return nil
}

func (c *ControlPlane) runStage(ctx context.Context, stage []part) error {
	first := len(c.processes)

	for _, row := range stage {
		p, err := startProcess(c.programs[row.name], row.args(c.settings), c.dir, row)
		if err != nil {
			return err
		}

		c.processes = append(c.processes, p)
	}

	for _, p := range c.processes[first:] {
		if err := c.waitReady(ctx, p); err != nil {
			return err
		}
	}

	return nil
}

func (c *ControlPlane) waitReady(ctx context.Context, p *process) error {
	for _, ready := range p.row.ready {
		if err := p.waitReady(ctx, c.client, c.settings.url(ready.part)+ready.path); err != nil {
			return err
		}
	}

	return nil
}

// sweep removes the directories of control planes whose test program was killed: no process holds
// their lock. It ignores what it cannot remove, because the tests do not depend on it.
func sweep(dir string) {
	directories, _ := filepath.Glob(filepath.Join(dir, dirPrefix+"*"))
	for _, directory := range directories {
		lock := flock.New(filepath.Join(directory, lockFile))
		if free, err := lock.TryLock(); err == nil && free {
			_ = os.RemoveAll(directory)
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
