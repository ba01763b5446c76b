package chart_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// The objects that one mode has and another one has not, as the API server names their resources.
var (
	ofWebhook = []string{"mutatingwebhookconfigurations", "services", "poddisruptionbudgets"}
	ofPolicy  = []string{
		"mutatingadmissionpolicies", "mutatingadmissionpolicybindings", "validatingadmissionpolicies",
		"validatingadmissionpolicybindings", "validatingadmissionpolicies.warnings",
		"validatingadmissionpolicybindings.warnings",
	}
)

// modeObjects returns those of ofWebhook and ofPolicy that the release ps has, sorted.
func modeObjects(t *testing.T, namespace string) []string {
	t.Helper()
	const release = "ps"
	get := metav1.GetOptions{}
	client, name := suite.Kubernetes(t), clusterName(release, namespace)
	admission, fullname := client.AdmissionregistrationV1(), release+"-pipeline-storage"
	errs := map[string]error{}
	_, errs["mutatingwebhookconfigurations"] = admission.MutatingWebhookConfigurations().Get(t.Context(), name, get)
	_, errs["services"] = client.CoreV1().Services(namespace).Get(t.Context(), fullname, get)
	_, errs["poddisruptionbudgets"] = client.PolicyV1().PodDisruptionBudgets(namespace).Get(t.Context(), fullname, get)
	_, errs["mutatingadmissionpolicies"] = admission.MutatingAdmissionPolicies().Get(t.Context(), name, get)
	_, errs["mutatingadmissionpolicybindings"] = admission.MutatingAdmissionPolicyBindings().Get(t.Context(), name, get)
	for _, of := range []string{"", ".warnings"} {
		_, errs["validatingadmissionpolicies"+of] = admission.ValidatingAdmissionPolicies().Get(t.Context(), name+of, get)
		_, err := admission.ValidatingAdmissionPolicyBindings().Get(t.Context(), name+of, get)
		errs["validatingadmissionpolicybindings"+of] = err
	}
	var found []string
	for resource, err := range errs {
		if !apierrors.IsNotFound(err) {
			require.NoError(t, err, resource)
			found = append(found, resource)
		}
	}
	slices.Sort(found)
	return found
}

func sorted(lists ...[]string) []string {
	all := slices.Concat(lists...)
	slices.Sort(all)
	return all
}

// refusesJump checks that an upgrade is refused, and what was there remains.
func refusesJump(t *testing.T, h *suite.HelmCLI, namespace, mode, serves string) {
	t.Helper()
	before := modeObjects(t, namespace)
	errs := h.Fails(t, withSelector("upgrade", "ps", namespace, []string{"--set=mode=" + mode})...)
	assert.Contains(t, errs, fmt.Sprintf("mode: %s: the %s %s still serves pods, and for seconds nothing would: upgrade "+
		"with mode: both first, wait until it is ready, and then with mode: %s", mode, serves, clusterName("ps", namespace),
		mode))
	assert.Equal(t, before, modeObjects(t, namespace))
}

// The way from one mode to the other leads over both, in both directions.
func TestModeChangesByWayOfBoth(t *testing.T) {
	t.Parallel()
	suite.BothHelms(t, func(t *testing.T, h *suite.HelmCLI) {
		namespace := newNamespace(t, restricted)
		install(t, h, namespace, withoutGuardrails)
		writeBundle(t, "the webhook", "ps", namespace, 0) // a field of another manager
		assert.Equal(t, sorted(ofWebhook), modeObjects(t, namespace))
		refusesJump(t, h, namespace, "policy", "MutatingWebhookConfiguration")

		upgrade(t, h, "ps", namespace, withoutGuardrails, "--set=mode=both")
		assert.Equal(t, sorted(ofWebhook, ofPolicy), modeObjects(t, namespace))
		webhook := webhookOf(t, "ps", namespace)
		assert.Equal(t, admissionv1.Ignore, *webhook.FailurePolicy)
		assert.Equal(t, caBundle, webhook.ClientConfig.CABundle, "the webhook serves on")

		upgrade(t, h, "ps", namespace, withoutGuardrails, "--set=mode=policy")
		assert.Equal(t, sorted(ofPolicy), modeObjects(t, namespace))
		arguments := argumentsOf(t, "ps", namespace)
		assert.Contains(t, arguments, "--webhook=false")
		assert.NotContains(t, arguments, "--port=9443")
		refusesJump(t, h, namespace, "webhook", "MutatingAdmissionPolicyBinding")

		upgrade(t, h, "ps", namespace, withoutGuardrails, "--set=mode=both")
		assert.Equal(t, sorted(ofWebhook, ofPolicy), modeObjects(t, namespace))
		upgrade(t, h, "ps", namespace, withoutGuardrails)
		assert.Equal(t, sorted(ofWebhook), modeObjects(t, namespace))
		assert.Equal(t, admissionv1.Fail, *webhookOf(t, "ps", namespace).FailurePolicy)
		assert.Contains(t, argumentsOf(t, "ps", namespace), "--port=9443")
	})
}

