// Package node runs a real node of Kubernetes for tests: kubelet, containerd, runc and a bridge for
// pods, built from pinned modules, see package parts. No container engine, no registry and no
// packet that leaves the machine. It needs Linux and root; [Supported] returns what is missing.
//
// The node has mount, process, host name and IPC namespaces of its own, a directory of its own for
// a root file system, and control groups of its own name; it shares the network namespace of the
// test, which must not be that of the machine. Everything in there ends with its first process, and
// that ends with the test program, however it ends. Volumes, pods' logs and images are below the
// directory, so they outlive [Node.Kill] and [Node.Crash], as they do on a disk.
//
// # What this cannot show
//
//   - Virtual addresses of Services: there is no kube-proxy. A pod reaches the API server at the
//     address of the Service kubernetes, if the test has something there (package cluster has), and
//     other pods by their own addresses.
//   - DNS and NetworkPolicies.
//   - Images as they are pulled: they are imported from an [Archive].
//   - CSI drivers, block devices, user namespaces, AppArmor and SELinux.
//   - The kubelet's settings of the whole kernel, which it writes to files of its own: the
//     machine's are not changed.
//   - Values of oom_score_adj below that of the test, where root has no CAP_SYS_RESOURCE.
package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

const (
	// Containerd is the name of a part for Kill and Restart.
	Containerd = "containerd"
	// Kubelet is the name of the other part for Kill and Restart.
	Kubelet = "kubelet"

	startTimeout = time.Minute
	healthPort   = 10248
	poll         = 20 * time.Millisecond
	dirMode      = 0o755
	fileMode     = 0o644
	privateMode  = 0o600
)

// Parts are the programs of a node, which [Start] builds if they are missing.
var Parts = []string{
	Containerd, "containerd-shim-runc-v2", "ctr", "runc", "bridge", "host-local", "loopback", Kubelet,
}

// Options is the configuration of a node.
type Options struct {
	// Name is that of the Node object.
	Name string
	// Labels are the Node's.
	Labels map[string]string
	// Address is the node's own, which a device of this network namespace must have.
	Address netip.Addr
	// Pods is the network of the pods.
	Pods netip.Prefix
	// Dir is a directory for the node's root file system, in memory or on a disk that supports
	// overlayfs.
	Dir string
	// Logs is a directory for the logs of the parts, NAME.log, and those of the pods.
	Logs string
	// Group names the control groups of the node. No other node on the machine may have the same;
	// see [Sweep].
	Group string
	// Archive is a file that [WriteArchive] wrote.
	Archive string
	// Box is the program of package box, the first process of the node.
	Box string
}

// Credentials are those of a node, in PEM.
type Credentials struct {
	// Kubeconfig is that of system:node:NAME.
	Kubeconfig []byte
	// CA is that of the API server's client; Cert and Key are the kubelet's own, as a server.
	CA, Cert, Key []byte
}

// Node is a running node.
type Node struct {
	options  Options
	programs map[string]string

	mutex     sync.Mutex // a test may kill a part while another reads
	processes map[string]*process
	space     *space
	joined    bool
	removed   bool
}

// Start makes the node's file system, starts its first process and containerd, and imports the
// images. ctx limits the start only: call Stop to end it. The node is not part of a cluster before
// Join, so that this can go on beside the start of one.
func Start(ctx context.Context, options Options) (*Node, error) {
	n := &Node{options: options, programs: map[string]string{}, processes: map[string]*process{}}

	for _, name := range Parts {
		path, err := parts.Path(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("start a node: %w", err)
		}

		n.programs[name] = path
	}

	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	if err := n.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start a node: %w", err), n.Stop())
	}

	return n, nil
}

func (n *Node) start(ctx context.Context) error {
	if err := n.writeRoot(); err != nil {
		return err
	}

	if err := makeGroups(n.options.Group); err != nil {
		return err
	}

	if err := n.boot(ctx); err != nil {
		return err
	}

	_, err := n.Run(ctx, "ctr", "--namespace=k8s.io", "images", "import", "--local", archivePath)

	return err
}

// boot starts the first process and containerd.
func (n *Node) boot(ctx context.Context) error {
	space, err := newSpace(n)
	if err != nil {
		return err
	}

	n.mutex.Lock()
	n.space = space
	n.mutex.Unlock()

	return n.startContainerd(ctx)
}

// Join starts the kubelet, which makes the Node in the cluster, and returns when it answers.
func (n *Node) Join(ctx context.Context, credentials Credentials) error {
	if err := n.writeCredentials(credentials); err != nil {
		return err
	}

	n.joined = true

	return n.startKubelet(ctx)
}

// Kill ends a part at once and without a warning, as a crash would. The pods continue.
func (n *Node) Kill(name string) error {
	n.mutex.Lock()
	p := n.processes[name]
	delete(n.processes, name)
	n.mutex.Unlock()

	if p == nil {
		return fmt.Errorf("kill %s: it does not run", name)
	}

	p.kill()

	return nil
}

// Restart starts a part again after Kill and returns when it answers. It does not wait for the
// pods.
func (n *Node) Restart(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	switch name {
	case Containerd:
		return n.startContainerd(ctx)
	case Kubelet:
		return n.startKubelet(ctx)
	default:
		return fmt.Errorf("restart %s: a node has %s and %s", name, Containerd, Kubelet)
	}
}

// Crash ends every process of the node at once, those of the pods too, as a loss of power would.
// Disks remain.
func (n *Node) Crash() error {
	n.mutex.Lock()
	space, processes := n.space, n.processes
	n.space, n.processes = nil, map[string]*process{}
	n.mutex.Unlock()

	if space == nil {
		return nil
	}

	space.close()

	for _, p := range processes {
		<-p.done // they have ended with their namespace
	}

	return cleanGroups(n.options.Group)
}

