package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const release = "server"

func TestNetworkIsIsolated(t *testing.T) {
	t.Parallel()
	requireIsolation(t, "that no packet leaves the machine")

	_, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", "192.0.2.1:80")
	require.ErrorContains(t, err, "network is unreachable")

	devices, err := net.Interfaces()
	require.NoError(t, err)

	for _, device := range devices {
		assert.True(t, device.Name == "lo" || strings.HasPrefix(device.Name, "pod"), device.Name)
	}
}

// TestRelease installs a chart of a server and follows the life of its processes.
func TestRelease(t *testing.T) {
	t.Parallel()
	requireIsolation(t, "pods whose programs run")

	for _, name := range []string{"helm3", "helm4"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			helm, err := shared.Helm(t.Context(), name)
			require.NoError(t, err)

			namespace := shared.Namespace(t, name, map[string]string{
				"pod-security.kubernetes.io/enforce": "baseline",
			})
			out, err := helm.Install(t.Context(), "testdata/chart", release, namespace, "greeting=good day")
			require.NoError(t, err)
			assert.Contains(t, out, "STATUS: deployed")

			processes := servers(t, namespace)

			t.Run("has an address for each pod", func(t *testing.T) { hasAddresses(t, namespace, processes) })
			t.Run("has the environment of the pod", func(t *testing.T) { seesThePod(t, processes[0]) })
			t.Run("is confined", func(t *testing.T) { isConfined(t, processes[0]) })
			t.Run("acts as its account", func(t *testing.T) { actsAsItsAccount(t, namespace, processes[0]) })
			t.Run("answers the API server", func(t *testing.T) { answersTheAPIServer(t, namespace) })
			t.Run("gets new files", func(t *testing.T) { getsNewFiles(t, namespace, processes) })
			t.Run("is started again", func(t *testing.T) { isStartedAgain(t, namespace, processes[0]) })
			t.Run("is replaced by a rollout", func(t *testing.T) { isReplaced(t, namespace) })

			_, err = helm.Uninstall(t.Context(), release, namespace)
			require.NoError(t, err)
			Eventually(t, "no process should remain", func(context.Context) error {
				return expect(0, len(shared.Kubelet.Processes(namespace)))
			})
		})
	}
}

func hasAddresses(t *testing.T, namespace string, processes []Process) {
	t.Helper()

	var addresses []string

	for _, p := range processes {
		assert.True(t, podNetwork.Contains(p.Address))
		addresses = append(addresses, p.Address.String())

		rss, err := p.RSS()
		require.NoError(t, err)
		assert.Positive(t, rss)
	}

	assert.NotEqual(t, addresses[0], addresses[1])
	Eventually(t, "both should be endpoints", func(ctx context.Context) error {
		ready, err := shared.Endpoints(ctx, namespace, release)

		return errors.Join(err, expect(sorted(addresses), sorted(ready)))
	})

	pods, err := shared.Client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, pods.Items, 2)
	assert.NotEqual(t, pods.Items[0].Spec.NodeName, pods.Items[1].Spec.NodeName, "the scheduler should spread them")
}

func seesThePod(t *testing.T, p Process) {
	t.Helper()

	seen := fetch(t, p, "/environment", nil)

	for _, line := range []string{
		"POD_NAME=" + p.Pod, "POD_IP=" + p.Address.String(), "MEMORY=67108864", "GREETING=good day", "hostname=" + p.Pod,
		"args=--pod=" + p.Pod + " --cost=$(POD_NAME) --unknown=$(UNKNOWN)",
	} {
		assert.Contains(t, strings.Split(seen, "\n"), line)
	}

	assert.Contains(t, seen, "NODE=node-")
	assert.NotContains(t, seen, "MISSING=")
	assert.Equal(t, "good day", fetch(t, p, "/file", url.Values{"path": {"/config/greeting"}}))
	assert.Contains(t, p.Log(), "arguments --pod="+p.Pod)
}