// After helm uninstall in policy mode no policy is left, labelled pods start, and claims are still there.
func TestUninstallOfPolicyModeLeavesOnlyClaims(t *testing.T) {
	t.Parallel()
	suite.BothHelms(t, func(t *testing.T, h *suite.HelmCLI) {
		namespace := newNamespace(t, restricted)
		installValidated(t, h, "ps", namespace, "--set=mode=policy")
		served := newNamespace(t, map[string]string{servedBy: namespace})
		client := suite.Kubernetes(t)
		_, err := client.CoreV1().PersistentVolumeClaims(served).Create(t.Context(), &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Name: "pvc-data-pipeline", Labels: map[string]string{
				"app.kubernetes.io/managed-by":     "pipeline-storage",
				"pipeline-storage.io/installation": clusterName("ps", namespace),
			}},
			Spec: corev1.PersistentVolumeClaimSpec{
				AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
				Resources: corev1.VolumeResourceRequirements{
					Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
				},
			},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
		suite.Eventually(t, "the policies should come into force", func(ctx context.Context) error {
			if err := createLabelled(ctx, t, served, "no-such"); !apierrors.IsForbidden(err) {
				return fmt.Errorf("a pod with an unknown profile is not refused: %w", err)
			}
			return nil
		})

		h.Must(t, "uninstall", "ps", "--namespace", namespace)
		assert.Empty(t, modeObjects(t, namespace))
		gone(t, clusterName("ps", namespace))
		suite.Eventually(t, "no pod should be refused any more", func(ctx context.Context) error {
			return createLabelled(ctx, t, served, "no-such")
		})
		_, err = client.CoreV1().PersistentVolumeClaims(served).Get(t.Context(), "pvc-data-pipeline", metav1.GetOptions{})
		require.NoError(t, err)
	})
}

// createLabelled creates a labelled pod that requests a profile, as a dry run.
func createLabelled(ctx context.Context, t *testing.T, namespace, profile string) error {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "a", Labels: map[string]string{"pipeline-storage": "enabled"},
			Annotations: map[string]string{"pipeline-storage.io/profiles": profile},
		},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken: new(false), Containers: []corev1.Container{{Name: "main", Image: "example/image"}},
		},
	}
	_, err := suite.Kubernetes(t).CoreV1().Pods(namespace).
		Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// In policy mode a stolen token changes no policy, and has less than with the webhook.
func TestPolicyModeRights(t *testing.T) {
	t.Parallel()
	namespace, other := newNamespace(t, restricted), newNamespace(t, restricted)
	install(t, suite.Helm(t, "helm4"), namespace, "--set=mode=policy")
	const group = " admissionregistration.k8s.io/"
	for _, resource := range []string{"mutatingadmissionpolicies", "mutatingadmissionpolicybindings"} {
		assert.True(t, may(t, namespace, other, "list"+group+resource), resource)
	}
	for _, verb := range []string{"create", "update", "patch", "delete"} {
		for _, resource := range []string{
			"mutatingadmissionpolicies", "mutatingadmissionpolicybindings", "validatingadmissionpolicies",
			"validatingadmissionpolicybindings", "mutatingwebhookconfigurations",
		} {
			request := verb + group + resource + " " + clusterName("ps", namespace)
			assert.False(t, may(t, namespace, other, request), request)
		}
		for _, resource := range []string{"secrets", "configmaps"} {
			assert.False(t, may(t, namespace, namespace, verb+" "+resource), "%s %s", verb, resource)
		}
	}
	for request, allowed := range map[string]bool{
		"get configmaps": false, "list secrets": false, "get secrets ps-pipeline-storage-webhook-ca": false,
		"create coordination.k8s.io/leases": true,
	} {
		assert.Equal(t, allowed, may(t, namespace, namespace, request), request)
	}
	assert.True(t, may(t, namespace, other, "create persistentvolumeclaims"))
}
