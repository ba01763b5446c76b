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
//   - Images as they are pulled: they are imported from an archive, see [Images].
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
	"net/netip"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
	"github.com/pipeline-storage/pipeline-storage/test/process"
)

const (
	// Containerd is the name of a part for Kill and Restart.
	Containerd = "containerd"
	// Kubelet is the name of the other part for Kill and Restart.
	Kubelet = "kubelet"

	// Box is the name of the program of package box in Options.Programs. It is the first process of the node.
	Box = "box"
	// Archive is the name of the images in Options.Programs.
	Archive = "images.tar"

	startTimeout = time.Minute
	healthPort   = 10248
)

// Parts are the programs of a node, which [Start] builds if they are missing.
var Parts = []string{
	Containerd, "containerd-shim-runc-v2", "ctr", "runc", "bridge", "host-local", "loopback", Kubelet,
}

// Options is the configuration of a node.
type Options struct {
	// Name is that of the Node object.
	Name string
	// Labels are the Node's, as the kubelet takes them: KEY=VALUE, separated by commas.
	Labels string
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
	// Programs is a directory with the files Box and Archive.
	Programs string
}

// Credentials are those of a node, in PEM.
type Credentials struct {
	// Kubeconfig is that of system:node:NAME.
	Kubeconfig []byte
	// ClientCA is that of the API server's client. The kubelet's certificate as a server is its own.
	ClientCA []byte
}

// Node is a running node.
type Node struct {
	options  Options
	programs map[string]string // of the machine, by the names that they have in the node

	mutex     sync.Mutex // a test may kill a part while another reads
	processes map[string]*process.Process
	joined    bool
	stopped   bool
}

// Start makes the node's file system, starts its first process and containerd, and imports the
// images. ctx limits the start only: call Stop to end it. The node is not part of a cluster before
// Join, so that this can go on beside the start of one.
func Start(ctx context.Context, options Options) (*Node, error) {
	programs, err := parts.Paths(ctx, Parts...)
	n := &Node{options: options, processes: map[string]*process.Process{}, programs: programs}
	n.programs[Box] = filepath.Join(options.Programs, Box)
	if err == nil {
		err = n.writeRoot()
	}
	if err == nil {
		err = n.Boot(ctx)
	}
	if err == nil {
		_, err = n.Run(ctx, "ctr", "--namespace=k8s.io", "images", "import", "--local",
			filepath.Join(options.Programs, Archive))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start a node: %w", err), n.Stop())
	}
	return n, nil
}

// Join starts the kubelet, which makes the Node in the cluster, and returns when it answers.
func (n *Node) Join(ctx context.Context, credentials Credentials) error {
	if err := n.writeCredentials(credentials); err != nil {
		return err
	}
	n.joined = true
	return n.Restart(ctx, Kubelet)
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
	p.Kill()
	return nil
}

// Restart starts a part again after Kill and returns when it answers. It does not wait for the
// pods.
func (n *Node) Restart(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	switch name {
	case Containerd:
		return n.start(ctx, n.inside(name, "--config", containerdConfig), func(ctx context.Context) error {
			_, err := n.Run(ctx, "ctr", "--namespace=k8s.io", "images", "list", "--quiet")
			return err
		})
	case Kubelet:
		return n.start(ctx, n.inside(name,
			"--config="+kubeletConfig, "--kubeconfig="+kubeconfigFile, "--hostname-override="+n.options.Name,
			"--node-ip="+n.options.Address.String(), "--node-labels="+n.options.Labels, "--v=2",
		), n.checkKubelet)
	default:
		return fmt.Errorf("restart %s: a node has %s and %s", name, Containerd, Kubelet)
	}
}

func (n *Node) checkKubelet(ctx context.Context) error {
	address := netip.AddrPortFrom(n.options.Address, healthPort)
	_, err := process.Get(ctx, "http://"+address.String()+"/healthz")
	return err
}

