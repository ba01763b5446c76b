package chart_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// install installs the chart. It serves no namespace in which other tests make pods.
func install(t *testing.T, h tool, release, namespace string, args ...string) {
	t.Helper()
	h.must(t, withSelector("install", release, namespace, args)...)
}

func upgrade(t *testing.T, h tool, release, namespace string, args ...string) {
	t.Helper()
	h.must(t, withSelector("upgrade", release, namespace, args)...)
}

// servedBy is the label of the namespaces that a release of these tests serves; its value is the namespace
// of the release.
const servedBy = "served-by"

func withSelector(command, release, namespace string, args []string) []string {
	return append([]string{
		command, release, chart, "--namespace", namespace, "--set",
		"namespaceSelector.matchLabels." + servedBy + "=" + namespace,
	}, args...)
}

// webhookOf returns the one webhook of a release.
func webhookOf(t *testing.T, release, namespace string) admissionv1.MutatingWebhook {
	t.Helper()
	configuration, err := typed.AdmissionregistrationV1().MutatingWebhookConfigurations().
		Get(t.Context(), clusterName(release, namespace), metav1.GetOptions{})
	require.NoError(t, err)
	require.Len(t, configuration.Webhooks, 1)
	return configuration.Webhooks[0]
}

func clusterName(release, namespace string) string {
	return fmt.Sprintf("%s.%s-pipeline-storage", namespace, release)
}

// argumentsOf returns the arguments of a release's program.
func argumentsOf(t *testing.T, release, namespace string) []string {
	t.Helper()
	deployment, err := typed.AppsV1().Deployments(namespace).
		Get(t.Context(), release+"-pipeline-storage", metav1.GetOptions{})
	require.NoError(t, err)
	return deployment.Spec.Template.Spec.Containers[0].Args
}

// caBundle is that of the tests. It is not read: no pod of these tests is labelled.
var caBundle = []byte("-----BEGIN CERTIFICATE-----\n")

// writers write the live caBundle, each under a name of its own.
var writers = map[string]struct {
	kind types.PatchType
	body any
}{
	"the webhook": {types.ApplyPatchType, map[string]any{
		"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
		"webhooks": []any{map[string]any{
			"name": "storage.pipeline-storage.io", "clientConfig": map[string]any{"caBundle": caBundle},
		}},
	}},
	"a third party": {types.JSONPatchType, []any{
		map[string]any{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": caBundle},
	}},
}

func writeBundle(t *testing.T, writer, release, namespace string) {
	t.Helper()
	text, err := json.Marshal(writers[writer].body)
	require.NoError(t, err)
	options := metav1.PatchOptions{FieldManager: "writer"}
	if writers[writer].kind == types.ApplyPatchType {
		options.Force = new(true)
	}
	_, err = typed.AdmissionregistrationV1().MutatingWebhookConfigurations().
		Patch(t.Context(), clusterName(release, namespace), writers[writer].kind, text, options)
	require.NoError(t, err)
}

func TestUpgradeLeavesTheBundleAlone(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ first, then tool }{
		"Helm 3 after Helm 3": {helm3, helm3},
		"Helm 4 after Helm 4": {helm4, helm4},
		"Helm 4 after Helm 3": {helm3, helm4},
	}
	for name, c := range cases {
		for writer := range writers {
			t.Run(name+", written by "+writer, func(t *testing.T) {
				t.Parallel()
				leavesTheBundleAlone(t, c.first, c.then, writer)
			})
		}
	}
}