func isConfined(t *testing.T, p Process) {
	t.Helper()

	if hasUsers() {
		assert.Contains(t, fetch(t, p, "/environment", nil), "user=65532 group=65532")
	}

	for path, why := range map[string]string{
		"/written":        "read-only file system",
		"/config/written": "read-only file system",
	} {
		_, err := tryFetch(t.Context(), p, "/write", url.Values{"path": {path}})
		require.ErrorContains(t, err, why)
	}

	fetch(t, p, "/write", url.Values{"path": {"/scratch/written"}})

	_, err := tryFetch(t.Context(), p, "/file", url.Values{"path": {"/usr/bin/env"}})
	require.ErrorContains(t, err, "no such file", "the disk of this machine must not be there")
}

func actsAsItsAccount(t *testing.T, namespace string, p Process) {
	t.Helper()

	who := fetch(t, p, "/whoami", nil)
	assert.Contains(t, who, "system:serviceaccount:"+namespace+":"+release)
	assert.Contains(t, who, p.Pod, "the token should be bound to the pod")
}

// answersTheAPIServer has the API server find the pods by their Service, as it finds a webhook.
func answersTheAPIServer(t *testing.T, namespace string) {
	t.Helper()

	answer, err := shared.Client.CoreV1().RESTClient().Get().Namespace(namespace).Resource("services").
		Name(release+":80").SubResource("proxy").Suffix("file").Param("path", "/config/greeting").DoRaw(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "good day", string(answer))
}

func getsNewFiles(t *testing.T, namespace string, processes []Process) {
	t.Helper()

	configure(t, namespace, `{"data":{"greeting":"good night","ready":"no"}}`)

	for _, p := range processes {
		Eventually(t, "the file should change", func(ctx context.Context) error {
			text, err := tryFetch(ctx, p, "/file", url.Values{"path": {"/config/greeting"}})

			return errors.Join(err, expect("good night", text))
		})
	}

	Eventually(t, "no endpoint should be ready", func(ctx context.Context) error {
		ready, err := shared.Endpoints(ctx, namespace, release)

		return errors.Join(err, expect(0, len(ready)))
	})
	configure(t, namespace, `{"data":{"ready":"yes"}}`)
	Eventually(t, "both endpoints should be ready again", func(ctx context.Context) error {
		ready, err := shared.Endpoints(ctx, namespace, release)

		return errors.Join(err, expect(2, len(ready)))
	})
}

func isStartedAgain(t *testing.T, namespace string, p Process) {
	t.Helper()

	require.NoError(t, shared.Kubelet.Kill(namespace, p.Pod))
	Eventually(t, "the pod should report that its process ended and runs again", func(ctx context.Context) error {
		pod, err := shared.Client.CoreV1().Pods(namespace).Get(ctx, p.Pod, getOptions)
		if err != nil {
			return err
		}

		s := pod.Status.ContainerStatuses[0]
		if s.LastTerminationState.Terminated == nil || s.State.Running == nil || !s.Ready {
			return fmt.Errorf("it is %+v", s)
		}

		return errors.Join(expect(1, s.RestartCount), expect(137, s.LastTerminationState.Terminated.ExitCode))
	})

	again, err := shared.Kubelet.Process(namespace, p.Pod)
	require.NoError(t, err)
	assert.NotEqual(t, p.PID, again.PID)
	assert.Equal(t, p.Address, again.Address, "the pod should retain its address")
	assert.Equal(t, 1, again.Restarts)
}

// isReplaced restarts the Deployment while a client sends requests to its ready endpoints all the
// time.
func isReplaced(t *testing.T, namespace string) {
	t.Helper()

	before := servers(t, namespace)

	_, err := shared.Client.AppsV1().Deployments(namespace).Patch(t.Context(), release, types.MergePatchType,
		[]byte(`{"spec":{"template":{"metadata":{"annotations":{"restarted":"now"}}}}}`), metav1.PatchOptions{})
	require.NoError(t, err)

	Eventually(t, "the old pods should not exist and new ones should", func(context.Context) error {
		now := shared.Kubelet.Processes(namespace)
		if slices.ContainsFunc(now, func(p Process) bool { return p.Pod == before[0].Pod || p.Pod == before[1].Pod }) {
			return fmt.Errorf("there are %v", now)
		}

		return expect(2, len(now))
	})

	ready, err := shared.Endpoints(t.Context(), namespace, release)
	require.NoError(t, err)

	for _, p := range before {
		assert.Contains(t, p.Log(), "got TERM")
		assert.NotContains(t, ready, p.Address.String())
	}
}

