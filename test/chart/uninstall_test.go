package chart_test

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/pipeline-storage/pipeline-storage/cmd/webhook/app"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// uninstall uninstalls a release as Helm does, but for the Job, which no kubelet runs here: test/e2e runs it.
func uninstall(t *testing.T, h *suite.HelmCLI, release, namespace string) {
	t.Helper()
	h.Must(t, "uninstall", release, "--namespace", namespace, "--no-hooks")
}

// hooksOf returns the objects that Helm makes before it uninstalls a release.
func hooksOf(t *testing.T, namespace string) []*unstructured.Unstructured {
	t.Helper()
	return slices.DeleteFunc(render(t, namespace), func(o *unstructured.Unstructured) bool {
		return o.GetAnnotations()["helm.sh/hook"] != "pre-delete"
	})
}

// prepare makes the objects of the hooks but the Job, and returns the Job's arguments, and a configuration
// for its token.
func prepare(t *testing.T, namespace string) ([]string, *rest.Config) {
	t.Helper()
	var args []string
	mapper := newMapper(t)
	for _, object := range hooksOf(t, namespace) {
		if object.GetKind() == "Job" {
			args = argumentsIn(t, object)
			continue
		}
		_, err := resourceOf(t, mapper, object).Create(t.Context(), object, metav1.CreateOptions{})
		require.NoError(t, err, object.GetKind())
	}
	require.NotEmpty(t, args)
	config, err := suite.ServiceAccountConfig(
		t.Context(), suite.Kubernetes(t), suite.Plane(t), namespace, "ps-pipeline-storage-uninstall")
	require.NoError(t, err)
	return args, config
}

// runProgram runs the program of the webhook with the rights of a configuration.
func runProgram(t *testing.T, config *rest.Config, args ...string) (code int, out, errs string) {
	t.Helper()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, suite.WriteKubeconfig(config, kubeconfig))
	var stdout, stderr bytes.Buffer
	code = app.Main(append(slices.Clone(args), "--kubeconfig="+kubeconfig), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func isGone(t *testing.T, name string) bool {
	t.Helper()
	_, err := webhookConfigurations(t).Get(t.Context(), name, metav1.GetOptions{})
	return apierrors.IsNotFound(err)
}

func TestUninstallHookDeletesTheWebhookConfiguration(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t, restricted)
	install(t, suite.Helm(t, "helm4"), namespace)
	name := clusterName("ps", namespace)
	args, config := prepare(t, namespace)

	code, out, errs := runProgram(t, config, args...)
	require.Zero(t, code, errs)
	assert.Equal(t, "the MutatingWebhookConfiguration "+name+" is deleted: API servers call the webhook no more\n", out)
	assert.True(t, isGone(t, name))

	code, _, errs = runProgram(t, config, args...)
	assert.Zero(t, code, "a second try finds nothing to do: %s", errs)

	require.Error(t, writeCertificate(t, namespace), "a replica that still runs must not create what is deleted")
	assert.True(t, isGone(t, name))
	for _, h := range []string{"helm3", "helm4"} {
		if h == "helm4" {
			install(t, suite.Helm(t, h), namespace)
		}
		uninstall(t, suite.Helm(t, h), "ps", namespace)
		gone(t, name)
	}
}

// writeCertificate patches the caBundle as a replica does that has read the configuration before it was deleted.
func writeCertificate(t *testing.T, namespace string) error {
	t.Helper()
	patch, err := json.Marshal(writers["the webhook"].body(0, "storage.pipeline-storage.io"))
	require.NoError(t, err)
	_, err = as(t, namespace).AdmissionregistrationV1().MutatingWebhookConfigurations().Patch(t.Context(),
		clusterName(
			"ps",
			namespace,
		), types.ApplyPatchType, patch, metav1.PatchOptions{FieldManager: "replica", Force: new(true)})
	return err
}

// No controller removes the finalizer. The other cases of an error are those of cmd/webhook/app.
func TestUninstallHookReportsWhatItCannotDelete(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t, restricted)
	install(t, suite.Helm(t, "helm4"), namespace)
	name := clusterName("ps", namespace)
	args, config := prepare(t, namespace)
	patchFinalizers(t, name, "example.com/held")
	t.Cleanup(func() { patchFinalizers(t, name) })

	code, _, errs := runProgram(t, config, args...)
	assert.Equal(t, 1, code)
	assert.Contains(t, errs, "delete the MutatingWebhookConfiguration "+name+": not within 30s: it is still there: "+
		"look for a finalizer")
}

func patchFinalizers(t *testing.T, name string, finalizers ...string) {
	t.Helper()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"finalizers": finalizers}})
	require.NoError(t, err)
	_, err = webhookConfigurations(t).
		Patch(context.WithoutCancel(t.Context()), name, types.MergePatchType, patch, metav1.PatchOptions{})
	require.NoError(t, err)
}

func TestUninstallHookMayDeleteOneObject(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t, restricted)
	_, config := prepare(t, namespace)
	other := suite.RESTConfig(t)
	other.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + namespace + ":other",
		Groups:   []string{"system:serviceaccounts", "system:authenticated"},
	}
	common := rulesOf(t, other, namespace)
	granted := slices.DeleteFunc(rulesOf(t, config, namespace), func(r authorizationv1.ResourceRule) bool {
		return slices.ContainsFunc(common, func(c authorizationv1.ResourceRule) bool { return reflect.DeepEqual(r, c) })
	})
	assert.Equal(t, []authorizationv1.ResourceRule{{
		Verbs: []string{"delete"}, APIGroups: []string{admissionv1.GroupName},
		Resources:     []string{"mutatingwebhookconfigurations"},
		ResourceNames: []string{clusterName("ps", namespace)},
	}}, granted)
}

// rulesOf returns what an account may do in a namespace and in the cluster.
func rulesOf(t *testing.T, config *rest.Config, namespace string) []authorizationv1.ResourceRule {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	review, err := client.AuthorizationV1().SelfSubjectRulesReviews().
		Create(t.Context(), &authorizationv1.SelfSubjectRulesReview{
			Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace},
		}, metav1.CreateOptions{})
	require.NoError(t, err)
	return review.Status.ResourceRules
}
