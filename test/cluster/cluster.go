package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/node"
)

const (
	startTimeout  = 2 * time.Minute
	defaultNodes  = 2
	defaultPods   = 110
	logTail       = 4096
	eventTail     = 40
	reportTimeout = 10 * time.Second
)

// Options is the size of a cluster and what it has in addition to the defaults.
type Options struct {
	// Nodes is the number of Nodes, which are called node-1 and so on. Default: 2.
	Nodes int
	// PodsPerNode is the number of pods that a Node accepts. Default: 110.
	PodsPerNode int64
	// RealNode has one real node, called RealNode, in place of everything that is simulated: see
	// package node. Main then builds the images for it, and starts the local-path provisioner. A
	// test program can have only one such cluster.
	RealNode bool
	// AuditLog has the API server record every request, see Plane.Audit.
	AuditLog bool
}

// Cluster is a running cluster.
type Cluster struct {
	// Plane runs the real parts; its Kubeconfig file is an administrator's.
	Plane *controlplane.ControlPlane
	// Config is an administrator's, without a limit on the rate of requests. Copy it before a
	// change.
	Config *rest.Config
	// Client is a client of Config for the kinds of Kubernetes itself.
	Client kubernetes.Interface
	// Dynamic is a client of Config for all kinds.
	Dynamic dynamic.Interface
	// Kubelet runs the pods, where there is no real node.
	Kubelet *Kubelet
	// Node runs the pods, where there is a real one.
	Node *node.Node

	dir, logs string
	relay     *relay
}

// Require starts a cluster for one test, beside that of Main, and stops it when the test ends. Use
// it in a test that harms the control plane. If the test fails, the ends of the logs are in its
// output.
func Require(tb testing.TB, options Options) *Cluster {
	tb.Helper()

	dir := tb.TempDir()
	logs := filepath.Join(dir, logsDir)
	if err := os.Mkdir(logs, dirMode); err != nil {
		tb.Fatalf("make a directory for the logs of a cluster: %v", err)
	}

	c, err := start(tb.Context(), options, dir, logs)
	if err != nil {
		tb.Fatalf("this test needs a cluster: %v", err)
	}

	tb.Cleanup(func() {
		if tb.Failed() {
			reportFailure(c, tb.Output(), dir)
		}

		if err := c.Stop(); err != nil {
			tb.Error(err)
		}
	})

	return c
}

func start(ctx context.Context, options Options, dir, logs string) (*Cluster, error) {
	options.Nodes = cmp.Or(options.Nodes, defaultNodes)
	options.PodsPerNode = cmp.Or(options.PodsPerNode, defaultPods)

	wanted := controlplane.Options{Controllers: true, AuditLog: options.AuditLog}
	if isolated {
		wanted.Address = gateway.String()
	}

	if options.RealNode {
		wanted.Node = RealNode
	}

	c := &Cluster{dir: dir, logs: logs}

	// A real node takes as long to start as the control plane.
	booting := c.boot(ctx, options)

	plane, err := controlplane.StartWith(ctx, wanted)
	err = errors.Join(err, <-booting)

	if c.Plane = plane; err != nil {
		return nil, errors.Join(err, c.Stop())
	}

	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	if err := c.populate(ctx, options); err != nil {
		c.Report(os.Stderr)

		return nil, errors.Join(fmt.Errorf("start a cluster: %w", err), c.Stop())
	}

	return c, nil
}

// populate makes the clients, the Nodes and the kubelet.
func (c *Cluster) populate(ctx context.Context, options Options) error {
	if err := c.connect(); err != nil {
		return err
	}

	if options.RealNode {
		return c.join(ctx)
	}

	nodes, err := makeNodes(ctx, c.Client, options)
	if err != nil {
		return err
	}

	host, err := c.podHost()
	if err != nil {
		return err
	}

	if c.Kubelet, err = newKubelet(c.Client, c.dir, c.logs, host, nodes); err != nil {
		return err
	}

	return c.Kubelet.start(ctx)
}

// connect makes the clients.
func (c *Cluster) connect() (err error) {
	c.Config = &rest.Config{
		Host: c.Plane.Host, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: c.Plane.CA, CertData: c.Plane.Cert, KeyData: c.Plane.Key},
	}

	if c.Client, err = kubernetes.NewForConfig(c.Config); err != nil {
		return err
	}

	c.Dynamic, err = dynamic.NewForConfig(c.Config)

	return err
}

// podHost is the URL of the API server for pods.
func (c *Cluster) podHost() (string, error) {
	host, err := url.Parse(c.Plane.Host)
	if err != nil {
		return "", err
	}

	if isolated {
		host.Host = net.JoinHostPort(gateway.String(), host.Port())
	}

	return host.String(), nil
}

// Stop ends all pods and the control plane. It fails if a part of the control plane had ended
// before.
func (c *Cluster) Stop() error {
	var stopped []error
	if c.Kubelet != nil {
		stopped = append(stopped, c.Kubelet.stop())
	}

	if c.Node != nil {
		stopped = append(stopped, c.Node.Stop())
	}

	if c.relay != nil {
		stopped = append(stopped, c.relay.close())
	}

	if c.Plane != nil {
		stopped = append(stopped, c.Plane.Stop())
	}

	return errors.Join(stopped...)
}

// Impersonate returns a configuration that acts as a ServiceAccount, with its rights but not with
// its token.
func (c *Cluster) Impersonate(namespace, account string) *rest.Config {
	config := rest.CopyConfig(c.Config)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + namespace + ":" + account,
		Groups: []string{
			"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated",
		},
	}

	return config
}

