package status

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// aPod is a running pod in ml, with the storage if it is the webhook's work.
func aPod(injected bool, change ...func(*corev1.Pod)) corev1.Pod {
	pod := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ml", Name: "a", UID: "uid-of-pod", Labels: map[string]string{kinds.Label: kinds.LabelEnabled},
			CreationTimestamp: metav1.NewTime(now.Add(-time.Hour)),
		},
		Spec:   corev1.PodSpec{NodeName: "node-1", Containers: []corev1.Container{{Name: "main"}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
	if injected {
		pod.Annotations = map[string]string{inject.AnnotationInjected: storage.DefaultProfile}
		pod.Spec.Volumes = []corev1.Volume{{Name: "pipeline-storage", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "pvc-data-pipeline"},
		}}}
		pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "pipeline-storage", MountPath: "/data"}}
	}
	for _, c := range change {
		c(&pod)
	}
	return pod
}

func waiting(p *corev1.Pod) { p.Spec.NodeName, p.Status.Phase = "", corev1.PodPending }

// aClaim is the bound claim of the controller.
func aClaim(change ...func(*corev1.PersistentVolumeClaim)) corev1.PersistentVolumeClaim {
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("100Gi")}
	claim := corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ml", Name: "pvc-data-pipeline", UID: "uid-of-claim",
			Labels: map[string]string{
				storage.LabelProfile: storage.DefaultProfile, storage.LabelInstallation: "storage-system.storage",
			},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: new("fast"), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			VolumeName: "pv-1",
			Resources:  corev1.VolumeResourceRequirements{Requests: size},
		},
		Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound, Capacity: size},
	}
	for _, c := range change {
		c(&claim)
	}
	return claim
}

func pending(c *corev1.PersistentVolumeClaim) {
	c.Spec.VolumeName, c.Status = "", corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending}
}

// aReleased is a volume that keeps data of a claim of the name that was deleted.
func aReleased(name string, labels map[string]string) corev1.PersistentVolume {
	return corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			ClaimRef: &corev1.ObjectReference{
				Namespace: "ml", Name: "pvc-data-pipeline", UID: "uid-of-a-deleted-claim",
			},
		},
		Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeReleased},
	}
}

var namespaceLabels = map[string]string{storage.LabelNamespace: "ml", storage.LabelNamespaceUID: "uid-of-ml"}

// anEvent is about the pod.
func anEvent(reason, message string) corev1.Event {
	return corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ml"}, Reason: reason, Message: message,
		LastTimestamp:  metav1.NewTime(now.Add(-time.Minute)),
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "a", UID: "uid-of-pod"},
	}
}

// colocate lets the profile keep the pods of its claim on one node.
func colocate(s *Snapshot) {
	config := s.ConfigMaps[0].Data
	config["config.yaml"] = strings.Replace(
		config["config.yaml"], "{name: default}", "{name: default, colocate: true}", 1,
	)
}

// base is a cluster in which all is well, and nothing of this installation but the webhook.
func base(t *testing.T) *Snapshot {
	t.Helper()
	const objects = `apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: w, creationTimestamp: "2026-01-02T10:00:00Z", labels: {app.kubernetes.io/instance: storage}}
webhooks:
- clientConfig: {service: {namespace: storage-system, name: storage}}
  namespaceSelector: {matchExpressions: [{key: team, operator: Exists}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {namespace: storage-system, name: storage, labels: {app.kubernetes.io/instance: storage}}
data:
  config.yaml: |
    apiVersion: pipeline-storage.io/v1alpha1
    kind: StorageConfig
    profiles:
    - {name: default}
    - name: other
      mount: {path: /other}
      namespaceSelector: {matchLabels: {team: other}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {namespace: storage-system, name: storage-1, labels: {kubernetes.io/service-name: storage}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1]}]
---
apiVersion: v1
kind: Namespace
metadata: {name: ml, uid: uid-of-ml, labels: {team: ml}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
provisioner: ebs.csi.aws.com
---
apiVersion: storage.k8s.io/v1
kind: CSIDriver
metadata: {name: ebs.csi.aws.com}
---
apiVersion: v1
kind: Node
metadata: {name: node-1}`
	return snapshot(t, objects)
}

