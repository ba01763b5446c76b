package status

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/pipeline-storage/pipeline-storage/internal/claims"
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/internal/selection"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	eventTimeout = 30 * time.Second
	poll         = 50 * time.Millisecond
	installedIn  = "storage-system"
	zone         = "topology.kubernetes.io/zone"
)

// world is the cluster of one test.
type world struct {
	client.Client
	t *testing.T
}

func newWorld(t *testing.T) *world {
	t.Helper()

	c, err := client.New(suite.RESTConfig(t), client.Options{})
	require.NoError(t, err)
	return &world{c, t}
}

// with is the same for a part of the test.
func (w *world) with(t *testing.T) *world { return &world{w.Client, t} }

// make creates objects.
func (w *world) make(objects ...client.Object) {
	w.t.Helper()
	for _, o := range objects {
		require.NoError(w.t, w.Create(w.t.Context(), o), "%T %s/%s", o, o.GetNamespace(), o.GetName())
	}
}

// until waits for an object to be as wanted.
func until[T client.Object](w *world, into T, namespace, name string, wanted func(T) bool) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		return w.Get(w.t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, into) == nil && wanted(into)
	}, eventTimeout, poll, "%T %s/%s", into, namespace, name)
}

// event waits for a real Event about an object.
func (w *world) event(namespace, reason, text string) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		var list corev1.EventList
		require.NoError(w.t, w.List(w.t.Context(), &list, client.InNamespace(namespace)))
		for _, e := range list.Items {
			if e.Reason == reason && strings.Contains(e.Message, text) {
				return true
			}
		}
		return false
	}, eventTimeout, poll, "an Event %s with %q in %s", reason, text, namespace)
}

// namespace makes a namespace in which pods can be made.
func (w *world) namespace(name string, labels map[string]string) {
	w.t.Helper()
	w.make(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})
	until(w, &corev1.ServiceAccount{}, name, "default", func(*corev1.ServiceAccount) bool { return true })
}

