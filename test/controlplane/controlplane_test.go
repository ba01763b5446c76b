package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

const (
	abandonEnv = "PIPELINE_STORAGE_ABANDON"
	// limit is far more than a controller needs: what takes longer does not happen.
	limit = 30 * time.Second
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	if os.Getenv(abandonEnv) != "" {
		abandon()
	}
	os.Exit(m.Run())
}

// abandon starts a control plane and dies: nothing in this program gets the chance to clean up.
func abandon() {
	plane, err := Start(context.Background(), Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(plane.dir.Path)
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func clientOf(t *testing.T, plane *ControlPlane) kubernetes.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(plane.RESTConfig())
	require.NoError(t, err)
	return client
}

// TestControlPlane has one control plane for all that a test may expect of it. The last steps end it.
func TestControlPlane(t *testing.T) {
	plane := Require(t, Options{Controllers: true, AuditLog: true})
	client := clientOf(t, plane)
	for _, step := range []struct {
		name string
		run  func(*testing.T, *ControlPlane, kubernetes.Interface)
	}{
		{"serves the version that the module pins", servesPinnedVersion},
		{"gives each namespace an account", givesAccounts},
		{"binds a static volume", bindsStaticVolume},
		{"schedules on a Node without a kubelet", schedules},
		{"calls the Service of a webhook at processes on loopback", callsWebhook},
		{"records requests", recordsRequests},
		{"has a kubeconfig for Helm", hasKubeconfig},
		{"refuses a request without the certificate", refusesAnonymous},
		{"outlives killed parts", outlivesKilledParts},
		{"saves logs", savesLogs},
		{"reports a part that has ended", reportsEndedPart},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.run(t, plane, client) }) {
			t.FailNow()
		}
	}
}

func servesPinnedVersion(t *testing.T, _ *ControlPlane, client kubernetes.Interface) {
	served, err := client.Discovery().ServerVersion()
	require.NoError(t, err)
	if os.Getenv(parts.AssetsEnv) != "" {
		t.Skipf("not covered: the pinned version: %s names another one", parts.AssetsEnv)
	}
	pins, err := os.ReadFile("../../tools/controlplane/go.mod")
	require.NoError(t, err)
	assert.Contains(t, string(pins), "\tk8s.io/kubernetes "+served.GitVersion+"\n")
	assert.Contains(t, served.GitVersion, "v"+served.Major+"."+served.Minor+".")
}

func givesAccounts(t *testing.T, _ *ControlPlane, client kubernetes.Interface) {
	_, err := client.CoreV1().ServiceAccounts("default").Get(t.Context(), "default", metav1.GetOptions{})
	require.NoError(t, err, "the first account is there from the start")
	_, err = client.CoreV1().Pods("default").Create(t.Context(), pod("unknown", "missing"), metav1.CreateOptions{})
	require.ErrorContains(t, err, `serviceaccount "missing" not found`)
	_, err = client.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "fresh"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	eventually(t, func(ctx context.Context) error {
		_, missing := client.CoreV1().ServiceAccounts("fresh").Get(ctx, "default", metav1.GetOptions{})
		roots, err := client.CoreV1().ConfigMaps("fresh").Get(ctx, "kube-root-ca.crt", metav1.GetOptions{})
		if err == nil && !strings.Contains(roots.Data["ca.crt"], "BEGIN CERTIFICATE") {
			err = errors.New("no certificate")
		}
		return errors.Join(missing, err)
	})
}

func bindsStaticVolume(t *testing.T, _ *ControlPlane, client kubernetes.Interface) {
	const name = "data"
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	_, err := client.CoreV1().PersistentVolumes().Create(t.Context(), &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: size, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				NFS: &corev1.NFSVolumeSource{Server: "nfs.example", Path: "/"},
			},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	claims := client.CoreV1().PersistentVolumeClaims("default")
	_, err = claims.Create(t.Context(), &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}, StorageClassName: new(""),
			VolumeName: name, Resources: corev1.VolumeResourceRequirements{Requests: size},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	eventually(t, func(ctx context.Context) error {
		claim, err := claims.Get(ctx, name, metav1.GetOptions{})
		if err == nil && claim.Status.Phase != corev1.ClaimBound {
			err = fmt.Errorf("it is %s", claim.Status.Phase)
		}
		return err
	})
}