func TestJobs(t *testing.T) {
	t.Parallel()

	namespace := shared.Namespace(t, "jobs", nil)

	_, err := shared.Client.BatchV1().Jobs(namespace).Create(t.Context(), &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "work"},
		Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy:  corev1.RestartPolicyNever,
			InitContainers: []corev1.Container{{Name: "first", Image: "any"}},
			Containers:     []corev1.Container{{Name: "second", Image: "any"}},
		}}},
	}, createOptions)
	require.NoError(t, err)

	Eventually(t, "the Job should complete", func(ctx context.Context) error {
		job, err := shared.Client.BatchV1().Jobs(namespace).Get(ctx, "work", getOptions)

		return errors.Join(err, expect(1, job.Status.Succeeded))
	})
}

func TestPretendedPods(t *testing.T) {
	t.Parallel()

	namespace := shared.Namespace(t, "pretence", nil)

	shared.Kubelet.Pretend(func(pod *corev1.Pod) Outcome {
		switch {
		case pod.Namespace != namespace:
			return Outcome{Ends: true}
		case pod.Name == "fails":
			return Outcome{Ends: true, Code: 4}
		default:
			return Outcome{}
		}
	})

	for _, name := range []string{"fails", "stays"} {
		create(t, namespace, name, corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "a", Image: "any"}},
		})
	}

	awaitPod(t, namespace, "fails", func(pod *corev1.Pod) error {
		if err := expect(corev1.PodFailed, pod.Status.Phase); err != nil {
			return err
		}

		return expect(4, pod.Status.ContainerStatuses[0].State.Terminated.ExitCode)
	})
	awaitPod(t, namespace, "stays", func(pod *corev1.Pod) error {
		return errors.Join(expect(corev1.PodRunning, pod.Status.Phase), expect(true, isReady(pod)))
	})

	require.NoError(t, shared.Client.CoreV1().Pods(namespace).Delete(t.Context(), "stays", metav1.DeleteOptions{}))
	awaitGone(t, namespace, "stays")
}

func TestPodWaits(t *testing.T) {
	t.Parallel()

	namespace := shared.Namespace(t, "waits", nil)

	t.Run("for a claim that nothing binds", func(t *testing.T) {
		t.Parallel()

		create(t, namespace, "claim", corev1.PodSpec{
			Containers: []corev1.Container{{Name: "a", Image: "any"}},
			Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "missing"},
			}}},
		})
		awaitPod(t, namespace, "claim", func(pod *corev1.Pod) error {
			if len(pod.Status.Conditions) == 0 {
				return errors.New("the scheduler has not seen it")
			}

			return errors.Join(expect(corev1.PodPending, pod.Status.Phase), expect("", pod.Spec.NodeName),
				expect("Unschedulable", pod.Status.Conditions[0].Reason))
		})
	})

	t.Run("for a ConfigMap", func(t *testing.T) {
		t.Parallel()
		requireIsolation(t, "a pod whose volume comes late")

		pod := serverPod()
		pod.Volumes = []corev1.Volume{{Name: "late", VolumeSource: corev1.VolumeSource{
			ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "late"}},
		}}}
		create(t, namespace, "late", pod)
		awaitPod(t, namespace, "late", func(pod *corev1.Pod) error {
			return waits(pod, "ContainerCreating", `mount the volume late: configmaps "late" not found`)
		})

		_, err := shared.Client.CoreV1().ConfigMaps(namespace).Create(t.Context(),
			&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "late"}}, createOptions)
		require.NoError(t, err)
		awaitPod(t, namespace, "late", func(pod *corev1.Pod) error { return expect(true, isReady(pod)) })
	})
}

