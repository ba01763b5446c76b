package claims

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/pipeline-storage/pipeline-storage/internal/claimtest"
	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

func TestCreatesTheTrioOfEachProfile(t *testing.T) {
	f := newFixture(t)
	namespace := f.namespace()
	f.current.Store(claimtest.Config(t,
		`{name: default, storageClass: {name: trio-fast}}`,
		`{name: disk, volume: {handle: vol-1, zone: eu-1a, namespace: `+namespace+`}, storageClass: {name: trio-disk}}`))
	before := metric(t, "pipeline_storage_claims_created_total", kindClaim)
	f.run()

	f.pod(namespace, "one", "default,disk")
	wanted, err := storage.Objects(f.current.Load(), storage.Release{}, storage.ProfileRef{Profile: "default", Namespace: namespace}, storage.ProfileRef{Profile: "disk", Namespace: namespace})
	require.NoError(t, err)
	require.Len(t, wanted.All(), 5)

	for _, want := range wanted.StorageClasses {
		got := eventually(f, "", want.Name, &storagev1.StorageClass{}, exists)
		assertMade(t, &got.ObjectMeta, &want.ObjectMeta)
		assert.Equal(t, want.Parameters, got.Parameters)
	}
	for _, want := range wanted.Claims {
		got := eventually(f, namespace, want.Name, &corev1.PersistentVolumeClaim{}, exists)
		assertMade(t, &got.ObjectMeta, &want.ObjectMeta)
		assert.Equal(t, want.Spec.VolumeName, got.Spec.VolumeName)
		assert.Contains(t, f.event(namespace, want.Name, diagnose.ReasonCreated), "which the pod one uses")
	}
	volume := get(f, "", "pv-data-pipeline-disk."+namespace, &corev1.PersistentVolume{})
	assertMade(t, &volume.ObjectMeta, &wanted.Volumes[0].ObjectMeta)
	assert.Equal(t, namespace, volume.Spec.ClaimRef.Namespace)
	assert.Equal(t, "vol-1", volume.Spec.CSI.VolumeHandle)
	assert.InDelta(t, before+2, metric(t, "pipeline_storage_claims_created_total", kindClaim), 0)

	// A second pod, and a second namespace: the class is there, the static volume is not for it.
	other := f.namespace()
	f.pod(namespace, "two", "default")
	f.pod(other, "three", "default,disk")
	eventually(f, other, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
	assert.Contains(t, f.event(other, "three", diagnose.ReasonProfileRefused), "its volume serves "+`"`+namespace+`" only`)
	f.missing(other, "pvc-data-pipeline-disk", &corev1.PersistentVolumeClaim{})
}

// TestThreeStoragesOfOnePod makes the claims of the example's configuration, which the webhook marks on one pod.
func TestThreeStoragesOfOnePod(t *testing.T) {
	text, err := os.ReadFile("../../examples/three-storages.yaml")
	require.NoError(t, err)
	config, _, err := storage.LoadForAdmission(text)
	require.NoError(t, err)
	f := newFixture(t)
	namespace := f.namespace()
	f.current.Store(config)
	f.run()

	f.pod(namespace, "one", "datasets,scratch,models")
	for name, mode := range map[string]corev1.PersistentVolumeAccessMode{
		"datasets": corev1.ReadOnlyMany, "scratch": corev1.ReadWriteMany, "models": corev1.ReadWriteMany,
	} {
		claim := eventually(f, namespace, "pvc-data-pipeline-"+name, &corev1.PersistentVolumeClaim{}, exists)
		assert.Equal(t, []corev1.PersistentVolumeAccessMode{mode}, claim.Spec.AccessModes)
		assert.Equal(t, "fast-"+name, *claim.Spec.StorageClassName)
	}
	volume := get(f, "", "pv-data-pipeline-datasets."+namespace, &corev1.PersistentVolume{})
	assert.Equal(t, "datasets#"+namespace, volume.Spec.CSI.VolumeHandle)
}

// TestSharedVolumeServesEveryNamespace: each namespace has a PersistentVolume of its own with the same data.
func TestSharedVolumeServesEveryNamespace(t *testing.T) {
	f := newFixture(t, `{name: files, claim: {accessModes: [ReadWriteMany]}, storageClass: {name: files, backend: nfs, parameters: {server: s, share: /x}}, volume: {handle: h, shared: true}}`)
	f.run()
	for _, namespace := range []string{f.namespace(), f.namespace()} {
		f.pod(namespace, "one", "files")
		claim := eventually(f, namespace, "pvc-data-pipeline-files", &corev1.PersistentVolumeClaim{}, exists)
		volume := get(f, "", claim.Spec.VolumeName, &corev1.PersistentVolume{})
		assert.Equal(t, namespace, volume.Spec.ClaimRef.Namespace)
		assert.Equal(t, "/x", volume.Spec.CSI.VolumeAttributes["share"])
	}
}

// assertMade checks that metadata is what the configuration gives, and the installation's label.
func assertMade(t *testing.T, got, want *metav1.ObjectMeta) {
	t.Helper()
	assert.Equal(t, installation, got.Labels[storage.LabelInstallation])
	assert.Equal(t, want.Labels[storage.LabelProfile], got.Labels[storage.LabelProfile])
	assert.Len(t, got.Labels, 2)
	assert.Subset(t, got.Annotations, want.Annotations)
}

func TestCreateFalseOnlySays(t *testing.T) {
	f := newFixture(t, `{name: theirs, claim: {name: theirs, create: false}}`)
	namespace := f.namespace()
	f.pod(namespace, "one", "theirs")
	r := f.run()
	profile := f.current.Load().Profile("theirs")

	assert.Equal(t, "claim theirs does not exist in namespace "+namespace+": create it or set claim.create: true in the profile theirs",
		f.event(namespace, "one", diagnose.ReasonClaimMissing))
	f.missing(namespace, "theirs", &corev1.PersistentVolumeClaim{})
	f.missing("", "fast-theirs", &storagev1.StorageClass{})
	const warning = "the pod waits until someone creates it"
	require.Eventually(t, func() bool { return strings.Contains(strings.Join(r.index.Warnings(namespace, profile), ""), warning) }, patience, poll)

	claim := f.claim(namespace, "theirs", "whatever", "1Gi")
	require.Eventually(t, func() bool { return !strings.Contains(strings.Join(r.index.Warnings(namespace, profile), ""), warning) }, patience, poll)
	f.settle()
	assert.Equal(t, claim.ResourceVersion, get(f, namespace, "theirs", &corev1.PersistentVolumeClaim{}).ResourceVersion)
	assert.Empty(t, f.notes(namespace, "theirs", diagnose.ReasonClaimDiffers), "its size and class are its maker's business")

	f.set(r, `{name: theirs, claim: {name: theirs}}`)
	require.Eventually(t, func() bool { return r.index.names.running.Load() == nil }, patience, poll, "nothing is watched that nobody asks for")
}

func TestClaimsOfOthersAreLeftAlone(t *testing.T) {
	f := newFixture(t, `{name: default, storageClass: {name: others-fast}}`)
	helm := func(c *corev1.PersistentVolumeClaim) {
		metav1.SetMetaDataAnnotation(&c.ObjectMeta, diagnose.AnnotationHelmRelease, "demo")
		metav1.SetMetaDataLabel(&c.ObjectMeta, "app.kubernetes.io/managed-by", "Helm")
		metav1.SetMetaDataLabel(&c.ObjectMeta, storage.LabelInstallation, installation)
	}
	rows := map[string]struct {
		size   string
		change func(*corev1.PersistentVolumeClaim)
		want   string
	}{
		"one that fits":                        {"200Gi", func(*corev1.PersistentVolumeClaim) {}, ""},
		"one that is too small":                {"1Gi", func(*corev1.PersistentVolumeClaim) {}, "its size is 1Gi, less than 100Gi"},
		"Helm's, though it has our label":      {"1Gi", helm, "its size is 1Gi, less than 100Gi"},
		"another installation's":               {"1Gi", claimtest.Label(storage.LabelInstallation, "other"), "its size is 1Gi, less than 100Gi"},
		"another installation's, which fits":   {"100Gi", claimtest.Label(storage.LabelInstallation, "other"), ""},
		"Helm's, which fits":                   {"100Gi", helm, ""},
		"one whose modes are others":           {"100Gi", claimtest.Modes(corev1.ReadWriteMany), "its access modes are ReadWriteMany, which lacks ReadWriteOnce"},
		"one with a block device":              {"100Gi", claimtest.Block, "its volumeMode is Block"},
		"one that was made with a volume name": {"100Gi", claimtest.Volume("theirs"), ""},
	}
	type made struct{ namespace, version, want string }
	all := map[string]made{}
	for name, row := range rows {
		namespace := f.namespace()
		claim := f.claim(namespace, "pvc-data-pipeline", "others-fast", row.size, row.change)
		f.bind(claim, "others."+namespace)
		claim = get(f, namespace, claim.Name, claim)
		all[name] = made{namespace, claim.ResourceVersion, row.want}
		f.pod(namespace, "one", "default")
	}
	f.run()
	f.settle()

	for name, m := range all {
		t.Run(name, func(t *testing.T) {
			f.t = t
			if m.want != "" {
				assert.Contains(t, f.event(m.namespace, "pvc-data-pipeline", diagnose.ReasonClaimDiffers), m.want)
				assert.Contains(t, f.event(m.namespace, "one", diagnose.ReasonClaimDiffers), "It is left as it is")
			} else {
				assert.Empty(t, f.notes(m.namespace, "one", ""))
				assert.Empty(t, f.notes(m.namespace, "pvc-data-pipeline", ""))
			}
			assert.Equal(t, m.version, get(f, m.namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}).ResourceVersion, "byte for byte the same")
			assert.Empty(t, get(f, "", "others."+m.namespace, &corev1.PersistentVolume{}).Labels[storage.LabelNamespaceUID])
		})
	}
}

