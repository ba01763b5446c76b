package e2e

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/process"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	// atOnce is how many requests the test makes at a time.
	atOnce = 16
	// deletedAtOnce is how many claims are deleted together.
	deletedAtOnce = 100
	manyLimit     = 10 * time.Minute
	// evidence is a file in each volume, with content that only that volume has.
	evidence      = "evidence"
	evidenceBytes = 4096
)

var manyNamespaces = flag.Int("namespaces", 1000, "how many namespaces TestServesManyNamespaces makes")

// TestServesManyNamespaces creates a labelled pod in each of a thousand new namespaces, as fast as
// the machine can. Each gets its claim and its volume. Then a hundred claims are deleted by mistake
// at once, and each recreated claim finds its volume.
func TestServesManyNamespaces(t *testing.T) {
	requireFull(t)
	createHostPathClass(t)
	s := second(t)
	m := &many{
		t: t, client: loadClient(t), prefix: unique("many"), uids: map[string]types.UID{},
		volumes: map[string]corev1.PersistentVolume{},
	}
	stop := m.watchMemory(s)

	begun := time.Now()
	m.makeNamespaces()
	t.Logf("%d namespaces made in %s", *manyNamespaces, time.Since(begun).Round(time.Second))
	begun = time.Now()
	m.createPods()
	t.Logf("a labelled pod admitted in each, in %s", time.Since(begun).Round(time.Second))
	m.awaitBound(nil)
	t.Logf("the last claim was bound %s after the first pod", time.Since(begun).Round(time.Second))
	m.awaitNamespaceLabels()
	t.Logf("the last volume was labelled %s after the first pod", time.Since(begun).Round(time.Second))
	sums := m.writeEvidence()

	begun = time.Now()
	old := m.deleteClaims()
	m.awaitBound(old)
	t.Logf("%d claims deleted by mistake; the last that was recreated had its volume after %s", len(old),
		time.Since(begun).Round(100*time.Millisecond))
	m.checkEvidence(sums)

	most := stop()
	requests := s.assertNothingDeleted(t)
	t.Logf("memory of the replica that used most: %d MiB of its control group with the pages of files, %d MiB resident "+
		"in its process",
		most.group>>20, most.resident>>20)
	t.Logf("%d requests of the webhook to the API server: %v", sum(requests), requests)
	_, restarts := s.changes(t)
	assert.Zero(t, restarts, "no replica may end")
	record(t,
		figure{
			Disaster: fmt.Sprintf("%d of %d claims deleted by mistake at once", len(old), *manyNamespaces),
			Bytes:    int64(len(sums)) * evidenceBytes, Seconds: time.Since(begun).Seconds(),
		})
}

// many holds the state of the namespaces. They are the keys of the maps.
type many struct {
	t       *testing.T
	client  kubernetes.Interface
	prefix  string
	uids    map[string]types.UID
	volumes map[string]corev1.PersistentVolume
}

// createHostPathClass creates the class of the second installation, whose directories
// kube-controller-manager makes for every claim at once.
func createHostPathClass(t *testing.T) {
	t.Helper()
	retain, immediate := corev1.PersistentVolumeReclaimRetain, storagev1.VolumeBindingImmediate
	classes := shared.Client.StorageV1().StorageClasses()
	_, err := classes.Create(t.Context(), &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: "directories"}, Provisioner: "kubernetes.io/host-path", ReclaimPolicy: &retain,
		VolumeBindingMode: &immediate,
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, classes.Delete(context.WithoutCancel(t.Context()), "directories", metav1.DeleteOptions{}))
	})
}

// atOnceFor calls do for many, some at a time, and returns all errors.
func atOnceFor(count int, do func(i int) error) error {
	var (
		all    sync.WaitGroup
		free   = make(chan struct{}, atOnce)
		failed = make([]error, count)
	)
	for i := range count {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			failed[i] = do(i)
		})
	}
	all.Wait()
	return errors.Join(failed...)
}