func TestPodsThatDoNotRun(t *testing.T) {
	t.Parallel()
	requireIsolation(t, "programs that cannot start")

	namespace := shared.Namespace(t, "fails", nil)
	root := int64(0)
	nonRoot := true

	cases := map[string]struct {
		change  func(*corev1.Container)
		reason  string
		message string
	}{
		"a command that is not in the image": {
			change: func(c *corev1.Container) { c.Command = []string{"/bin/sh"} },
			reason: "CreateContainerError", message: "fork/exec /bin/sh: no such file or directory",
		},
		"root where it is forbidden": {
			change: func(c *corev1.Container) {
				c.SecurityContext = &corev1.SecurityContext{RunAsUser: &root, RunAsNonRoot: &nonRoot}
			},
			reason: "CreateContainerError", message: "container has runAsNonRoot and image will run as root",
		},
		"a program that ends": {
			change: func(c *corev1.Container) { c.Args = []string{"exit"} },
			reason: "CrashLoopBackOff", message: "back-off",
		},
		"a key that is not there": {
			change: func(c *corev1.Container) {
				c.Env = []corev1.EnvVar{{Name: "A", ValueFrom: &corev1.EnvVarSource{
					ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
						LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"}, Key: "missing",
					},
				}}}
			},
			reason: "CreateContainerError", message: "the variable A: there is no key missing",
		},
	}

	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			pod := serverPod()
			c.change(&pod.Containers[0])

			unique := strings.ReplaceAll(name, " ", "-")
			create(t, namespace, unique, pod)
			awaitPod(t, namespace, unique, func(pod *corev1.Pod) error { return waits(pod, c.reason, c.message) })
		})
	}
}

func TestContainersStartInOrder(t *testing.T) {
	t.Parallel()
	requireIsolation(t, "init containers and sidecars whose programs run")

	always := corev1.ContainerRestartPolicyAlways
	namespace := shared.Namespace(t, "order", nil)
	pod := serverPod()
	pod.Containers[0].Args = []string{"exit"} // only one process can have the port, and it prints which caller got through
	pod.InitContainers = []corev1.Container{
		{Name: "first", Image: "any"},
		{
			Name: "sidecar", Image: serverImage, RestartPolicy: &always,
			StartupProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
				TCPSocket: &corev1.TCPSocketAction{Port: intPort(8080)},
			}, PeriodSeconds: 1},
		},
	}

	create(t, namespace, "order", pod)
	awaitPod(t, namespace, "order", func(pod *corev1.Pod) error {
		for _, s := range pod.Status.InitContainerStatuses {
			if !s.Ready {
				return fmt.Errorf("%s is not ready", s.Name)
			}
		}

		return waits(pod, "CrashLoopBackOff", "back-off")
	})
}

func TestForcedDeletionKillsContainers(t *testing.T) {
	t.Parallel()
	requireIsolation(t, "the end of a pod whose program runs")

	namespace := shared.Namespace(t, "forced", nil)

	create(t, namespace, "forced", serverPod())
	awaitPod(t, namespace, "forced", func(pod *corev1.Pod) error { return expect(true, isReady(pod)) })

	process, err := shared.Kubelet.Process(namespace, "forced")
	require.NoError(t, err)

	now := int64(0)
	require.NoError(t, shared.Client.CoreV1().Pods(namespace).
		Delete(t.Context(), "forced", metav1.DeleteOptions{GracePeriodSeconds: &now}))
	Eventually(t, "the process should not exist", func(context.Context) error {
		_, err := process.RSS()

		return expect(true, err != nil)
	})

	assert.NotContains(t, process.Log(), "got TERM")
	Eventually(t, "there should be nothing to kill", func(context.Context) error {
		return expect(true, shared.Kubelet.Kill(namespace, "forced") != nil)
	})
}

func TestClaimsRetainData(t *testing.T) {
	t.Parallel()
	requireIsolation(t, "a claim that two pods share")

	namespace := shared.Namespace(t, "claims", nil)
	makeClaim(t, namespace)

	pod := serverPod()
	pod.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"},
	}}}
	pod.Containers[0].VolumeMounts = []corev1.VolumeMount{
		{Name: "data", MountPath: "/data"},
		{Name: "data", MountPath: "/part", SubPath: "part/of/it"},
	}

	var processes []Process

	for _, name := range []string{"writer", "reader"} {
		create(t, namespace, name, pod)
		awaitPod(t, namespace, name, func(pod *corev1.Pod) error { return expect(true, isReady(pod)) })

		process, err := shared.Kubelet.Process(namespace, name)
		require.NoError(t, err)

		processes = append(processes, process)
	}

	fetch(t, processes[0], "/write", url.Values{"path": {"/data/file"}})
	fetch(t, processes[0], "/write", url.Values{"path": {"/part/file"}})
	assert.Equal(t, "written", fetch(t, processes[1], "/file", url.Values{"path": {"/data/file"}}))
	assert.Equal(t, "written", fetch(t, processes[1], "/file", url.Values{"path": {"/data/part/of/it/file"}}))
}