func TestExpandsItsOwnClaims(t *testing.T) {
	profiles := func(size string) []string {
		return []string{
			`{name: grows, claim: {size: ` + size + `}, storageClass: {name: expand-yes}}`,
			`{name: stays, claim: {size: ` + size + `}, storageClass: {name: expand-no, allowVolumeExpansion: false}}`,
			`{name: unbound, claim: {size: ` + size + `}, storageClass: {name: expand-unbound}}`,
		}
	}
	f := newFixture(t, profiles("10Gi")...)
	namespace := f.namespace()
	f.pod(namespace, "one", "grows,stays,unbound")
	r := f.run()
	for _, profile := range []string{"grows", "stays", "unbound"} {
		claim := eventually(f, namespace, "pvc-data-pipeline-"+profile, &corev1.PersistentVolumeClaim{}, exists)
		if profile != "unbound" {
			f.bind(claim, profile+"."+namespace)
		}
	}

	f.set(r, profiles("20Gi")...)
	eventually(f, namespace, "pvc-data-pipeline-grows", &corev1.PersistentVolumeClaim{}, func(c *corev1.PersistentVolumeClaim) bool {
		return c.Spec.Resources.Requests.Storage().Equal(resource.MustParse("20Gi"))
	})
	assert.Equal(t, "asked for 20Gi in place of 10Gi, as the profile grows says", f.event(namespace, "pvc-data-pipeline-grows", diagnose.ReasonExpanding))
	assert.Contains(t, f.event(namespace, "pvc-data-pipeline-stays", diagnose.ReasonExpandRefused), `its StorageClass "expand-no" does not allow expansion`)
	f.settle()
	for _, profile := range []string{"stays", "unbound"} {
		claim := get(f, namespace, "pvc-data-pipeline-"+profile, &corev1.PersistentVolumeClaim{})
		assert.True(t, claim.Spec.Resources.Requests.Storage().Equal(resource.MustParse("10Gi")), "%s: %s", profile, claim.Spec.Resources.Requests.Storage())
	}
	assert.Empty(t, f.notes(namespace, "pvc-data-pipeline-unbound", diagnose.ReasonExpandRefused), "the API expands bound claims only, so it waits")

	grown := get(f, namespace, "pvc-data-pipeline-grows", &corev1.PersistentVolumeClaim{})
	f.set(r, profiles("5Gi")...)
	f.settle()
	assert.Equal(t, grown.ResourceVersion, get(f, namespace, "pvc-data-pipeline-grows", &corev1.PersistentVolumeClaim{}).ResourceVersion, "a claim never shrinks")
	assert.Empty(t, f.notes(namespace, "pvc-data-pipeline-grows", diagnose.ReasonClaimDiffers))
	assert.Empty(t, f.notes(namespace, "pvc-data-pipeline-grows", diagnose.ReasonExpandRefused), "nor does anybody ask for it")
	assert.Equal(t, "claim pvc-data-pipeline-grows has 20Gi and the profile grows says 5Gi: claims never shrink, so it stays as it is; "+
		"put the size back, or give the profile another claim.name and copy the data", f.event(namespace, "pvc-data-pipeline-grows", diagnose.ReasonNeverShrinks))

	// What else has changed cannot be changed: it is told, and the claim stays.
	f.set(r, `{name: grows, claim: {size: 10Gi, accessModes: [ReadWriteOncePod]}, storageClass: {name: expand-other}}`, profiles("10Gi")[1], profiles("10Gi")[2])
	assert.Equal(t, "claim pvc-data-pipeline-grows is no longer what the profile grows says: its access modes are ReadWriteOnce, not ReadWriteOncePod; "+
		`its StorageClass is "expand-yes", not "expand-other". A claim cannot be changed so: put the profile back, or give it another claim.name and copy the data`,
		f.event(namespace, "pvc-data-pipeline-grows", diagnose.ReasonClaimDiffers))
	assert.Equal(t, grown.ResourceVersion, get(f, namespace, "pvc-data-pipeline-grows", &corev1.PersistentVolumeClaim{}).ResourceVersion)
	f.missing("", "expand-other", &storagev1.StorageClass{})
}

