package e2e

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/test/cluster"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	smallDisk = "/mnt/small"
	// noSpace is the kernel's message.
	noSpace = "no space left on device"
	// diskRate is the load of admissions while a disk is full.
	diskRate = 50
)

// TestFullDisk fills the disk of a volume, of 16 MiB. Earlier files retain their checksums, the
// writer gets an error, and when there is room again, the next pod resumes.
func TestFullDisk(t *testing.T) {
	requireFull(t)
	namespace := newNamespace(t)
	mountSmall(t, smallDisk, "16m")
	createStaticVolume(t, namespace, smallDisk)

	before := writeIn(t, namespace, mountPath, "4194304")
	epoch := last[trained](t, runPod(t, namespace, boxPod("trainer-1", "train", mountPath, "1048576")))
	require.Equal(t, 1, epoch.To)
	startPod(t, namespace, boxPod("recorder-1", "append", mountPath+"/records", "10ms"))
	awaitRecords(t, namespace, "recorder-1", 20)
	reported := last[recorded](t, logs(t, namespace, "recorder-1")).Sequence
	deletePod(t, namespace, "recorder-1")

	phase, output := tryPod(t, namespace, boxPod("glutton", "write", mountPath, "too-much", "33554432"))
	begun := time.Now()
	require.Equal(t, corev1.PodFailed, phase)
	require.Contains(t, output, noSpace)
	require.Zero(t, freeBytes(t, smallDisk), "the disk must be full, or this test shows nothing")
	assert.Equal(t, before, last[verified](t, readIn(t, namespace, mountPath)()).Files[1], "earlier files remain")
	phase, output = tryPod(t, namespace, boxPod("trainer-2", "train", mountPath, "1048576"))
	assert.Equal(t, corev1.PodFailed, phase)
	assert.Contains(t, output, noSpace)
	phase, output = tryPod(t, namespace, boxPod("recorder-2", "append", mountPath+"/records", "0s"))
	assert.Equal(t, corev1.PodFailed, phase)
	assert.Contains(t, output, noSpace)
	records := every[recorded](t, output)
	assert.GreaterOrEqual(t, records[0].Found, reported)
	reported = max(reported, records[len(records)-1].Sequence)

	require.NoError(t, shared.Node.Within(func() error {
		return os.Remove(filepath.Join(smallDisk, "too-much"))
	}))
	// The second epoch was written in part: the pod resumes from the first.
	epoch = last[trained](t, runPod(t, namespace, boxPod("trainer-3", "train", mountPath, "1048576")))
	assert.Equal(t, 1, epoch.From)
	assert.Equal(t, 2, epoch.To)
	startPod(t, namespace, boxPod("recorder-3", "append", mountPath+"/records", "10ms"))
	found := every[recorded](t, awaitLogs(t, namespace, "recorder-3"))[0].Found
	assert.GreaterOrEqual(t, found, reported, "records that were reported as written")
	deletePod(t, namespace, "recorder-3")
	after := writeIn(t, namespace, mountPath, "4194304")
	files := last[verified](t, readIn(t, namespace, mountPath)()).Files
	assert.Contains(t, files, before)
	assert.Contains(t, files, after)
	t.Logf("%d records and %d files were found again", found, len(files))
	record(t, figure{
		Disaster: "the disk of a volume is full", Bytes: before.Bytes + epoch1, Seconds: time.Since(begun).Seconds(),
	})
}

// epoch1 is the size of the checkpoint from before.
const epoch1 = 1 << 20

// TestFullDiskOfNode fills the disk below the webhook's logs, the only files that a replica has on
// a disk, and kills it. It starts again there, and no admission fails after.
func TestFullDiskOfNode(t *testing.T) {
	requireFull(t)
	s := second(t)
	namespace := s.namespace(t)
	s.awaitServing(t, namespace)
	pods, _ := s.podsAndLeader(t.Context())
	require.Len(t, pods, 2)

	wrote := map[int]int64{}
	for i := range pods {
		pid := pidOf(t, &pods[i])
		assert.Empty(t, writableDisks(t, pid), "a replica needs no disk")
		wrote[pid] = writtenBytesOf(t, pid)
		mountSmall(t, "/var/log/pods/"+secondName+"_"+pods[i].Name+"_"+string(pods[i].UID)+"/"+program, "64k")
	}
	assertNoneFailed(t, underLoad(t, namespace, diskRate, func() { time.Sleep(10 * time.Second) }), diskRate)
	for pid, before := range wrote {
		assert.Equal(t, before, writtenBytesOf(t, pid), "admissions write nothing to a disk")
	}

	for i := range pods {
		directory := "/var/log/pods/" + secondName + "_" + pods[i].Name + "_" + string(pods[i].UID) + "/" + program
		fillUp(t, directory)
		begun := time.Now()
		killed, err := kill(&pods[i])
		require.NoError(t, err)
		require.True(t, killed)
		s.awaitRestarts(t, pods[i].Name, 1)
		require.Zero(t, freeBytes(t, directory), "the disk of the logs must be full still")
		t.Logf("%s serves again %s after it was killed, with no room for its log", pods[i].Name,
			time.Since(begun).Round(100*time.Millisecond))
	}
	s.awaitServing(t, namespace)
	assertNoneFailed(t, underLoad(t, namespace, diskRate, func() { time.Sleep(10 * time.Second) }), diskRate)
	_, restarts := s.changes(t)
	assert.Equal(t, len(pods), restarts, "no replica may end of a full disk")
}

