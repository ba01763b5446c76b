package chart_test

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// createClaim has the API server decide about a claim.
func createClaim(t *testing.T, client kubernetes.Interface, claim *corev1.PersistentVolumeClaim) error {
	t.Helper()
	_, err := client.CoreV1().PersistentVolumeClaims(claim.Namespace).Create(t.Context(), claim, dryRun)
	return err
}

func size(c *corev1.PersistentVolumeClaim, text string) {
	c.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(text)}
}

func TestGuardrailsHoldClaimsToTheirProfile(t *testing.T) {
	t.Parallel()
	client, config := guarded(t, []storage.Profile{provisioned(), shared()})
	namespace := serve(t, config)
	for _, profile := range config.Profiles {
		require.NoError(t, createClaim(t, client, claimFor(t, config, profile.Name, namespace)))
	}
	rebinds := claimFor(t, config, "provisioned", namespace)
	rebinds.Spec.VolumeName, rebinds.Spec.StorageClassName = "pvc-1", new("an-older-class")
	size(rebinds, "1Gi")
	require.NoError(t, createClaim(t, client, rebinds), "a claim for a smaller volume of another class to re-bind")

	cases := map[string]struct {
		profile string
		change  func(*corev1.PersistentVolumeClaim)
	}{
		"another name": {"provisioned", func(c *corev1.PersistentVolumeClaim) { c.Name = "mine" }},
		"another profile": {
			"provisioned",
			func(c *corev1.PersistentVolumeClaim) { c.Labels[storage.LabelProfile] = "shared" },
		},
		"an unknown profile": {
			"provisioned",
			func(c *corev1.PersistentVolumeClaim) { c.Labels[storage.LabelProfile] = "none" },
		},
		"a larger size":  {"provisioned", func(c *corev1.PersistentVolumeClaim) { size(c, "1000Ti") }},
		"a smaller size": {"provisioned", func(c *corev1.PersistentVolumeClaim) { size(c, "1Gi") }},
		"another access mode": {"provisioned", func(c *corev1.PersistentVolumeClaim) {
			c.Spec.AccessModes = append(c.Spec.AccessModes, corev1.ReadWriteMany)
		}},
		"another class": {
			"provisioned",
			func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = new("gold") },
		},
		"no class": {
			"provisioned",
			func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = new("") },
		},
		"a block device": {
			"provisioned",
			func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeMode = new(corev1.PersistentVolumeBlock) },
		},
		"attributes": {
			"provisioned",
			func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeAttributesClassName = new("gold") },
		},
		"a limit": {
			"provisioned",
			func(c *corev1.PersistentVolumeClaim) { c.Spec.Resources.Limits = c.Spec.Resources.Requests },
		},
		"a finalizer": {
			"provisioned",
			func(c *corev1.PersistentVolumeClaim) { c.Finalizers = []string{"example.com/a"} },
		},
		"larger than its volume": {
			"provisioned",
			func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "pvc-1"; size(c, "101Gi") },
		},
		"an owner": {"provisioned", func(c *corev1.PersistentVolumeClaim) {
			c.OwnerReferences = []metav1.OwnerReference{owner("gone")}
		}},
		"no label": {
			"provisioned",
			func(c *corev1.PersistentVolumeClaim) { delete(c.Labels, storage.LabelInstallation) },
		},
		"no labels": {"provisioned", func(c *corev1.PersistentVolumeClaim) { c.Labels = nil }},
		"another's installation": {
			"provisioned",
			func(c *corev1.PersistentVolumeClaim) { c.Labels[storage.LabelInstallation] = "storage.other" },
		},
		"a copy of data": {"provisioned", func(c *corev1.PersistentVolumeClaim) {
			c.Spec.DataSource = &corev1.TypedLocalObjectReference{Kind: "PersistentVolumeClaim", Name: "other"}
		}},
		"a choice of volumes": {
			"provisioned",
			func(c *corev1.PersistentVolumeClaim) { c.Spec.Selector = &metav1.LabelSelector{} },
		},
		"another volume": {
			"shared",
			func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "pv-of-another-team" },
		},
		"no volume":                   {"shared", func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "" }},
		"larger than a shared volume": {"shared", func(c *corev1.PersistentVolumeClaim) { size(c, "1000Ti") }},
		"fewer modes than the profile": {"shared", func(c *corev1.PersistentVolumeClaim) {
			c.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{"ReadOnlyMany"}
		}},
	}
	for name, c := range cases {
		claim := claimFor(t, config, c.profile, namespace)
		c.change(claim)
		err := createClaim(t, client, claim)
		assert.True(t, denied(err), "%s: %v", name, err)
	}
}