func schedules(t *testing.T, _ *ControlPlane, client kubernetes.Interface) {
	resources := corev1.ResourceList{
		"cpu": resource.MustParse("4"), "memory": resource.MustParse("8Gi"), "pods": resource.MustParse("9"),
	}
	_, err := client.CoreV1().Nodes().Create(t.Context(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "node"},
		Status: corev1.NodeStatus{
			Capacity: resources, Allocatable: resources,
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = client.CoreV1().Pods("default").Create(t.Context(), pod("scheduled", "default"), metav1.CreateOptions{})
	require.NoError(t, err)
	eventually(t, func(ctx context.Context) error {
		scheduled, err := client.CoreV1().Pods("default").Get(ctx, "scheduled", metav1.GetOptions{})
		if err == nil && scheduled.Spec.NodeName != "node" {
			err = fmt.Errorf("it is on %q", scheduled.Spec.NodeName)
		}
		return err
	})
}

// callsWebhook registers a webhook by the Service of its pods, which nothing runs.
func callsWebhook(t *testing.T, plane *ControlPlane, client kubernetes.Interface) {
	const name = "hook"
	called := make(chan string, 100)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		called <- r.TLS.ServerName
	}))
	server.Config.ErrorLog = nil
	server.StartTLS()
	t.Cleanup(server.Close)
	service, err := client.CoreV1().Services("default").Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": name}, Ports: []corev1.ServicePort{{Port: 443}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	plane.Route(service.Spec.ClusterIP+":443", server.Listener.Addr().String())
	none := admissionregistrationv1.SideEffectClassNone
	_, err = client.AdmissionregistrationV1().MutatingWebhookConfigurations().Create(t.Context(),
		&admissionregistrationv1.MutatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Webhooks: []admissionregistrationv1.MutatingWebhook{{
				Name: "hook.example.com", SideEffects: &none, AdmissionReviewVersions: []string{"v1"},
				ClientConfig: admissionregistrationv1.WebhookClientConfig{
					Service: &admissionregistrationv1.ServiceReference{Namespace: "default", Name: name},
				},
				Rules: []admissionregistrationv1.RuleWithOperations{{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
					Rule: admissionregistrationv1.Rule{
						APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"},
					},
				}},
			}},
		}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, client.AdmissionregistrationV1().MutatingWebhookConfigurations().
			Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{}))
	})
	refused := func(reason string) {
		eventually(t, func(ctx context.Context) error {
			_, err := client.CoreV1().ConfigMaps("default").Create(ctx,
				&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "a-"}}, metav1.CreateOptions{})
			if err == nil {
				return errors.New("it is admitted")
			}
			if !strings.Contains(err.Error(), reason) {
				return err
			}
			return nil
		})
	}
	// The connection reaches the process: its certificate is of another CA.
	refused("failed to verify certificate: x509")
	plane.Route(service.Spec.ClusterIP + ":443")
	refused("502 Bad Gateway")
	assert.Empty(t, called)
}

func recordsRequests(t *testing.T, plane *ControlPlane, _ kubernetes.Interface) {
	const name = "audited"
	config := plane.RESTConfig()
	config.Impersonate = rest.ImpersonationConfig{UserName: "auditor", Groups: []string{"system:masters"}}
	impersonating, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	err = impersonating.CoreV1().PersistentVolumeClaims("default").Delete(t.Context(), name, metav1.DeleteOptions{})
	require.True(t, apierrors.IsNotFound(err), "%v", err)
	eventually(t, func(context.Context) error {
		events, err := plane.Audit()
		for _, e := range events {
			if e.ObjectRef != nil && e.ObjectRef.Name == name && e.Verb == "delete" && Actor(e) == "auditor" &&
				e.User.Username != "auditor" && e.ResponseStatus.Code == http.StatusNotFound {
				return nil
			}
		}
		return errors.Join(err, errors.New("the deletion is not recorded"))
	})
}

