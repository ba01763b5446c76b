// Package cluster is a Kubernetes cluster with one real node for tests, on a bare machine: no container engine, no
// registry, no packet that leaves it. It needs Linux and root.
//
//	var shared *cluster.Cluster
//
//	func TestMain(m *testing.M) {
//		os.Exit(cluster.Main(m, cluster.Setup{
//			Before: func(ctx context.Context, c *cluster.Cluster) error {
//				shared = c
//
//				return nil
//			},
//		}))
//	}
//
//	func TestInstall(t *testing.T) {
//		cluster.RequireNode(t)
//		shared.Helm(…)
//	}
//
// # What is real
//
// The control plane of package controlplane, the kubelet, containerd and runc of package node, both Helms, the image
// of the repository's Dockerfile, and the provisioner of local volumes from its own project's manifest. Pods reach
// the API server at the address of its Service, by a relay that [Cluster.SlowAPI] can slow down. The API server
// calls webhooks at the addresses of their pods. Package node lists what this cannot show.
//
// # Where it runs
//
// Main builds what is needed and then starts the test program again, in a network and a mount namespace of its own.
// Afterwards it compares the machine with what it was before, and fails the run when something remains or changed.
// Where no node can run, it prints NOT COVERED with the reason, and every test that begins with [RequireNode] is
// skipped; with the environment variable of [RequireEnv] the run fails.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/node"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	// RealNode is the name of the node.
	RealNode = "node-1"

	nodeDir       = "node"
	nodeLabels    = corev1.LabelTopologyZone + "=zone-a," + corev1.LabelTopologyRegion + "=region"
	startTimeout  = 2 * time.Minute
	readyTimeout  = time.Minute
	readyPoll     = 20 * time.Millisecond
	eventTail     = 40
	reportTimeout = 10 * time.Second
)

var (
	// nodeAddress is the node's own. The namespaces of a run have it and kubernetesService, and no other.
	nodeAddress = netip.MustParseAddr("10.203.0.1")
	// podNetwork is the network of the pods.
	podNetwork = netip.MustParsePrefix("10.244.0.0/16")
)

// Options is what a cluster has in addition to the defaults.
type Options struct {
	// AuditLog has the API server record every request, see ControlPlane.Audit.
	AuditLog bool
}

// Cluster is a running cluster.
type Cluster struct {
	// Plane runs the control plane; its Kubeconfig file is an administrator's.
	Plane *controlplane.ControlPlane
	// Node runs the pods.
	Node *node.Node
	// Config is an administrator's, without a limit on the rate of requests. Copy it before a
	// change.
	Config *rest.Config
	// Client is a client of Config.
	Client kubernetes.Interface

	dir   string
	relay *relay
}

// start starts a cluster in the directory of a run. It also returns the cluster with an error, for Stop.
func start(ctx context.Context, dir string, options Options) (*Cluster, error) {
	c := &Cluster{dir: dir}
	booted := make(chan error, 1) // a node takes as long to start as the control plane
	go func() { booted <- c.startNode(ctx) }()
	plane, err := controlplane.Start(ctx, controlplane.Options{
		Controllers: true, AuditLog: options.AuditLog, Node: RealNode, Address: kubernetesService,
	})
	c.Plane = plane
	if err = errors.Join(err, <-booted); err == nil {
		ctx, cancel := context.WithTimeout(ctx, startTimeout)
		defer cancel()
		err = c.join(ctx)
	}
	if err != nil {
		return c, fmt.Errorf("start a cluster: %w", err)
	}
	return c, nil
}

func (c *Cluster) startNode(ctx context.Context) (err error) {
	c.Node, err = node.Start(ctx, node.Options{
		Name: RealNode, Address: nodeAddress, Pods: podNetwork, Labels: nodeLabels, Group: groupOf(c.dir),
		Dir: filepath.Join(c.dir, stateDir, nodeDir), Logs: filepath.Join(c.dir, logsDir),
		Programs: filepath.Join(c.dir, imagesDir),
	})
	return err
}

