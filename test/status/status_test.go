package status

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/internal/status"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// configuration is what the chart puts into its ConfigMap.
const configuration = `
apiVersion: pipeline-storage.io/v1alpha1
kind: StorageConfig
profiles:
- name: default
- name: noclass
  storageClass: {name: noclass, create: false}
  mount: {path: /noclass}
- name: disk
  claim: {size: 1Gi}
  storageClass: {name: disk, backend: csi, driver: disk.csi.example.com}
  mount: {path: /disk}
- name: fixed
  claim: {name: own, size: 1Gi}
  storageClass: {name: disk, backend: csi, driver: disk.csi.example.com, create: false}
  volume: {name: own, handle: own, namespace: released, create: false}
  mount: {path: /fixed}
- name: twins
  claim: {name: twins, size: 1Gi}
  storageClass: {name: disk, backend: csi, driver: disk.csi.example.com, create: false}
  mount: {path: /twins}
- name: theirs
  mount: {path: /theirs}
  namespaceSelector: {matchLabels: {team: theirs}}
`

var enabled = map[string]string{kinds.Label: kinds.LabelEnabled}

// TestReportsEveryProblem makes each thing that can be wrong happen, runs the plugin once, and checks that it
// reports each with what to do next.
func TestReportsEveryProblem(t *testing.T) {
	w := newWorld(t)
	w.prepare()
	w.addWebhookProblems()
	w.addClaimProblems()
	w.addPicture()
	w.addVolumeProblems()

	got := runStatus(t, suite.Plane(t).Kubeconfig, "--all-namespaces")
	require.Empty(t, got.Unread, "an administrator sees all")
	require.Len(t, got.Installations, 1)
	assert.Equal(t, []string{"default", "noclass", "disk", "fixed", "twins", "theirs"}, got.Installations[0].Profiles)
	assert.Equal(t, 0, *got.Installations[0].Ready)
	assert.Equal(t, []string{status.ReasonWebhookNotReady}, reasons(got.Installations[0].Problems))

	for _, want := range []struct{ namespace, about, reason, message, next string }{
		{
			"before", "Pod/old-", status.ReasonBeforeWebhook, "it is older than the webhook",
			"kubectl rollout restart deployment/old --namespace before",
		},
		{
			"off", "Pod/one", status.ReasonNotSelected, "leaves the namespace off out (storage=on)",
			"label the namespace as the selector wants",
		},
		{"ignored", "Pod/one", status.ReasonNotInjected, "although it would get it today", "recreate the pod"},
		{"ignored", "Pod/windows", string(inject.ReasonWindows), "for Windows", "remove the label"},
		{
			"ignored", "Pod/refused", string(inject.ReasonInvalid),
			`the profile "theirs" is not for the namespace "ignored"`, "change that in the pod template's annotations",
		},
		{
			"all", "Pod/early", status.ReasonNotInjected,
			"the namespace was labeled pipeline-storage.io/all-pods after the pod was created", "recreate the pod",
		},
		{
			"unread", "Namespace/unread", status.ReasonNamespaceLabel, "no webhook or policy selects its pods by it",
			"set optIn.namespaceLabel in the chart's values",
		},
		{"blocked", "ReplicaSet/blocked-", status.ReasonWebhookNotReady, "failed calling webhook", "docs/operations.md"},
		{
			"label", "Deployment/wrong", status.ReasonWrongPlace, "is on the Deployment itself",
			"kubectl patch deployment wrong",
		},
		{"label", "CronJob/wrong", status.ReasonWrongPlace, "is on the CronJob itself", "kubectl patch cronjob wrong"},
		{
			"quota", "ReplicaSet/many-", status.ReasonQuota, "exceeded quota: none",
			"kubectl describe resourcequota --namespace quota",
		},
		{
			"pending", "PersistentVolumeClaim/pvc-data-pipeline", diagnose.ReasonDriverMissing,
			"needs the CSI driver ebs.csi.aws.com", "install the driver",
		},
		{
			"pending", "PersistentVolumeClaim/pvc-data-pipeline-noclass", diagnose.ReasonClassMissing,
			"its StorageClass noclass does not exist", "create it",
		},
		{
			"pending", "PersistentVolumeClaim/gone", diagnose.ReasonClaimMissing,
			"claim gone does not exist in namespace pending", "create it: the profile would create another one",
		},
		{
			"full", "PersistentVolumeClaim/pvc-data-pipeline-disk", diagnose.ReasonClaimMissing, "does not exist",
			"the claims controller creates it while it runs: kubectl logs --namespace storage-system",
		},
		{"deleting", "PersistentVolumeClaim/data", diagnose.ReasonClaimDeleting, "is being deleted", "Delete these pods"},
		{
			"zone", "PersistentVolumeClaim/data", diagnose.ReasonWrongZone,
			"only nodes with " + zone + " in west reach, and the pod one is not scheduled", "let the pod run there",
		},
		{
			"nowhere", "PersistentVolumeClaim/data", diagnose.ReasonWrongZone,
			"only nodes with " + zone + " in moon reach", "add a node there",
		},
		{
			"shared", "PersistentVolumeClaim/data", diagnose.ReasonSharedByNodes, "pods on more than one node use it",
			"use a shared backend",
		},
		{
			"shared", "Pod/two", status.ReasonAttachFailed, "Volume is already used by pod(s) one",
			"delete the pod that has the volume on the other node",
		},
		{
			"released", "PersistentVolumeClaim/own", diagnose.ReasonVolumeReleased, "own is Released",
			"kubectl label persistentvolume own pipeline-storage.io/namespace=released",
		},
		{
			"released", "PersistentVolumeClaim/earlier", diagnose.ReasonVolumeReleased, "earlier is Released",
			"kubectl patch persistentvolume earlier",
		},
		{
			"released", "PersistentVolume/lone", diagnose.ReasonVolumeReleased, "lacks the labels of this namespace",
			"kubectl label persistentvolume lone",
		},
		{
			"released", "PersistentVolumeClaim/twins", diagnose.ReasonVolumesAmbiguous,
			"all have data of deleted claims of the name twins", "kubectl label persistentvolume",
		},
	} {
		t.Run(want.namespace+" "+want.reason, func(t *testing.T) {
			assertProblem(t, got, want.namespace, want.about, want.reason, want.message, want.next)
		})
	}
	t.Run("nothing is reported where all is well", func(t *testing.T) { assertWell(t, got) })
	t.Run("for people", func(t *testing.T) { printed(t) })
	t.Run("rights to get and list suffice", func(t *testing.T) { w.with(t).readsOnly() })
	t.Run("rights in one namespace suffice", func(t *testing.T) { w.with(t).oneNamespace() })
	t.Run("what to do next helps", func(t *testing.T) { w.with(t).next(got) })
	t.Run("a webhook that is ready", func(t *testing.T) { w.with(t).serve() })
	t.Run("the picture of README.md", func(t *testing.T) { w.with(t).pictured() })
	t.Run("a watch", func(t *testing.T) { w.with(t).watches() })
}