func TestAnalyze(t *testing.T) {
	t.Parallel()

	type result struct {
		storage Storage // of the first pod
		reasons string  // of the problems of the namespace
	}
	for name, row := range map[string]struct {
		change func(*Snapshot)
		want   result
	}{
		"all is well": {
			func(s *Snapshot) {
				s.Pods, s.Claims = []corev1.Pod{aPod(true)}, []corev1.PersistentVolumeClaim{aClaim()}
			},
			result{StorageMounted, ""},
		},
		"the injected annotation proves nothing": {
			func(s *Snapshot) {
				s.Pods = []corev1.Pod{aPod(true, func(p *corev1.Pod) { p.Spec.Containers[0].VolumeMounts = nil })}
				s.Claims = []corev1.PersistentVolumeClaim{aClaim()}
			},
			result{StorageNotMounted, ReasonNotInjected},
		},
		"no injected annotation is needed": {
			func(s *Snapshot) {
				s.Pods = []corev1.Pod{aPod(true, func(p *corev1.Pod) { p.Annotations = nil })}
				s.Claims = []corev1.PersistentVolumeClaim{aClaim()}
			},
			result{StorageMounted, ""},
		},
		"a rendered pod has its release's claim": {
			func(s *Snapshot) {
				s.Pods = []corev1.Pod{aPod(true, func(p *corev1.Pod) {
					p.Annotations, p.Spec.Volumes[0].PersistentVolumeClaim.ClaimName = nil, "pvc-data-pipeline.demo"
				})}
			},
			result{StorageMounted, diagnose.ReasonClaimMissing},
		},
		"two of three containers lack the mount": {
			func(s *Snapshot) {
				s.Pods = []corev1.Pod{aPod(true, func(p *corev1.Pod) {
					p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "b"}, corev1.Container{Name: "c"})
				})}
				s.Claims = []corev1.PersistentVolumeClaim{aClaim()}
			},
			result{StoragePartlyMounted, ReasonPartlyInjected},
		},
		"the pod has the label of another claim": {
			func(s *Snapshot) {
				s.Pods = []corev1.Pod{
					aPod(false, func(p *corev1.Pod) { p.Labels["default.pipeline-storage.io/claim"] = "another" }),
				}
				colocate(s)
			},
			result{StorageNotMounted, string(inject.ReasonConflict)},
		},
		"the namespace is left out": {
			func(s *Snapshot) { s.Pods, s.Namespaces[0].Labels = []corev1.Pod{aPod(false)}, nil },
			result{StorageNotMounted, ReasonNotSelected},
		},
		"the pod is left out": {
			func(s *Snapshot) {
				s.Pods = []corev1.Pod{aPod(false)}
				s.Webhooks[0].Webhooks[0].ObjectSelector = &metav1.LabelSelector{
					MatchLabels:      map[string]string{kinds.Label: kinds.LabelEnabled},
					MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "team", Operator: "In", Values: []string{"ml"}}},
				}
			},
			result{StorageNotMounted, ReasonPodNotSelected},
		},
		"the pod is selected by a label of its own": {
			func(s *Snapshot) {
				s.Pods = []corev1.Pod{aPod(false, func(p *corev1.Pod) { p.Labels["team"] = "ml" })}
				s.Webhooks[0].Webhooks[0].ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"team": "ml"}}
			},
			result{StorageNotMounted, ReasonNotInjected},
		},
		"the profile is for other namespaces": {
			func(s *Snapshot) {
				s.Pods = []corev1.Pod{
					aPod(false, func(p *corev1.Pod) { p.Annotations = map[string]string{inject.AnnotationProfiles: "other"} }),
				}
			},
			result{StorageNotMounted, string(inject.ReasonInvalid)},
		},
		"there is no webhook": {
			func(s *Snapshot) { s.Pods, s.Webhooks, s.ConfigMaps = []corev1.Pod{aPod(false)}, nil, nil },
			result{StorageNotMounted, ReasonWebhookMissing},
		},
		"the webhook is younger": {
			func(s *Snapshot) {
				s.Pods = []corev1.Pod{
					aPod(false, func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(now.Add(-3 * time.Hour)) }),
				}
			},
			result{StorageNotMounted, ReasonBeforeWebhook},
		},
		"the webhook may not be read": {
			func(s *Snapshot) {
				s.Pods, s.Webhooks, s.ConfigMaps, s.Unread = []corev1.Pod{aPod(false)}, nil, nil, map[string]string{webhooks: "x"}
			},
			result{StorageNotMounted, ReasonNotInjected},
		},
		"without a configuration the volume's name counts": {
			func(s *Snapshot) { s.Pods, s.ConfigMaps = []corev1.Pod{aPod(true)}, nil },
			result{StorageMounted, diagnose.ReasonClaimMissing},
		},
		"a container is left out by name": {
			func(s *Snapshot) {
				s.Pods = []corev1.Pod{aPod(false, func(p *corev1.Pod) {
					p.Annotations = map[string]string{inject.AnnotationExcludeContainers: "main"}
				})}
			},
			result{StorageExcluded, ""},
		},
		"a pod that ended without its storage is no problem any more": {
			func(s *Snapshot) {
				s.Pods = []corev1.Pod{aPod(false, func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded })}
			},
			result{StorageNotMounted, ""},
		},
		"the annotated profile no longer exists": {
			func(s *Snapshot) {
				s.Pods = []corev1.Pod{aPod(true, func(p *corev1.Pod) { p.Annotations[inject.AnnotationInjected] = "gone" })}
				s.Claims = []corev1.PersistentVolumeClaim{aClaim()}
			},
			result{StorageMounted, diagnose.ReasonProfileUnknown},
		},
		"a claim that no pod uses may wait": {
			func(s *Snapshot) { s.Claims = []corev1.PersistentVolumeClaim{aClaim(pending)} },
			result{"", ""},
		},
		"a claim waits for its driver": {
			func(s *Snapshot) {
				s.Pods, s.Claims = []corev1.Pod{aPod(true, waiting)}, []corev1.PersistentVolumeClaim{aClaim(pending)}
			},
			result{StorageMounted, diagnose.ReasonNotProvisioned},
		},
		"the driver is missing": {
			func(s *Snapshot) {
				s.Pods, s.Claims = []corev1.Pod{aPod(true, waiting)}, []corev1.PersistentVolumeClaim{aClaim(pending)}
				s.Drivers = []storagev1.CSIDriver{}
			},
			result{StorageMounted, diagnose.ReasonDriverMissing},
		},
		"drivers may not be read": {
			func(s *Snapshot) {
				s.Pods, s.Claims = []corev1.Pod{aPod(true, waiting)}, []corev1.PersistentVolumeClaim{aClaim(pending)}
				s.Drivers, s.Unread = nil, map[string]string{drivers: "x"}
			},
			result{StorageMounted, diagnose.ReasonNotProvisioned},
		},
		"classes may not be read": {
			func(s *Snapshot) {
				s.Pods, s.Claims = []corev1.Pod{aPod(true, waiting)}, []corev1.PersistentVolumeClaim{aClaim(pending)}
				s.Classes, s.Unread = nil, map[string]string{classes: "x"}
			},
			result{StorageMounted, diagnose.ReasonPending},
		},
		"the controller could not make the claim": {
			func(s *Snapshot) {
				s.Pods = []corev1.Pod{aPod(true, waiting)}
				s.Events = []corev1.Event{anEvent(diagnose.ReasonCreateRefused, "the API server refused to create it: denied")}
			},
			result{StorageMounted, diagnose.ReasonCreateRefused},
		},
		"Events about a claim that is bound now are over": {
			func(s *Snapshot) {
				s.Pods, s.Claims = []corev1.Pod{aPod(true)}, []corev1.PersistentVolumeClaim{aClaim()}
				s.Events = []corev1.Event{anEvent(diagnose.ReasonCreateRefused, "the API server refused to create it: denied")}
			},
			result{StorageMounted, ""},
		},
		"a mount failed before the pod ran": {
			func(s *Snapshot) {
				s.Pods, s.Claims = []corev1.Pod{aPod(true)}, []corev1.PersistentVolumeClaim{aClaim()}
				s.Events = []corev1.Event{anEvent("FailedMount", "no")}
			},
			result{StorageMounted, ""},
		},
		"a volume of this namespace comes back by itself": {
			func(s *Snapshot) { s.Volumes = []corev1.PersistentVolume{aReleased("v", namespaceLabels)} },
			result{"", ""},
		},
		"a volume of an earlier namespace needs consent": {
			func(s *Snapshot) {
				s.Volumes = []corev1.PersistentVolume{
					aReleased("v", map[string]string{storage.LabelNamespace: "ml", storage.LabelNamespaceUID: "other"}),
				}
			},
			result{"", diagnose.ReasonVolumeReleased},
		},
		"two volumes of this namespace are one too many": {
			func(s *Snapshot) {
				s.Volumes = []corev1.PersistentVolume{aReleased("v", namespaceLabels), aReleased("w", namespaceLabels)}
			},
			result{"", diagnose.ReasonVolumesAmbiguous},
		},
		"a claim that names a volume of this namespace gets it": {
			func(s *Snapshot) {
				s.Pods = []corev1.Pod{aPod(true, waiting)}
				s.Claims = []corev1.PersistentVolumeClaim{
					aClaim(pending, func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "v" }),
				}
				s.Volumes = []corev1.PersistentVolume{aReleased("v", namespaceLabels)}
			},
			result{StorageMounted, diagnose.ReasonVolumeReleased},
		},
		"the namespace may not be read": {
			func(s *Snapshot) {
				s.Namespaces, s.Unread = nil, map[string]string{namespaces: "x"}
				s.Volumes = []corev1.PersistentVolume{aReleased("v", map[string]string{storage.LabelNamespace: "ml"})}
			},
			result{"", ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := base(t)
			row.change(s)
			got := result{}
			status := Analyze(s)
			require.LessOrEqual(t, len(status.Namespaces), 1)
			for _, n := range status.Namespaces {
				for _, p := range n.Pods {
					got.storage = p.Storage
				}
				var names []string
				for _, p := range n.Problems {
					names = append(names, p.Reason)
					assert.NotEmpty(t, p.Next, "%+v", p)
					assert.NotEmpty(t, p.About, "%+v", p)
					assert.NotEmpty(t, p.Message, "%+v", p)
				}
				got.reasons = strings.Join(names, " ")
			}
			assert.Equal(t, row.want, got)
		})
	}
}

