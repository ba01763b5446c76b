package controlplane

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
	"github.com/pipeline-storage/pipeline-storage/test/process"
)

const (
	etcd      = "etcd"
	apiserver = "kube-apiserver"

	publicPort = 6443
	readyPoll  = 20 * time.Millisecond
)

// findPrograms returns the paths of the parts of a control plane by name.
func findPrograms(ctx context.Context, options Options) (map[string]string, error) {
	names := []string{etcd, apiserver}
	if options.Controllers {
		names = append(names, controllerManager, scheduler)
	}
	return parts.Paths(ctx, names...)
}

// start starts etcd and the API server by envtest, and then what it lacks.
func (c *ControlPlane) start(ctx context.Context) error {
	if err := c.configure(); err != nil {
		return err
	}
	config, err := c.launch()
	if err != nil {
		return err
	}
	c.Host, c.CA = strings.TrimSuffix(config.Host, "/"), config.CAData
	if err := os.WriteFile(c.Kubeconfig, c.env.KubeConfig, privateFile); err != nil {
		return fmt.Errorf("write a kubeconfig: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := c.waitReady(ctx, "/readyz"); err != nil {
		return err
	}
	if !c.options.Controllers {
		return nil
	}
	return c.startControllers(ctx)
}

// configure sets up the environment. envtest finds the programs of the control plane in a directory.
func (c *ControlPlane) configure() error {
	assets := c.file("bin")
	c.env = &envtest.Environment{
		BinaryAssetsDirectory:    assets,
		ControlPlaneStartTimeout: startTimeout, ControlPlaneStopTimeout: startTimeout,
	}
	err := errors.Join(os.Mkdir(assets, 0o755), os.Mkdir(c.file(etcd), 0o700), os.Mkdir(c.file("pki"), 0o700))
	if err != nil {
		return fmt.Errorf("make directories for the state: %w", err)
	}
	for _, name := range []string{etcd, apiserver} {
		if err := c.writeLauncher(filepath.Join(assets, name), name); err != nil {
			return err
		}
	}
	if c.options.Address == "" {
		var err error
		if c.egress, err = newEgress(c.dir.Path); err != nil {
			return err
		}
	}
	return c.configureServers()
}

// writeLauncher writes a script that starts a part. It records the number of the process, which
// envtest does not return, and has the kernel end the part with this program, where setpriv can. For
// tests without a node the part collects its garbage less often, which takes less CPU time.
func (c *ControlPlane) writeLauncher(file, name string) error {
	program := strconv.Quote(c.programs[name])
	if setpriv, err := exec.LookPath("setpriv"); err == nil && runtime.GOOS == "linux" {
		program = setpriv + " --pdeathsig KILL " + program
	}
	if c.options.Address == "" {
		program = "env GOGC=400 GOMEMLIMIT=2500MiB " + program
	}
	script := fmt.Sprintf("#!/bin/sh\necho $$ >%q\nexec %s \"$@\"\n", c.file(name+".pid"), program)
	if err := os.WriteFile(file, []byte(script), 0o700); err != nil {
		return fmt.Errorf("write a script that starts %s: %w", name, err)
	}
	return nil
}

// configureServers sets the flags that differ from envtest's.
func (c *ControlPlane) configureServers() error {
	server := c.env.ControlPlane.GetAPIServer()
	server.CertDir = c.file("pki")
	c.env.ControlPlane.Etcd = &envtest.Etcd{DataDir: c.file(etcd)}
	c.env.ControlPlane.Etcd.Configure().Set("log-level", "warn")
	flags := server.Configure()
	flags.Set("authorization-mode", "Node", "RBAC")
	flags.Set("enable-admission-plugins", "NodeRestriction")
	flags.Set("service-cluster-ip-range", "10.96.0.0/24")
	flags.Set("service-account-issuer", "https://kubernetes.default.svc")
	flags.Set("advertise-address", cmp.Or(c.options.Address, process.Loopback))
	flags.Set("endpoint-reconciler-type", "none") // it refuses a loopback address
	if c.options.Controllers {
		flags.Disable("disable-admission-plugins") // a controller creates the accounts
	}
	if c.egress != nil {
		flags.Set("egress-selector-config-file", c.egress.config)
	} else {
		server.ListenAddr = envtest.ListenAddr{Address: c.options.Address, Port: strconv.Itoa(publicPort)}
		// Calls to the Service of a webhook go to its ready endpoints: there is no kube-proxy for its virtual address.
		flags.Set("enable-aggregator-routing", "true")
	}
	c.configureNode(flags)
	if c.options.AuditLog {
		return c.configureAudit(flags)
	}
	return nil
}

// launch starts the environment on a thread that lives as long as its processes: see writeLauncher.
func (c *ControlPlane) launch() (config *rest.Config, err error) {
	if err := c.openLogs(); err != nil {
		return nil, err
	}
	started, ended := make(chan struct{}), make(chan struct{})
	c.release = func() { close(ended) }
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		config, err = c.env.Start()
		close(started)
		<-ended
	}()
	<-started
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, c.Logs().Tails())
	}
	return config, nil
}