// TestExpandsWithoutPods: the claim of a CronJob has no pods between its runs.
func TestExpandsWithoutPods(t *testing.T) {
	f := newFixture(t, `{name: cron, claim: {size: 10Gi}, storageClass: {name: cron-fast}}`)
	namespace := f.namespace()
	pod := f.pod(namespace, "one", "cron")
	r := f.run()
	f.bind(eventually(f, namespace, "pvc-data-pipeline-cron", &corev1.PersistentVolumeClaim{}, exists), "cron."+namespace)
	pod.Status.Phase = corev1.PodSucceeded
	require.NoError(t, f.Status().Update(t.Context(), pod))
	require.Eventually(t, func() bool { return len(r.index.known()) == 0 }, patience, poll, "a finished pod is not in the cache")

	f.set(r, `{name: cron, claim: {size: 20Gi}, storageClass: {name: cron-fast}}`)
	eventually(f, namespace, "pvc-data-pipeline-cron", &corev1.PersistentVolumeClaim{}, func(c *corev1.PersistentVolumeClaim) bool {
		return c.Spec.Resources.Requests.Storage().Equal(resource.MustParse("20Gi"))
	})
}

func TestMarksTheBoundVolume(t *testing.T) {
	f := newFixture(t, `{name: default, storageClass: {name: mark-fast}}`, `{name: wrong, storageClass: {name: mark-fast, create: false}}`)
	name := f.namespace()
	namespace := get(f, "", name, &corev1.Namespace{})
	f.pod(name, "one", "default,wrong")
	r := f.run()

	claim := eventually(f, name, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
	f.bind(claim, "mark."+name)
	volume := eventually(f, "", "mark."+name, &corev1.PersistentVolume{}, func(v *corev1.PersistentVolume) bool {
		return v.Labels[storage.LabelNamespaceUID] == string(namespace.UID)
	})

	f.set(r, `{name: default, storageClass: {name: mark-fast}}`, `{name: wrong, storageClass: {name: mark-fast, create: false}}`)
	f.settle()
	assert.Equal(t, volume.ResourceVersion, get(f, "", volume.Name, &corev1.PersistentVolume{}).ResourceVersion, "written once")

	// A volume that says it is another claim's, though this claim names it.
	wrong := eventually(f, name, "pvc-data-pipeline-wrong", &corev1.PersistentVolumeClaim{}, exists)
	stale := wrong.DeepCopy()
	stale.UID = "an-older-claim"
	f.bind(stale, "wrong."+name)
	f.settle()
	f.settle()
	assert.NotContains(t, get(f, "", "wrong."+name, &corev1.PersistentVolume{}).Labels, storage.LabelNamespaceUID)
}

func TestLabelsNoVolumeForAProfileThatCreatesNoClaim(t *testing.T) {
	f := newFixture(t, `{name: default, storageClass: {name: unlabelled-fast}}`)
	namespace := f.namespace()
	f.pod(namespace, "one", "default")
	r := f.run()
	claim := eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)

	f.set(r, `{name: default, claim: {create: false}}`)
	f.settle()
	f.bind(claim, "unlabelled."+namespace)
	f.settle()
	f.settle()
	assert.NotContains(t, get(f, "", "unlabelled."+namespace, &corev1.PersistentVolume{}).Labels, storage.LabelNamespaceUID)
}