func TestInstallations(t *testing.T) {
	t.Parallel()

	for name, row := range map[string]struct {
		change func(*Snapshot)
		want   string
	}{
		"well":               {func(*Snapshot) {}, ""},
		"no address answers": {func(s *Snapshot) { s.Endpoints = nil }, ReasonWebhookNotReady},
		"not to be read":     {func(s *Snapshot) { s.Endpoints, s.Unread = nil, map[string]string{endpoints: "x"} }, ""},
		"another Service": {
			func(s *Snapshot) { s.Endpoints[0].Labels = map[string]string{"kubernetes.io/service-name": "x"} },
			ReasonWebhookNotReady,
		},
		"a broken configuration": {
			func(s *Snapshot) { s.ConfigMaps[0].Data["config.yaml"] = "profiles: 1" }, ReasonConfigUnusable,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := base(t)
			row.change(s)
			var names []string
			for _, p := range Analyze(s).Installations[0].Problems {
				names = append(names, p.Reason)
			}
			assert.Equal(t, row.want, strings.Join(names, " "))
		})
	}
}

func TestAVolumeThatTheControllerRebindsNeedsNoConsent(t *testing.T) {
	t.Parallel()

	s := base(t)
	s.Pods = []corev1.Pod{aPod(true, waiting)}
	s.Claims = []corev1.PersistentVolumeClaim{
		aClaim(pending, func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "v" }),
	}
	s.Volumes = []corev1.PersistentVolume{aReleased("v", namespaceLabels)}
	problems := Analyze(s).Namespaces[0].Problems
	assert.Equal(t, "the claims controller re-binds it while it runs: kubectl logs --namespace storage-system "+
		"--selector app.kubernetes.io/name=pipeline-storage shows why it has not",
		problems[0].Next)

	s.Volumes[0].Labels = nil
	assert.Contains(t, Analyze(s).Namespaces[0].Problems[0].Next, "kubectl label persistentvolume v ")
}