func reasons(all []status.Problem) []string {
	var names []string
	for _, p := range all {
		names = append(names, p.Reason)
	}
	return names
}

// runStatus runs the plugin through kubectl and reads its JSON.
func runStatus(t *testing.T, kubeconfig string, args ...string) *status.Status {
	t.Helper()
	out, problems, code := kubectl(
		t, kubeconfig, append([]string{"pipeline-storage", "status", "--output", "json"}, args...)...,
	)
	require.Equal(t, 0, code, "%s%s", out, problems)
	require.Empty(t, problems)
	var s status.Status
	require.NoError(t, json.Unmarshal([]byte(out), &s), out)
	require.Equal(t, status.APIVersion, s.APIVersion)
	require.Equal(t, status.Kind, s.Kind)
	return &s
}

func namespaceOf(s *status.Status, name string) *status.Namespace {
	if i := slices.IndexFunc(s.Namespaces, func(n status.Namespace) bool { return n.Name == name }); i >= 0 {
		return &s.Namespaces[i]
	}
	return nil
}

func assertProblem(t *testing.T, s *status.Status, namespace, about, reason, message, next string) {
	t.Helper()
	n := namespaceOf(s, namespace)
	require.NotNil(t, n, namespace)
	i := slices.IndexFunc(n.Problems, func(p status.Problem) bool {
		return p.Reason == reason && slices.ContainsFunc(
			p.About, func(a string) bool { return strings.HasPrefix(a, about) },
		)
	})
	require.GreaterOrEqual(t, i, 0, "%s of %s in %+v", reason, about, n.Problems)
	assert.Contains(t, n.Problems[i].Message, message)
	assert.Contains(t, n.Problems[i].Next, next)
}

