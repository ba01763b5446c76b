package controllers

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/claimtest"
	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// labelPolicy is on the namespaces of the test below: its policy must refuse no claim of another test.
const labelPolicy = "claims-need-a-team"

// requireTeam has a policy in force that refuses claims without the label team, in namespaces with
// labelPolicy. It returns when the API server enforces it.
func (f *fixture) requireTeam() {
	f.t.Helper()
	f.policy(labelPolicy, admissionregistrationv1.Create,
		"has(object.metadata.labels) && 'team' in object.metadata.labels", "every claim needs the label team")
	namespace := f.namespace(labelPolicy)
	require.Eventually(f.t, func() bool {
		return f.dryRun(namespace) != nil
	}, timeout, poll, "the policy is not in force")
}

// policy refuses an operation on claims unless the expression holds, in the namespaces with the label of its name.
func (f *fixture) policy(name string, operation admissionregistrationv1.OperationType, expression, message string) {
	f.t.Helper()

	meta := metav1.ObjectMeta{Name: name}
	rule := admissionregistrationv1.RuleWithOperations{
		Operations: []admissionregistrationv1.OperationType{operation},
		Rule: admissionregistrationv1.Rule{
			APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"persistentvolumeclaims"},
		},
	}
	for _, object := range []client.Object{
		&admissionregistrationv1.ValidatingAdmissionPolicy{
			ObjectMeta: meta, Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
				MatchConstraints: &admissionregistrationv1.MatchResources{
					ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: rule}},
				},
				Validations: []admissionregistrationv1.Validation{{Expression: expression, Message: message}},
			},
		},
		&admissionregistrationv1.ValidatingAdmissionPolicyBinding{
			ObjectMeta: meta, Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
				PolicyName:        meta.Name,
				ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
				MatchResources: &admissionregistrationv1.MatchResources{
					NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{name: "true"}},
				},
			},
		},
	} {
		require.NoError(f.t, f.Create(f.t.Context(), object))
		f.t.Cleanup(func() { assert.NoError(f.t, f.Delete(context.Background(), object)) })
	}
}

// dryRun has the API server decide about a claim without a label and a class. The claim is as it would be
// created.
func (f *fixture) dryRun(namespace string) error {
	_, err := f.asCreated(namespace)
	return err
}

func (f *fixture) asCreated(namespace string) (*corev1.PersistentVolumeClaim, error) {
	claim := claimtest.Claim(claimtest.Size("1Gi"))
	claim.Spec.StorageClassName = nil
	claim.ObjectMeta = metav1.ObjectMeta{Name: "dry-" + rand.String(8), Namespace: namespace}
	return claim, f.Create(f.t.Context(), claim, client.DryRunAll)
}

// TestClaimsHaveTheLabelsThatAPolicyRequires: without the profile's label no claim could be created, and an
// Event reports that.
func TestClaimsHaveTheLabelsThatAPolicyRequires(t *testing.T) {
	f := newFixture(t, `{name: default, claim: {labels: {team: "{namespace}"}, annotations: {plan: "of {namespace}"}}, `+
		`storageClass: {name: CLASS, labels: {team: platform}, annotations: {owner: us}, `+
		`allowedTopologies: [{matchLabelExpressions: [{key: zone, values: [a, b]}]}]}}`,
		`{name: bare, storageClass: {name: CLASS-bare}}`)
	f.requireTeam()
	namespace := f.namespace(labelPolicy)
	f.pod(namespace, "one", "default")
	f.pod(namespace, "two", "bare")
	f.run()
	claim := eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
	assert.Equal(t, namespace, claim.Labels["team"])
	assert.Equal(t, "of "+namespace, claim.Annotations["plan"])
	assert.Equal(t, "default", claim.Labels[storage.LabelProfile])
	class := get(f, "", f.class, &storagev1.StorageClass{})
	assert.Equal(t, "platform", class.Labels["team"])
	assert.Equal(t, "us", class.Annotations["owner"])
	assert.Equal(t, []corev1.TopologySelectorTerm{
		{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: "zone", Values: []string{"a", "b"}}}},
	}, class.AllowedTopologies)

	assert.Contains(t, f.event(namespace, "two", diagnose.ReasonCreateRefused), "every claim needs the label team")
	f.missing(namespace, "pvc-data-pipeline-bare", &corev1.PersistentVolumeClaim{})
}

