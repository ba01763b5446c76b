package helm_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

func TestInstallCreatesStorageFirst(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		for _, name := range []string{"etl-cronjob", "ray-cluster"} {
			t.Run(name, func(t *testing.T) {
				namespace := newNamespace(t)
				h.Must(t,
					validated(h.install("rel", example(name), namespace,
						"--volume-handle=vol-0123456789abcdef0", "--set=volume.zone=us-east-1a"))...)

				class := revision(t, get(t, classes, "", "fast."+namespace+".rel"))
				volume := revision(t, get(t, volumes, "", "pv-data-pipeline."+namespace+".rel"))
				claim := revision(t, get(t, claims, namespace, "pvc-data-pipeline.rel"))
				assert.Less(t, class, volume)
				assert.Less(t, volume, claim)

				found := 0
				for _, kind := range workloads {
					for _, object := range list(t, kind, namespace) {
						found++
						assert.Less(t, claim, revision(t, &object), object.GetName())
						for _, pod := range podsOf(t, object.Object) {
							assert.True(t, mounts(pod, "pvc-data-pipeline.rel", "/data"), object.GetName())
						}
					}
				}
				assert.NotZero(t, found)
			})
		}
	})
}

func TestInstallStripsHelmAnnotations(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		namespace := newNamespace(t)
		h.Must(t, h.install("rel", example("etl-cronjob"), namespace)...)

		objects := []unstructured.Unstructured{*get(t, classes, "", storageOf("rel", namespace).class)}
		for _, kind := range ofReleases {
			if kind != secrets { // Helm stores the release itself in one
				objects = append(objects, list(t, kind, namespace)...)
			}
		}
		assert.GreaterOrEqual(t, len(objects), 7)
		for _, object := range objects {
			text, err := object.MarshalJSON()
			require.NoError(t, err)
			assert.NotContains(t, string(text), "postrender-filename", object.GetName())
		}
	})
}

func TestExistingVolumeIsPreBoundInItsZone(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		namespace := newNamespace(t)
		h.Must(t,
			h.install("rel", example("etl-cronjob"), namespace, "--volume-handle=vol-0123456789abcdef0",
				"--set=volume.zone=us-east-1a")...)

		volume := get(t, volumes, "", "pv-data-pipeline."+namespace+".rel")
		assertField(t, volume, "vol-0123456789abcdef0", "spec", "csi", "volumeHandle")
		assertField(t, volume, namespace, "spec", "claimRef", "namespace")
		assertField(t, volume, "pvc-data-pipeline.rel", "spec", "claimRef", "name")
		assertField(t, volume, "Retain", "spec", "persistentVolumeReclaimPolicy")
		terms, _, err := unstructured.NestedSlice(volume.Object, "spec", "nodeAffinity", "required", "nodeSelectorTerms")
		require.NoError(t, err)
		assert.Equal(t, []any{map[string]any{"matchExpressions": []any{map[string]any{
			"key": "topology.ebs.csi.aws.com/zone", "operator": "In", "values": []any{"us-east-1a"},
		}}}}, terms)

		claim := get(t, claims, namespace, "pvc-data-pipeline.rel")
		assertField(t, claim, volume.GetName(), "spec", "volumeName")
	})
}

func TestUnchangedUpgradeChangesNothing(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		namespace := newNamespace(t)
		storage := storageOf("rel", namespace)
		h.Must(t, h.install("rel", example("etl-cronjob"), namespace)...)
		class, claim := withoutRevision(t, classes, "", storage.class), withoutRevision(t, claims, namespace, storage.claim)

		h.Must(t, validated(h.upgrade("rel", example("etl-cronjob"), namespace))...)
		assert.Equal(t, class, withoutRevision(t, classes, "", storage.class))
		assert.Equal(t, claim, withoutRevision(t, claims, namespace, storage.claim))
		assert.Contains(t, h.Must(t, "get", "manifest", "rel", "--namespace", namespace), "claimName: pvc-data-pipeline.rel")
	})
}

func TestPendingClaimRefusesExpansion(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		namespace := newNamespace(t)
		h.Must(t, h.install("rel", example("etl-cronjob"), namespace)...)
		uids := storageOf("rel", namespace).uids(t)

		output := h.Fails(t, h.upgrade("rel", example("etl-cronjob"), namespace, "--size=200Gi")...)
		assert.Contains(t, output, "spec is immutable after creation except resources.requests")
		assert.Equal(t, "100Gi", requested(t, namespace))
		assert.Equal(t, uids, storageOf("rel", namespace).uids(t))
	})
}