// Crash ends every process of the node at once, those of the pods too, as a loss of power would.
// Disks remain.
func (n *Node) Crash() error {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if first := n.processes[Box]; first != nil {
		first.Kill()
	}
	for _, p := range n.processes {
		<-p.Done() // they have ended with their namespace
	}
	clear(n.processes)
	return Sweep(n.options.Group)
}

// Boot starts the node again after Crash.
func (n *Node) Boot(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := makeGroups(n.options.Group); err != nil {
		return err
	}
	first := n.inside(Box, "pause")
	first.Launch = n.isolate
	if err := n.start(ctx, first, n.mountKernel); err != nil {
		return err
	}
	if err := n.Restart(ctx, Containerd); err != nil || !n.joined {
		return err
	}
	return n.Restart(ctx, Kubelet)
}

// Stop ends the node and removes its control groups. The files in Options.Dir and Options.Logs
// remain. It fails if a part had ended before: a test must not pass on a node that died under it.
// It may be called again.
func (n *Node) Stop() error {
	if n.stopped {
		return nil
	}
	n.stopped = true
	var failed []error
	for _, p := range n.processes {
		failed = append(failed, p.ExitError())
	}
	if err := errors.Join(errors.Join(failed...), n.Crash()); err != nil {
		return fmt.Errorf("stop the node: %w", err)
	}
	return nil
}

// Path returns this process's path of a path of the node, as long as nothing is mounted there.
func (n *Node) Path(path string) string { return filepath.Join(n.options.Dir, path) }

// Run runs a program of the node, in the node, and returns what it prints. Programs of Parts are
// found by their names, others by their paths.
func (n *Node) Run(ctx context.Context, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	o := n.inside(args[0], args[1:]...)
	command := exec.CommandContext(ctx, o.Program, o.Args...)
	command.Env, command.Dir, command.Stdout, command.Stderr = o.Env, o.Dir, &stdout, &stderr
	err := n.Within(command.Start)
	if err == nil {
		err = command.Wait()
	}
	if err != nil {
		return stdout.String(), fmt.Errorf("run %q in the node: %w\n%s", args, err, &stderr)
	}
	return stdout.String(), nil
}

// Within calls do on a thread that sees the files and mounts of the node, to mount something for
// instance. It must not start goroutines that should see them too.
func (n *Node) Within(do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := n.enter()
		if err == nil {
			err = do()
		}
		done <- err
	}()
	return <-done
}

// inside returns the start of a program in the node.
func (n *Node) inside(name string, args ...string) process.Options {
	program := name
	if !filepath.IsAbs(name) {
		program = filepath.Join(binDir, name)
	}
	return process.Options{
		Name: name, Program: program, Args: args, Dir: "/", Log: filepath.Join(n.options.Logs, name+".log"),
		Env: []string{"PATH=" + binDir + ":/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TMPDIR=/tmp"},
		Launch: func(command *exec.Cmd) error {
			if err := n.enter(); err != nil {
				return err
			}
			// It ends with the first process. Package syscall would take a parent outside of the node for a dead one.
			command.SysProcAttr = nil
			return command.Start()
		},
	}
}

// start starts a part and waits until it is ready.
func (n *Node) start(ctx context.Context, o process.Options, ready func(context.Context) error) error {
	n.mutex.Lock()
	running := n.processes[o.Name]
	n.mutex.Unlock()
	if running != nil {
		return fmt.Errorf("start %s: it runs: call Kill first", o.Name)
	}
	p, err := process.Start(o)
	if err != nil {
		return err
	}
	n.mutex.Lock()
	n.processes[o.Name] = p
	n.mutex.Unlock()
	return p.WaitReady(ctx, ready)
}

// first returns the number of the first process.
func (n *Node) first() (pid int, err error) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if p := n.processes[Box]; p != nil && !p.Exited() {
		return p.PID(), nil
	}
	return 0, errors.New("the node is down: call Boot")
}
