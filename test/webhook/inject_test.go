package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/internal/manifest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// podVolume is the name of the volume in the pods.
const podVolume = "pipeline-storage"

// mounted are the containers of testdata/workloads.yaml that get the storage, and where.
var mounted = map[string][]string{"fetch": {"/data"}, "logs": {"/data"}, "main": {"/data"}}

// podsOf has how many pods the workloads of testdata/workloads.yaml have, where it is not one.
var podsOf = map[string]int{"Deployment": 2, "DaemonSet": 2}

func TestWorkloadsGetStorage(t *testing.T) {
	requireWebhook(t)
	t.Parallel()

	for _, workload := range workloads(t) {
		t.Run(workload.GetKind(), func(t *testing.T) {
			t.Parallel()
			namespace := newNamespace(t, "workload", nil)
			apply(t, namespace, workload)
			for _, pod := range scheduledPods(t, namespace, max(1, podsOf[workload.GetKind()])) {
				assertMounts(t, &pod, claimName, mounted)
				assert.Equal(t, "default", pod.Annotations[inject.AnnotationInjected])
			}
			assertOwnClaim(t, boundClaim(t, namespace, claimName))
		})
	}
}

// assertOwnClaim checks that the namespace has exactly one claim, as the shared installation
// creates it for the default profile.
func assertOwnClaim(t *testing.T, claim *corev1.PersistentVolumeClaim) {
	t.Helper()

	assertRetained(t, claim)
	volume, err := shared.Client.CoreV1().PersistentVolumes().Get(t.Context(), "pv-data-pipeline."+claim.Namespace,
		metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, claim.UID, volume.Spec.ClaimRef.UID)
	assert.Equal(t, corev1.PersistentVolumeReclaimRetain, volume.Spec.PersistentVolumeReclaimPolicy)
	assertRetained(t, volume)
	class, err := shared.Client.StorageV1().StorageClasses().Get(t.Context(), "fast", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, "nfs.csi.k8s.io", class.Provisioner)
	assert.Equal(t, "keep", class.Annotations["helm.sh/resource-policy"])
	assertNamespaceUID(t, volume.Name, claim.Namespace)
}

// assertRetained checks the labels and annotations of an object that this installation creates for
// the default profile and that must not be deleted.
func assertRetained(t *testing.T, object metav1.Object) {
	t.Helper()

	labels := maps.Clone(object.GetLabels())
	maps.DeleteFunc(labels, func(key, _ string) bool { // a volume has these once it is bound, see assertNamespaceUID
		return key == storage.LabelNamespace || key == storage.LabelNamespaceUID
	})
	assert.Equal(t, map[string]string{storage.LabelProfile: "default", storage.LabelInstallation: shared.owner()}, labels)
	assert.Equal(t, "keep", object.GetAnnotations()["helm.sh/resource-policy"])
	assert.Equal(t, "Prune=false,Delete=false", object.GetAnnotations()["argocd.argoproj.io/sync-options"])
	assert.Equal(t, "disabled", object.GetAnnotations()["kustomize.toolkit.fluxcd.io/prune"])
}

// assertNamespaceUID waits until the volume has the UID of the namespace whose data it holds.
func assertNamespaceUID(t *testing.T, volume, namespace string) {
	t.Helper()

	object, err := shared.Client.CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{})
	require.NoError(t, err)
	suite.Eventually(t, "the volume should have the UID of its claim's namespace", func(ctx context.Context) error {
		v, err := shared.Client.CoreV1().PersistentVolumes().Get(ctx, volume, metav1.GetOptions{})
		if err == nil && v.Labels[storage.LabelNamespaceUID] != string(object.UID) {
			err = fmt.Errorf("its labels are %v", v.Labels)
		}
		return err
	})
}