// prepare makes what all situations share, and a pod that is older than the webhook.
func (w *world) prepare() {
	w.t.Helper()
	on := map[string]string{"storage": "on"}
	for _, name := range []string{
		"before", "ignored", "blocked", "label", "pending", "full", "deleting", "zone",
		"nowhere", "shared", "released", "well", "all",
	} {
		w.namespace(name, on)
	}
	w.namespace("off", nil)
	w.namespace("unread", map[string]string{inject.LabelAllPods: kinds.LabelEnabled})
	w.namespace("quota", nil)
	w.namespace(installedIn, nil)
	w.node("east-1", "east")
	w.node("west-1", "west")
	w.make(&storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: "disk.csi.example.com"}},
		&corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: installedIn, Name: "storage", Labels: webhook("").Labels},
			Data:       map[string]string{"config.yaml": configuration},
		})
	w.deployment("before", "old", nil, enabled)
	var old corev1.PodList
	require.Eventually(w.t, func() bool {
		require.NoError(w.t, w.List(w.t.Context(), &old, client.InNamespace("before")))
		return len(old.Items) == 1
	}, eventTimeout, poll)
	time.Sleep(time.Until(old.Items[0].CreationTimestamp.Add(time.Second))) // times have whole seconds
	w.make(webhook(admissionregistrationv1.Ignore))
}

// addWebhookProblems are about the way into a pod.
func (w *world) addWebhookProblems() {
	w.t.Helper()
	w.pod("off", "one", nil)
	w.pod("ignored", "one", nil)
	w.pod("ignored", "refused", nil, withProfile("theirs"))
	w.pod("ignored", "windows", nil, func(p *corev1.Pod) { p.Spec.OS = &corev1.PodOS{Name: corev1.Windows} })

	unlabeled := func(p *corev1.Pod) { p.Labels = nil }
	w.pod("all", "early", nil, unlabeled)
	w.pod("all", "out", nil, func(p *corev1.Pod) { p.Labels = map[string]string{kinds.Label: "disabled"} })
	w.pod("unread", "one", nil, unlabeled)
	w.label("all", inject.LabelAllPods)

	w.deployment("label", "wrong", enabled, nil)
	w.make(&batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Namespace: "label", Name: "wrong", Labels: enabled},
		Spec: batchv1.CronJobSpec{
			Schedule: "0 0 1 1 *",
			JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{
				Spec: corev1.PodSpec{
					RestartPolicy: corev1.RestartPolicyNever,
					Containers:    []corev1.Container{{Name: "main", Image: "example.com/main"}},
				},
			}}},
		},
	})

	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: "quota", Name: "none"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}},
	}
	w.make(quota)
	until(w, quota, "quota", "none", func(q *corev1.ResourceQuota) bool { return len(q.Status.Hard) > 0 })
	w.deployment("quota", "many", nil, enabled)
	w.event("quota", "FailedCreate", "exceeded quota")
}