// A claim that names a volume gets its data, if the volume is available to it.
func TestGuardrailsRebindOnlyVolumesOfTheNamespace(t *testing.T) {
	t.Parallel()
	client, config := guarded(t, []storage.Profile{provisioned()})
	namespace, other := serve(t, config), serve(t, config)
	name, labels := config.claim(namespace), labelsOf(namespace, uidOf(t, namespace))
	rebind := func(volume string) error {
		claim := claimFor(t, config, "provisioned", namespace)
		claim.Spec.VolumeName = volume
		return createClaim(t, client, claim)
	}
	available := otherVolume()
	available.Name, available.GenerateName, available.Spec.ClaimRef = "", "available-", nil
	for name, volume := range map[string]string{
		"available to any claim":  inPhase(t, available, corev1.VolumeAvailable),
		"no labels":               volumeInPhase(t, corev1.VolumeReleased, nil, namespace, name),
		"of an earlier namespace": volumeInPhase(t, corev1.VolumeReleased, labelsOf(namespace, "1"), namespace, name),
		"of another claim":        volumeInPhase(t, corev1.VolumeReleased, labels, namespace, "mine"),
		"of another namespace":    volumeInPhase(t, corev1.VolumeReleased, labels, other, name),
		"with another one's label": volumeInPhase(t, corev1.VolumeReleased,
			labelsOf(other, uidOf(t, namespace)), namespace, name),
		"with another one's own UID": volumeInPhase(t, corev1.VolumeReleased,
			labelsOf(namespace, uidOf(t, other)), namespace, name),
	} {
		// The API server reads volumes from a cache, which a new one takes a moment to reach.
		eventually(t, func() bool { return denied(rebind(volume)) }, name)
	}
	require.NoError(t, rebind(volumeInPhase(t, corev1.VolumeReleased, labels, namespace, name)))
}

func TestGuardrailsHoldClaimsToServedNamespaces(t *testing.T) {
	t.Parallel()
	one := newNamespace(t, nil)
	static := ofBackend(backend("aws-ebs"))
	static.Volume.Namespace = one
	selective := provisioned()
	selective.Name, selective.Mount.Path = "selective", "/selective"
	selective.NamespaceSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: "team", Operator: metav1.LabelSelectorOpIn, Values: []string{"ml", "data"}},
		{Key: "stage", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"production"}},
		{Key: "owner", Operator: metav1.LabelSelectorOpExists},
		{Key: "frozen", Operator: metav1.LabelSelectorOpDoesNotExist},
	}}
	client, config := guarded(t, []storage.Profile{provisioned(), static, selective})
	label(t, one, map[string]string{servedBy: config.namespace})
	labelled := func(change map[string]string) string {
		labels := map[string]string{servedBy: config.namespace, "team": "ml", "owner": ""}
		for key, value := range change {
			if labels[key] = value; value == "-" {
				delete(labels, key)
			}
		}
		return newNamespace(t, labels)
	}
	for name, c := range map[string]struct {
		profile, namespace string
		admitted           bool
	}{
		"a served namespace":             {"provisioned", one, true},
		"the volume's namespace":         {"aws-ebs", one, true},
		"another than the volume's":      {"aws-ebs", serve(t, config), false},
		"a namespace that is not served": {"provisioned", newNamespace(t, nil), false},
		"an excluded namespace":          {"provisioned", "kube-system", false},
		"the installation's namespace":   {"provisioned", config.namespace, false},
		"selected by the profile":        {"selective", labelled(nil), true},
		"another stage":                  {"selective", labelled(map[string]string{"stage": "test"}), true},
		"not In":                         {"selective", labelled(map[string]string{"team": "web"}), false},
		"no label for In":                {"selective", labelled(map[string]string{"team": "-"}), false},
		"in NotIn":                       {"selective", labelled(map[string]string{"stage": "production"}), false},
		"not Exists":                     {"selective", labelled(map[string]string{"owner": "-"}), false},
		"not DoesNotExist":               {"selective", labelled(map[string]string{"frozen": "1"}), false},
	} {
		claim := provisionedClaim(t, config, c.profile, c.namespace)
		err := createClaim(t, client, claim)
		assert.Equal(t, c.admitted, err == nil, "%s: %v", name, err)
		assert.Equal(t, !c.admitted, denied(err), "%s: %v", name, err)
	}

	// Even with the label by which the installation selects.
	label(t, config.namespace, map[string]string{servedBy: config.namespace})
	err := createClaim(t, client, claimFor(t, config, "provisioned", config.namespace))
	assert.True(t, denied(err), "the installation's own namespace with its label: %v", err)
}