func TestRefusesWhatBelongsToOthers(t *testing.T) {
	f := newFixture(t)
	namespace, other := f.namespace(), f.namespace()
	f.current.Store(claimtest.Config(t,
		`{name: class, storageClass: {name: taken-class}}`,
		`{name: volume, storageClass: {name: refuse-fast}, volume: {name: taken-volume.`+namespace+`, handle: vol-1, namespace: `+namespace+`}}`))
	require.NoError(t, f.Create(t.Context(), &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "taken-class"}, Provisioner: "example.com/other"}))
	f.bind(f.claim(other, "theirs", "refuse-fast", "100Gi"), "taken-volume."+namespace)
	class, volume := get(f, "", "taken-class", &storagev1.StorageClass{}), get(f, "", "taken-volume."+namespace, &corev1.PersistentVolume{})

	f.pod(namespace, "one", "class,volume")
	f.run()
	assert.Contains(t, f.event(namespace, "one", diagnose.ReasonClassDiffers), "exists with the provisioner example.com/other, but the profile's backend needs ebs.csi.aws.com")
	assert.Contains(t, f.event(namespace, "one", diagnose.ReasonVolumeTaken), "belongs to the claim "+other+"/theirs, not to "+namespace+"/pvc-data-pipeline-volume")
	f.missing(namespace, "pvc-data-pipeline-class", &corev1.PersistentVolumeClaim{})
	f.missing(namespace, "pvc-data-pipeline-volume", &corev1.PersistentVolumeClaim{})
	assert.Equal(t, class.ResourceVersion, get(f, "", "taken-class", class).ResourceVersion)
	assert.Equal(t, volume.ResourceVersion, get(f, "", volume.Name, volume).ResourceVersion)

	// When people have put it right, it goes on by itself.
	require.NoError(t, f.Delete(t.Context(), class))
	eventually(f, namespace, "pvc-data-pipeline-class", &corev1.PersistentVolumeClaim{}, exists)
}

func TestUnknownProfileUntilTheConfigurationHasIt(t *testing.T) {
	f := newFixture(t, `{name: default, storageClass: {name: config-fast}}`)
	namespace := f.namespace()
	f.pod(namespace, "one", "training")
	r := f.run()
	assert.Contains(t, f.event(namespace, "one", diagnose.ReasonProfileUnknown), `names the profile "training", which the configuration does not have`)

	f.set(r, `{name: training, storageClass: {name: config-fast}}`)
	eventually(f, namespace, "pvc-data-pipeline-training", &corev1.PersistentVolumeClaim{}, exists)
}

func TestForgedMarkInANamespaceThatTheProfileIsNotFor(t *testing.T) {
	f := newFixture(t, `{name: default, namespaceSelector: {matchLabels: {gpu: "true"}}, storageClass: {name: forged-fast}}`)
	namespace, allowed := f.namespace(), f.namespace("gpu")
	f.run()
	f.pod(namespace, "one", "default")
	f.pod(allowed, "one", "default")
	eventually(f, allowed, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
	assert.Contains(t, f.event(namespace, "one", diagnose.ReasonProfileRefused), `its namespaceSelector is "gpu=true"`)
	f.missing(namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{})

	labelled := get(f, "", namespace, &corev1.Namespace{})
	labelled.Labels["gpu"] = "true"
	require.NoError(t, f.Update(t.Context(), labelled))
	eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
}

func TestNamespaceThatIsBeingDeleted(t *testing.T) {
	f := newFixture(t, `{name: default, storageClass: {name: ending-fast}}`)
	namespace := f.namespace()
	// The finalizers keep both for as long as the test needs them.
	f.pod(namespace, "one", "default", func(p *corev1.Pod) { p.Finalizers = []string{"example.com/keep"} })
	t.Cleanup(func() { f.unfinalize(namespace, "one", &corev1.Pod{}) })
	before := metric(t, "pipeline_storage_claims_errors_total", "")
	require.NoError(t, f.Delete(t.Context(), get(f, "", namespace, &corev1.Namespace{})))

	err := f.Create(t.Context(), &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "late", Namespace: namespace}, Spec: claimtest.Claim().Spec,
	})
	require.ErrorIs(t, refused(err, diagnose.ReasonCreateRefused, "create a claim"), errNamespaceEnds, "the API server's own answer: %v", err)

	f.run()
	f.settle()
	f.missing(namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{})
	f.missing("", "ending-fast", &storagev1.StorageClass{})
	assert.InDelta(t, before, metric(t, "pipeline_storage_claims_errors_total", ""), 0)
}