func TestUnlabelledPodIsUnchanged(t *testing.T) {
	requireWebhook(t)
	t.Parallel()

	served := newNamespace(t, "unlabelled", nil)
	pod := func(label string) *unstructured.Unstructured {
		p := workload(t, "Pod").DeepCopy()
		labels := map[string]string{"app": "pod"}
		if label != "" {
			labels[kinds.Label] = label
		}
		p.SetLabels(labels)
		return p
	}
	for name, label := range map[string]string{"no label": "", "another value": "disabled", "another case": "Enabled"} {
		t.Run(name, func(t *testing.T) {
			// The API server calls no webhook in kube-system, so that this is the pod without the
			// product.
			assert.Equal(t, created(t, "kube-system", pod(label)), created(t, served, pod(label)))
		})
	}
	awaitReconciled(t)
	assertNoClaims(t, served)
}

// The label is read when a pod is created. Its volumes cannot change later.
func TestLaterLabelHasNoEffect(t *testing.T) {
	requireWebhook(t)
	t.Parallel()
	namespace := newNamespace(t, "late", nil)
	pod := workload(t, "Pod").DeepCopy()
	pod.SetLabels(nil)
	pods := resourceOf(shared.Dynamic, namespace, pod)
	before, err := pods.Create(t.Context(), pod, metav1.CreateOptions{})
	require.NoError(t, err)
	label := fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q}}}`, kinds.Label, kinds.LabelEnabled)
	after, err := pods.Patch(t.Context(), pod.GetName(), types.MergePatchType, label, metav1.PatchOptions{})
	require.NoError(t, err)
	unstructured.RemoveNestedField(after.Object, "spec", "nodeName") // it may be scheduled meanwhile
	unstructured.RemoveNestedField(before.Object, "spec", "nodeName")
	assert.Equal(t, before.Object["spec"], after.Object["spec"])
	assert.Empty(t, after.GetAnnotations())
	awaitReconciled(t)
	assertNoClaims(t, namespace)
}

// tokenVolume is the random name of the volume with the ServiceAccount's token.
var tokenVolume = regexp.MustCompile(`kube-api-access-[a-z0-9]+`)

// created creates a pod and returns the API server's version of it, without what differs with every
// pod. The pod is removed.
func created(t *testing.T, namespace string, pod *unstructured.Unstructured) string {
	t.Helper()

	pod.SetGenerateName("pod-")
	pod.SetName("")
	pods := resourceOf(shared.Dynamic, namespace, pod)
	made, err := pods.Create(t.Context(), pod, metav1.CreateOptions{})
	require.NoError(t, err)
	now := int64(0)
	require.NoError(t, pods.Delete(t.Context(), made.GetName(), metav1.DeleteOptions{GracePeriodSeconds: &now}))
	for _, field := range []string{"name", "namespace", "uid", "creationTimestamp", "resourceVersion", "managedFields"} {
		unstructured.RemoveNestedField(made.Object, "metadata", field)
	}
	text, err := json.MarshalIndent(made.Object, "", " ")
	require.NoError(t, err)
	return tokenVolume.ReplaceAllString(string(text), "kube-api-access")
}

func TestConflictIsDenied(t *testing.T) {
	requireWebhook(t)
	t.Parallel()

	namespace := newNamespace(t, "conflict", nil)
	scratchAt := func(path string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{
				Name:         "scratch",
				VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
			}}
			p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "scratch", MountPath: path}}
		}
	}
	cases := map[string]struct {
		change func(*corev1.Pod)
		note   string
	}{
		"the path is taken": {
			scratchAt("/data"),
			`container "main": mount path /data is taken by volume "scratch": choose another by mount.path, --mount-path or ` +
				`the pod annotation pipeline-storage.io/mount-path`,
		},
		"the path with a slash at its end is taken": {
			scratchAt("/data/"),
			`container "main": mount path /data is taken by volume "scratch": choose another by mount.path, --mount-path or ` +
				`the pod annotation pipeline-storage.io/mount-path`,
		},
		"the name of the volume is taken": {
			func(p *corev1.Pod) { p.Spec.Volumes = []corev1.Volume{{Name: podVolume}} },
			`the name "pipeline-storage" is taken by a volume that is no claim: rename that volume or the profile`,
		},
		"a profile that does not exist": {
			using("archive"),
			`annotation pipeline-storage.io/profiles: there is no profile "archive", only default, scratch, existing, gpu, disk`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := shared.Client.CoreV1().Pods(namespace).Create(t.Context(), pipeline("train", tc.change),
				metav1.CreateOptions{})
			require.Error(t, err)
			assert.Equal(t, `admission webhook "`+webhookName+`" denied the request: Pod/train: `+tc.note, err.Error())
			assert.True(t, apierrors.IsForbidden(err), "%v", err)
		})
	}
	t.Run("a workload reports it in an Event", func(t *testing.T) {
		set := workload(t, "ReplicaSet").DeepCopy()
		pod := set.Object["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
		pod["volumes"] = []any{map[string]any{"name": "scratch", "emptyDir": map[string]any{}}}
		pod["containers"].([]any)[0].(map[string]any)["volumeMounts"] = []any{map[string]any{
			"name":      "scratch",
			"mountPath": "/data",
		}}
		apply(t, namespace, set)
		assert.Contains(t, eventOf(t, namespace, "ReplicaSet", set.GetName(), "FailedCreate"),
			`container "main": mount path /data is taken by volume "scratch": choose another by mount.path, --mount-path or `+
				`the pod annotation pipeline-storage.io/mount-path`)
	})
	awaitReconciled(t)
	pods, err := shared.Client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	assert.Empty(t, pods.Items)
	assertNoClaims(t, namespace)
}

func TestWarningReachesTheClient(t *testing.T) {
	requireWebhook(t)
	t.Parallel()

	namespace := newNamespace(t, "warning", nil)
	client, received := recordWarnings(t)
	create(t, client, namespace, pipeline("misspelt", func(p *corev1.Pod) {
		p.Annotations = map[string]string{"pipeline-storage.io/mountpath": "/work"}
	}))
	assert.Equal(t, []string{"annotation pipeline-storage.io/mountpath is not known and does nothing"}, received.all())
}

// pipeline is a pod that requests storage, with one container. It is deleted at once, because no kubelet ends it.
func pipeline(name string, changes ...func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{kinds.Label: kinds.LabelEnabled}},
		Spec: corev1.PodSpec{
			Containers:                    []corev1.Container{{Name: "main", Image: "example/pipeline"}},
			TerminationGracePeriodSeconds: new(int64(0)),
		},
	}
	for _, change := range changes {
		change(pod)
	}
	return pod
}

// using makes a pod use the profiles.
func using(profiles string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Annotations = map[string]string{inject.AnnotationProfiles: profiles} }
}

// on makes the scheduler use the node.
func on(node string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{corev1.LabelHostname: node} }
}

func create(t *testing.T, client kubernetes.Interface, namespace string, pod *corev1.Pod) *corev1.Pod {
	t.Helper()

	made, err := client.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{})
	require.NoError(t, err)
	return made
}

// warnings are the API server's warnings to a client.
type warnings struct {
	mutex    sync.Mutex
	messages []string
}

// HandleWarningHeader records a warning.
func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.messages = append(w.messages, text)
}

// all returns the warnings since the last call.
func (w *warnings) all() []string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	messages := w.messages
	w.messages = nil
	return messages
}

// recordWarnings returns a client and the record of its warnings.
func recordWarnings(t *testing.T) (kubernetes.Interface, *warnings) {
	t.Helper()

	received := &warnings{}
	config := suite.RESTConfig(t)
	config.WarningHandler = received
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	return client, received
}

// workloads returns the documents of testdata/workloads.yaml.
func workloads(t *testing.T) []*unstructured.Unstructured {
	t.Helper()

	text, err := os.ReadFile("testdata/workloads.yaml")
	require.NoError(t, err)
	return documents(t, text)
}

// workload returns the one of a kind.
func workload(t *testing.T, kind string) *unstructured.Unstructured {
	t.Helper()

	all := workloads(t)
	i := slices.IndexFunc(all, func(o *unstructured.Unstructured) bool { return o.GetKind() == kind })
	require.GreaterOrEqual(t, i, 0, kind)
	return all[i]
}

func documents(t *testing.T, stream []byte) []*unstructured.Unstructured {
	t.Helper()

	var all []*unstructured.Unstructured
	for _, doc := range manifest.Split(stream) {
		object := &unstructured.Unstructured{}
		require.NoError(t, yaml.Unmarshal(doc.Body, &object.Object))
		all = append(all, object)
	}
	return all
}

// resourceOf returns where an object of a kind of Kubernetes itself belongs.
func resourceOf(client dynamic.Interface, namespace string,
	object *unstructured.Unstructured,
) dynamic.ResourceInterface {
	resource, _ := meta.UnsafeGuessKindToResource(object.GroupVersionKind())
	if kind := object.GetKind(); kind == "StorageClass" || kind == "PersistentVolume" {
		return client.Resource(resource)
	}
	return client.Resource(resource).Namespace(namespace)
}

// apply makes an object, and has a CronJob run once, now.
func apply(t *testing.T, namespace string, object *unstructured.Unstructured) {
	t.Helper()

	resource := resourceOf(shared.Dynamic, namespace, object)
	_, err := resource.Create(t.Context(), object, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
	require.NoError(t, err, "%s %s", object.GetKind(), object.GetName())
	if object.GetKind() == "CronJob" {
		twoYearsAgo := time.Now().AddDate(-2, 0, 0).UTC().Format(time.RFC3339)
		patch := fmt.Sprintf(`{"status":{"lastScheduleTime":%q}}`, twoYearsAgo)
		_, err := resource.Patch(t.Context(), object.GetName(), types.MergePatchType, []byte(patch), metav1.PatchOptions{},
			"status")
		require.NoError(t, err)
	}
}

// scheduledPods returns the pods of the namespace when there are as many as wanted, and all have a node. So
// every claim that they need is bound.
func scheduledPods(t *testing.T, namespace string, wanted int) []corev1.Pod {
	t.Helper()

	var pods *corev1.PodList
	suite.Eventually(t, "the pods should be scheduled", func(ctx context.Context) (err error) {
		if pods, err = shared.Client.CoreV1().Pods(namespace).List(ctx,
			metav1.ListOptions{LabelSelector: "pipeline-storage=enabled"}); err != nil {
			return err
		}
		if len(pods.Items) != wanted {
			return fmt.Errorf("there are %d pods, not %d", len(pods.Items), wanted)
		}
		for _, pod := range pods.Items {
			if pod.Spec.NodeName == "" {
				return fmt.Errorf("the pod %s has no node: %v", pod.Name, pod.Status.Conditions)
			}
		}
		return nil
	})
	return pods.Items
}

// assertMounts checks that the pod has the claim in one volume, and which containers mount it
// where.
func assertMounts(t *testing.T, pod *corev1.Pod, claim string, wanted map[string][]string) {
	t.Helper()

	var volumes []string
	for _, v := range pod.Spec.Volumes {
		if v.PersistentVolumeClaim != nil {
			volumes = append(volumes, v.Name+" "+v.PersistentVolumeClaim.ClaimName)
		}
	}
	assert.Equal(t, []string{podVolume + " " + claim}, volumes, pod.Name)
	assert.Equal(t, wanted, mountsOf(pod), pod.Name)
}

// mountsOf returns by container where the injected volume is mounted.
func mountsOf(pod *corev1.Pod) map[string][]string {
	mounts := map[string][]string{}
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, m := range c.VolumeMounts {
			if m.Name == podVolume {
				mounts[c.Name] = append(mounts[c.Name], m.MountPath)
			}
		}
	}
	return mounts
}
