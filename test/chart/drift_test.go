package chart_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pipeline-storage/pipeline-storage/internal/drift"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// The file of the expected webhooks is what the API server makes of the MutatingWebhookConfiguration, by
// every value, and the annotation is the file's hash.
func TestExpectedWebhooksAreTheInstalled(t *testing.T) {
	t.Parallel()
	for name, file := range valueSets(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := render(t, newNamespace(t, nil), "--values", file)
			expected, live := expectedOf(t, all), stored(t, all)
			assert.Empty(t, expected.Differences(live.Webhooks))
			assert.Equal(t, expected.Hash, live.Annotations[drift.AnnotationInstalled])
		})
	}
	for name, components := range kustomizations {
		if slices.Contains(components, "policy") { // it has no webhook
			continue
		}
		t.Run("kustomize "+name, func(t *testing.T) {
			t.Parallel()
			all := build(t, components...)
			live := stored(t, all)
			assert.Empty(t, expectedOf(t, all).Differences(live.Webhooks))
			assert.NotContains(t, live.Annotations, drift.AnnotationInstalled, "nothing keeps the two files equal, so "+
				"nothing is restored")
		})
	}
}

// The program serves the path of every webhook, and finds by it what selects the pods.
func TestWebhooksHaveTheirPaths(t *testing.T) {
	t.Parallel()
	paths := map[string]inject.SelectedBy{}
	for _, webhook := range expectedOf(t, render(t, newNamespace(t, nil))).Webhooks {
		by, _, found := strings.Cut(webhook.Name, ".storage.")
		if !found {
			by = ""
		}
		paths[*webhook.ClientConfig.Service.Path] = inject.SelectedBy(by)
	}
	assert.Equal(t, inject.AdmissionPaths, paths)
}

func expectedOf(t *testing.T, all []*unstructured.Unstructured) *drift.Expected {
	t.Helper()
	text, found, err := unstructured.NestedString(one(t, all, "ConfigMap").Object, "data", "webhooks.yaml")
	require.NoError(t, err)
	require.True(t, found)
	expected, err := drift.Parse([]byte(text))
	require.NoError(t, err)
	return expected
}

// stored is the MutatingWebhookConfiguration with the API server's defaults.
func stored(t *testing.T, all []*unstructured.Unstructured) *admissionv1.MutatingWebhookConfiguration {
	t.Helper()
	made, err := resourceOf(t, newMapper(t), one(t, all, "MutatingWebhookConfiguration")).
		Create(t.Context(), one(t, all, "MutatingWebhookConfiguration"), dryRun)
	require.NoError(t, err)
	var live admissionv1.MutatingWebhookConfiguration
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(made.Object, &live))
	return &live
}

// What a stolen token may do to the own MutatingWebhookConfiguration, by certificate mode.
// docs/operations.md has this table.
func TestStolenTokenAndTheWebhookConfiguration(t *testing.T) {
	t.Parallel()
	for mode, mayPatch := range map[string]bool{"self": true, "secret": true, "certManager": false} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			namespace := newNamespace(t, nil)
			all := render(
				t,
				namespace,
				"--set",
				"uninstallHook.enabled=false,certificates.mode="+mode+",certificates.secretName=mine",
			)
			mapper := newMapper(t)
			for _, kind := range []string{"ClusterRole", "ClusterRoleBinding", "MutatingWebhookConfiguration"} {
				object := one(t, all, kind)
				if kind == "MutatingWebhookConfiguration" { // that reaches no pod of another test
					require.NoError(t, unstructured.SetNestedField(object.Object["webhooks"].([]any)[0].(map[string]any),
						map[string]any{"matchLabels": map[string]any{"never": "there"}}, "namespaceSelector"))
				}
				_, err := resourceOf(t, mapper, object).Create(t.Context(), object, metav1.CreateOptions{})
				require.NoError(t, err)
			}
			name := one(t, all, "MutatingWebhookConfiguration").GetName()
			configurations := as(t, namespace).AdmissionregistrationV1().MutatingWebhookConfigurations()
			eventually(t, func() bool {
				_, err := configurations.Get(t.Context(), name, metav1.GetOptions{})
				return err == nil
			}, "the ClusterRole is not in force")

			attack := []byte(`[{"op": "add", "path": "/webhooks/0/rules/0/resources", "value": ["secrets"]}]`)
			patch := func(name string) error {
				_, err := configurations.Patch(
					t.Context(),
					name,
					types.JSONPatchType,
					attack,
					metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}},
				)
				return err
			}
			if mayPatch {
				require.NoError(t, patch(name))
			} else {
				assert.True(t, apierrors.IsForbidden(patch(name)))
			}
			assert.True(t, apierrors.IsForbidden(patch("another")), "the right is on one name")
			_, err := configurations.Update(
				t.Context(),
				liveConfiguration(t, name),
				metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}},
			)
			assert.True(t, apierrors.IsForbidden(err), "there is no right to update")
			err = configurations.Delete(t.Context(), name, metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}})
			assert.True(t, apierrors.IsForbidden(err), "there is no right to delete")
		})
	}
}

func liveConfiguration(t *testing.T, name string) *admissionv1.MutatingWebhookConfiguration {
	t.Helper()
	live, err := webhookConfigurations(t).Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	return live
}