func TestPodsOutliveAPIServer(t *testing.T) {
	t.Parallel()
	requireIsolation(t, "pods whose programs run while there is no API server")

	c := Require(t, Options{Nodes: 1})
	c.Kubelet.Register(serverImage, Image{Program: Program("server"), Entrypoint: "/server"})

	_, err := c.Client.CoreV1().Pods("default").Create(t.Context(),
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "lives"}, Spec: serverPod()}, createOptions)
	require.NoError(t, err)

	ready := func(ctx context.Context) error {
		pod, err := c.Client.CoreV1().Pods("default").Get(ctx, "lives", getOptions)
		if err != nil {
			return err
		}

		return expect(true, isReady(pod))
	}
	Eventually(t, "the pod should be ready", ready)

	require.NoError(t, c.Plane.Kill("kube-apiserver"))

	process, err := c.Kubelet.Process("default", "lives")
	require.NoError(t, err)
	fetch(t, process, "/healthz", nil)
	require.NoError(t, c.Kubelet.Kill("default", "lives"))
	require.NoError(t, c.Plane.Revive(t.Context(), "kube-apiserver"))

	Eventually(t, "the restart should be reported", func(ctx context.Context) error {
		pod, err := c.Client.CoreV1().Pods("default").Get(ctx, "lives", getOptions)
		if err != nil {
			return err
		}

		return errors.Join(expect(1, pod.Status.ContainerStatuses[0].RestartCount), ready(ctx))
	})

	require.NoError(t, c.Client.CoreV1().Pods("default").Delete(t.Context(), "lives", metav1.DeleteOptions{}))
	Eventually(t, "the pod should go", func(ctx context.Context) error {
		pods, err := c.Client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{})

		return errors.Join(err, expect(0, len(pods.Items)))
	})
}

func TestServiceAccounts(t *testing.T) {
	t.Parallel()

	namespace := shared.Namespace(t, "accounts", nil)

	token, err := shared.ServiceAccountConfig(t.Context(), namespace, "default")
	require.NoError(t, err)

	file := t.TempDir() + "/kubeconfig"
	require.NoError(t, WriteKubeconfig(token, file))

	helm, err := shared.Helm(t.Context(), "helm3")
	require.NoError(t, err)

	_, err = helm.Run(t.Context(), "list", "--kubeconfig", file, "--namespace", namespace)
	require.ErrorContains(t, err, `User "system:serviceaccount:`+namespace+`:default" cannot list resource "secrets"`)

	require.NoError(t, WriteKubeconfig(shared.Impersonate(namespace, "other"), file))
	_, err = helm.Run(t.Context(), "list", "--kubeconfig", file, "--namespace", namespace)
	require.ErrorContains(t, err, `User "system:serviceaccount:`+namespace+`:other" cannot list resource "secrets"`)
}

func TestReport(t *testing.T) {
	t.Parallel()

	var report strings.Builder

	shared.Report(&report)

	for _, part := range []string{"last events:", "end of the log of kube-scheduler", "end of the log kubelet.log"} {
		assert.Contains(t, report.String(), part)
	}

	dir := t.TempDir()
	require.NoError(t, shared.SaveLogs(dir))
	assert.FileExists(t, dir+"/kubelet.log")
	assert.FileExists(t, dir+"/etcd.log")
}

// requireIsolation ends a test that needs namespaces where this machine allows none, and reports
// what is not shown then.
func requireIsolation(t *testing.T, what string) {
	t.Helper()

	if !Isolated() {
		Uncovered(t, what)
		t.SkipNow()
	}
}

