package controlplane

import (
	"context"
	"fmt"
	"os"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/pipeline-storage/pipeline-storage/test/process"
)

const (
	controllerManager = "kube-controller-manager"
	scheduler         = "kube-scheduler"
	rootCAFile        = "ca.crt"
)

// controller is a row of the table of components that envtest lacks.
type controller struct {
	// user has the default roles of the component.
	user string
	args func(*ControlPlane) []string
}

var controllers = map[string]controller{
	controllerManager: {user: "system:kube-controller-manager", args: controllerManagerArgs},
	scheduler:         {user: "system:kube-scheduler", args: func(*ControlPlane) []string { return nil }},
}

func controllerManagerArgs(c *ControlPlane) []string {
	args := []string{
		"--use-service-account-credentials",
		"--service-account-private-key-file=" + c.file("pki/sa-signer.key"),
		"--root-ca-file=" + c.file(rootCAFile),
		// Real dynamic provisioning without a node, for classes of the provisioner
		// kubernetes.io/host-path.
		"--enable-hostpath-provisioner",
		// A claim that the binder sees before its volume waits for the next round, which is in 15
		// seconds by default.
		"--pvclaimbinder-sync-period=1s",
	}
	if c.options.Node == "" {
		args = append(args, "--node-monitor-grace-period=24h") // no process renews the lease of a simulated Node
	}
	return args
}

// startControllers starts them together. A pod is refused while its namespace has no ServiceAccount.
func (c *ControlPlane) startControllers(ctx context.Context) error {
	if err := os.WriteFile(c.file(rootCAFile), c.CA, privateFile); err != nil {
		return fmt.Errorf("write the CA: %w", err)
	}
	results := make(chan error, len(controllers))
	for name := range controllers {
		go func() { results <- c.startController(ctx, name) }()
	}
	for range controllers {
		if err := <-results; err != nil {
			return err
		}
	}
	return c.waitReady(ctx, "/api/v1/namespaces/default/serviceaccounts/default")
}

// startController starts a component and returns when it is ready.
func (c *ControlPlane) startController(ctx context.Context, name string) error {
	addresses, err := process.FreeAddresses(1)
	if err != nil {
		return err
	}
	kubeconfig, err := c.writeKubeconfig(name, controllers[name].user)
	if err != nil {
		return err
	}
	component, err := process.Start(process.Options{
		Program: c.programs[name], Dir: c.dir.Path, Log: c.file(name + ".log"),
		Env: []string{"HOME=" + c.dir.Path, "TMPDIR=" + c.dir.Path, "GOGC=400"}, // as writeLauncher
		Args: append(controllers[name].args(c),
			"--kubeconfig="+kubeconfig,
			"--bind-address="+process.Loopback,
			"--secure-port="+addresses[0][len(process.Loopback+":"):],
			"--leader-elect=false", // one of each: an election would only delay the start
			// By default they limit their own request rate: the first account takes six seconds, and 50
			// pods one.
			"--kube-api-qps=300",
			"--kube-api-burst=600",
		),
	})
	if err != nil {
		return err
	}
	c.mutex.Lock()
	c.components[name] = component
	c.mutex.Unlock()
	own := &rest.Config{
		Host:            "https://" + addresses[0],
		TLSClientConfig: rest.TLSClientConfig{Insecure: true}, // its certificate is its own
	}
	return component.WaitReady(ctx, func(ctx context.Context) error { return get(ctx, own, "/healthz") })
}

func (c *ControlPlane) component(name string) *process.Process {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.components[name]
}

// writeKubeconfig writes the credentials of a user of the API server to a file.
func (c *ControlPlane) writeKubeconfig(name, user string, groups ...string) (string, error) {
	added, err := c.env.AddUser(envtest.User{Name: user, Groups: groups}, nil)
	if err != nil {
		return "", fmt.Errorf("add the user %s: %w", user, err)
	}
	text, err := added.KubeConfig()
	if err != nil {
		return "", fmt.Errorf("make a kubeconfig of %s: %w", user, err)
	}
	file := c.file(name + ".kubeconfig")
	if err := os.WriteFile(file, text, privateFile); err != nil {
		return "", fmt.Errorf("write a kubeconfig: %w", err)
	}
	return file, nil
}