// addClaimProblems are about claims that wait.
func (w *world) addClaimProblems() {
	w.t.Helper()
	w.class("fast", "ebs.csi.aws.com", storagev1.VolumeBindingWaitForFirstConsumer)
	w.claim("pending", "pvc-data-pipeline", "default", "fast", "")
	w.claim("pending", "pvc-data-pipeline-noclass", "noclass", "noclass", "")
	w.pod("pending", "driver", &mounts{"default", "pvc-data-pipeline"})
	w.pod("pending", "noclass", &mounts{"noclass", "pvc-data-pipeline-noclass"})
	w.pod("pending", "gone", &mounts{"default", "gone"})

	full := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: "full", Name: "none"},
		Spec: corev1.ResourceQuotaSpec{
			Hard: corev1.ResourceList{corev1.ResourcePersistentVolumeClaims: resource.MustParse("0")},
		},
	}
	w.make(full)
	until(w, full, "full", "none", func(q *corev1.ResourceQuota) bool { return len(q.Status.Hard) > 0 })
	w.pod("full", "one", &mounts{"disk", "pvc-data-pipeline-disk"})

	claim := w.bound("deleting", "data", "deleting")
	w.running(w.pod("deleting", "one", &mounts{"disk", "data"}, on("east-1")))
	require.NoError(w.t, w.Delete(w.t.Context(), claim))

	w.bound("well", "data", "well")
	w.running(w.pod("well", "one", &mounts{"disk", "data"}, on("east-1")))
}

// addVolumeProblems are about volumes that exist.
func (w *world) addVolumeProblems() {
	w.t.Helper()
	w.bound("zone", "data", "zone", in("west"))
	w.pod(
		"zone", "one", &mounts{"disk", "data"},
		func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{zone: "east"} },
	)
	w.bound("nowhere", "data", "nowhere", in("moon"))
	w.pod("nowhere", "one", &mounts{"disk", "data"})
	w.event("zone", "FailedScheduling", "node")

	w.bound("shared", "data", "shared")
	w.running(w.pod("shared", "one", &mounts{"disk", "data"}, on("east-1")))
	w.attached("shared")
	w.pod("shared", "two", &mounts{"disk", "data"}, on("west-1"))
	w.event("shared", "FailedAttachVolume", "already used")

	w.release("own", "own")
	w.release("earlier", "earlier")
	w.release("pvc-data-pipeline-disk", "lone")
	w.release("twins", "twin-a", w.labeled("released"))
	w.release("twins", "twin-b", w.labeled("released"))
	w.claim("released", "own", "fixed", "disk", "own")
	w.claim("released", "earlier", "disk", "disk", "earlier", func(c *corev1.PersistentVolumeClaim) {
		c.Labels = map[string]string{storage.LabelProfile: "disk"}
	})
	w.pod("released", "own", &mounts{"fixed", "own"})
	w.pod("released", "again", &mounts{"disk", "pvc-data-pipeline-disk"})
	w.pod("released", "earlier", &mounts{"disk", "earlier"})

	live := webhook(admissionregistrationv1.Fail)
	require.NoError(w.t, w.Patch(w.t.Context(), live, client.Merge))
	w.admits("blocked", false)
	w.deployment("blocked", "blocked", nil, enabled)
	w.event("blocked", "FailedCreate", "failed calling webhook")
}

// in is a volume of a zone.
func in(name string) func(*corev1.PersistentVolume) {
	return func(v *corev1.PersistentVolume) {
		term := corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{
			{Key: zone, Operator: corev1.NodeSelectorOpIn, Values: []string{name}},
		}}
		v.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{
			Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{term}},
		}
	}
}