// awaitRestarts waits until a replica is ready after this many ends of its process.
func (i *installation) awaitRestarts(t *testing.T, name string, count int32) {
	t.Helper()
	suite.EventuallyWithin(t, podLimit, "the replica should be ready again", func(ctx context.Context) error {
		pod, err := shared.Client.CoreV1().Pods(i.releaseNamespace).Get(ctx, name, metav1.GetOptions{})
		if err == nil &&
			(len(pod.Status.ContainerStatuses) == 0 || pod.Status.ContainerStatuses[0].RestartCount < count || !isReady(pod)) {
			err = fmt.Errorf("it is %s: %s", pod.Status.Phase, why(pod))
		}
		return err
	})
}

// mountSmall mounts a disk of a size in the node, until the test ends.
func mountSmall(t *testing.T, directory, size string) {
	t.Helper()
	require.NoError(t, shared.Node.Within(func() error {
		if err := os.MkdirAll(directory, 0o755); err != nil {
			return err
		}
		return unix.Mount("tmpfs", directory, "tmpfs", 0, "mode=0777,size="+size)
	}))
	t.Cleanup(func() {
		assert.NoError(t, shared.Node.Within(func() error { return unix.Unmount(directory, unix.MNT_DETACH) }))
	})
}

// fillUp fills a disk to the last byte.
func fillUp(t *testing.T, directory string) {
	t.Helper()
	require.NoError(t, shared.Node.Within(func() error {
		err := os.WriteFile(filepath.Join(directory, "ballast"), make([]byte, 1<<20), 0o600)
		if err == nil {
			return fmt.Errorf("%s has room for a megabyte", directory)
		}
		return nil
	}))
	require.Zero(t, freeBytes(t, directory))
}

func freeBytes(t *testing.T, directory string) uint64 {
	t.Helper()
	var stat unix.Statfs_t
	require.NoError(t, shared.Node.Within(func() error { return unix.Statfs(directory, &stat) }))
	return stat.Bavail * uint64(stat.Bsize)
}

// createStaticVolume has the claim of a namespace bound to a directory of the node, as an
// administrator does: by a volume that names it.
func createStaticVolume(t *testing.T, namespace, directory string) {
	t.Helper()
	created(t, namespace, idle("first"))
	var class *string
	suite.Eventually(t, "the claim should be made", func(ctx context.Context) error {
		found, err := shared.Client.CoreV1().PersistentVolumeClaims(namespace).Get(ctx, claim, metav1.GetOptions{})
		if err == nil {
			class = found.Spec.StorageClassName
		}
		return err
	})
	volume, err := shared.Client.CoreV1().PersistentVolumes().Create(t.Context(), &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("64Mi")},
			AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			StorageClassName:              *class,
			ClaimRef: &corev1.ObjectReference{
				Kind: "PersistentVolumeClaim", Namespace: namespace, Name: claim,
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: directory}},
			NodeAffinity:           onNode(cluster.RealNode),
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		assert.NoError(t, shared.Client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, metav1.DeleteOptions{}))
	})
	require.Equal(t, volume.Name, boundClaim(t, namespace, claim).Spec.VolumeName)
}

// onNode is the affinity of a volume that is on one node.
func onNode(name string) *corev1.VolumeNodeAffinity {
	return &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
		MatchExpressions: []corev1.NodeSelectorRequirement{
			{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{name}},
		},
	}}}}
}

// writableDisks are the places of a disk that a process sees and may write to. Its user is not
// root, so the files of the node that the kubelet mounts one by one for root do not count.
func writableDisks(t *testing.T, pid int) (paths []string) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		separator := slices.Index(fields, "-")
		path, options, kind := fields[4], strings.Split(fields[5], ","), fields[separator+1]
		onDisk := !slices.Contains([]string{"proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2", "tmpfs", "devtmpfs"},
			kind)
		forRoot := slices.Contains([]string{"/etc/hosts", "/dev/termination-log"}, path)
		if onDisk && !forRoot && slices.Contains(options, "rw") {
			paths = append(paths, path+" ("+kind+")")
		}
	}
	return paths
}

// writtenBytesOf is how many bytes a process has written to disks.
func writtenBytesOf(t *testing.T, pid int) int64 {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/io", pid))
	require.NoError(t, err)
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if number, ok := strings.CutPrefix(lines.Text(), "write_bytes: "); ok {
			count, err := strconv.ParseInt(number, 10, 64)
			require.NoError(t, err)
			return count
		}
	}
	require.Fail(t, "the kernel does not report what the process wrote")
	return 0
}
