package suite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
	"github.com/pipeline-storage/pipeline-storage/test/process"
)

// configDir is where the chart mounts the ConfigMap.
const configDir = "/etc/pipeline-storage"

// Webhook is an installation of the chart. Processes on loopback run in place of its pods, with the
// arguments of its Deployment and the token of its ServiceAccount. What the API server does and what
// the chart grants are real; probes, rollouts and the network of pods need a node: see test/e2e.
type Webhook struct {
	// Release and Namespace are those of the installation, Name is that of its Deployment and Service.
	Release, Namespace, Name string
	// Replicas are the processes.
	Replicas []*Replica

	plane   *controlplane.ControlPlane
	client  kubernetes.Interface
	program string
	dir     string
	service string
}

// Replica is a process in place of a pod.
type Replica struct {
	*process.Process
	// Pod is the name that the process has for its pod.
	Pod string
	// Reviews, Metrics and Health are its addresses.
	Reviews, Metrics, Health string
}

// Installation is what InstallWebhook installs.
type Installation struct {
	// Release and Namespace are those of Helm. The namespace is made.
	Release, Namespace string
	// Replicas is the number of processes. Default: 1.
	Replicas int
	// Helm are arguments for Helm, such as --values=FILE.
	Helm []string
}

// InstallWebhook installs the chart by Helm 4, starts the replicas, and returns when they are ready.
// Stop ends them; the objects remain.
func InstallWebhook(ctx context.Context, tb testing.TB, wanted Installation) *Webhook {
	tb.Helper()
	w := &Webhook{
		Release: wanted.Release, Namespace: wanted.Namespace,
		plane: Plane(tb), client: Kubernetes(tb), program: Program(tb, "cmd/webhook"),
		dir: filepath.Join(shared.dir.Path, wanted.Namespace+"."+wanted.Release),
	}
	root, err := parts.Repository()
	if err != nil {
		tb.Fatal(err)
	}
	Helm(tb, "helm4").Must(tb, slices.Concat([]string{
		"install", w.Release, filepath.Join(root, "charts", "pipeline-storage"),
		"--namespace", w.Namespace, "--create-namespace", Unvalidated,
	}, wanted.Helm)...)
	if err := w.Start(ctx, cmp.Or(wanted.Replicas, 1)); err != nil {
		w.Stop()
		tb.Fatal(err)
	}
	return w
}

// Start starts more replicas, and returns when they are ready and the API server calls all that run.
func (w *Webhook) Start(ctx context.Context, replicas int) error {
	deployment, err := w.deployment(ctx)
	if err != nil {
		return err
	}
	w.Name = deployment.Name
	if err := w.WriteConfiguration(ctx); err != nil {
		return err
	}
	for range replicas {
		replica, err := w.startReplica(ctx, deployment)
		if err != nil {
			return err
		}
		w.Replicas = append(w.Replicas, replica)
	}
	for _, replica := range w.Replicas[len(w.Replicas)-replicas:] {
		if err := replica.WaitReady(ctx, replica.Ready); err != nil {
			return err
		}
	}
	return w.route(ctx)
}

// Stop ends all replicas at once.
func (w *Webhook) Stop() {
	for _, replica := range w.Replicas {
		replica.Kill()
	}
	w.Replicas = nil
	if w.service != "" {
		w.plane.Route(w.service)
	}
}

// route has the API server call the replicas that run. In policy mode there is no Service, and no call.
func (w *Webhook) route(ctx context.Context) error {
	service, err := w.client.CoreV1().Services(w.Namespace).Get(ctx, w.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the Service: %w", err)
	}
	w.service = net.JoinHostPort(service.Spec.ClusterIP, strconv.Itoa(int(service.Spec.Ports[0].Port)))
	var running []string
	for _, replica := range w.Replicas {
		if !replica.Exited() {
			running = append(running, replica.Reviews)
		}
	}
	w.plane.Route(w.service, running...)
	return nil
}

func (w *Webhook) deployment(ctx context.Context) (*appsv1.Deployment, error) {
	list, err := w.client.AppsV1().Deployments(w.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: "app.kubernetes.io/instance=" + w.Release,
	})
	if err != nil {
		return nil, fmt.Errorf("list the Deployments of the release: %w", err)
	}
	if len(list.Items) != 1 {
		return nil, fmt.Errorf("the release %s has %d Deployments", w.Release, len(list.Items))
	}
	return &list.Items[0], nil
}