// join makes the node part of the cluster and starts what a cluster has in addition.
func (c *Cluster) join(ctx context.Context) (err error) {
	c.Config = c.Plane.RESTConfig()
	if c.Client, err = kubernetes.NewForConfig(c.Config); err != nil {
		return err
	}
	if c.relay, err = newRelay(c.Plane.Host); err != nil {
		return err
	}
	credentials, err := c.Plane.NodeCredentials()
	if err != nil {
		return err
	}
	if err := c.Node.Join(ctx, node.Credentials(credentials)); err != nil {
		return err
	}
	if err := c.deployProvisioner(ctx); err != nil {
		return err
	}
	return c.AwaitNode(ctx)
}

// Stop ends all pods and the control plane. It fails if a part of them had ended before.
func (c *Cluster) Stop() error {
	var failed []error
	if c.Node != nil {
		failed = append(failed, c.Node.Stop())
	}
	if c.relay != nil {
		failed = append(failed, c.relay.close())
	}
	if c.Plane != nil {
		failed = append(failed, c.Plane.Stop())
	}
	return errors.Join(failed...)
}

// AwaitNode returns when the node is ready and accepts pods.
func (c *Cluster) AwaitNode(ctx context.Context) error {
	var trouble error
	err := wait.PollUntilContextTimeout(ctx, readyPoll, readyTimeout, true, func(ctx context.Context) (bool, error) {
		trouble = c.nodeTrouble(ctx)
		return trouble == nil, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the node: %w", errors.Join(err, trouble))
	}
	return nil
}

func (c *Cluster) nodeTrouble(ctx context.Context) error {
	object, err := c.Client.CoreV1().Nodes().Get(ctx, RealNode, metav1.GetOptions{})
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

// SlowAPI delays each message that a pod sends to the API server by delay, from now on. 0 ends that.
func (c *Cluster) SlowAPI(delay time.Duration) { c.relay.delay.Store(int64(delay)) }

// NodeClient returns a client with the rights of the node's kubelet.
func (c *Cluster) NodeClient(tb testing.TB) kubernetes.Interface {
	tb.Helper()
	credentials, err := c.Plane.NodeCredentials()
	if err != nil {
		tb.Fatal(err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(credentials.Kubeconfig)
	if err != nil {
		tb.Fatalf("read the kubeconfig of the node: %v", err)
	}
	return newClient(tb, config)
}

// PodClient returns an administrator's client that reaches the API server where pods do: see SlowAPI.
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

// Namespace creates a namespace with a unique name that begins with prefix, waits for its default
// ServiceAccount, and deletes it when the test ends.
func (c *Cluster) Namespace(tb testing.TB, prefix string, labels map[string]string) string {
	tb.Helper()
	return suite.Namespace(tb, c.Client, prefix, labels)
}

// Helm returns the Helm called helm3 or helm4.
func (c *Cluster) Helm(ctx context.Context, name string) (*suite.HelmCLI, error) {
	return suite.NewHelm(ctx, name, filepath.Join(c.dir, stateDir, name), c.Plane.Kubeconfig)
}

// reportEvents prints the last events of the cluster.
func (c *Cluster) reportEvents(out io.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), reportTimeout)
	defer cancel()
	list, err := c.Client.CoreV1().Events("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list the events: %w", err)
	}
	when := func(e corev1.Event) time.Time {
		return slices.MaxFunc([]time.Time{e.LastTimestamp.Time, e.EventTime.Time, e.CreationTimestamp.Time},
			time.Time.Compare)
	}
	slices.SortFunc(list.Items, func(a, b corev1.Event) int { return when(a).Compare(when(b)) })
	fmt.Fprintln(out, "last events:")
	for _, e := range list.Items[max(0, len(list.Items)-eventTail):] {
		fmt.Fprintf(out, "%s %s %s/%s %s: %s\n", when(e).Format(time.TimeOnly), e.InvolvedObject.Kind,
			e.InvolvedObject.Namespace, e.InvolvedObject.Name, e.Reason, e.Message)
	}
	return nil
}