// labeled is a volume with the labels that the claims controller writes.
func (w *world) labeled(namespace string) func(*corev1.PersistentVolume) {
	w.t.Helper()
	live := &corev1.Namespace{}
	require.NoError(w.t, w.Get(w.t.Context(), client.ObjectKey{Name: namespace}, live))
	return func(v *corev1.PersistentVolume) {
		v.Labels[storage.LabelNamespace], v.Labels[storage.LabelNamespaceUID] = namespace, string(live.UID)
	}
}

// release makes a claim with its volume and deletes the claim, so that the volume is Released.
func (w *world) release(claim, volume string, change ...func(*corev1.PersistentVolume)) {
	w.t.Helper()
	require.NoError(w.t, w.Delete(w.t.Context(), w.bound("released", claim, volume, change...)))
	until(
		w, &corev1.PersistentVolume{}, "", volume,
		func(v *corev1.PersistentVolume) bool { return v.Status.Phase == corev1.VolumeReleased },
	)
}

// attached does what a driver's attacher does with the volume's attachment, which the real controller makes.
func (w *world) attached(volume string) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		var list storagev1.VolumeAttachmentList
		require.NoError(w.t, w.List(w.t.Context(), &list))
		for i := range list.Items {
			a := &list.Items[i]
			if name := a.Spec.Source.PersistentVolumeName; name != nil && *name == volume {
				a.Status.Attached = true
				return w.Status().Update(w.t.Context(), a) == nil
			}
		}
		return false
	}, eventTimeout, poll, "an attachment of the volume %s", volume)
	until(w, &corev1.Node{}, "", "east-1", func(n *corev1.Node) bool {
		return slices.ContainsFunc(
			n.Status.VolumesAttached,
			func(v corev1.AttachedVolume) bool { return strings.HasSuffix(string(v.Name), "^"+volume) },
		)
	})
}

func assertWell(t *testing.T, got *status.Status) {
	t.Helper()
	well := namespaceOf(got, "well")
	require.NotNil(t, well)
	assert.Equal(t, installedIn+".storage", well.Installation)
	assert.Empty(t, well.Problems)
	assert.Equal(t, []status.Pod{{
		Name: "one", Storage: status.StorageMounted, Claims: []string{"data"}, Mounts: []string{"main:/disk"},
		Phase: "Running", Node: "east-1",
	}}, well.Pods)
	assert.Equal(t, []status.Claim{{
		Name: "data", Profile: "disk", Phase: "Bound", Volume: "well", Size: "1Gi", AccessModes: []string{"ReadWriteOnce"},
		StorageClass:  "disk",
		ReclaimPolicy: "Retain", CreatedBy: "controller", Nodes: []string{"east-1"}, Pods: 1,
	}}, well.Claims)
	for _, name := range []string{"kube-system", "default", installedIn} {
		assert.Nil(t, namespaceOf(got, name), "there is nothing to report in %s", name)
	}
}

func printed(t *testing.T) {
	t.Helper()
	out, problems, code := kubectl(t, suite.Plane(t).Kubeconfig, "pipeline-storage", "status", "--namespace", "well")
	assert.Empty(t, problems)
	assert.Equal(t, 0, code)
	assert.Contains(
		t, out,
		"NAMESPACE well\n\n  POD  STORAGE  CLAIM  PHASE    NODE    REASON\n  one  Mounted  data   Running  east-1",
	)
	assert.NotContains(t, out, "\x1b", "no colours where there is no terminal")

	out, _, code = kubectl(
		t, suite.Plane(t).Kubeconfig, "pipeline-storage", "status", "-A", "-o", "wide", "--color=always", "--exit-code",
	)
	assert.Equal(t, 3, code, "something is wrong")
	assert.Contains(t, out, "\x1b[31mNotMounted")
	assert.Contains(t, out, "NEXT:")
	assert.Contains(t, out, "RELEASED VOLUME")

	out, _, code = kubectl(t, suite.Plane(t).Kubeconfig, "pipeline-storage")
	assert.Equal(t, 0, code)
	assert.Contains(t, out, "Usage:\n  kubectl pipeline-storage [command]")
	assert.Contains(t, out, "status      Show pods and claims")

	_, problems, code = kubectl(
		t, suite.Plane(t).Kubeconfig, "pipeline-storage", "status", "--server=https://127.0.0.1:1", "-A",
	)
	assert.Equal(t, 1, code, "a cluster that does not answer is an error")
	assert.Contains(t, problems, "error: list pods: ")
}