// openLogs has both servers write to files. The files stay open: a part that is started again continues its log.
func (c *ControlPlane) openLogs() error {
	plane := &c.env.ControlPlane
	for name, set := range map[string]func(*os.File){
		etcd:      func(f *os.File) { plane.Etcd.Out, plane.Etcd.Err = f, f },
		apiserver: func(f *os.File) { plane.APIServer.Out, plane.APIServer.Err = f, f },
	} {
		log, err := os.OpenFile(c.file(name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, privateFile)
		if err != nil {
			return fmt.Errorf("make a log for %s: %w", name, err)
		}
		set(log)
	}
	return nil
}

// Kill ends the part called name, such as "kube-apiserver", at once and without a warning, as a
// crash would. Revive it before Stop, which reports a part that does not run as a failure.
func (c *ControlPlane) Kill(name string) error {
	if _, ok := c.programs[name]; !ok {
		return fmt.Errorf("this control plane has no %s: see Options", name)
	}
	if component := c.component(name); component != nil {
		component.Kill()
		return nil
	}
	pid, err := c.pid(name)
	if err != nil {
		return fmt.Errorf("kill %s: %w", name, err)
	}
	// envtest waits for its processes: the number is free again when the process has ended.
	return wait.PollUntilContextTimeout(context.Background(), readyPoll, startTimeout, true,
		func(context.Context) (bool, error) {
			return errors.Is(syscall.Kill(pid, syscall.SIGKILL), syscall.ESRCH), nil
		})
}

// Revive starts the part called name again after Kill, with the same flags, port and state, and
// returns when it answers. ctx limits the start only.
func (c *ControlPlane) Revive(ctx context.Context, name string) error {
	if c.runs(name) {
		return fmt.Errorf("revive %s: it runs: call Kill first", name)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	switch name {
	case etcd:
		return c.restart(c.env.ControlPlane.Etcd.Start)
	case apiserver:
		return errors.Join(c.restart(c.env.ControlPlane.APIServer.Start), c.waitReady(ctx, "/readyz"))
	default:
		return c.startController(ctx, name)
	}
}

// restart calls start on a thread that lives until Stop, as launch does.
func (c *ControlPlane) restart(start func() error) error {
	result, ended, release := make(chan error), make(chan struct{}), c.release
	c.release = func() { release(); close(ended) }
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		result <- start()
		<-ended
	}()
	if err := <-result; err != nil {
		return fmt.Errorf("%w\n%s", err, c.Logs().Tails())
	}
	return nil
}

// runs reports whether the part called name runs.
func (c *ControlPlane) runs(name string) bool {
	if component := c.component(name); component != nil {
		return !component.Exited()
	}
	pid, err := c.pid(name)
	return err == nil && syscall.Kill(pid, 0) == nil
}

// pid reads what the launcher of a part wrote.
func (c *ControlPlane) pid(name string) (int, error) {
	text, err := os.ReadFile(c.file(name + ".pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// waitReady returns when the path of the API server answers 200.
func (c *ControlPlane) waitReady(ctx context.Context, path string) error {
	var last error
	err := wait.PollUntilContextCancel(ctx, readyPoll, true, func(ctx context.Context) (bool, error) {
		last = get(ctx, c.RESTConfig(), path)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("wait for %s of the API server: %w: %w\n%s", path, err, last, c.Logs().Tails())
	}
	return nil
}

// get returns nil when the path of a server answers 200.
func get(ctx context.Context, config *rest.Config, path string) error {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	_, err = process.GetBy(ctx, client, strings.TrimSuffix(config.Host, "/")+path)
	return err
}
