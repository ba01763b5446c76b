package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	claim = "pvc-data-pipeline"
	bytes = "4194304"
)

var names atomic.Int64

// unique returns a name that no other pod of the run has.
func unique(prefix string) string { return prefix + "-" + strconv.FormatInt(names.Add(1), 10) }

// using has a pod use profiles other than the default.
func using(profiles string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Annotations = map[string]string{inject.AnnotationProfiles: profiles}
	}
}

// notRoot has a pod run as the user 1000.
func notRoot(p *corev1.Pod) {
	user := int64(1000)
	p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: &user, RunAsGroup: &user}
}

type trained struct {
	From   int      `json:"from"`
	To     int      `json:"to"`
	Broken []string `json:"broken"`
}

func TestJobResumesFromCheckpoint(t *testing.T) {
	inBothModes(t, func(t *testing.T, namespace string) {
		for epoch := range 3 {
			begun := time.Now()
			reported := last[trained](t, runJob(t, namespace, boxPod("train-"+strconv.Itoa(epoch), "train", "/data", bytes)))
			require.Equal(t, trained{From: epoch, To: epoch + 1}, reported)
			if epoch > 0 {
				record(t,
					figure{Disaster: "a Job has ended, another resumes", Bytes: 4 << 20, Seconds: time.Since(begun).Seconds()})
			}
		}
	})
}

// profileCase is a profile, with what it needs.
type profileCase struct {
	profile, directory, claim string
	// namespace is the one that a static volume serves; its directory is on the node.
	namespace, onNode string
}

var profileCases = map[string]profileCase{
	"provisioned":       {profile: "default", directory: "/data", claim: claim},
	"a static local":    {"local", "/local", claim + "-local", "e2e-local", "/opt/e2e-local"},
	"a static hostPath": {"host", "/host", claim + "-host", "e2e-host", "/opt/e2e-host"},
}

// prepareNamespace creates the namespace of a case, and its directory. It removes the remains of an
// earlier run of the test.
func (c profileCase) prepareNamespace(t *testing.T) string {
	t.Helper()
	if c.namespace == "" {
		return newNamespace(t)
	}
	directory := shared.Node.Path(c.onNode)
	require.NoError(t, os.RemoveAll(directory))
	require.NoError(t, os.MkdirAll(directory, 0o755))
	makeNamespace(t, c.namespace)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		removeNamespace(t, c.namespace)
		volume := "pv-data-pipeline-" + c.profile + "." + c.namespace
		err := shared.Client.CoreV1().PersistentVolumes().Delete(ctx, volume, metav1.DeleteOptions{})
		if !apierrors.IsNotFound(err) {
			assert.NoError(t, err)
		}
	})
	return c.namespace
}

func TestDeletedClaimRebindsItsVolume(t *testing.T) {
	inBothModes(t, func(t *testing.T, namespace string) {
		deletedClaimRebinds(t, namespace, "provisioned", profileCases["provisioned"])
	})
	for _, name := range []string{"a static local", "a static hostPath"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := profileCases[name]
			deletedClaimRebinds(t, c.prepareNamespace(t), name, c)
		})
	}
}

func deletedClaimRebinds(t *testing.T, namespace, name string, c profileCase) {
	t.Helper()
	written := []file{writeIn(t, namespace, c.directory, bytes, using(c.profile))}
	before := boundClaim(t, namespace, c.claim)

	survives(t, "the claim of "+name+" volume is deleted by mistake", written,
		readIn(t, namespace, c.directory, using(c.profile)), func() {
			deletePods(t, namespace)
			deleteClaim(t, namespace, c.claim)
		})
	after := boundClaim(t, namespace, c.claim)
	assert.NotEqual(t, before.UID, after.UID)
	assert.Equal(t, before.Spec.VolumeName, after.Spec.VolumeName)
}