// readsOnly runs the plugin with the rights of docs/status.md and no others: the answer is the administrator's.
func (w *world) readsOnly() {
	kubeconfig := w.account(installedIn, "reader")
	role := documentedRole(w.t)
	for _, rule := range role.Rules {
		assert.Subset(w.t, []string{"get", "list"}, rule.Verbs, "it only reads")
	}
	w.make(role, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name}, Subjects: subject(installedIn, "reader"),
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
	})
	require.EventuallyWithT(w.t, func(c *assert.CollectT) { // the authorizer reads roles from a cache
		want := runStatus(w.t, suite.Plane(w.t).Kubeconfig, "--all-namespaces") // again: the scheduler goes on
		got := runStatus(w.t, kubeconfig, "--all-namespaces")
		assert.Empty(c, got.Unread)
		for i := range want.Namespaces { // Events count on, and change their words
			other := namespaceOf(got, want.Namespaces[i].Name)
			if assert.NotNil(c, other) {
				assert.Equal(c, want.Namespaces[i].Pods, other.Pods)
				assert.Equal(c, want.Namespaces[i].Claims, other.Claims)
				assert.Subset(c, reasons(other.Problems), reasons(want.Namespaces[i].Problems))
			}
		}
	}, eventTimeout, poll)
}

// oneNamespace runs the plugin as a user of a namespace, who may read nothing of the cluster.
func (w *world) oneNamespace() {
	t := w.t
	kubeconfig := w.account("pending", "user")
	role := documentedRole(t)
	w.make(&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "pending", Name: "status"}, Rules: role.Rules},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: "pending", Name: "status"}, Subjects: subject("pending", "user"),
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "status"},
		})
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.NotContains(c, strings.Join(runStatus(t, kubeconfig).Unread, "\n"), "no pod is read")
	}, eventTimeout, poll)

	for _, args := range [][]string{nil, {"--all-namespaces"}} {
		got := runStatus(t, kubeconfig, args...)
		unread := strings.Join(got.Unread, "\n")
		for _, what := range []string{
			"mutatingwebhookconfigurations", "persistentvolumes", "storageclasses", "csidrivers",
			"nodes",
		} {
			assert.Contains(t, unread, what+": you may not list them, so ")
		}
		require.Len(t, got.Namespaces, 1)
		n := got.Namespaces[0]
		assert.Equal(t, "pending", n.Name)
		assert.Len(t, n.Pods, 3)
		for _, p := range n.Pods {
			assert.Equal(t, status.StorageMounted, p.Storage, p.Name)
		}
		assertProblem(
			t, got, "pending", "PersistentVolumeClaim/gone", diagnose.ReasonClaimMissing, "does not exist", "create it",
		)
		assert.NotContains(
			t, reasons(n.Problems), diagnose.ReasonClassMissing, "an object that may not be read is not missing",
		)
		assert.NotContains(t, reasons(n.Problems), diagnose.ReasonVolumeMissing)
	}
	assert.Contains(
		t, strings.Join(runStatus(t, kubeconfig, "--all-namespaces").Unread, "\n"),
		"pods of all namespaces: you may not list them, so only the namespace pending is read",
	)
	_, _, code := kubectl(t, kubeconfig, "pipeline-storage", "status", "--exit-code")
	assert.Equal(t, 3, code)
}