// TestReasonsAreTheirOwn looks at the table of reasons.
func TestReasonsAreTheirOwn(t *testing.T) {
	t.Parallel()

	seen := map[string]bool{}
	for _, r := range Reasons {
		assert.False(t, seen[r.Name], "%s is there twice", r.Name)
		seen[r.Name] = true
		assert.NotEmpty(t, r.Means)
		assert.NotEmpty(t, r.Next)
	}
	for _, reason := range controllerReasons {
		assert.True(t, seen[reason], "%s is missing", reason)
	}
}

// BenchmarkAnalyze is a cluster of 1,000 namespaces with 10 pods and a claim each.
func BenchmarkAnalyze(b *testing.B) {
	s := &Snapshot{Now: now, Unread: map[string]string{}}
	for i := range 1000 {
		namespace := fmt.Sprintf("ml-%d", i)
		s.Namespaces = append(s.Namespaces, metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
		claim := aClaim()
		claim.Namespace, claim.Spec.VolumeName = namespace, "pv-"+namespace
		s.Claims = append(s.Claims, claim)
		volume := aReleased("pv-"+namespace, nil)
		volume.Spec.ClaimRef.Namespace, volume.Status.Phase = namespace, corev1.VolumeBound
		s.Volumes = append(s.Volumes, volume)
		for j := range 10 {
			pod := aPod(j%2 == 0)
			pod.Namespace, pod.Name = namespace, fmt.Sprintf("pod-%d", j)
			s.Pods = append(s.Pods, pod)
		}
	}
	for b.Loop() {
		Analyze(s)
	}
}

// TestNamesEveryContainerWithoutMount holds the sentence about a pod that has its storage in one of three containers.
func TestNamesEveryContainerWithoutMount(t *testing.T) {
	t.Parallel()

	s := base(t)
	s.Pods = []corev1.Pod{aPod(true, func(p *corev1.Pod) {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "b"}, corev1.Container{Name: "c"})
	})}
	s.Claims = []corev1.PersistentVolumeClaim{aClaim()}
	problems := Analyze(s).Namespaces[0].Problems
	require.Len(t, problems, 1)
	assert.Contains(t, problems[0].Message, "b, c")
}