// A namespace of the same name may belong to another team: it gets the data only when an
// administrator runs the command in the Event.
func TestRecreatedNamespaceReportsItsVolume(t *testing.T) {
	requireNode(t)
	t.Parallel()
	namespace := unique("e2e-again")
	makeNamespace(t, namespace)
	t.Cleanup(func() { removeNamespace(t, namespace) })
	written := []file{writeIn(t, namespace, "/data", bytes)}
	old := boundClaim(t, namespace, claim).Spec.VolumeName
	awaitNamespaceLabels(t, old, namespace)

	survives(t, "a namespace is deleted, recreated, and an administrator consents", written, readIn(t, namespace, "/data"),
		func() {
			removeNamespace(t, namespace)
			makeNamespace(t, namespace)
			recreated := boxPod("fresh", "verify", "/data")
			phase, log := tryPod(t, namespace, recreated)
			require.Equal(t, corev1.PodFailed, phase, "data of a deleted namespace must not go to another one: %s", log)
			empty := boundClaim(t, namespace, claim).Spec.VolumeName
			require.NotEqual(t, old, empty)

			output := awaitEvent(t, namespace, claim, diagnose.ReasonVolumeReleased)
			_, command, found := strings.Cut(output, "delete the new claim: ")
			require.True(t, found, output)
			shell(t, command)
			deletePods(t, namespace)
			deleteClaim(t, namespace, claim)
			awaitNamespaceLabels(t, empty, namespace)
			shell(t, "kubectl label persistentvolume "+empty+" "+storage.LabelNamespaceUID+"-")
		})
	assert.Equal(t, old, boundClaim(t, namespace, claim).Spec.VolumeName)
}

func TestReadOnlyProfileIsNotWritable(t *testing.T) {
	inBothModes(t, func(t *testing.T, namespace string) {
		startPod(t, namespace, with(boxPod("holder", "sleep"), using("models")))

		// A pod that mounts the claim itself fills the volume.
		filler := withoutStorageLabel(boxPod("filler", "write", "/models", "weights", bytes))
		filler.Spec.Volumes = []corev1.Volume{{Name: "models", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim + "-models"},
		}}}
		filler.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "models", MountPath: "/models"}}
		written := []file{last[file](t, runPod(t, namespace, filler))}

		survives(t, "a pod of a read-only profile is recreated", written, readIn(t, namespace, "/models", using("models")),
			func() {
				deletePods(t, namespace)
			})
		phase, log := tryPod(t, namespace, with(boxPod("vandal", "write", "/models", "weights", "1"), using("models")))
		assert.Equal(t, corev1.PodFailed, phase)
		assert.Contains(t, log, "read-only file system")
	})
}

func TestProfilesHaveSeparateVolumes(t *testing.T) {
	inBothModes(t, func(t *testing.T, namespace string) {
		both := using("default,scratch")
		data := []file{writeIn(t, namespace, "/data", bytes, both)}
		scratch := []file{writeIn(t, namespace, "/scratch", "1048576", both)}
		require.NotEqual(t, boundClaim(t, namespace, claim).Spec.VolumeName,
			boundClaim(t, namespace, claim+"-scratch").Spec.VolumeName)

		survives(t, "a pod of two profiles is recreated", data, readIn(t, namespace, "/data", both), func() {
			deletePods(t, namespace)
		})
		found := last[verified](t, readIn(t, namespace, "/scratch", both)())
		assert.Equal(t, scratch, found.Files)
	})
}

// The kubelet gives a local volume to the fsGroup that the profile sets; a hostPath volume stays
// root's.
// Source: Kubernetes, Configure a Security Context for a Pod.
func TestNonRootProcessWritesWithProfileGroup(t *testing.T) {
	requireNode(t)
	t.Run("on a local volume", func(t *testing.T) {
		t.Parallel()
		c := profileCases["a static local"]
		c.profile, c.directory, c.claim, c.namespace, c.onNode = "group", "/group", claim+"-group", "e2e-group",
			"/opt/e2e-group"
		namespace := c.prepareNamespace(t)
		written := []file{writeIn(t, namespace, c.directory, bytes, using(c.profile), notRoot)}
		survives(t, "a pod of user 1000 is recreated", written, readIn(t, namespace, c.directory, using(c.profile), notRoot),
			func() { deletePods(t, namespace) })

		reported := last[[]owned](t,
			runPod(t, namespace, with(boxPod("stat", "stat", c.directory, written[0].Path), using(c.profile), notRoot)))
		assert.Equal(t, 2000, reported[0].Group)
		assert.Contains(t, reported[0].Mode, "g", "new files get the group of the directory")
		assert.Equal(t, 2000, reported[1].Group)
	})
	t.Run("not on a hostPath volume", func(t *testing.T) {
		t.Parallel()
		c := profileCase{"root", "/root", claim + "-root", "e2e-root", "/opt/e2e-root"}
		namespace := c.prepareNamespace(t)
		phase, log := tryPod(t, namespace, with(boxPod("writer", "write", c.directory, "a", "1"), using(c.profile), notRoot))
		assert.Equal(t, corev1.PodFailed, phase)
		assert.Contains(t, log, "permission denied")

		require.NoError(t, os.Chown(shared.Node.Path(c.onNode), 1000, 1000)) // the command of the warning
		writeIn(t, namespace, c.directory, bytes, using(c.profile), notRoot)
	})
	t.Run("on a volume of the local-path provisioner", func(t *testing.T) {
		t.Parallel()
		namespace := newNamespace(t)
		written := []file{writeIn(t, namespace, "/data", bytes, notRoot)}
		assert.Equal(t, written, last[verified](t, readIn(t, namespace, "/data", notRoot)()).Files)
	})
}

