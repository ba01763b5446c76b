package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/test/node"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

const (
	// RealNode is the name of the node of Options.RealNode.
	RealNode = "node-1"
	// ProductRepository is the image of the product without its tag, as the chart names it.
	ProductRepository = "ghcr.io/pipeline-storage/pipeline-storage"
	// RequireEnv makes a run fail, when it is set, where no real node can run. Without it the
	// node's tests are skipped, with a loud message.
	RequireEnv = "PIPELINE_STORAGE_REQUIRE_NODE"

	modulePath     = "github.com/pipeline-storage/pipeline-storage"
	boxPackage     = modulePath + "/test/node/box"
	boxProgram     = "box"
	imagesFile     = "images.tar"
	layoutDir      = "layout"
	nodeDir        = "node"
	trialDir       = "trial"
	trialSuffix    = "-trial"
	nodeReadyLimit = time.Minute
)

var (
	// nodePods is the network of the pods of a real node.
	nodePods = netip.MustParsePrefix("10.244.0.0/16")
	// runDir is the directory of the run, in the process that has a real node.
	runDir string
	// noNode is why there is no real node, where Options.RealNode requested one.
	noNode error
)

// RequireNode skips a test where this machine can run no real node, and prints so loudly: see
// Uncovered.
func RequireNode(tb testing.TB) {
	tb.Helper()

	if noNode == nil {
		return
	}

	fmt.Fprintf(os.Stderr, "*** NOT COVERED: %s: there is no real node: %v\n", tb.Name(), noNode)
	tb.Skipf("not covered: there is no real node: %v", noNode)
}

// groupOf is the name of the control groups of a run, which no other run has.
func groupOf(dir string) string { return filepath.Base(dir) }

// outsideOfNode is outside for a real node: it makes the images, and checks after the run that the
// machine is as it was before.
func outsideOfNode(ctx context.Context, m *testing.M, dir string) (code int, err error) {
	if noNode = node.Supported(filepath.Join(dir, trialDir), groupOf(dir)+trialSuffix); noNode != nil {
		return withoutNode(m)
	}

	if err := prepareNode(ctx, dir); err != nil {
		return exitFailure, err
	}

	before := inspectMachine()

	var own namespacesOfRun
	defer own.close()

	code, refused := enter(dir, func(pid int) { own = holdNamespaces(pid) })
	if refused != nil {
		noNode = refused

		return withoutNode(m)
	}

	_ = os.Remove(hostPathDir)
	salvage(dir, code)

	if left := errors.Join(before.changes(inspectMachine()), remains(dir, own)); left != nil {
		fmt.Fprintf(os.Stderr, "*** NOT CLEAN: %v\n", left)

		code = max(code, exitFailure)
	}

	// Tests that were ended by a signal had no time for it, and without their directory no later
	// run would find the groups.
	return code, node.Sweep(groupOf(dir))
}

// withoutNode runs the tests, which RequireNode skips.
func withoutNode(m *testing.M) (code int, err error) {
	fmt.Fprintf(os.Stderr, "*** NOT COVERED: nothing that needs a real node was tested: %v\n", noNode)

	if os.Getenv(RequireEnv) != "" {
		return exitFailure, fmt.Errorf("%s requires a real node, and this machine can run none", RequireEnv)
	}

	return m.Run(), nil
}

// prepareNode makes the images and builds the parts of a node.
func prepareNode(ctx context.Context, dir string) error {
	paths := map[string]string{}

	for _, name := range append([]string{"image", "local-path-provisioner", "gosh"}, node.Parts...) {
		path, err := parts.Path(ctx, name)
		if err != nil {
			return fmt.Errorf("prepare a node: %w", err)
		}

		paths[name] = path
	}

	box := filepath.Join(dir, programsDir, boxProgram)
	if err := build(ctx, boxPackage, box); err != nil {
		return err
	}

	layout := filepath.Join(dir, layoutDir)
	if err := buildProduct(ctx, paths["image"], layout); err != nil {
		return err
	}

	images := node.Images(box, paths["local-path-provisioner"], paths["gosh"])
	if err := node.WriteArchive(filepath.Join(dir, imagesFile), images, layout); err != nil {
		return fmt.Errorf("prepare a node: %w", err)
	}

	manifest, err := provisionerManifest(ctx)
	if err != nil {
		return fmt.Errorf("prepare a node: %w", err)
	}

	return errors.Join(
		os.WriteFile(filepath.Join(dir, manifestFile), manifest, fileMode), os.RemoveAll(layout))
}