// WriteConfiguration writes the ConfigMap of the release to the replicas' files, as a node does when
// it has changed.
func (w *Webhook) WriteConfiguration(ctx context.Context) error {
	stored, err := w.client.CoreV1().ConfigMaps(w.Namespace).Get(ctx, w.Name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read the ConfigMap: %w", err)
	}
	if err := os.MkdirAll(w.dir, dirMode); err != nil {
		return fmt.Errorf("make a directory for the configuration: %w", err)
	}
	for name, text := range stored.Data {
		file := filepath.Join(w.dir, name)
		err := errors.Join(os.WriteFile(file+".new", []byte(text), privateMode), os.Rename(file+".new", file))
		if err != nil {
			return fmt.Errorf("write the configuration: %w", err)
		}
	}
	return nil
}

func (w *Webhook) startReplica(ctx context.Context, deployment *appsv1.Deployment) (*Replica, error) {
	spec := deployment.Spec.Template.Spec
	number := len(process.LogsIn(filepath.Join(w.dir, "*")))
	pod := fmt.Sprintf("%s-%d", w.Name, number)
	kubeconfig := filepath.Join(w.dir, pod+".kubeconfig")
	config, err := ServiceAccountConfig(ctx, w.client, w.plane, w.Namespace, spec.ServiceAccountName)
	if err != nil {
		return nil, err
	}
	if err := WriteKubeconfig(config, kubeconfig); err != nil {
		return nil, err
	}
	addresses, err := process.FreeAddresses(3)
	if err != nil {
		return nil, err
	}
	replica := &Replica{Pod: pod, Reviews: addresses[0], Metrics: addresses[1], Health: addresses[2]}
	replica.Process, err = process.Start(process.Options{
		Name: pod, Program: w.program, Log: filepath.Join(w.dir, pod+".log"),
		Env:  w.environment(spec.Containers[0], pod),
		Args: append(w.arguments(spec.Containers[0].Args), replica.flags(kubeconfig)...),
	})
	return replica, err
}

// arguments are those of the container with the files of this machine.
func (w *Webhook) arguments(args []string) []string {
	replaced := make([]string, 0, len(args))
	for _, arg := range args {
		replaced = append(replaced, strings.Replace(arg, configDir, w.dir, 1))
	}
	return replaced
}

// environment is that of the container: the fields of the pod, and values.
func (w *Webhook) environment(container corev1.Container, pod string) []string {
	fields := map[string]string{"metadata.name": pod, "metadata.namespace": w.Namespace, "metadata.uid": pod}
	var env []string
	for _, variable := range container.Env {
		value := variable.Value
		if from := variable.ValueFrom; from != nil && from.FieldRef != nil {
			value = fields[from.FieldRef.FieldPath]
		} else if from != nil {
			continue // limits of a container, which a process does not have
		}
		env = append(env, variable.Name+"="+value)
	}
	return env
}

// flags are what differs outside of a pod.
func (r *Replica) flags(kubeconfig string) []string {
	_, port, _ := net.SplitHostPort(r.Reviews)
	return []string{
		"--kubeconfig=" + kubeconfig, "--port=" + port,
		"--metrics-bind-address=" + r.Metrics, "--health-probe-bind-address=" + r.Health,
	}
}

// Ready returns nil when the replica is ready to get requests.
func (r *Replica) Ready(ctx context.Context) error {
	_, err := process.Get(ctx, "http://"+r.Health+"/readyz")
	return err
}

// ServiceAccountConfig returns a configuration with a token of the ServiceAccount, valid for an hour,
// and nothing else.
func ServiceAccountConfig(
	ctx context.Context, client kubernetes.Interface, plane *controlplane.ControlPlane, namespace, account string,
) (*rest.Config, error) {
	answer, err := client.CoreV1().ServiceAccounts(namespace).
		CreateToken(ctx, account, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("request a token of %s/%s: %w", namespace, account, err)
	}
	return &rest.Config{
		Host: plane.Host, QPS: -1, BearerToken: answer.Status.Token,
		TLSClientConfig: rest.TLSClientConfig{CAData: plane.CA},
	}, nil
}