func hasKubeconfig(t *testing.T, plane *ControlPlane, _ kubernetes.Interface) {
	for name, helm := range parts.Require(t, "helm3", "helm4") {
		command := exec.CommandContext(t.Context(), helm, "list", "--kubeconfig", plane.Kubeconfig)
		out, err := command.CombinedOutput()
		require.NoError(t, err, "%s: %s", name, out)
		assert.Contains(t, string(out), "NAMESPACE", name)
	}
}

func refusesAnonymous(t *testing.T, plane *ControlPlane, _ kubernetes.Interface) {
	config := plane.RESTConfig()
	config.CertData, config.KeyData = nil, nil
	require.ErrorContains(t, get(t.Context(), config, "/api/v1/namespaces"), "403 Forbidden")
}

func outlivesKilledParts(t *testing.T, plane *ControlPlane, client kubernetes.Interface) {
	require.EqualError(t, plane.Kill("kubelet"), "this control plane has no kubelet: see Options")
	for _, name := range []string{etcd, apiserver, controllerManager, scheduler} {
		require.ErrorContains(t, plane.Revive(t.Context(), name), "it runs")
		require.NoError(t, plane.Kill(name))
		assert.False(t, plane.runs(name), name)
		require.NoError(t, plane.Revive(t.Context(), name))
		eventually(t, func(ctx context.Context) error {
			_, err := client.CoreV1().Pods("default").Get(ctx, "scheduled", metav1.GetOptions{})
			return err
		})
	}
	givesAccount(t, client, "after")
}

func givesAccount(t *testing.T, client kubernetes.Interface, namespace string) {
	t.Helper()
	_, err := client.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	require.NoError(t, err)
	eventually(t, func(ctx context.Context) error {
		_, err := client.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

func savesLogs(t *testing.T, plane *ControlPlane, _ kubernetes.Interface) {
	dir := t.TempDir()
	require.NoError(t, plane.Logs().CopyTo(dir))
	for _, name := range []string{etcd, apiserver, controllerManager, scheduler} {
		assert.FileExists(t, filepath.Join(dir, name+".log"))
		assert.Contains(t, plane.Logs().Tails(), "end of the log of "+name+".log, ")
	}
}

func reportsEndedPart(t *testing.T, plane *ControlPlane, _ kubernetes.Interface) {
	require.NoError(t, plane.Kill(apiserver))
	require.ErrorContains(t, plane.Stop(), "kube-apiserver ended before\nend of the log of kube-apiserver.log, ")
	assert.NoDirExists(t, plane.dir.Path)
	require.NoError(t, plane.Stop(), "again")
}

func TestReportsLogOfPartThatDoesNotStart(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\ncase \"$*\" in *--help*) exit 0;; esac\necho \"the disk is on fire\" >&2\nexit 3\n"
	for _, name := range []string{etcd, apiserver} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
	}
	t.Setenv(parts.AssetsEnv, dir)
	_, err := Start(t.Context(), Options{})
	require.ErrorContains(t, err, "the disk is on fire")
}

func TestEndsWithKilledTestProgram(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("not covered: the parts end with a test program that is killed. Only Linux can do that")
	}
	program, err := os.Executable()
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), program)
	command.Env = append(os.Environ(), abandonEnv+"=1")
	out, err := command.Output()
	require.ErrorContains(t, err, "signal: killed")
	dir := strings.TrimSpace(string(out))
	require.DirExists(t, dir, "a killed program cannot remove its directory")
	for _, name := range []string{etcd, apiserver} {
		text, err := os.ReadFile(filepath.Join(dir, name+".pid"))
		require.NoError(t, err)
		assert.Eventually(t, func() bool { return !running(strings.TrimSpace(string(text))) }, limit, readyPoll, name)
	}
	require.NoError(t, Require(t, Options{}).Stop())
	assert.NoDirExists(t, dir, "the next start removes it")
}

// running is false for a zombie too: a process that adopts orphans may be slow to reap them, or
// never do it.
func running(pid string) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

func pod(name, account string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			ServiceAccountName: account,
			Containers:         []corev1.Container{{Name: "main", Image: "example/image"}},
		},
	}
}

func eventually(t *testing.T, check func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var err error
	for err = check(ctx); err != nil && ctx.Err() == nil; err = check(ctx) {
		time.Sleep(readyPoll)
	}
	require.NoError(t, err)
}
