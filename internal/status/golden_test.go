package status

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/yaml"
)

// at is when the snapshots of the tests were taken.
var now = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// TestGolden prints testdata/NAME.in.yaml, the objects of a cluster, as NAME.out.txt, NAME.wide.txt and NAME.out.json.
func TestGolden(t *testing.T) {
	t.Parallel()

	files, err := filepath.Glob("testdata/*.in.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		name := strings.TrimSuffix(file, ".in.yaml")
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			s := Analyze(snapshot(t, string(text)))
			var out, wide, colored, asJSON bytes.Buffer
			require.NoError(t, Print(&out, s, Style{}))
			require.NoError(t, Print(&wide, s, Style{Wide: true}))
			require.NoError(t, Print(&colored, s, Style{Wide: true, Color: true}))
			require.NoError(t, JSON(&asJSON, s))
			compare(t, name+".out.txt", out.String())
			compare(t, name+".wide.txt", wide.String())
			compare(t, name+".out.json", asJSON.String())
			assert.Equal(t, wide.String(), uncolored(colored.String()), "colors move no column")
		})
	}
}

func compare(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), got, "%s: write it by go test ./internal/status -run Golden -update", file)
}

func uncolored(text string) string {
	return strings.NewReplacer(plain, "", green, "", yellow, "", red, "", reset, "").Replace(text)
}

// snapshot is what would be read of a cluster with these objects. Their namespaces are there even
// if none is among them.
func snapshot(t *testing.T, documents string) *Snapshot {
	t.Helper()

	s := &Snapshot{Now: now, Unread: map[string]string{}}
	decoder := serializer.NewCodecFactory(Scheme()).UniversalDeserializer()
	for document := range strings.SplitSeq(documents, "\n---\n") {
		if strings.Contains(document, "\nkind: VolumeSnapshot\n") {
			snapshot := unstructured.Unstructured{}
			require.NoError(t, yaml.Unmarshal([]byte(document), &snapshot.Object), document)
			s.Snapshots = append(s.Snapshots, snapshot)
			continue
		}
		object, _, err := decoder.Decode([]byte(document), nil, nil)
		require.NoError(t, err, document)
		switch o := object.(type) {
		case *admissionregistrationv1.MutatingWebhookConfiguration:
			s.Webhooks = append(s.Webhooks, *o)
		case *admissionregistrationv1.MutatingAdmissionPolicy:
			s.Policies.Mutating = append(s.Policies.Mutating, *o)
		case *admissionregistrationv1.MutatingAdmissionPolicyBinding:
			s.Policies.MutatingBindings = append(s.Policies.MutatingBindings, *o)
		case *admissionregistrationv1.ValidatingAdmissionPolicy:
			s.Policies.Validating = append(s.Policies.Validating, *o)
		case *admissionregistrationv1.ValidatingAdmissionPolicyBinding:
			s.Policies.ValidatingBindings = append(s.Policies.ValidatingBindings, *o)
		case *discoveryv1.EndpointSlice:
			s.Endpoints = append(s.Endpoints, *o)
		case *corev1.ConfigMap:
			s.ConfigMaps = append(s.ConfigMaps, *o)
		case *corev1.Namespace:
			s.Namespaces = append(s.Namespaces, metav1.PartialObjectMetadata{ObjectMeta: o.ObjectMeta})
		case *corev1.Node:
			s.Nodes = append(s.Nodes, metav1.PartialObjectMetadata{ObjectMeta: o.ObjectMeta})
		case *corev1.Pod:
			s.Pods = append(s.Pods, *o)
		case *corev1.PersistentVolumeClaim:
			s.Claims = append(s.Claims, *o)
		case *corev1.PersistentVolume:
			s.Volumes = append(s.Volumes, *o)
		case *storagev1.StorageClass:
			s.Classes = append(s.Classes, *o)
		case *storagev1.CSIDriver:
			s.Drivers = append(s.Drivers, *o)
		case *corev1.Event:
			s.Events = append(s.Events, *o)
		case *appsv1.Deployment:
			s.Workloads = append(s.Workloads, Workload{"Deployment", o.ObjectMeta, o.Spec.Template.Labels, true})
		case *appsv1.ReplicaSet:
			s.Workloads = append(s.Workloads, Workload{"ReplicaSet", o.ObjectMeta, o.Spec.Template.Labels, true})
		default:
			require.Fail(t, "no place for it in a snapshot", "%T", object)
		}
	}
	return s
}