// TestAddsMissingMetadataOnceAndOverwritesNone: another owner may have written a label, or removed it.
func TestAddsMissingMetadataOnceAndOverwritesNone(t *testing.T) {
	profile := func(metadata string) string {
		return `{name: default, claim: {size: 10Gi` + metadata + `}, storageClass: {name: CLASS}}`
	}
	f := newFixture(t, profile(""))
	namespace := f.namespace()
	f.pod(namespace, "one", "default")
	r := f.run()
	claim := eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
	f.bind(claim, "volume."+namespace)
	change := func(labels string) {
		t.Helper()
		require.NoError(t, f.Patch(t.Context(), claim, client.RawPatch("application/merge-patch+json",
			[]byte(`{"metadata":{"labels":`+labels+`}}`))))
	}
	change(`{"stage":"of-the-team"}`)

	f.set(r, profile(`, labels: {team: "{namespace}", stage: test}, annotations: {plan: daily}`))
	eventually(f, namespace, claim.Name, claim, func(c *corev1.PersistentVolumeClaim) bool {
		return c.Labels["team"] == namespace && c.Annotations["plan"] == "daily"
	})
	assert.Equal(t, "of-the-team", claim.Labels["stage"])
	assert.Contains(t, f.event(namespace, claim.Name, diagnose.ReasonClaimDiffers),
		`differs from the profile default: its label stage is "of-the-team", not "test". It stays as it is`)

	change(`{"team":null}`)
	f.barrier()
	f.barrier()
	assert.NotContains(t, get(f, namespace, claim.Name, claim).Labels, "team", "who removed it is not contradicted")

	f.set(r, profile(`, labels: {team: "{namespace}", more: x}`))
	eventually(f, namespace, claim.Name, claim, func(c *corev1.PersistentVolumeClaim) bool {
		return c.Labels["team"] == namespace && c.Labels["more"] == "x"
	})
	assert.Equal(t, "daily", claim.Annotations["plan"], "what the profile has no more stays")
	assert.True(t, claim.Spec.Resources.Requests.Storage().Equal(resource.MustParse("10Gi")))
}

// TestReportsLabelsThatAPolicyRefuses: the claim is in use without them, so that this is no failure.
func TestReportsLabelsThatAPolicyRefuses(t *testing.T) {
	const policy, refusal = "claims-keep-their-labels", "labels of claims stay"
	profile := func(labels string) string {
		return `{name: default, claim: {size: 10Gi, labels: {` + labels + `}}, storageClass: {name: CLASS}}`
	}
	f := newFixture(t, profile(""))
	f.policy(policy, admissionregistrationv1.Update, "!('team' in object.metadata.?labels.orValue({}))", refusal)
	namespace := f.namespace(policy)
	f.pod(namespace, "one", "default")
	r := f.run()
	claim := eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
	f.bind(claim, "volume."+namespace)
	team := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"team":"a"}}}`))
	require.Eventually(t, func() bool {
		return f.Patch(t.Context(), claim.DeepCopy(), team, client.DryRunAll) != nil
	}, timeout, poll, "the policy is not in force")

	f.set(r, profile("team: a"))
	note := f.event(namespace, claim.Name, diagnose.ReasonClaimDiffers)
	assert.Contains(t, note, "claim pvc-data-pipeline lacks labels or annotations of the profile default")
	assert.Contains(t, note, refusal)
	f.barrier()
	assert.Empty(t, f.notes(namespace, claim.Name, diagnose.ReasonCreateRefused))
	assert.Empty(t, f.notes(namespace, "one", diagnose.ReasonCreateRefused))
	assert.NotContains(t, get(f, namespace, claim.Name, claim).Labels, "team")
}

// TestNeverLabelsUnmanagedClaims: a claim of a third party is used as it is.
func TestNeverLabelsUnmanagedClaims(t *testing.T) {
	f := newFixture(t, `{name: default, claim: {size: 1Gi, labels: {team: a}}, storageClass: {name: others-fast}}`)
	namespace := f.namespace()
	claim := f.claim(namespace, "pvc-data-pipeline", "others-fast", "1Gi")
	f.bind(claim, "unmanaged."+namespace)
	version := get(f, namespace, claim.Name, claim).ResourceVersion
	f.pod(namespace, "one", "default")
	f.run()
	f.barrier()
	assert.Equal(t, version, get(f, namespace, claim.Name, claim).ResourceVersion)
	assert.Empty(t, f.notes(namespace, "one", ""))
}

// TestClusterDefaultLeavesTheClassToTheCluster runs before the tests that run beside each other: they must
// have no default class.
func TestClusterDefaultLeavesTheClassToTheCluster(t *testing.T) {
	profile := func(size string) string {
		return `{name: default, claim: {size: ` + size + `}, storageClass: {name: ClusterDefault}}`
	}
	f := newSerialFixture(t, profile("10Gi"))
	early, late := f.namespace(), f.namespace()
	f.pod(early, "one", "default")
	r := f.run()
	claim := eventually(f, early, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
	assert.Nil(t, claim.Spec.StorageClassName, "there is no default class yet, and no class at all would be another thing")
	assert.Contains(t, f.event(early, "one", diagnose.ReasonClassMissing),
		"it names no StorageClass, and the cluster has no default one: annotate a class")

	class := &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{
			Name:        f.class,
			Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"},
		},
		Provisioner: "driver.example.com", AllowVolumeExpansion: new(true),
	}
	require.NoError(t, f.Create(t.Context(), class))
	t.Cleanup(func() { assert.NoError(t, f.Delete(context.Background(), class)) })
	require.Eventually(t, func() bool {
		claim, err := f.asCreated(late)
		return err == nil && diagnose.ClassOf(claim) == f.class
	}, timeout, poll, "the API server has not seen the default class")

	f.pod(late, "one", "default")
	claim = eventually(f, late, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
	assert.Equal(t, f.class, diagnose.ClassOf(claim))
	f.bind(claim, "default."+late)
	f.set(r, profile("20Gi"))
	eventually(f, late, claim.Name, claim, func(c *corev1.PersistentVolumeClaim) bool {
		return c.Spec.Resources.Requests.Storage().Equal(resource.MustParse("20Gi"))
	})
	f.barrier()
	assert.Empty(t, f.notes(late, claim.Name, diagnose.ReasonClaimDiffers), "every class is the wanted one")
}