func TestBoundClaimExpandsAndNeverShrinks(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		namespace := newNamespace(t)
		h.Must(t, h.install("rel", example("etl-cronjob"), namespace)...)
		bind(t, namespace, "pvc-data-pipeline.rel")

		h.Must(t, h.upgrade("rel", example("etl-cronjob"), namespace, "--size=200Gi")...)
		assert.Equal(t, "200Gi", requested(t, namespace))

		output := h.Fails(t, h.upgrade("rel", example("etl-cronjob"), namespace, "--size=50Gi")...)
		assert.Contains(t, output, "field can not be less than")
		assert.Equal(t, "200Gi", requested(t, namespace))
	})
}

func TestStorageOutlivesReleaseAndIsAdopted(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		namespace := newNamespace(t)
		storage := storageOf("rel", namespace)
		h.Must(t, h.install("rel", example("etl-cronjob"), namespace)...)
		uids := storage.uids(t)

		out := h.Must(t, "uninstall", "rel", "--namespace", namespace)
		assert.Contains(t, out, "kept due to the resource policy")
		assert.Equal(t, uids, storage.uids(t))
		assertGone(t, cronjobs, namespace, "rel-etl")

		h.Must(t, h.install("rel", example("etl-cronjob"), namespace)...)
		assert.Equal(t, uids, storage.uids(t), "the same objects, not new ones")
		get(t, cronjobs, namespace, "rel-etl")
	})
}

func TestUpgradeWithoutFlagRetainsStorage(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		namespace := newNamespace(t)
		storage := storageOf("rel", namespace)
		h.Must(t, h.install("rel", example("etl-cronjob"), namespace)...)
		uids := storage.uids(t)

		h.Must(t, "upgrade", "rel", example("etl-cronjob"), "--namespace", namespace, suite.Unvalidated)
		assert.Equal(t, uids, storage.uids(t))
		assert.NotContains(t, volumesOf(t, get(t, cronjobs, namespace, "rel-etl")), "pipeline-storage",
			"the pods have lost it")

		h.Must(t, h.upgrade("rel", example("etl-cronjob"), namespace)...)
		assert.Equal(t, uids, storage.uids(t))
		assert.Contains(t, volumesOf(t, get(t, cronjobs, namespace, "rel-etl")), "pipeline-storage")
	})
}

func TestRollbackRestoresMount(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		namespace := newNamespace(t)
		h.Must(t, h.install("rel", example("etl-cronjob"), namespace)...)
		h.Must(t, "upgrade", "rel", example("etl-cronjob"), "--namespace", namespace, suite.Unvalidated)
		h.Must(t, "rollback", "rel", "1", "--namespace", namespace)
		assert.Contains(t, volumesOf(t, get(t, cronjobs, namespace, "rel-etl")), "pipeline-storage")
	})
}

func TestReleaseMovesFromHelm3ToHelm4(t *testing.T) {
	t.Parallel()
	before, after := helm3(t), helm4(t)
	namespace := newNamespace(t)
	storage := storageOf("rel", namespace)
	static := []string{"--volume-handle=vol-0123456789abcdef0", "--set=volume.zone=us-east-1a"}
	before.Must(t, before.install("rel", example("etl-cronjob"), namespace, static...)...)
	uids := storage.uids(t)
	volume := get(t, volumes, "", "pv-data-pipeline."+namespace+".rel").GetUID()

	after.Must(t, after.upgrade("rel", example("etl-cronjob"), namespace, static...)...)
	assert.Equal(t, uids, storage.uids(t))
	assert.Equal(t, volume, get(t, volumes, "", "pv-data-pipeline."+namespace+".rel").GetUID())
	assert.Contains(t, volumesOf(t, get(t, cronjobs, namespace, "rel-etl")), "pvc-data-pipeline.rel")

	after.Must(t, "uninstall", "rel", "--namespace", namespace)
	assert.Equal(t, uids, storage.uids(t))
}

func TestReleasesCoexistWithDefaultNames(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		one, two := newNamespace(t), newNamespace(t)
		static := []string{"--volume-handle=vol-0123456789abcdef0", "--set=volume.zone=us-east-1a"}
		h.Must(t, h.install("a", example("etl-cronjob"), one, static...)...)
		h.Must(t, h.install("b", example("etl-cronjob"), one, static...)...)
		h.Must(t, h.install("a", example("etl-cronjob"), two, static...)...)

		for _, s := range []storageObjects{storageOf("a", one), storageOf("b", one), storageOf("a", two)} {
			claim := get(t, claims, s.namespace, s.claim)
			assertField(t, claim, s.class, "spec", "storageClassName")
			get(t, classes, "", s.class)
		}
		assert.Len(t, list(t, claims, one), 2)
		assert.Len(t, list(t, claims, two), 1)

		h.Must(t, "uninstall", "b", "--namespace", one)
		h.Must(t, h.upgrade("a", example("etl-cronjob"), one, static...)...)
		assert.Len(t, list(t, claims, one), 2, "what b stored is still there")
	})
}