// unfinalize takes the finalizers away, as people do; the controller never does.
func (f *fixture) unfinalize(namespace, name string, object client.Object) {
	object.SetNamespace(namespace)
	object.SetName(name)
	err := f.Patch(context.Background(), object, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))
	assert.NoError(f.t, client.IgnoreNotFound(err))
}

func TestClaimThatIsDeletedIsMadeAgain(t *testing.T) {
	f := newFixture(t, `{name: default, storageClass: {name: again-fast}}`)
	namespace := f.namespace()
	f.pod(namespace, "one", "default")
	f.run()
	claim := eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
	first := claim.UID
	require.NoError(t, f.Delete(t.Context(), claim))
	assert.Contains(t, f.event(namespace, "one", diagnose.ReasonClaimDeleting), "claim pvc-data-pipeline is being deleted: it goes when the pods that use it have ended")
	f.unfinalize(namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{})
	eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, func(c *corev1.PersistentVolumeClaim) bool {
		return c.UID != first && c.DeletionTimestamp == nil
	})
}

func TestSaysWhyAClaimIsPending(t *testing.T) {
	f := newFixture(t)
	namespace := f.namespace()
	f.current.Store(claimtest.Config(t,
		`{name: noclass, storageClass: {name: pending-none, create: false}}`,
		`{name: nopod, storageClass: {name: pending-fast}}`,
		`{name: released, storageClass: {name: pending-released, backend: host-path}, volume: {name: released.`+namespace+`, handle: /data, namespace: `+namespace+`}}`,
		`{name: novolume, storageClass: {name: pending-novolume}, volume: {name: novolume, handle: vol, namespace: `+namespace+`, create: false}}`))
	// What a reinstallation finds: the volume of a claim that was deleted.
	old := f.claim(namespace, "pvc-data-pipeline-released", "pending-released", "100Gi")
	f.bind(old, "released."+namespace)
	require.NoError(t, f.Delete(t.Context(), old))
	f.unfinalize(namespace, old.Name, &corev1.PersistentVolumeClaim{})

	f.pod(namespace, "one", "noclass,nopod,released,novolume")
	f.run()
	for profile, row := range map[string]struct{ reason, want string }{
		"noclass":  {diagnose.ReasonClassMissing, "its StorageClass pending-none does not exist: create it, or set storageClass.create: true in the profile noclass"},
		"nopod":    {diagnose.ReasonNotScheduled, "waits for the first consumer, and the pod one is not scheduled"},
		"novolume": {diagnose.ReasonVolumeMissing, "its PersistentVolume novolume does not exist"},
		"released": {diagnose.ReasonVolumeReleased, "is Released: it still holds the data of a claim of this name that was deleted"},
	} {
		name := "pvc-data-pipeline-" + profile
		note := f.event(namespace, name, row.reason)
		assert.Contains(t, note, "claim "+name+" is Pending because")
		assert.Contains(t, note, row.want)
		assert.Equal(t, note, f.event(namespace, "one", row.reason), "the pod is told the same")
	}

	// What its command writes is consent, and keeps the volume for this claim.
	home := get(f, "", namespace, &corev1.Namespace{})
	assert.Contains(t, f.notes(namespace, old.Name, diagnose.ReasonVolumeReleased)[0], diagnose.ConsentCommand("released."+namespace, namespace))
	volume := get(f, "", "released."+namespace, &corev1.PersistentVolume{})
	volume.Labels = map[string]string{storage.LabelNamespace: namespace, storage.LabelNamespaceUID: string(home.UID)}
	require.NoError(t, f.Update(t.Context(), volume))
	volume.Status.Phase = corev1.VolumeReleased
	require.NoError(t, f.Status().Update(t.Context(), volume))
	f.givenBack(volume.Name, get(f, namespace, old.Name, &corev1.PersistentVolumeClaim{}))
}

func TestIsPatientBeforeItSaysAnything(t *testing.T) {
	f := newFixture(t, `{name: default, storageClass: {name: patient-none, create: false}}`)
	namespace := f.namespace()
	f.run(func(o *Options, _ *manager.Options) { o.PendingAfter = time.Hour })
	f.pod(namespace, "one", "default")
	eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
	f.settle()
	f.settle() // the claim's own appearance was looked at, too
	assert.Empty(t, f.notes(namespace, "one", ""))
	assert.Len(t, f.notes(namespace, "pvc-data-pipeline", ""), 1, "that it was created")
}