// provisionedClaim is the claim of a profile in a namespace, also in one that the profile's volume does not serve.
func provisionedClaim(t *testing.T, config release, profile, namespace string) *corev1.PersistentVolumeClaim {
	t.Helper()
	home := namespace
	if v := config.Profile(profile).Volume; v != nil {
		home = v.Namespace
	}
	claim := claimFor(t, config, profile, home)
	claim.Namespace = namespace
	return claim
}

// label labels a namespace.
func label(t *testing.T, namespace string, labels map[string]string) {
	t.Helper()
	live, err := suite.Kubernetes(t).CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{})
	require.NoError(t, err)
	if live.Labels == nil {
		live.Labels = map[string]string{}
	}
	maps.Copy(live.Labels, labels)
	_, err = suite.Kubernetes(t).CoreV1().Namespaces().Update(t.Context(), live, metav1.UpdateOptions{})
	require.NoError(t, err)
}

func TestGuardrailsLetNoClaimGrowAboveItsProfile(t *testing.T) {
	t.Parallel()
	client, config := guarded(t, []storage.Profile{provisioned()})
	claim := boundClaim(t, claimFor(t, config, "provisioned", serve(t, config)))
	grow := func(size string) error {
		_, err := client.CoreV1().PersistentVolumeClaims(claim.Namespace).Patch(t.Context(), claim.Name, types.MergePatchType,
			[]byte(`{"spec":{"resources":{"requests":{"storage":"`+size+`"}}}}`), metav1.PatchOptions{})
		return err
	}
	require.NoError(t, grow("2Gi"))
	for _, size := range []string{"101Gi", "1000Ti", "1P"} {
		err := grow(size)
		assert.True(t, denied(err), "%s: %v", size, err)
	}
	require.NoError(t, grow("100Gi"))
}

func TestGuardrailsChangeNothingElseInTheSpecOfAClaim(t *testing.T) {
	t.Parallel()
	client, config := guarded(t, []storage.Profile{provisioned()})
	claim := boundClaim(t, claimFor(t, config, "provisioned", serve(t, config)))
	_, err := client.CoreV1().PersistentVolumeClaims(claim.Namespace).Patch(t.Context(), claim.Name, types.MergePatchType,
		[]byte(`{"spec":{"volumeAttributesClassName":"gold"}}`), metav1.PatchOptions{DryRun: dryRun.DryRun})
	assert.True(t, denied(err), "%v", err)
	assert.ErrorContains(t, err, "pipeline-storage changes nothing in the spec of a claim but its size")
}

// {namespace} in a name stands for the namespace of the claim. A class does not name it, so that any name
// of a namespace passes.
func TestGuardrailsReadNamesWithTheNamespace(t *testing.T) {
	t.Parallel()
	profile := shared()
	profile.Claim.Name, profile.Volume.Name = "data-{namespace}", "vol.{namespace}"
	profile.StorageClass.Name = "a.b-{namespace}"
	client, config := guarded(t, []storage.Profile{profile})
	namespace := serve(t, config)
	storage := objectsOf(t, config, "shared", namespace)
	_, err := client.CoreV1().PersistentVolumes().Create(t.Context(), storage.Volumes[0], dryRun)
	require.NoError(t, err)
	require.NoError(t, createClaim(t, client, storage.Claims[0]))
	create := func(class *storagev1.StorageClass) error {
		_, err := client.StorageV1().StorageClasses().Create(t.Context(), class, dryRun)
		return err
	}
	require.NoError(t, create(storage.StorageClasses[0]))

	for _, name := range []string{"a.b-a.b", "axb-team", "xa.b-team", "a.b-team.c"} {
		storage.StorageClasses[0].Name = name
		err := create(storage.StorageClasses[0])
		assert.True(t, denied(err), "%s: %v", name, err)
	}
	storage.Claims[0].Name = "data-other"
	err = createClaim(t, client, storage.Claims[0])
	assert.True(t, denied(err), "%v", err)
	storage.Volumes[0].Name = "vol.other"
	_, err = client.CoreV1().PersistentVolumes().Create(t.Context(), storage.Volumes[0], dryRun)
	assert.True(t, denied(err), "%v", err)
}