func (m *many) name(i int) string { return fmt.Sprintf("%s-%04d", m.prefix, i) }

// makeNamespaces creates them, and deletes their content when the test ends, so that no later test
// is slower for it.
func (m *many) makeNamespaces() {
	t := m.t
	t.Helper()
	t.Cleanup(m.remove)
	var mutex sync.Mutex
	require.NoError(t, atOnceFor(*manyNamespaces, func(i int) error {
		made, err := m.client.CoreV1().Namespaces().Create(t.Context(),
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: m.name(i), Labels: secondLabels()}}, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		mutex.Lock()
		defer mutex.Unlock()
		m.uids[made.Name] = made.UID
		return nil
	}))
}

// createPods creates a pod in each, with retries where the account of the namespace does not exist
// yet, as a controller would. The webhook must refuse none.
func (m *many) createPods() {
	t := m.t
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), manyLimit)
	defer cancel()
	require.NoError(t, atOnceFor(*manyNamespaces, func(i int) error {
		return retry(ctx, "create a pod in "+m.name(i), func(ctx context.Context) error {
			made, err := m.client.CoreV1().Pods(m.name(i)).Create(ctx, idle("first"), metav1.CreateOptions{})
			if err != nil {
				assert.Contains(t, err.Error(), "serviceaccount", "only the account may be missing")
				return err
			}
			return hasStorage(made)
		})
	}))
}

// awaitBound waits until every namespace has a bound claim that is not the old one.
func (m *many) awaitBound(old map[string]types.UID) {
	t := m.t
	t.Helper()
	suite.EventuallyWithin(t, manyLimit, "every claim should be bound", func(ctx context.Context) error {
		list, err := m.client.CoreV1().PersistentVolumeClaims("").List(ctx,
			metav1.ListOptions{LabelSelector: storage.LabelInstallation})
		if err != nil {
			return err
		}
		bound := 0
		for i := range list.Items {
			c := &list.Items[i]
			if m.uids[c.Namespace] != "" && c.Status.Phase == corev1.ClaimBound && c.UID != old[c.Namespace] &&
				c.DeletionTimestamp == nil {
				bound++
			}
		}
		if bound < *manyNamespaces {
			return fmt.Errorf("%d of %d are", bound, *manyNamespaces)
		}
		return nil
	})
}

// awaitNamespaceLabels waits until every volume names the namespace that it serves.
func (m *many) awaitNamespaceLabels() {
	t := m.t
	t.Helper()
	suite.EventuallyWithin(t, manyLimit, "every volume should be labelled", func(ctx context.Context) error {
		list, err := m.client.CoreV1().PersistentVolumes().List(ctx,
			metav1.ListOptions{LabelSelector: storage.LabelNamespaceUID})
		if err != nil {
			return err
		}
		for i := range list.Items {
			v := list.Items[i]
			if uid := m.uids[v.Spec.ClaimRef.Namespace]; uid != "" && v.Labels[storage.LabelNamespaceUID] == string(uid) {
				m.volumes[v.Spec.ClaimRef.Namespace] = v
			}
		}
		if len(m.volumes) < *manyNamespaces {
			return fmt.Errorf("%d of %d are", len(m.volumes), *manyNamespaces)
		}
		return nil
	})
}

// writeEvidence writes random bytes into each volume and returns their checksums.
func (m *many) writeEvidence() map[string][sha256.Size]byte {
	m.t.Helper()
	sums := map[string][sha256.Size]byte{}
	for namespace := range m.volumes {
		content := make([]byte, evidenceBytes)
		_, _ = rand.Read(content) // it never fails
		volume := m.volumes[namespace]
		require.NoError(m.t, os.WriteFile(filepath.Join(volume.Spec.HostPath.Path, evidence), content, 0o600))
		sums[namespace] = sha256.Sum256(content)
	}
	return sums
}