func TestSaysWhatTheAPIServerRefuses(t *testing.T) {
	f := newFixture(t, `{name: default, storageClass: {name: quota-fast}}`)
	namespace := f.namespace()
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "none", Namespace: namespace}}
	quota.Spec.Hard = corev1.ResourceList{corev1.ResourcePersistentVolumeClaims: resource.MustParse("0")}
	require.NoError(t, f.Create(t.Context(), quota))
	quota.Status = corev1.ResourceQuotaStatus{Hard: quota.Spec.Hard, Used: quota.Spec.Hard}
	require.NoError(t, f.Status().Update(t.Context(), quota))
	f.pod(namespace, "one", "default")
	f.run()
	assert.Contains(t, f.event(namespace, "one", diagnose.ReasonCreateRefused), "exceeded quota: none")

	require.NoError(t, f.Delete(t.Context(), quota))
	eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
}

func TestSaysThatPodsOnTwoNodesShareADisk(t *testing.T) {
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
		return len(w) == 1 && w[0] == "claim pvc-data-pipeline is ReadWriteOnce and 2 other pods use it: they must run on one node"
	}, patience, poll)
	f.settle()
	assert.Empty(t, f.notes(namespace, "pvc-data-pipeline", diagnose.ReasonSharedByNodes), "one node does no harm")

	f.pod(namespace, "three", "default", on("node-b"))
	assert.Equal(t, "claim pvc-data-pipeline is ReadWriteOnce on aws-ebs, but pods on more than one node use it: "+
		"pods on other nodes wait; use a shared backend with ReadWriteMany, or keep the pods on one node with colocate: true",
		f.event(namespace, "pvc-data-pipeline", diagnose.ReasonSharedByNodes))
}

