package chart_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	admissionclient "k8s.io/client-go/kubernetes/typed/admissionregistration/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// install installs the chart as the release ps, without Helm's own validation. It serves no namespace in which other
// tests make pods.
func install(t *testing.T, h *suite.HelmCLI, namespace string, args ...string) {
	t.Helper()
	installValidated(t, h, "ps", namespace, append(args, suite.Unvalidated)...)
}

// installValidated is install with Helm's own validation: of the default mode and of mode policy, with both Helms.
func installValidated(t *testing.T, h *suite.HelmCLI, release, namespace string, args ...string) {
	t.Helper()
	h.Must(t, withSelector("install", release, namespace, args)...)
}

// upgrade upgrades what install installed, without Helm's own validation, too.
func upgrade(t *testing.T, h *suite.HelmCLI, release, namespace string, args ...string) {
	t.Helper()
	args = append(args, suite.Unvalidated)
	h.Must(t, withSelector("upgrade", release, namespace, args)...)
}

// withoutGuardrails spares the API server their compilation, most of what an installation costs it, in a test of other
// objects.
const withoutGuardrails = "--set=guardrails.enabled=false"

// servedBy is the label of the namespaces that a release of these tests serves; its value is the namespace
// of the release.
const servedBy = "served-by"

func withSelector(command, release, namespace string, args []string) []string {
	return append([]string{
		command, release, chart, "--namespace", namespace, "--set",
		"namespaceSelector.matchLabels." + servedBy + "=" + namespace,
	}, args...)
}

func webhookConfigurations(t *testing.T) admissionclient.MutatingWebhookConfigurationInterface {
	t.Helper()
	return suite.Kubernetes(t).AdmissionregistrationV1().MutatingWebhookConfigurations()
}

// webhookOf returns the webhook of a release for pods with the label.
func webhookOf(t *testing.T, release, namespace string) admissionv1.MutatingWebhook {
	t.Helper()
	return webhooksOf(t, release, namespace)[0]
}

func webhooksOf(t *testing.T, release, namespace string) []admissionv1.MutatingWebhook {
	t.Helper()
	configuration, err := webhookConfigurations(t).Get(t.Context(), clusterName(release, namespace), metav1.GetOptions{})
	require.NoError(t, err)
	require.Len(t, configuration.Webhooks, len(inject.AdmissionPaths))
	return configuration.Webhooks
}

func clusterName(release, namespace string) string {
	return fmt.Sprintf("%s.%s-pipeline-storage", namespace, release)
}

// argumentsOf returns the arguments of a release's program.
func argumentsOf(t *testing.T, release, namespace string) []string {
	t.Helper()
	deployment, err := suite.Kubernetes(t).AppsV1().Deployments(namespace).
		Get(t.Context(), release+"-pipeline-storage", metav1.GetOptions{})
	require.NoError(t, err)
	return deployment.Spec.Template.Spec.Containers[0].Args
}

// caBundle is that of the tests. It is not read: no pod of these tests is labelled.
var caBundle = []byte("-----BEGIN CERTIFICATE-----\n")

// writers write the live caBundle of one webhook, each under a name of its own.
var writers = map[string]struct {
	kind types.PatchType
	body func(webhook int, name string) any
}{
	"the webhook": {types.ApplyPatchType, func(_ int, name string) any {
		return map[string]any{
			"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
			"webhooks": []any{map[string]any{"name": name, "clientConfig": map[string]any{"caBundle": caBundle}}},
		}
	}},
	"a third party": {types.JSONPatchType, func(webhook int, _ string) any {
		path := fmt.Sprintf("/webhooks/%d/clientConfig/caBundle", webhook)
		return []any{map[string]any{"op": "add", "path": path, "value": caBundle}}
	}},
}

// writeBundle writes the live caBundle of a release's webhook with an index.
func writeBundle(t *testing.T, writer, release, namespace string, webhook int) {
	t.Helper()
	name := webhooksOf(t, release, namespace)[webhook].Name
	text, err := json.Marshal(writers[writer].body(webhook, name))
	require.NoError(t, err)
	options := metav1.PatchOptions{FieldManager: writer}
	if writers[writer].kind == types.ApplyPatchType {
		options.Force = new(true)
	}
	_, err = webhookConfigurations(t).
		Patch(t.Context(), clusterName(release, namespace), writers[writer].kind, text, options)
	require.NoError(t, err)
}