// buildProduct builds the image of the repository's Dockerfile for this machine, under the name
// that the chart has by default.
func buildProduct(ctx context.Context, program, layout string) error {
	root, err := goList(ctx, "", modulePath)
	if err != nil {
		return err
	}

	text, err := os.ReadFile(filepath.Join(root, "charts", "pipeline-storage", "Chart.yaml"))
	if err != nil {
		return err
	}

	var chart struct {
		AppVersion string `json:"appVersion"`
	}
	if err := yaml.Unmarshal(text, &chart); err != nil {
		return err
	}

	command := exec.CommandContext(ctx, program, "build", "-context", root, "-output", layout,
		"-platform", runtime.GOOS+"/"+runtime.GOARCH, "-name", ProductRepository+":"+chart.AppVersion,
		"-build-arg", "VERSION="+chart.AppVersion)

	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build the image of the Dockerfile: %w\n%s", err, out)
	}

	return nil
}

// goList returns the directory of a module that the module in dir needs.
func goList(ctx context.Context, dir, module string) (string, error) {
	command := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module)
	command.Dir = dir
	command.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")

	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("find the module %s: %w", module, err)
	}

	return strings.TrimSpace(string(out)), nil
}

// runNode runs in the namespaces.
func runNode(ctx context.Context, m *testing.M, setup Setup, dir string) int {
	runDir = dir

	return run(ctx, m, setup, dir)
}

// boot starts a real node, if one is requested, as far as possible without a control plane. The
// channel gets one result.
func (c *Cluster) boot(ctx context.Context, options Options) <-chan error {
	result := make(chan error, 1)

	if !options.RealNode {
		result <- nil

		return result
	}

	if runDir == "" {
		result <- errors.New("a cluster with a real node can be had from Main only, with Options.RealNode")

		return result
	}

	go func() {
		started, err := node.Start(ctx, node.Options{
			Name: RealNode, Address: gateway, Pods: nodePods, Dir: filepath.Join(c.dir, nodeDir), Logs: c.logs,
			Group: groupOf(runDir), Archive: filepath.Join(runDir, imagesFile),
			Box: filepath.Join(runDir, programsDir, boxProgram),
			Labels: map[string]string{
				corev1.LabelTopologyZone: zones[0], corev1.LabelTopologyRegion: "region",
			},
		})
		c.Node = started
		result <- err
	}()

	return result
}

// join makes the node part of the cluster and starts what a cluster has in addition.
func (c *Cluster) join(ctx context.Context) (err error) {
	if c.relay, err = newRelay(strings.TrimPrefix(c.Plane.Host, "https://")); err != nil {
		return err
	}

	credentials := c.Plane.NodeCredentials()
	if err := c.Node.Join(ctx, node.Credentials(credentials)); err != nil {
		return err
	}

	if err := c.deployProvisioner(ctx); err != nil {
		return err
	}

	return c.AwaitNode(ctx)
}

// AwaitNode returns when the real node is ready and accepts pods.
func (c *Cluster) AwaitNode(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, nodeReadyLimit)
	defer cancel()

	for {
		why := c.nodeTrouble(ctx)
		if why == nil {
			return nil
		}

		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the node: %w", why)
		case <-time.After(readyPoll):
		}
	}
}

func (c *Cluster) nodeTrouble(ctx context.Context) error {
	object, err := c.Client.CoreV1().Nodes().Get(ctx, RealNode, getOptions)
	if err != nil {
		return err
	}

	if len(object.Spec.Taints) > 0 {
		return fmt.Errorf("it has the taint %s", object.Spec.Taints[0].Key)
	}

	for _, condition := range object.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
			return nil
		}
	}

	return fmt.Errorf("it is not ready: %+v", object.Status.Conditions)
}

// SlowAPI delays each message that a pod of the real node sends to the API server by delay, from
// now on. 0 ends that.
func (c *Cluster) SlowAPI(delay time.Duration) { c.relay.delay.Store(int64(delay)) }

// NodeClient returns a client with the rights of the real node's kubelet.
func (c *Cluster) NodeClient(tb testing.TB) kubernetes.Interface {
	tb.Helper()

	config, err := clientcmd.RESTConfigFromKubeConfig(c.Plane.NodeCredentials().Kubeconfig)
	if err != nil {
		tb.Fatalf("read the kubeconfig of the node: %v", err)
	}

	return newClient(tb, config)
}

// PodClient returns an administrator's client that reaches the API server where pods of the real
// node do: see SlowAPI.
func (c *Cluster) PodClient(tb testing.TB) kubernetes.Interface {
	tb.Helper()

	config := rest.CopyConfig(c.Config)
	config.Host = "https://" + kubernetesService

	return newClient(tb, config)
}

func newClient(tb testing.TB, config *rest.Config) kubernetes.Interface {
	tb.Helper()

	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		tb.Fatalf("make a client: %v", err)
	}

	return client
}