// TestLeaderIsKilled: what comes between two leaders is not lost, and the standby knows what to warn of.
func TestLeaderIsKilled(t *testing.T) {
	f := newFixture(t, `{name: default, storageClass: {name: leader-fast}}`)
	elect := func(_ *Options, m *manager.Options) {
		m.LeaderElection = true
		m.LeaseDuration, m.RenewDeadline, m.RetryPeriod = new(2*time.Second), new(1500*time.Millisecond), new(200*time.Millisecond)
	}
	first := f.run(elect)
	<-first.manager.Elected()
	second := f.run(elect)

	a, b := f.namespace(), f.namespace()
	f.pod(a, "one", "default")
	eventually(f, a, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
	require.Eventually(t, func() bool { return len(second.index.Warnings(a, f.current.Load().Profile("default"))) == 1 }, patience, poll)

	first.stop() // without giving the lease back
	f.pod(b, "two", "default")
	select {
	case <-second.manager.Elected():
		t.Fatal("the lease should still be the first one's")
	default:
	}
	eventually(f, b, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
	<-second.manager.Elected()
}

func TestTellsOfAnotherInstallation(t *testing.T) {
	f := newFixture(t, `{name: default}`)
	a := f.namespace()
	configuration := func(name string) *admissionregistrationv1.MutatingWebhookConfiguration { return f.webhook(a, name) }
	own := configuration("own-" + a)
	r := f.run(func(o *Options, _ *manager.Options) { o.WebhookConfiguration = own.Name })
	require.Eventually(t, func() bool { return r.index.overlap.note.Load() != nil }, patience, poll)
	assert.Empty(t, r.index.Overlap())
	assert.InDelta(t, 0, metric(t, "pipeline_storage_installations_overlap", ""), 0)

	other := configuration("other-" + a)
	require.Eventually(t, func() bool { return r.index.Overlap() != "" }, patience, poll)
	assert.Contains(t, r.index.Overlap(), "(MutatingWebhookConfiguration "+other.Name+") also takes pods of the namespace "+a+", which "+own.Name+" takes")
	assert.InDelta(t, 1, metric(t, "pipeline_storage_installations_overlap", ""), 0)
	assert.Equal(t, r.index.Overlap(), f.event(metav1.NamespaceDefault, own.Name, diagnose.ReasonOverlap))

	cached := &admissionregistrationv1.MutatingWebhookConfiguration{}
	require.NoError(t, r.manager.GetCache().Get(t.Context(), client.ObjectKeyFromObject(other), cached))
	assert.Empty(t, cached.Webhooks[0].ClientConfig.CABundle, "nobody needs another installation's authority")
	require.NoError(t, r.manager.GetCache().Get(t.Context(), client.ObjectKeyFromObject(own), cached))
	assert.Equal(t, own.Webhooks[0].ClientConfig.CABundle, cached.Webhooks[0].ClientConfig.CABundle, "readiness may need its own")

	require.NoError(t, f.Delete(t.Context(), other))
	require.Eventually(t, func() bool { return r.index.Overlap() == "" }, patience, poll)
	assert.InDelta(t, 0, metric(t, "pipeline_storage_installations_overlap", ""), 0)
}

// webhook makes a MutatingWebhookConfiguration for the pods of a namespace.
func (f *fixture) webhook(namespace, name string) *admissionregistrationv1.MutatingWebhookConfiguration {
	f.t.Helper()

	c := &admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{labelName: productName}}}
	c.Webhooks = []admissionregistrationv1.MutatingWebhook{{
		Name: "storage.pipeline-storage.io", AdmissionReviewVersions: []string{"v1"}, SideEffects: new(admissionregistrationv1.SideEffectClassNone),
		ClientConfig:      admissionregistrationv1.WebhookClientConfig{URL: new("https://127.0.0.1:1/inject"), CABundle: shared.plane.CA},
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
		// Never called: this test is about selectors.
		Rules: []admissionregistrationv1.RuleWithOperations{{
			Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
			Rule:       admissionregistrationv1.Rule{APIGroups: []string{"example.com"}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
		}},
	}}
	require.NoError(f.t, f.Create(f.t.Context(), c))
	f.t.Cleanup(func() { assert.NoError(f.t, client.IgnoreNotFound(f.Delete(context.Background(), c))) })
	return c
}

// TestTellsOfAnotherInstallationWithoutTheController is what a program with --claims=false does.
func TestTellsOfAnotherInstallationWithoutTheController(t *testing.T) {
	f := newFixture(t)
	a := f.namespace()
	own := f.webhook(a, "own-"+a)
	var text func() string
	f.runWith(func(mgr manager.Manager, o Options) (_ *Index, err error) {
		text, err = AddOverlap(mgr, o)
		return nil, err
	}, func(o *Options, _ *manager.Options) { o.WebhookConfiguration, o.Config, o.Changed = own.Name, nil, nil })
	assert.Empty(t, text())

	other := f.webhook(a, "other-"+a)
	require.Eventually(t, func() bool { return text() != "" }, patience, poll)
	assert.Contains(t, text(), "(MutatingWebhookConfiguration "+other.Name+") also takes pods of the namespace "+a)
	assert.Equal(t, text(), f.event(metav1.NamespaceDefault, own.Name, diagnose.ReasonOverlap))
}

func TestNobodyLooksForInstallationsWithoutAName(t *testing.T) {
	t.Parallel()

	text, err := AddOverlap(nil, Options{})
	require.NoError(t, err)
	assert.Empty(t, text())
}

// TestRefusesDataThatIsNotTheProfiles: a class that deletes data that was to be kept, and a volume with other data.
func TestRefusesDataThatIsNotTheProfiles(t *testing.T) {
	f := newFixture(t)
	namespace := f.namespace()
	static := func(handle string) string {
		return `{name: static, storageClass: {name: static-fast, backend: host-path}, volume: {name: static.` + namespace + `, handle: ` + handle + `, namespace: ` + namespace + `}}`
	}
	f.current.Store(claimtest.Config(t, `{name: policy, storageClass: {name: deletes}}`, `{name: tuned, storageClass: {name: tuned}}`, static("/wanted")))
	class := func(name string, policy corev1.PersistentVolumeReclaimPolicy) *storagev1.StorageClass {
		c := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: "ebs.csi.aws.com", ReclaimPolicy: &policy}
		require.NoError(t, f.Create(t.Context(), c))
		return c
	}
	deletes := class("deletes", corev1.PersistentVolumeReclaimDelete)
	class("tuned", corev1.PersistentVolumeReclaimRetain)
	objects, err := storage.Objects(f.current.Load(), storage.Release{}, storage.ProfileRef{Profile: "static", Namespace: namespace})
	require.NoError(t, err)
	volume := objects.Volumes[0].DeepCopy()
	volume.Spec.ClaimRef, volume.Spec.HostPath.Path = nil, "/other"
	require.NoError(t, f.Create(t.Context(), volume))

	f.pod(namespace, "one", "policy,tuned,static")
	r := f.run()
	assert.Contains(t, f.event(namespace, "one", diagnose.ReasonVolumeDiffers), `its source is the hostPath "/other", not the hostPath "/wanted". Nothing is created`)
	f.missing(namespace, "pvc-data-pipeline-static", &corev1.PersistentVolumeClaim{})
	f.missing("", "static-fast", &storagev1.StorageClass{})

	// What differs in its parameters only is used, and said.
	eventually(f, namespace, "pvc-data-pipeline-tuned", &corev1.PersistentVolumeClaim{}, exists)
	var differ []string
	require.Eventually(t, func() bool {
		differ = f.notes(namespace, "one", diagnose.ReasonClassDiffers)
		return len(differ) == 2
	}, patience, poll)
	assert.Contains(t, strings.Join(differ, "\n"), "StorageClass deletes exists with the reclaimPolicy Delete, but the profile says Retain")
	assert.Contains(t, strings.Join(differ, "\n"), "StorageClass tuned exists and is not quite what the profile tuned says: it lacks the parameter")
	f.missing(namespace, "pvc-data-pipeline-policy", &corev1.PersistentVolumeClaim{})

	// When people have put it right, it goes on by itself.
	require.NoError(t, f.Delete(t.Context(), deletes))
	eventually(f, namespace, "pvc-data-pipeline-policy", &corev1.PersistentVolumeClaim{}, exists)
	require.NoError(t, f.Delete(t.Context(), volume))
	f.unfinalize("", volume.Name, &corev1.PersistentVolume{})
	claim := eventually(f, namespace, "pvc-data-pipeline-static", &corev1.PersistentVolumeClaim{}, exists)

	// A handle that is changed later changes no volume.
	made := eventually(f, "", volume.Name, &corev1.PersistentVolume{}, exists)
	made.Spec.ClaimRef.UID = claim.UID
	require.NoError(t, f.Update(t.Context(), made))
	f.bind(claim, made.Name)
	eventually(f, "", made.Name, &corev1.PersistentVolume{}, func(v *corev1.PersistentVolume) bool {
		return v.Labels[storage.LabelNamespaceUID] != "" // the controller has seen the claim bound
	})
	f.set(r, static("/later"))
	assert.Equal(t, "claim pvc-data-pipeline-static is bound to PersistentVolume "+volume.Name+", which is no longer what the profile static says: "+
		`its source is the hostPath "/wanted", not the hostPath "/later". Pods go on with the volume as it is: `+
		"put the profile back, or give it another claim.name and volume.name", f.event(namespace, claim.Name, diagnose.ReasonVolumeDiffers))
}