// serve makes the webhook's Service, as the chart does, and a pod behind it that is ready. Nothing calls the address of
// that pod, so the webhook takes no pods any more.
func (w *world) serve() {
	silent := webhook(admissionregistrationv1.Ignore)
	silent.Webhooks[0].ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"no-pod": "has-this"}}
	require.NoError(w.t, w.Patch(w.t.Context(), silent, client.Merge))
	w.admits("blocked", true)
	w.make(&corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: installedIn, Name: "storage", Labels: webhook("").Labels},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": "storage"}, Ports: []corev1.ServicePort{{Port: 443}},
		},
	})
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: installedIn, Name: "storage", Labels: map[string]string{"app": "storage"}},
		Spec: corev1.PodSpec{
			NodeName: "east-1", Containers: []corev1.Container{{Name: "main", Image: "example.com/main"}},
		},
	}
	w.make(pod)
	before := pod.DeepCopy()
	pod.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: "192.0.2.1", PodIPs: []corev1.PodIP{{IP: "192.0.2.1"}},
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
	}
	require.NoError(w.t, w.Status().Patch(w.t.Context(), pod, client.MergeFrom(before)))
	require.EventuallyWithT(w.t, func(c *assert.CollectT) {
		got := runStatus(w.t, suite.Plane(w.t).Kubeconfig).Installations
		if assert.Len(c, got, 1) && assert.NotNil(c, got[0].Ready) {
			assert.Equal(c, 1, *got[0].Ready)
			assert.Empty(c, got[0].Problems)
		}
	}, eventTimeout, poll)
}

// next runs the commands of the report, and checks that they help.
func (w *world) next(got *status.Status) {
	t := w.t
	for _, fix := range []struct{ namespace, about, reason string }{
		{"label", "Deployment/wrong", status.ReasonWrongPlace},
		{"label", "CronJob/wrong", status.ReasonWrongPlace},
		{"released", "PersistentVolumeClaim/earlier", diagnose.ReasonVolumeReleased},
		{"released", "PersistentVolumeClaim/own", diagnose.ReasonVolumeReleased},
		{"released", "PersistentVolume/lone", diagnose.ReasonVolumeReleased},
		{"before", "Pod/old-", status.ReasonBeforeWebhook},
	} {
		n := namespaceOf(got, fix.namespace)
		i := slices.IndexFunc(n.Problems, func(p status.Problem) bool {
			return p.Reason == fix.reason && strings.HasPrefix(p.About[0], fix.about)
		})
		require.GreaterOrEqual(t, i, 0, "%+v", fix)
		_, command, found := strings.Cut(n.Problems[i].Next, "kubectl ")
		require.True(t, found, n.Problems[i].Next)
		shell(t, suite.Plane(t).Kubeconfig, "kubectl "+command).Must(t)
	}
	until(
		w, &corev1.PersistentVolumeClaim{}, "released", "earlier",
		func(c *corev1.PersistentVolumeClaim) bool { return c.Status.Phase == corev1.ClaimBound },
	)
	w.controller()
	for claim, volume := range map[string]string{"own": "own", "pvc-data-pipeline-disk": "lone"} {
		until(w, &corev1.PersistentVolumeClaim{}, "released", claim, func(c *corev1.PersistentVolumeClaim) bool {
			return c.Status.Phase == corev1.ClaimBound && c.Spec.VolumeName == volume
		})
	}
	w.event("full", diagnose.ReasonCreateRefused, "exceeded quota: none")
	assertProblem(t, runStatus(t, suite.Plane(t).Kubeconfig, "--namespace", "full"), "full",
		"PersistentVolumeClaim/pvc-data-pipeline-disk",
		status.ReasonQuota, "exceeded quota: none", "kubectl describe resourcequota --namespace full")
	after := runStatus(t, suite.Plane(t).Kubeconfig, "--namespace", "label")
	for _, n := range after.Namespaces {
		assert.NotContains(t, reasons(n.Problems), status.ReasonWrongPlace)
	}
}
