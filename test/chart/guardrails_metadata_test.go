package chart_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// described is a profile with labels, annotations and topologies.
func described() storage.Profile {
	p := provisioned()
	p.Claim.Labels = map[string]string{"team": "{namespace}", "stage": "test"}
	p.Claim.Annotations = map[string]string{"example.com/plan": "daily"}
	p.StorageClass.Labels = map[string]string{"team": "platform"}
	p.StorageClass.AllowedTopologies = []corev1.TopologySelectorTerm{
		{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{
			{Key: "topology.example.com/zone", Values: []string{"a", "b"}}, {Key: "rack", Values: []string{"1"}},
		}},
		{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: "rack", Values: []string{"2"}}}},
	}
	return p
}

// ofTheCluster is a profile whose claims get the default class of the cluster.
func ofTheCluster() storage.Profile {
	p := provisioned()
	p.Name, p.Mount.Path, p.StorageClass.Name = "of-the-cluster", "/of-the-cluster", storage.ClusterDefault
	return p
}

func TestGuardrailsAllowTheTopologiesOfAProfile(t *testing.T) {
	t.Parallel()
	client, config := guarded(t, []storage.Profile{described(), ofTheCluster()})
	create := func(change func(*storagev1.StorageClass)) error {
		class := objectsOf(t, config, "provisioned", serve(t, config)).StorageClasses[0]
		change(class)
		_, err := client.StorageV1().StorageClasses().Create(t.Context(), class, dryRun)
		return err
	}
	require.NoError(t, create(func(*storagev1.StorageClass) {}))
	for name, change := range map[string]func(*storagev1.StorageClass){
		"none":     func(c *storagev1.StorageClass) { c.AllowedTopologies = nil },
		"one less": func(c *storagev1.StorageClass) { c.AllowedTopologies = c.AllowedTopologies[:1] },
		"another value": func(c *storagev1.StorageClass) {
			c.AllowedTopologies[1].MatchLabelExpressions[0].Values = []string{"3"}
		},
		"a value more": func(c *storagev1.StorageClass) {
			c.AllowedTopologies[1].MatchLabelExpressions[0].Values = []string{"2", "3"}
		},
		"another key": func(c *storagev1.StorageClass) {
			c.AllowedTopologies[1].MatchLabelExpressions[0].Key = "row"
		},
	} {
		err := create(change)
		assert.True(t, denied(err), "%s: %v", name, err)
	}
}

// The API server fills in the default class before the policies are evaluated.
func TestGuardrailsLeaveTheClassToTheCluster(t *testing.T) {
	t.Parallel()
	client, config := guarded(t, []storage.Profile{described(), ofTheCluster()})
	namespace := serve(t, config)
	for _, class := range []*string{nil, new("standard")} {
		claim := claimFor(t, config, "of-the-cluster", namespace)
		require.Nil(t, claim.Spec.StorageClassName)
		claim.Spec.StorageClassName = class
		require.NoError(t, createClaim(t, client, claim))
		size(claim, "1000Ti")
		assert.True(t, denied(createClaim(t, client, claim)), "the rest is held to the profile")
	}
	claim := claimFor(t, config, "of-the-cluster", namespace)
	claim.Spec.StorageClassName = new("")
	assert.True(t, denied(createClaim(t, client, claim)), "a claim without a class gets any volume that has none")
	claim = claimFor(t, config, "provisioned", namespace)
	require.NoError(t, createClaim(t, client, claim))
	claim.Spec.StorageClassName = nil
	assert.True(t, denied(createClaim(t, client, claim)), "another profile names its class")
}

func TestGuardrailsLetAClaimGetTheMetadataOfItsProfile(t *testing.T) {
	t.Parallel()
	client, config := guarded(t, []storage.Profile{described(), ofTheCluster()})
	namespace := serve(t, config)
	bare := claimFor(t, config, "provisioned", namespace)
	delete(bare.Labels, "team")
	delete(bare.Annotations, "example.com/plan")
	bare.Labels["stage"], bare.Labels["app"] = "of-the-team", "train"
	claim := boundClaim(t, bare)
	patch := func(fields map[string]any) error {
		text, err := json.Marshal(fields)
		require.NoError(t, err)
		_, err = client.CoreV1().PersistentVolumeClaims(namespace).Patch(t.Context(), claim.Name, types.MergePatchType, text,
			metav1.PatchOptions{DryRun: dryRun.DryRun})
		return err
	}
	metadata := func(field, key string, value any) map[string]any {
		return map[string]any{"metadata": map[string]any{field: map[string]any{key: value}}}
	}
	require.NoError(t, patch(metadata("labels", "team", namespace)))
	require.NoError(t, patch(metadata("annotations", "example.com/plan", "daily")))
	for name, fields := range map[string]map[string]any{
		"another value":               metadata("labels", "team", "other"),
		"another key":                 metadata("labels", "owner", "other"),
		"a value of another owner":    metadata("labels", "stage", "test"),
		"a label less":                metadata("labels", "app", nil),
		"its own label":               metadata("labels", storage.LabelInstallation, "other"),
		"another annotation's value":  metadata("annotations", "example.com/plan", "never"),
		"another annotation":          metadata("annotations", "meta.helm.sh/release-name", "other"),
		"an annotation less":          metadata("annotations", "helm.sh/resource-policy", nil),
		"an annotation as a label":    metadata("labels", "example.com/plan", "daily"),
		"a label as an annotation":    metadata("annotations", "team", namespace),
		"a finalizer beside no label": {"metadata": map[string]any{"finalizers": []string{"example.com/a"}}},
	} {
		err := patch(fields)
		assert.True(t, denied(err), "%s: %v", name, err)
	}
}

// A claim that has become larger than its profile gets its labels all the same.
func TestGuardrailsLetALargerClaimGetItsMetadata(t *testing.T) {
	t.Parallel()
	client, config := guarded(t, []storage.Profile{described(), ofTheCluster()})
	namespace := serve(t, config)
	larger := claimFor(t, config, "provisioned", namespace)
	delete(larger.Labels, "team")
	size(larger, "1Ti")
	_, err := as(t, config.namespace).CoreV1().PersistentVolumeClaims(namespace).Create(t.Context(), larger, dryRun)
	require.True(t, denied(err), "it could not be created: %v", err)
	larger = createAsAdmin(t, larger)
	patch := func(text string) error {
		_, err := client.CoreV1().PersistentVolumeClaims(namespace).Patch(t.Context(), larger.Name, types.MergePatchType,
			[]byte(text), metav1.PatchOptions{DryRun: dryRun.DryRun})
		return err
	}
	require.NoError(t, patch(`{"metadata":{"labels":{"team":"`+namespace+`"}}}`))
	err = patch(`{"metadata":{"labels":{"team":"` + namespace + `","x":"y"}}}`)
	assert.True(t, denied(err), "%v", err)
}

// createAsAdmin creates a claim with every right.
func createAsAdmin(t *testing.T, claim *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
	t.Helper()
	created, err := suite.Kubernetes(t).CoreV1().PersistentVolumeClaims(claim.Namespace).
		Create(t.Context(), claim, metav1.CreateOptions{})
	require.NoError(t, err)
	return created
}