// Boot starts the node again after Crash.
func (n *Node) Boot(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	if err := makeGroups(n.options.Group); err != nil {
		return err
	}

	if err := n.boot(ctx); err != nil {
		return fmt.Errorf("boot the node: %w", err)
	}

	if !n.joined {
		return nil
	}

	return n.startKubelet(ctx)
}

// Stop ends the node and removes its control groups. The files in Options.Dir and Options.Logs
// remain. It fails if a part had ended before: a test must not pass on a node that died under it.
// It may be called again.
func (n *Node) Stop() error {
	n.mutex.Lock()

	var exitError []error
	for _, p := range n.processes {
		exitError = append(exitError, p.exitError())
	}

	removed := n.removed
	n.removed = true
	n.mutex.Unlock()

	if removed {
		return nil
	}

	if err := errors.Join(errors.Join(exitError...), n.Crash(), Sweep(n.options.Group)); err != nil {
		return fmt.Errorf("stop the node: %w", err)
	}

	return nil
}

// Path returns this process's path of a path of the node, as long as nothing is mounted there.
func (n *Node) Path(path string) string { return filepath.Join(n.options.Dir, path) }

// Run runs a program of the node, in the node, and returns what it prints. Programs of Parts are
// found by their names.
func (n *Node) Run(ctx context.Context, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer

	command := exec.CommandContext(ctx, program(args[0]), args[1:]...)
	command.Args[0] = args[0]
	command.Env, command.Stdout, command.Stderr = environment(), &stdout, &stderr

	space := n.inside()
	if space == nil {
		return "", errDown
	}

	if err := space.start(command); err != nil {
		return "", fmt.Errorf("run %s in the node: %w", args[0], err)
	}

	if err := command.Wait(); err != nil {
		return stdout.String(), fmt.Errorf("run %q in the node: %w\n%s", args, err, &stderr)
	}

	return stdout.String(), nil
}

// Within calls do on a thread that sees the files and mounts of the node, to mount something for
// instance. It must not start goroutines that should see them too.
func (n *Node) Within(do func() error) error {
	space := n.inside()
	if space == nil {
		return errDown
	}

	return space.within(do)
}

// PID returns the number of a part's process on the machine.
func (n *Node) PID(name string) (int, error) {
	n.mutex.Lock()
	defer n.mutex.Unlock()

	if p := n.processes[name]; p != nil {
		return p.cmd.Process.Pid, nil
	}

	return 0, fmt.Errorf("%s does not run", name)
}

var errDown = errors.New("the node is down: call Boot")

func (n *Node) inside() *space {
	n.mutex.Lock()
	defer n.mutex.Unlock()

	return n.space
}

func (n *Node) startContainerd(ctx context.Context) error {
	if err := n.startPart(Containerd, "--config", containerdConfig); err != nil {
		return err
	}

	return n.awaitPart(ctx, Containerd, func() error {
		_, err := n.Run(ctx, "ctr", "--namespace=k8s.io", "images", "list", "--quiet")

		return err
	})
}

func (n *Node) startKubelet(ctx context.Context) error {
	if err := n.startPart(Kubelet, n.kubeletArguments()...); err != nil {
		return err
	}

	const path = "/healthz"

	url := "http://" + netip.AddrPortFrom(n.options.Address, healthPort).String() + path

	return n.awaitPart(ctx, Kubelet, func() error { return get(ctx, url) })
}

func get(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}

	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()

	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, response.Status)
	}

	return nil
}

// awaitPart returns when check returns nil, or fails at once when the part has ended.
func (n *Node) awaitPart(ctx context.Context, name string, check func() error) error {
	for {
		err := check()
		if err == nil {
			return nil
		}

		n.mutex.Lock()
		exitError := n.processes[name].exitError()
		n.mutex.Unlock()

		if exitError != nil {
			return exitError
		}

		select {
		case <-ctx.Done():
			return fmt.Errorf("%s was not ready in time: %w", name, err)
		case <-time.After(poll):
		}
	}
}

func (n *Node) startPart(name string, args ...string) error {
	n.mutex.Lock()
	defer n.mutex.Unlock()

	if n.processes[name] != nil {
		return fmt.Errorf("start %s: it runs: call Kill first", name)
	}

	if n.space == nil {
		return errDown
	}

	p, err := startProcess(n.space, name, filepath.Join(n.options.Logs, name+".log"), args)
	if err != nil {
		return err
	}

	n.processes[name] = p

	return nil
}

// process is a started part. Its done is closed when it has ended; then err is the reason.
type process struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

func startProcess(s *space, name, logFile string, args []string) (*process, error) {
	// A part that is started again continues the same log.
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, fileMode)
	if err != nil {
		return nil, fmt.Errorf("make a log for %s: %w", name, err)
	}
	defer log.Close()

	p := &process{name: name, log: logFile, cmd: exec.Command(program(name), args...), done: make(chan struct{})}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = environment(), log, log

	if err := s.start(p.cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}

	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()

	return p, nil
}

func (p *process) kill() {
	// A failure to signal means that the process has ended, and then done is closed.
	_ = p.cmd.Process.Kill()
	<-p.done
}

// exitError returns why the process has ended, and nil while it runs.
func (p *process) exitError() error {
	if p == nil {
		return nil
	}

	select {
	case <-p.done:
		return fmt.Errorf("%s ended: %w\n%s", p.name, errors.Join(errEnded, p.err), tail(p.log))
	default:
		return nil
	}
}

var errEnded = errors.New("without a signal from the test")

func tail(file string) []byte {
	const size = 4096

	text, err := os.ReadFile(file)
	if err != nil {
		return []byte(err.Error())
	}

	return text[max(0, len(text)-size):]
}