func leavesTheBundleAlone(t *testing.T, first, then tool, writer string) {
	t.Helper()
	namespace := newNamespace(t, restricted)
	install(t, first, "ps", namespace)
	assert.Empty(t, webhookOf(t, "ps", namespace).ClientConfig.CABundle)

	writeBundle(t, writer, "ps", namespace)
	upgrade(t, then, "ps", namespace)
	assert.Equal(t, caBundle, webhookOf(t, "ps", namespace).ClientConfig.CABundle, "an upgrade that changes nothing")

	upgrade(t, then, "ps", namespace, "--set", "webhook.timeoutSeconds=7,logLevel=debug,replicas=3")
	webhook := webhookOf(t, "ps", namespace)
	assert.Equal(t, caBundle, webhook.ClientConfig.CABundle, "an upgrade that changes the webhook")
	assert.Equal(t, int32(7), *webhook.TimeoutSeconds)
	assert.Contains(t, argumentsOf(t, "ps", namespace), "--log-level=debug")

	then.must(t, "rollback", "ps", "1", "--namespace", namespace)
	webhook = webhookOf(t, "ps", namespace)
	assert.Equal(t, caBundle, webhook.ClientConfig.CABundle, "a rollback")
	assert.Equal(t, int32(5), *webhook.TimeoutSeconds)
}

func TestInstallationsLiveSideBySide(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		releases      [2]string
		sameNamespace bool
	}{
		"one name in two namespaces":  {releases: [2]string{"ps", "ps"}},
		"two names in one namespace":  {releases: [2]string{"a", "b"}, sameNamespace: true},
		"two names in two namespaces": {releases: [2]string{"a", "b"}},
	}
	withBoth(t, func(t *testing.T, h tool) {
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				namespaces := [2]string{newNamespace(t, restricted), newNamespace(t, restricted)}
				if c.sameNamespace {
					namespaces[1] = namespaces[0]
				}
				for i, release := range c.releases {
					install(t, h, release, namespaces[i], "--set", "priorityClass.create=true")
				}
				assert.NotEqual(t, argumentsOf(t, c.releases[0], namespaces[0]), argumentsOf(t, c.releases[1], namespaces[1]))

				uninstall(t, h, c.releases[0], namespaces[0])
				gone(t, clusterName(c.releases[0], namespaces[0]))
				webhookOf(t, c.releases[1], namespaces[1])
				upgrade(t, h, c.releases[1], namespaces[1], "--set", "priorityClass.create=true")
			})
		}
	})
}

// gone checks that nothing of a release is left in the cluster.
func gone(t *testing.T, name string) {
	t.Helper()
	get := metav1.GetOptions{}
	_, webhook := typed.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(t.Context(), name, get)
	_, role := typed.RbacV1().ClusterRoles().Get(t.Context(), name, get)
	_, binding := typed.RbacV1().ClusterRoleBindings().Get(t.Context(), name, get)
	_, volumes := typed.AdmissionregistrationV1().ValidatingAdmissionPolicies().Get(t.Context(), name+".volumes", get)
	_, classes := typed.AdmissionregistrationV1().ValidatingAdmissionPolicies().Get(t.Context(), name+".classes", get)
	_, claims := typed.AdmissionregistrationV1().ValidatingAdmissionPolicies().Get(t.Context(), name+".claims", get)
	_, namespaces := typed.AdmissionregistrationV1().ValidatingAdmissionPolicies().
		Get(t.Context(), name+".namespaces", get)
	_, events := typed.AdmissionregistrationV1().ValidatingAdmissionPolicies().Get(t.Context(), name+".events", get)
	_, rebinds := typed.AdmissionregistrationV1().ValidatingAdmissionPolicies().Get(t.Context(), name+".rebinds", get)
	_, priority := typed.SchedulingV1().PriorityClasses().Get(t.Context(), name, get)
	for what, err := range map[string]error{
		"webhook": webhook, "role": role, "binding": binding, "guardrails for volumes": volumes,
		"guardrails for classes": classes, "guardrails for claims": claims, "guardrails for namespaces": namespaces,
		"guardrails for Events":     events,
		"guardrails for re-binding": rebinds, "priority class": priority,
	} {
		assert.True(t, apierrors.IsNotFound(err), "the %s is still there", what)
	}
}