// ServiceAccountConfig returns a configuration with a token of the ServiceAccount, valid for an
// hour, and nothing else.
func (c *Cluster) ServiceAccountConfig(ctx context.Context, namespace, account string) (*rest.Config, error) {
	answer, err := c.Client.CoreV1().ServiceAccounts(namespace).
		CreateToken(ctx, account, &authenticationv1.TokenRequest{}, createOptions)
	if err != nil {
		return nil, fmt.Errorf("request a token of %s/%s: %w", namespace, account, err)
	}

	return &rest.Config{
		Host: c.Config.Host, QPS: -1, BearerToken: answer.Status.Token,
		TLSClientConfig: rest.TLSClientConfig{CAData: c.Plane.CA},
	}, nil
}

// WriteKubeconfig writes a configuration of this package to a file, for programs that run outside
// of the pods.
func WriteKubeconfig(config *rest.Config, file string) error {
	const name = "test"

	text, err := clientcmd.Write(api.Config{
		Clusters: map[string]*api.Cluster{name: {Server: config.Host, CertificateAuthorityData: config.CAData}},
		AuthInfos: map[string]*api.AuthInfo{name: {
			Token: config.BearerToken, ClientCertificateData: config.CertData, ClientKeyData: config.KeyData,
			Impersonate: config.Impersonate.UserName, ImpersonateGroups: config.Impersonate.Groups,
		}},
		Contexts:       map[string]*api.Context{name: {Cluster: name, AuthInfo: name}},
		CurrentContext: name,
	})
	if err == nil {
		err = os.WriteFile(file, text, privateMode)
	}

	if err != nil {
		return fmt.Errorf("write a kubeconfig: %w", err)
	}

	return nil
}

// Namespace creates a namespace with a unique name that begins with prefix, waits for its default
// ServiceAccount, and deletes it when the test ends.
func (c *Cluster) Namespace(tb testing.TB, prefix string, labels map[string]string) string {
	tb.Helper()

	made, err := c.Client.CoreV1().Namespaces().Create(tb.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: prefix + "-", Labels: labels},
	}, createOptions)
	if err != nil {
		tb.Fatalf("make a namespace: %v", err)
	}

	tb.Cleanup(func() {
		if err := c.Client.CoreV1().Namespaces().
			Delete(context.WithoutCancel(tb.Context()), made.Name, metav1.DeleteOptions{}); err != nil {
			tb.Errorf("delete the namespace %s: %v", made.Name, err)
		}
	})

	Eventually(tb, "the namespace "+made.Name+" should get its account", func(ctx context.Context) error {
		_, err := c.Client.CoreV1().ServiceAccounts(made.Name).Get(ctx, "default", getOptions)

		return err
	})

	return made.Name
}

// Endpoints returns the addresses of the ready endpoints of a Service. They appear a moment after
// the pods are ready, for which Helm waits. The API server, which calls webhooks there, sees them
// another moment later.
func (c *Cluster) Endpoints(ctx context.Context, namespace, service string) ([]string, error) {
	list, err := c.Client.DiscoveryV1().EndpointSlices(namespace).List(ctx, metav1.ListOptions{
		LabelSelector: discoveryv1.LabelServiceName + "=" + service,
	})
	if err != nil {
		return nil, fmt.Errorf("list the endpoints of %s/%s: %w", namespace, service, err)
	}

	var ready []string

	for _, slice := range list.Items {
		for _, endpoint := range slice.Endpoints {
			if isTrue(endpoint.Conditions.Ready) {
				ready = append(ready, endpoint.Addresses...)
			}
		}
	}

	return ready, nil
}

// Report writes what helps to understand a failure: the last events of the cluster and the end of
// each log.
func (c *Cluster) Report(out io.Writer) {
	c.reportEvents(out)

	if c.Plane != nil {
		fmt.Fprintln(out, c.Plane.Logs())
	}

	printTails(out, c.logFiles())
}

func (c *Cluster) logFiles() []string {
	return logFiles(c.logs)
}

// logFiles are the logs of parts, and those of pods on a real node.
func logFiles(dir string) []string {
	parts, _ := filepath.Glob(filepath.Join(dir, "*.log"))
	pods, _ := filepath.Glob(filepath.Join(dir, "pods", "*", "*", "*.log"))

	return slices.Concat(parts, pods)
}

// logName is the name of a log in a directory with all of them.
func logName(file string) string {
	dir, container := filepath.Split(filepath.Dir(file))
	if pod := filepath.Base(dir); filepath.Base(filepath.Dir(filepath.Clean(dir))) == "pods" {
		return pod + "_" + container + "_" + filepath.Base(file)
	}

	return filepath.Base(file)
}

func (c *Cluster) reportEvents(out io.Writer) {
	ctx, cancel := context.WithTimeout(context.Background(), reportTimeout)
	defer cancel()

	list, err := c.Client.CoreV1().Events("").List(ctx, metav1.ListOptions{})
	if err != nil {
		fmt.Fprintf(out, "there are no events: %v\n", err)

		return
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
}

// SaveLogs copies the whole logs of the parts, the kubelet and the pods, also of pods that no
// longer exist, into the directory dir.
func (c *Cluster) SaveLogs(dir string) error {
	if err := errors.Join(c.Plane.SaveLogs(dir), copyFiles(c.logFiles(), dir)); err != nil {
		return fmt.Errorf("save the logs: %w", err)
	}

	return nil
}