// label sets a label of a namespace.
func (w *world) label(namespace, key string) {
	w.t.Helper()
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q}}}`, key, kinds.LabelEnabled)
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	require.NoError(w.t, w.Patch(w.t.Context(), object, client.RawPatch(types.MergePatchType, patch)))
}

// node makes a node that pods can be put on, as far as the control plane sees.
func (w *world) node(name, inZone string) {
	w.t.Helper()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{zone: inZone, corev1.LabelHostname: name},
		Annotations: map[string]string{"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
	}}
	w.make(node)
	room := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("8Gi"),
		corev1.ResourcePods: resource.MustParse("110"),
	}
	before := node.DeepCopy()
	node.Status.Allocatable, node.Status.Capacity = room, room
	node.Status.Conditions = []corev1.NodeCondition{
		{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.Now(), Reason: "Made"},
	}
	require.NoError(w.t, w.Status().Patch(w.t.Context(), node, client.MergeFrom(before))) // controllers write it, too
	until(w, node, "", name, func(n *corev1.Node) bool { return len(n.Spec.Taints) == 0 })
}

// mounts are the claim that a pod mounts and the profile of its injected annotation.
type mounts struct{ profile, claim string }

// pod makes a labelled pod; with mounts it is as the webhook leaves it.
func (w *world) pod(namespace, name string, m *mounts, change ...func(*corev1.Pod)) *corev1.Pod {
	w.t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, Labels: map[string]string{kinds.Label: kinds.LabelEnabled},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "example.com/main"}}},
	}
	if m != nil {
		volume := (&storage.Profile{Name: m.profile}).VolumeName()
		pod.Annotations = map[string]string{inject.AnnotationInjected: m.profile, inject.AnnotationProfiles: m.profile}
		pod.Spec.Volumes = []corev1.Volume{{Name: volume, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: m.claim},
		}}}
		pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: volume, MountPath: "/" + m.profile}}
	}
	for _, c := range change {
		c(pod)
	}
	w.make(pod)
	return pod
}

// on puts a pod on a node without the scheduler.
func on(node string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Spec.NodeName = node } }

func withProfile(name string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Annotations = map[string]string{inject.AnnotationProfiles: name}
	}
}

// running does what a kubelet does when containers run.
func (w *world) running(pod *corev1.Pod) {
	w.t.Helper()
	before := pod.DeepCopy()
	pod.Status.Phase = corev1.PodRunning
	require.NoError(w.t, w.Status().Patch(w.t.Context(), pod, client.MergeFrom(before)))
}

func (w *world) deployment(namespace, name string, own, template map[string]string) {
	w.t.Helper()
	set := map[string]string{"app": name}
	maps.Copy(set, template)
	w.make(&appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: own},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: set},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "example.com/main"}}},
			},
		},
	})
}

// claim makes a claim of a profile, as the controller of the installation does.
func (w *world) claim(namespace, name, profile, class, volume string,
	change ...func(*corev1.PersistentVolumeClaim),
) *corev1.PersistentVolumeClaim {
	w.t.Helper()
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{
			storage.LabelProfile: profile, storage.LabelInstallation: installedIn + ".storage",
		}},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: &class, VolumeName: volume,
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			},
		},
	}
	for _, c := range change {
		c(claim)
	}
	w.make(claim)
	return claim
}

// volume makes a volume of the driver that the cluster has, for a claim.
func (w *world) volume(name, class, namespace, claim string,
	change ...func(*corev1.PersistentVolume),
) *corev1.PersistentVolume {
	w.t.Helper()
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{storage.LabelProfile: class}},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:    corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: class,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				CSI: &corev1.CSIPersistentVolumeSource{Driver: "disk.csi.example.com", VolumeHandle: name},
			},
			ClaimRef: &corev1.ObjectReference{Namespace: namespace, Name: claim},
		},
	}
	for _, c := range change {
		c(volume)
	}
	w.make(volume)
	return volume
}

// bound makes a claim of the profile disk with its volume and waits for the binder.
func (w *world) bound(namespace, claim, volume string,
	change ...func(*corev1.PersistentVolume),
) *corev1.PersistentVolumeClaim {
	w.t.Helper()
	w.volume(volume, "disk", namespace, claim, change...)
	c := w.claim(namespace, claim, "disk", "disk", volume)
	until(
		w, c, namespace, claim,
		func(c *corev1.PersistentVolumeClaim) bool { return c.Status.Phase == corev1.ClaimBound },
	)
	return c
}

func (w *world) class(name, provisioner string, mode storagev1.VolumeBindingMode) {
	w.t.Helper()
	w.make(
		&storagev1.StorageClass{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: provisioner, VolumeBindingMode: &mode,
		},
	)
}

// controller runs the real claims controller of the installation until the test ends.
func (w *world) controller() {
	w.t.Helper()
	profiles, _, err := storage.LoadForAdmission([]byte(configuration))
	require.NoError(w.t, err)
	o := claims.Options{
		Config: func() *storage.Config { return profiles }, Installation: installedIn +
			".storage", Selection: selection.ByWebhooks(webhook("").Name),
		PendingAfter: time.Second, Recheck: time.Second,
	}
	m, err := manager.New(suite.RESTConfig(w.t), manager.Options{
		Scheme: kube.Scheme(kube.Groups()...), Cache: claims.CacheOptions(o), Metrics: server.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: new(true)}, // -count runs it again
	})
	require.NoError(w.t, err)
	_, err = claims.Add(m, o)
	require.NoError(w.t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Start(ctx) }()
	w.t.Cleanup(func() {
		stop()
		assert.NoError(w.t, <-done)
	})
}

// admits waits until the API server, which reads its webhooks from a cache, admits a labelled pod or refuses it.
func (w *world) admits(namespace string, wanted bool) {
	w.t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "admitted-", Labels: enabled},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "example.com/main"}}},
	}
	require.Eventually(w.t, func() bool {
		return wanted == (w.Create(w.t.Context(), pod.DeepCopy(), client.DryRunAll) == nil)
	}, eventTimeout, poll, "pods in %s are admitted: %t", namespace, wanted)
}

// webhook is the chart's MutatingWebhookConfiguration, with nothing behind it.
func webhook(policy admissionregistrationv1.FailurePolicyType) *admissionregistrationv1.MutatingWebhookConfiguration {
	none := admissionregistrationv1.SideEffectClassNone
	rules := []admissionregistrationv1.RuleWithOperations{{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
		Rule: admissionregistrationv1.Rule{
			APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"},
		},
	}}
	at := func(path string) admissionregistrationv1.WebhookClientConfig {
		return admissionregistrationv1.WebhookClientConfig{
			Service: &admissionregistrationv1.ServiceReference{Namespace: installedIn, Name: "storage", Path: &path},
		}
	}
	return &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: installedIn + ".storage", Labels: map[string]string{
			"app.kubernetes.io/name": "pipeline-storage", "app.kubernetes.io/instance": "storage",
		}},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: "storage.pipeline-storage.io", AdmissionReviewVersions: []string{"v1"}, SideEffects: &none,
			FailurePolicy: &policy, ClientConfig: at("/inject"), Rules: rules,
			ObjectSelector:    &metav1.LabelSelector{MatchLabels: map[string]string{kinds.Label: kinds.LabelEnabled}},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"storage": "on"}},
		}, {
			Name: "namespace.storage.pipeline-storage.io", AdmissionReviewVersions: []string{"v1"}, SideEffects: &none,
			FailurePolicy: &policy, ClientConfig: at("/inject/namespace"), Rules: rules,
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{
				"storage": "on", inject.LabelAllPods: kinds.LabelEnabled,
			}},
		}},
	}
}

// account makes a ServiceAccount and returns a kubeconfig with its token and nothing else.
func (w *world) account(namespace, name string) string {
	w.t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	w.make(account)
	config, err := suite.ServiceAccountConfig(w.t.Context(), suite.Kubernetes(w.t), suite.Plane(w.t), namespace, name)
	require.NoError(w.t, err)
	file := w.t.TempDir() + "/kubeconfig"
	require.NoError(w.t, suite.WriteKubeconfig(config, file))
	shell(w.t, file, "kubectl config set-context --current --namespace "+namespace).Must(w.t)
	return file
}

func subject(namespace, name string) []rbacv1.Subject {
	return []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}}
}

// kubectl runs the real kubectl as the user of the kubeconfig, and returns what it printed and its exit code.
func kubectl(t *testing.T, kubeconfig string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	result := shell(t, kubeconfig, "kubectl "+strings.Join(args, " "))
	if exited, ok := errors.AsType[*exec.ExitError](result.Err); ok {
		code = exited.ExitCode()
	} else {
		require.NoError(t, result.Err)
	}
	return result.Stdout, result.Stderr, code
}

// shell runs commands of the document, or of the plugin's report, as the user of the kubeconfig.
func shell(t *testing.T, kubeconfig, lines string) suite.Result {
	t.Helper()
	return suite.Shell{
		Programs: map[string]string{
			"kubectl":                  parts.Require(t, "kubectl")["kubectl"],
			"kubectl-pipeline_storage": suite.Program(t, "cmd/kubectl-pipeline_storage"),
		},
		Env: []string{"KUBECONFIG=" + kubeconfig},
	}.Run(t.Context(), t, lines)
}
