package controllers

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/pipeline-storage/pipeline-storage/internal/claims"
	"github.com/pipeline-storage/pipeline-storage/internal/claimtest"
	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

func TestReportsMissingClaimThatItDoesNotCreate(t *testing.T) {
	f := newFixture(t, `{name: unmanaged, claim: {name: unmanaged, create: false}}`)
	namespace := f.namespace()
	f.pod(namespace, "one", "unmanaged")
	r := f.run()
	profile := f.current.Load().Profile("unmanaged")

	assert.Equal(t, "claim unmanaged does not exist in namespace "+namespace+": create it or set claim.create: true in "+
		"the profile unmanaged",
		f.event(namespace, "one", diagnose.ReasonClaimMissing))
	f.missing(namespace, "unmanaged", &corev1.PersistentVolumeClaim{})
	f.missing("", "fast-unmanaged", &storagev1.StorageClass{})
	const warning = "the pod waits until someone creates it"
	require.Eventually(t, func() bool {
		return strings.Contains(strings.Join(r.index.Warnings(namespace, profile), ""),
			warning)
	}, timeout, poll)

	claim := f.claim(namespace, "unmanaged", "whatever", "1Gi")
	require.Eventually(t, func() bool {
		return !strings.Contains(strings.Join(r.index.Warnings(namespace, profile), ""),
			warning)
	}, timeout, poll)
	f.barrier()
	assert.Equal(t, claim.ResourceVersion, get(f, namespace, "unmanaged", &corev1.PersistentVolumeClaim{}).ResourceVersion)
	assert.Empty(t, f.notes(namespace, "unmanaged", diagnose.ReasonClaimDiffers),
		"its size and class are its maker's business")

	absent := &claimtest.Config(t, `{name: absent, claim: {name: absent, create: false}}`).Profiles[0]
	assert.Contains(t, strings.Join(r.index.Warnings(namespace, absent), ""), warning)
	f.set(r, `{name: unmanaged, claim: {name: unmanaged}}`)
	require.Eventually(t, func() bool { return len(r.index.Warnings(namespace, absent)) == 0 }, timeout, poll,
		"claims are watched only while a profile needs it")
}

func TestReportsWhyClaimIsPending(t *testing.T) {
	f := newFixture(t)
	namespace := f.namespace()
	f.configure(
		`{name: noclass, storageClass: {name: pending-none, create: false}}`,
		`{name: nopod, storageClass: {name: pending-fast}}`,
		`{name: released, storageClass: {name: pending-released, backend: host-path}, `+
			`volume: {name: released.`+namespace+`, handle: /data, namespace: `+namespace+`}}`,
		`{name: novolume, storageClass: {name: pending-novolume}, `+
			`volume: {name: novolume, handle: vol, namespace: `+namespace+`, create: false}}`)
	// What a reinstallation finds: the volume of a claim that was deleted.
	old := f.claim(namespace, "pvc-data-pipeline-released", "pending-released", "100Gi")
	f.bind(old, "released."+namespace)
	require.NoError(t, f.Delete(t.Context(), old))
	f.unfinalize(namespace, old.Name, &corev1.PersistentVolumeClaim{})

	f.pod(namespace, "one", "noclass,nopod,released,novolume")
	f.run()
	for profile, row := range map[string]struct{ reason, want string }{
		"noclass": {
			diagnose.ReasonClassMissing,
			"its StorageClass pending-none does not exist: create it, or set storageClass.create: true in the profile noclass",
		},
		"nopod":    {diagnose.ReasonNotScheduled, "waits for the first consumer, and the pod one is not scheduled"},
		"novolume": {diagnose.ReasonVolumeMissing, "its PersistentVolume novolume does not exist"},
		"released": {
			diagnose.ReasonVolumeReleased,
			"is Released: it still holds the data of a claim of this name that was deleted",
		},
	} {
		name := "pvc-data-pipeline-" + profile
		note := f.event(namespace, name, row.reason)
		assert.Contains(t, note, "claim "+name+" is Pending because")
		assert.Contains(t, note, row.want)
		assert.Equal(t, note, f.event(namespace, "one", row.reason), "the pod has the same Event")
	}

	// What its command writes is consent, and keeps the volume for this claim.
	home := get(f, "", namespace, &corev1.Namespace{})
	assert.Contains(t, f.notes(namespace, old.Name, diagnose.ReasonVolumeReleased)[0],
		diagnose.ConsentCommand("released."+namespace, namespace))
	volume := get(f, "", "released."+namespace, &corev1.PersistentVolume{})
	volume.Labels = map[string]string{storage.LabelNamespace: namespace, storage.LabelNamespaceUID: string(home.UID)}
	require.NoError(t, f.Update(t.Context(), volume))
	volume.Status.Phase = corev1.VolumeReleased
	require.NoError(t, f.Status().Update(t.Context(), volume))
	f.rebound(volume.Name, get(f, namespace, old.Name, &corev1.PersistentVolumeClaim{}))
}

func TestReportsPendingClaimAfterItsDelay(t *testing.T) {
	f := newFixture(t, `{name: default, storageClass: {name: patient-none, create: false}}`)
	namespace := f.namespace()
	f.run(func(o *claims.Options, _ *manager.Options) { o.PendingAfter = time.Hour })
	f.pod(namespace, "one", "default")
	eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
	f.barrier()
	f.barrier() // the claim's own appearance was looked at, too
	assert.Empty(t, f.notes(namespace, "one", ""))
	assert.Len(t, f.notes(namespace, "pvc-data-pipeline", ""), 1, "that it was created")
}

func TestReportsPodsOnTwoNodes(t *testing.T) {
	f := newFixture(t, `{name: default, storageClass: {name: shared-fast}}`)
	namespace := f.namespace()
	on := func(node string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Spec.NodeName = node } }
	f.pod(namespace, "one", "default", on("node-a"))
	r := f.run()
	f.bind(eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists), "shared."+namespace)
	f.pod(namespace, "two", "default", on("node-a"))
	profile := f.current.Load().Profile("default")
	require.Eventually(t, func() bool {
		w := r.index.Warnings(namespace, profile)
		return len(w) == 1 && w[0] == "claim pvc-data-pipeline is ReadWriteOnce and 2 other pods use it: they must run on "+
			"one node"
	}, timeout, poll)
	f.barrier()
	assert.Empty(t, f.notes(namespace, "pvc-data-pipeline", diagnose.ReasonSharedByNodes), "one node does no harm")

	f.pod(namespace, "three", "default", on("node-b"))
	assert.Equal(t, "claim pvc-data-pipeline is ReadWriteOnce on aws-ebs, but pods on more than one node use it: "+
		"pods on other nodes wait; use a shared backend with ReadWriteMany, or keep the pods on one node with colocate: true",
		f.event(namespace, "pvc-data-pipeline", diagnose.ReasonSharedByNodes))
}
