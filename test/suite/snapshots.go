package suite

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
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

// installing lets one test at a time install CRDs: of two, one would find that they exist already.
var installing sync.Mutex

// InstallSnapshots installs the CRDs of external-snapshotter, as its module has them, into the shared
// control plane, and waits until they are served. It may be called several times, and by parallel tests.
func InstallSnapshots(tb testing.TB) {
	tb.Helper()
	command := exec.CommandContext(tb.Context(), "go", "mod", "download", "-json", snapshotter)
	command.Dir, command.Env = "../../tools/snapshotter", append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	out, err := command.Output()
	var module struct{ Dir string }
	if err = errors.Join(err, json.Unmarshal(out, &module)); err != nil {
		tb.Fatalf("find the module %s: %v", snapshotter, err)
	}
	files, err := filepath.Glob(filepath.Join(module.Dir, "config", "crd", "snapshot.*.yaml"))
	if err != nil || len(files) != 3 {
		tb.Fatalf("the CRDs of %s are %q: %v", snapshotter, files, err)
	}
	installing.Lock()
	defer installing.Unlock()
	if _, err := envtest.InstallCRDs(RESTConfig(tb), envtest.CRDInstallOptions{Paths: files}); err != nil {
		tb.Fatalf("install the CRDs of %s: %v", snapshotter, err)
	}
}