// TestReportsWritableVolumeOfReadOnlyProfile: the volume was created before read-only profiles made their volumes read-only.
func TestReportsWritableVolumeOfReadOnlyProfile(t *testing.T) {
	f := newFixture(t)
	namespace := f.namespace()
	config := claimtest.Config(t, `{name: models, storageClass: {name: models-nfs, backend: nfs, parameters: {server: s, share: /m}}, `+
		`claim: {accessModes: [ReadOnlyMany]}, volume: {handle: m, shared: true, mountOptions: [noatime]}}`)
	config.Profiles[0].Mount.ReadOnly = true
	f.current.Store(config)
	objects, err := storage.Objects(f.current.Load(), storage.Release{}, storage.ProfileRef{Profile: "models", Namespace: namespace})
	require.NoError(t, err)
	volume := objects.Volumes[0].DeepCopy()
	assert.Equal(t, []string{"noatime", "ro"}, volume.Spec.MountOptions)
	volume.Spec.MountOptions = []string{"noatime"}
	require.NoError(t, f.Create(t.Context(), volume))

	f.pod(namespace, "one", "models")
	f.run()
	note := f.event(namespace, "one", diagnose.ReasonVolumeWritable)
	assert.Contains(t, note, "PersistentVolume "+volume.Name+" is writable for a pod that names the claim itself, though the profile models is read-only")
	eventually(f, namespace, "pvc-data-pipeline-models", &corev1.PersistentVolumeClaim{}, exists) // its data is the right one
	assert.Empty(t, f.notes(namespace, "one", diagnose.ReasonVolumeDiffers))

	// The API server accepts the patch of the note.
	_, patch, found := strings.Cut(note, "--patch='")
	require.True(t, found)
	patch, _, _ = strings.Cut(patch, "'")
	require.NoError(t, f.Patch(t.Context(), volume, client.RawPatch(types.MergePatchType, []byte(patch))))
	assert.Equal(t, objects.Volumes[0].Spec.MountOptions, volume.Spec.MountOptions)
}

// TestDoesNotBindPendingClaimsOfOthers: a class or a volume of the wanted name could bind a claim that somebody made for
// something else.
func TestDoesNotBindPendingClaimsOfOthers(t *testing.T) {
	f := newFixture(t)
	small, fits := f.namespace(), f.namespace()
	f.current.Store(claimtest.Config(t,
		`{name: disk, claim: {name: theirs}, storageClass: {name: hijack-disk}}`,
		`{name: static, claim: {name: static}, storageClass: {name: hijack-static, backend: host-path}, volume: {name: hijack.`+small+`, handle: /x, namespace: `+small+`}}`))
	f.claim(small, "theirs", "hijack-disk", "1Gi")
	f.claim(small, "static", "hijack-static", "100Gi")
	f.pod(small, "one", "disk")
	f.pod(small, "two", "static")
	f.run()
	assert.Contains(t, f.event(small, "one", diagnose.ReasonClaimDiffers), "its size is 1Gi, less than 100Gi. It is left as it is")
	assert.Contains(t, f.event(small, "two", diagnose.ReasonClaimDiffers), `its volume is "", not "hijack.`+small+`"`)
	f.settle()
	f.missing("", "hijack-disk", &storagev1.StorageClass{})
	f.missing("", "hijack-static", &storagev1.StorageClass{})
	f.missing("", "hijack."+small, &corev1.PersistentVolume{})

	// One that fits gets its class.
	f.claim(fits, "theirs", "hijack-disk", "100Gi")
	f.pod(fits, "one", "disk")
	eventually(f, "", "hijack-disk", &storagev1.StorageClass{}, exists)
}

// TestClaimsOfOthersElsewhere: a profile's volume serves one namespace, but a claim that somebody else makes in another
// has nothing to do with it.
func TestClaimsOfOthersElsewhere(t *testing.T) {
	f := newFixture(t, `{name: theirs, claim: {name: theirs, create: false}, volume: {handle: v, namespace: elsewhere, create: false}}`)
	good, none := f.namespace(), f.namespace()
	f.bind(f.claim(good, "theirs", "any", "1Gi"), "elsewhere."+good)
	f.pod(good, "one", "theirs")
	f.pod(none, "one", "theirs")
	f.run()
	assert.Contains(t, f.event(none, "one", diagnose.ReasonClaimMissing), "create it")
	f.settle()
	assert.Empty(t, f.notes(good, "one", ""))
	assert.Empty(t, f.notes(none, "one", diagnose.ReasonProfileRefused))
}
