package suite

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// snapshotter is the module with the CRDs of snapshots.
const snapshotter = "github.com/kubernetes-csi/external-snapshotter/client/v8"

// Snapshots are the VolumeSnapshots of the CRDs that [InstallSnapshots] installs, and SnapshotClasses
// their classes.
var (
	Snapshots = schema.GroupVersionResource{
		Group: "snapshot.storage.k8s.io", Version: "v1", Resource: "volumesnapshots",
	}
	SnapshotClasses = Snapshots.GroupVersion().WithResource("volumesnapshotclasses")
)

// InstallSnapshots installs the CRDs of external-snapshotter, as its module has them, into the shared
// control plane, and waits until they are served. It may be called several times.
func InstallSnapshots(tb testing.TB) {
	tb.Helper()
	client, ctx := Dynamic(tb), tb.Context()
	command := exec.CommandContext(ctx, "go", "mod", "download", "-json", snapshotter)
	command.Dir, command.Env = "../../tools/snapshotter", append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	out, err := command.Output()
	if err != nil {
		tb.Fatalf("find the module %s: %v", snapshotter, err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		tb.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(module.Dir, "config", "crd", "snapshot.*.yaml"))
	if err != nil || len(files) != 3 {
		tb.Fatalf("the CRDs of %s are %q: %v", snapshotter, files, err)
	}
	crds := client.Resource(
		schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"},
	)
	for _, file := range files {
		for _, crd := range objectsOf(tb, file) {
			if _, err := crds.Create(ctx, crd, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
				tb.Fatal(err)
			}
		}
	}
	for deadline := time.Now().Add(eventualTimeout); ; time.Sleep(eventualPoll) {
		_, classes := client.Resource(SnapshotClasses).List(ctx, metav1.ListOptions{})
		_, snapshots := client.Resource(Snapshots).List(ctx, metav1.ListOptions{})
		if classes == nil && snapshots == nil {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("snapshots are not served: %v, %v", classes, snapshots)
		}
	}
}

// objectsOf reads the objects of a YAML file.
func objectsOf(tb testing.TB, file string) []*unstructured.Unstructured {
	tb.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	var objects []*unstructured.Unstructured
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), object); err != nil {
			tb.Fatalf("%s: %v", file, err)
		}
		objects = append(objects, object)
	}
	return objects
}