func TestUpgradeLeavesTheBundleAlone(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ first, then *suite.HelmCLI }{
		"Helm 3 after Helm 3": {suite.Helm(t, "helm3"), suite.Helm(t, "helm3")},
		"Helm 4 after Helm 4": {suite.Helm(t, "helm4"), suite.Helm(t, "helm4")},
		"Helm 4 after Helm 3": {suite.Helm(t, "helm3"), suite.Helm(t, "helm4")},
	}
	for name, c := range cases {
		for _, order := range [][]string{{"the webhook", "a third party"}, {"a third party", "the webhook"}} {
			t.Run(name+"/"+order[0]+" writes the first", func(t *testing.T) {
				t.Parallel()
				leavesTheBundleAlone(t, c.first, c.then, order)
			})
		}
	}
}

// leavesTheBundleAlone has one writer for each of the first webhooks.
func leavesTheBundleAlone(t *testing.T, first, then *suite.HelmCLI, order []string) {
	t.Helper()
	namespace := newNamespace(t, restricted)
	install(t, first, namespace, withoutGuardrails)
	has := func(bundle []byte, seconds int32, after string) {
		t.Helper()
		for i, webhook := range webhooksOf(t, "ps", namespace)[:len(order)] {
			assert.Equal(t, bundle, webhook.ClientConfig.CABundle, "webhook %d after %s", i, after)
			assert.Equal(t, seconds, *webhook.TimeoutSeconds, "webhook %d after %s", i, after)
		}
	}
	has(nil, 5, "the installation")
	for webhook, writer := range order {
		writeBundle(t, writer, "ps", namespace, webhook)
	}
	upgrade(t, then, "ps", namespace, withoutGuardrails)
	has(caBundle, 5, "an upgrade that changes nothing")

	upgrade(t, then, "ps", namespace, withoutGuardrails, "--set=webhook.timeoutSeconds=7,logLevel=debug,replicas=3")
	has(caBundle, 7, "an upgrade that changes the webhook")
	assert.Contains(t, argumentsOf(t, "ps", namespace), "--log-level=debug")

	then.Must(t, "rollback", "ps", "1", "--namespace", namespace)
	has(caBundle, 5, "a rollback")
}

// One name in two namespaces, two names in one namespace, and two names in two namespaces.
func TestInstallationsLiveSideBySide(t *testing.T) {
	t.Parallel()
	suite.BothHelms(t, func(t *testing.T, h *suite.HelmCLI) {
		one, other := newNamespace(t, restricted), newNamespace(t, restricted)
		releases := []struct{ name, namespace string }{{"a", one}, {"b", one}, {"a", other}}
		arguments := map[string]bool{}
		for _, r := range releases {
			installValidated(t, h, r.name, r.namespace, "--set", "priorityClass.create=true")
			arguments[strings.Join(argumentsOf(t, r.name, r.namespace), " ")] = true
		}
		assert.Len(t, arguments, len(releases), "each has arguments of its own")

		for i, r := range releases[:len(releases)-1] {
			uninstall(t, h, r.name, r.namespace)
			gone(t, clusterName(r.name, r.namespace))
			for _, rest := range releases[i+1:] {
				webhookOf(t, rest.name, rest.namespace)
				upgrade(t, h, rest.name, rest.namespace, "--set", "priorityClass.create=true")
			}
		}
	})
}

// gone checks that nothing of a release is left in the cluster.
func gone(t *testing.T, name string) {
	t.Helper()
	get := metav1.GetOptions{}
	errs := map[string]error{}
	_, errs["webhook"] = webhookConfigurations(t).Get(t.Context(), name, get)
	_, errs["role"] = suite.Kubernetes(t).RbacV1().ClusterRoles().Get(t.Context(), name, get)
	_, errs["binding"] = suite.Kubernetes(t).RbacV1().ClusterRoleBindings().Get(t.Context(), name, get)
	_, errs["priority class"] = suite.Kubernetes(t).SchedulingV1().PriorityClasses().Get(t.Context(), name, get)
	policies := suite.Kubernetes(t).AdmissionregistrationV1().ValidatingAdmissionPolicies()
	for _, policy := range guardrails {
		_, errs["policy "+policy] = policies.Get(t.Context(), name+"."+policy, get)
	}
	for what, err := range errs {
		assert.True(t, apierrors.IsNotFound(err), "the %s is still there", what)
	}
}

// guardrails are the suffixes of the names of a release's guardrail policies.
var guardrails = []string{"volumes", "classes", "claims", "namespaces", "events", "rebinds"}