// deleteClaims deletes some of the claims, all at once, and returns their UIDs.
func (m *many) deleteClaims() map[string]types.UID {
	t := m.t
	t.Helper()
	old := map[string]types.UID{}
	var mutex sync.Mutex
	require.NoError(t, atOnceFor(min(deletedAtOnce, *manyNamespaces), func(i int) error {
		claims := m.client.CoreV1().PersistentVolumeClaims(m.name(i))
		found, err := claims.Get(t.Context(), claim, metav1.GetOptions{})
		if err != nil {
			return err
		}
		mutex.Lock()
		old[m.name(i)] = found.UID
		mutex.Unlock()
		return claims.Delete(t.Context(), claim, metav1.DeleteOptions{})
	}))
	return old
}

// checkEvidence reads what is now in the volume of every claim.
func (m *many) checkEvidence(sums map[string][sha256.Size]byte) {
	t := m.t
	t.Helper()
	require.Len(t, sums, *manyNamespaces)
	list, err := m.client.CoreV1().PersistentVolumeClaims("").List(t.Context(),
		metav1.ListOptions{LabelSelector: storage.LabelInstallation})
	require.NoError(t, err)
	checked := 0
	for i := range list.Items {
		namespace := list.Items[i].Namespace
		if m.uids[namespace] == "" {
			continue
		}
		volume, err := m.client.CoreV1().PersistentVolumes().Get(t.Context(), list.Items[i].Spec.VolumeName,
			metav1.GetOptions{})
		require.NoError(t, err)
		content, err := os.ReadFile(filepath.Join(volume.Spec.HostPath.Path, evidence))
		require.NoError(t, err)
		require.Equal(t, sums[namespace], sha256.Sum256(content), "%s has another volume than before", namespace)
		checked++
	}
	assert.Equal(t, *manyNamespaces, checked)
}

// usage is memory, in bytes.
type usage struct{ group, resident int64 }

// watchMemory samples the memory of the replicas, and returns a function that returns the most that
// one has used.
func (m *many) watchMemory(s *installation) (stop func() usage) {
	t := m.t
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var (
		most usage
		done = make(chan struct{})
	)
	pods, _ := s.podsAndLeader(ctx)
	go func() {
		defer close(done)
		for pause(ctx, time.Second) {
			for i := range pods {
				if used, err := shared.Node.Memory(pods[i].UID); err == nil {
					most.group = max(most.group, used)
				}
				processes, _ := shared.Node.Processes(pods[i].UID)
				for _, p := range processes {
					if used, err := process.UsageOf(p.PID); err == nil {
						most.resident = max(most.resident, used.Resident)
					}
				}
			}
		}
	}()
	return func() usage {
		cancel()
		<-done
		assert.NotZero(t, most.resident)
		return most
	}
}

// remove deletes the pods, then their claims, and then the volumes, as an administrator. The empty
// namespaces stay until the cluster ends: the namespace controller takes more than five minutes for
// a thousand.
func (m *many) remove() {
	t := m.t
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), manyLimit)
	defer cancel()
	now := int64(0)
	core, all := m.client.CoreV1(), metav1.ListOptions{}
	assert.NoError(t, atOnceFor(*manyNamespaces, func(i int) error {
		return core.Pods(m.name(i)).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &now}, all)
	}))
	assert.NoError(t, atOnceFor(*manyNamespaces, func(i int) error {
		return core.PersistentVolumeClaims(m.name(i)).DeleteCollection(ctx, metav1.DeleteOptions{}, all)
	}))
	list, err := core.PersistentVolumes().List(ctx, all)
	require.NoError(t, err)
	assert.NoError(t, atOnceFor(len(list.Items), func(i int) error {
		v := &list.Items[i]
		if v.Spec.ClaimRef == nil || m.uids[v.Spec.ClaimRef.Namespace] == "" {
			return nil
		}
		return ignoreMissing(core.PersistentVolumes().Delete(ctx, v.Name, metav1.DeleteOptions{}))
	}))
}

func ignoreMissing(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