func with(pod *corev1.Pod, change ...func(*corev1.Pod)) *corev1.Pod {
	for _, c := range change {
		c(pod)
	}
	return pod
}

// deletePods deletes the pods of a namespace and waits until none exists.
func deletePods(t *testing.T, namespace string) {
	t.Helper()
	list, err := shared.Client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for i := range list.Items {
		deletePod(t, namespace, list.Items[i].Name)
	}
}

// deleteClaim deletes a claim by mistake: it no longer exists when this returns.
func deleteClaim(t *testing.T, namespace, name string) {
	t.Helper()
	claims := shared.Client.CoreV1().PersistentVolumeClaims(namespace)
	before, err := claims.Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	awaitNamespaceLabels(t, before.Spec.VolumeName, namespace)
	require.NoError(t, claims.Delete(t.Context(), name, metav1.DeleteOptions{}))
	suite.Eventually(t, "the claim "+name+" should go", func(ctx context.Context) error {
		now, err := claims.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) || err == nil && now.UID != before.UID {
			return nil
		}
		return fmt.Errorf("it is there: %w", err)
	})
}

// boundClaim returns a claim once it is bound.
func boundClaim(t *testing.T, namespace, name string) (found *corev1.PersistentVolumeClaim) {
	t.Helper()
	suite.Eventually(t, "the claim "+namespace+"/"+name+" should be bound", func(ctx context.Context) error {
		c, err := shared.Client.CoreV1().PersistentVolumeClaims(namespace).Get(ctx, name, metav1.GetOptions{})
		if err == nil && c.Status.Phase != corev1.ClaimBound {
			err = fmt.Errorf("it is %s", c.Status.Phase)
		}
		found = c
		return err
	})
	return found
}

// awaitNamespaceLabels waits until a volume names the namespace that it serves.
func awaitNamespaceLabels(t *testing.T, volume, namespace string) {
	t.Helper()
	suite.Eventually(t, "the volume "+volume+" should have the labels of its namespace",
		func(ctx context.Context) error {
			v, err := shared.Client.CoreV1().PersistentVolumes().Get(ctx, volume, metav1.GetOptions{})
			if err != nil {
				return err
			}
			object, err := shared.Client.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
			if err == nil && v.Labels[storage.LabelNamespaceUID] != string(object.UID) {
				err = fmt.Errorf("its labels are %v", v.Labels)
			}
			return err
		})
}

func makeNamespace(t *testing.T, name string) {
	t.Helper()
	_, err := shared.Client.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	require.NoError(t, err)
	suite.Eventually(t, "the namespace "+name+" should get its account", func(ctx context.Context) error {
		_, err := shared.Client.CoreV1().ServiceAccounts(name).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

// removeNamespace deletes a namespace and waits until it no longer exists.
func removeNamespace(t *testing.T, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), podLimit)
	defer cancel()
	namespaces := shared.Client.CoreV1().Namespaces()
	require.NoError(t, namespaces.Delete(ctx, name, metav1.DeleteOptions{}))
	for {
		_, err := namespaces.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return
		}
		require.NoError(t, err)
		time.Sleep(100 * time.Millisecond)
	}
}

// awaitEvent waits for an Event about an object and returns its note.
func awaitEvent(t *testing.T, namespace, about, reason string) (output string) {
	t.Helper()
	suite.Eventually(t, "an Event "+reason+" about "+about, func(ctx context.Context) error {
		list, err := shared.Client.EventsV1().Events(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for i := range list.Items {
			if e := &list.Items[i]; e.Regarding.Name == about && e.Reason == reason {
				output = e.Note
				return nil
			}
		}
		return fmt.Errorf("there are %d others", len(list.Items))
	})
	return output
}

// shell runs a command line as an administrator would, with real kubectl.
func shell(t *testing.T, line string) string {
	t.Helper()
	bin := t.TempDir()
	require.NoError(t, os.Symlink(parts.Require(t, "kubectl")["kubectl"], filepath.Join(bin, "kubectl")))
	command := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", line)
	command.Env = []string{
		"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + t.TempDir(),
		"KUBECONFIG=" + shared.Plane.Kubeconfig,
	}
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s: %s", line, out)
	return string(out)
}