func TestEachNamespaceWithPodsGetsClaim(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		first, other := newNamespace(t), newNamespace(t)
		setSecond := []string{"--set", "second=" + other}
		h.Must(t, append(validated(h.install("rel", testchart("two-namespaces"), first)), setSecond...)...)

		for _, namespace := range []string{first, other} {
			claim := get(t, claims, namespace, "pvc-data-pipeline.rel")
			assertField(t, claim, storageOf("rel", first).class, "spec", "storageClassName")
			assert.Less(t, revision(t, claim), revision(t, get(t, deployments, namespace, "train")))
		}

		output := h.Fails(t,
			append(h.upgrade("rel", testchart("two-namespaces"), first, "--volume-handle=vol-0123456789abcdef0"),
				setSecond...)...)
		assert.Contains(t, output,
			fmt.Sprintf("its volume serves the namespace %q only, but pods in %q would mount it", first, other))
	})
}

func TestReleaseDoesNotAdoptStorageOfAnother(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		namespace := newNamespace(t)
		named := []string{"--set=storageClass.name=named." + namespace, "--claim=shared"}
		h.Must(t, h.install("a", example("etl-cronjob"), namespace, named...)...)
		h.Must(t, "uninstall", "a", "--namespace", namespace)

		output := h.Fails(t, h.install("b", example("etl-cronjob"), namespace, named...)...)
		assert.Contains(t, output, "invalid ownership metadata")

		existing := slices.Concat(named, []string{"--set=claim.create=false,storageClass.create=false"})
		h.Must(t, h.install("b", example("etl-cronjob"), namespace, existing...)...)
		assert.Contains(t, volumesOf(t, get(t, cronjobs, namespace, "b-etl")), "shared", "create: false uses what is there")
	})
}

func TestDryRunCreatesNothing(t *testing.T) {
	withBoth(t, func(t *testing.T, h tool) {
		namespace := newNamespace(t)
		h.Must(t, append(validated(h.install("rel", example("etl-cronjob"), namespace)), "--dry-run=server")...)
		assertNothingIn(t, namespace)
	})
}

// withoutRevision is an object without its revision: Helm 4 applies every object again, and the API
// server counts that for a claim although nothing changes.
func withoutRevision(t *testing.T, kind schema.GroupVersionResource, namespace, name string) map[string]any {
	t.Helper()
	object := get(t, kind, namespace, name)
	object.SetResourceVersion("")
	return object.Object
}

// requested is the size that the claim requests.
func requested(t *testing.T, namespace string) string {
	t.Helper()
	size, _, err := unstructured.NestedString(get(t, claims, namespace, "pvc-data-pipeline.rel").Object,
		"spec", "resources", "requests", "storage")
	require.NoError(t, err)
	quantity := resource.MustParse(size)
	return quantity.String()
}

// bind does what a provisioner and the controller manager would do for a claim.
func bind(t *testing.T, namespace, claim string) {
	t.Helper()
	patchObject(t, claims, namespace, claim, `{"spec":{"volumeName":"provisioned"}}`)
	patchObject(t, claims, namespace, claim,
		`{"status":{"phase":"Bound","accessModes":["ReadWriteOnce"],"capacity":{"storage":"100Gi"}}}`, "status")
}

// volumesOf is the text of all volumes of an object's pods.
func volumesOf(t *testing.T, object *unstructured.Unstructured) string {
	t.Helper()
	var text strings.Builder
	for _, pod := range podsOf(t, object.Object) {
		for _, volume := range pod.Spec.Volumes {
			text.WriteString(volume.String())
		}
	}
	return text.String()
}

func assertField(t *testing.T, object *unstructured.Unstructured, want string, path ...string) {
	t.Helper()
	got, _, err := unstructured.NestedString(object.Object, path...)
	require.NoError(t, err)
	assert.Equal(t, want, got, strings.Join(path, "."))
}

// assertNothingIn checks that neither a release nor any of its objects is in the namespace, nor its
// class in the cluster.
func assertNothingIn(t *testing.T, namespace string) {
	t.Helper()
	for _, kind := range ofReleases {
		for _, object := range list(t, kind, namespace) {
			assert.Fail(t, "there is something", "%s/%s", kind.Resource, object.GetName())
		}
	}
	assertGone(t, classes, "", storageOf("rel", namespace).class)
}