// servers returns the two processes of the release.
func servers(t *testing.T, namespace string) []Process {
	t.Helper()

	processes := shared.Kubelet.Processes(namespace)
	require.Len(t, processes, 2)

	return processes
}

func serverPod() corev1.PodSpec {
	grace := int64(5)

	return corev1.PodSpec{
		TerminationGracePeriodSeconds: &grace, Containers: []corev1.Container{{Name: "server", Image: serverImage + ":v1"}},
	}
}

func create(t *testing.T, namespace, name string, spec corev1.PodSpec) {
	t.Helper()

	_, err := shared.Client.CoreV1().Pods(namespace).Create(t.Context(),
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}, createOptions)
	require.NoError(t, err)
}

// makeClaim creates a claim that is bound to a volume of its own.
func makeClaim(t *testing.T, namespace string) {
	t.Helper()

	class := namespace
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}

	_, err := shared.Client.CoreV1().PersistentVolumes().Create(t.Context(), &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: size, AccessModes: modes, StorageClassName: class,
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				NFS: &corev1.NFSVolumeSource{Server: "192.0.2.1", Path: "/"},
			},
		},
	}, createOptions)
	require.NoError(t, err)

	_, err = shared.Client.CoreV1().PersistentVolumeClaims(namespace).Create(t.Context(), &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "data"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: modes, StorageClassName: &class, Resources: corev1.VolumeResourceRequirements{Requests: size},
		},
	}, createOptions)
	require.NoError(t, err)
}

func configure(t *testing.T, namespace, patch string) {
	t.Helper()

	_, err := shared.Client.CoreV1().ConfigMaps(namespace).Patch(t.Context(), release, types.MergePatchType,
		[]byte(patch), metav1.PatchOptions{})
	require.NoError(t, err)
}

func awaitPod(t *testing.T, namespace, name string, check func(*corev1.Pod) error) {
	t.Helper()
	Eventually(t, "the pod "+name+" should be as wanted", func(ctx context.Context) error {
		pod, err := shared.Client.CoreV1().Pods(namespace).Get(ctx, name, getOptions)
		if err != nil {
			return err
		}

		return check(pod)
	})
}

func awaitGone(t *testing.T, namespace, name string) {
	t.Helper()
	Eventually(t, "the pod "+name+" should not exist", func(ctx context.Context) error {
		pods, err := shared.Client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{
			FieldSelector: "metadata.name=" + name,
		})

		return errors.Join(err, expect(0, len(pods.Items)))
	})
}

func isReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// waits reports whether the pod's container waits for such a reason.
func waits(pod *corev1.Pod, reason, message string) error {
	if len(pod.Status.ContainerStatuses) == 0 {
		return errors.New("no component has reported it")
	}

	waiting := pod.Status.ContainerStatuses[0].State.Waiting
	if waiting == nil {
		return fmt.Errorf("it does not wait: %+v", pod.Status.ContainerStatuses[0].State)
	}

	if !strings.Contains(waiting.Message, message) {
		return fmt.Errorf("it waits, but: %s", waiting.Message)
	}

	return expect(reason, waiting.Reason)
}

func fetch(t *testing.T, p Process, path string, query url.Values) string {
	t.Helper()

	var text string

	Eventually(t, path+" should be answered", func(ctx context.Context) error {
		var err error

		text, err = tryFetch(ctx, p, path, query)

		return err
	})

	return text
}

func tryFetch(ctx context.Context, p Process, path string, query url.Values) (string, error) {
	target := url.URL{
		Scheme: "http", Host: netip.AddrPortFrom(p.Address, 8080).String(), Path: path, RawQuery: query.Encode(),
	}

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), http.NoBody)
	if err != nil {
		return "", err
	}

	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()

	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(string(body))
	}

	return string(body), err
}

func sorted(values []string) []string { return slices.Sorted(slices.Values(values)) }

// expect returns an error unless both are equal, for what must become true.
func expect[T any](want, got T) error {
	if assert.ObjectsAreEqualValues(want, got) {
		return nil
	}

	return fmt.Errorf("expected %v, got %v", want, got)
}
