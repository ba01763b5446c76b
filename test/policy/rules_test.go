package policy

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const oneProfile = "profiles: [{name: default}]"

// TestOptInIsTheWebhooks creates pods without the label in both modes, where namespaces and pods are selected by
// optIn.
func TestOptInIsTheWebhooks(t *testing.T) {
	t.Parallel()

	pods := []string{
		`"labels":{}`, `"labels":{"a":"b"}`, `"labels":{"pipeline-storage":"enabled"}`,
		`"labels":{"pipeline-storage":"disabled"}`, `"labels":{"pipeline-storage":""}`,
		`"labels":{"app.kubernetes.io/name":"pipeline-storage"}`,
		`"labels":{},"annotations":{"pipeline-storage.io/profiles":"no-such"}`,
		`"labels":{},"annotations":{"pipeline-storage.io/selected-by":"pod-selector"}`,
		`"labels":{"component":"worker"}`, `"labels":{"component":"worker","pipeline-storage":"no"}`,
		`"labels":{"component":"worker"},"annotations":{"pipeline-storage.io/mount-path":"/etc"}`,
	}
	for name, row := range map[string]struct {
		labels map[string]string
		helm   string
	}{
		"by namespace": {map[string]string{inject.LabelAllPods: "enabled"}, "--set=optIn.namespaceLabel=true"},
		"by labels":    {nil, "--set=optIn.podSelector.matchLabels.component=worker"},
		"by nothing":   {map[string]string{inject.LabelAllPods: "enabled"}, "--set=optIn.namespaceLabel=false"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := installPair(t, strings.ReplaceAll(name, " ", "-"), oneProfile, row.labels, row.helm)
			for _, meta := range pods {
				pod := fmt.Sprintf(`{"metadata":{"name":"a",%s},"spec":{"containers":[{"name":"main","image":"a"}]}}`, meta)
				want, wantRefusal := p.admit(t.Context(), p.webhook, pod)
				got, gotRefusal := p.admit(t.Context(), p.policy, pod)
				assert.Equal(t, wantRefusal, gotRefusal, pod)
				if wantRefusal == "" {
					assert.JSONEq(t, want, got, pod)
				}
			}
		})
	}
}

// TestSidecarOfAWebhookGetsItsMount: webhooks follow policies, so that the policy runs a second time.
func TestSidecarOfAWebhookGetsItsMount(t *testing.T) {
	t.Parallel()

	p := installPolicy(t, "sidecar", oneProfile, map[string]string{inject.LabelAllPods: "enabled"},
		"--set=optIn.namespaceLabel=true")
	p.addSidecars(t)
	for name, labels := range map[string]string{
		"with the label": `{"pipeline-storage":"enabled"}`, "by its namespace": `{}`,
	} {
		t.Run(name, func(t *testing.T) {
			made, refused := p.admit(t.Context(), p.policy,
				`{"metadata":{"name":"a","labels":`+labels+`},"spec":{"containers":[{"name":"main","image":"a"}]}}`)
			require.Empty(t, refused)
			var pod corev1.Pod
			require.NoError(t, json.Unmarshal([]byte(made), &pod))
			require.Len(t, pod.Spec.Containers, 2)
			for _, c := range pod.Spec.Containers {
				require.Len(t, c.VolumeMounts, 1, c.Name)
				assert.Equal(t, "/data", c.VolumeMounts[0].MountPath)
			}
			assert.Equal(t, "default", pod.Annotations[inject.AnnotationInjected])
		})
	}
}

// addSidecars serves a webhook from this process that adds a container to the pods of the namespace, and returns
// when the API server calls it.
func (p *pair) addSidecars(t *testing.T) {
	t.Helper()

	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		var pod corev1.Pod
		if json.NewDecoder(r.Body).Decode(&review) != nil || json.Unmarshal(review.Request.Object.Raw, &pod) != nil {
			http.Error(w, "no review", http.StatusBadRequest)
			return
		}
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
		if len(pod.Spec.Containers) == 1 {
			review.Response.PatchType = new(admissionv1.PatchTypeJSONPatch)
			review.Response.Patch = []byte(`[{"op":"add","path":"/spec/containers/-","value":{"name":"logs","image":"a"}}]`)
		}
		_ = json.NewEncoder(w).Encode(&review)
	}))
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	configurations := p.client.AdmissionregistrationV1().MutatingWebhookConfigurations()
	_, err := configurations.Create(t.Context(), &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: p.policy},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name:         "sidecars.example.com",
			ClientConfig: admissionregistrationv1.WebhookClientConfig{URL: &server.URL, CABundle: ca},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule: admissionregistrationv1.Rule{
					APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"},
				},
			}},
			NamespaceSelector: &metav1.LabelSelector{
				MatchLabels: map[string]string{corev1.LabelMetadataName: p.policy},
			},
			SideEffects:             new(admissionregistrationv1.SideEffectClassNone),
			AdmissionReviewVersions: []string{"v1"},
		}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, configurations.Delete(context.WithoutCancel(t.Context()), p.policy, metav1.DeleteOptions{}))
	})
	suite.Eventually(t, "the API server should call the other webhook", func(ctx context.Context) error {
		made, refused := p.admit(ctx, p.policy, `{"metadata":{"name":"a","labels":{"pipeline-storage":"no"}},`+
			`"spec":{"containers":[{"name":"main","image":"a"}]}}`)
		if !strings.Contains(made, `"logs"`) {
			return errors.New("it does not: " + refused)
		}
		return nil
	})
}

// TestNoPodStartsWithoutItsStorage takes away what mounts, and then the profiles.
func TestNoPodStartsWithoutItsStorage(t *testing.T) {
	t.Parallel()

	p := installPolicy(t, "taken", oneProfile, nil)
	const pod = `{"metadata":{"name":"a","labels":{"pipeline-storage":"enabled"}},` +
		`"spec":{"containers":[{"name":"main","image":"a"}]}}`
	const name = "policy-taken.taken-pipeline-storage"
	require.NoError(t, p.client.AdmissionregistrationV1().MutatingAdmissionPolicyBindings().
		Delete(t.Context(), name, metav1.DeleteOptions{}))
	suite.Eventually(t, "pods should be refused", func(ctx context.Context) error {
		_, refused := p.admit(ctx, p.policy, pod)
		const want = `Pod/a: container "main" has no storage: the MutatingAdmissionPolicy did not mount it. `
		if !strings.HasPrefix(refused, want) {
			return fmt.Errorf("it is %q", refused)
		}
		return nil
	})
	_, refused := p.admit(t.Context(), p.policy, strings.ReplaceAll(pod, "enabled", "no"))
	assert.Empty(t, refused, "other pods need no policy")
}

// TestPoliciesWarn: what the author of a pod has misspelt, and what hides files, is no silence.
func TestPoliciesWarn(t *testing.T) {
	t.Parallel()

	p := installPolicy(t, "warnings", "profiles: [{name: default}, {name: models, mount: {path: /models}}]", nil)
	for name, row := range map[string]struct {
		annotations, spec, want string
	}{
		"nothing is wrong": {`"pipeline-storage.io/mount-path":"/x"`, `"containers":[{"name":"main","image":"a"}]`, ""},
		"a misspelt annotation": {
			`"pipeline-storage.io/mountpath":"/x","default.pipeline-storage.io/profile":"models","example.com/a":"b"`,
			`"containers":[{"name":"main","image":"a"}]`,
			`annotation default.pipeline-storage.io/profile is not known and does nothing; annotation ` +
				`pipeline-storage.io/mountpath is not known and does nothing`,
		},
		"a container that is not there": {
			`"pipeline-storage.io/exclude-containers":"mian"`, `"containers":[{"name":"main","image":"a"}]`,
			`there is no container "mian", which an annotation names`,
		},
		"a mount within the mount": {
			``, `"volumes":[{"name":"v","emptyDir":{}}],"containers":[{"name":"main","image":"a","volumeMounts":[` +
				`{"name":"v","mountPath":"/data/v"}]}]`,
			`container "main": mount path /data nests with /data/v of volume "v"`,
		},
		"a profile that is gone": {
			`"pipeline-storage.io/profiles":"gone"`, `"volumes":[{"name":"pipeline-storage-gone","persistentVolumeClaim":` +
				`{"claimName":"c"}}],"containers":[{"name":"main","image":"a"}]`,
			`there is no profile "gone" any more: the pod keeps its volume as it is`,
		},
		"more mounts within the mount than a sentence has": {
			``, `"volumes":[{"name":"v","emptyDir":{}}],"containers":[{"name":"main","image":"a","volumeMounts":[` +
				`{"name":"v","mountPath":"/data/a\n\u0001"},{"name":"v","mountPath":"/data/b"},` +
				`{"name":"v","mountPath":"/data/c"},` +
				`{"name":"v","mountPath":"/data/d"},{"name":"v","mountPath":"/data/e"}]}]`,
			`nests with /data/c of volume "v"; and 2 more`,
		},
		"a volume of another configuration": {
			``, `"volumes":[{"name":"pipeline-storage","persistentVolumeClaim":{"claimName":"older"}}],` +
				`"containers":[{"name":"main","image":"a"}]`,
			`volume "pipeline-storage" keeps the claim "older" instead of "pvc-data-pipeline": it was rendered with another ` +
				`configuration`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pod := fmt.Sprintf(`{"metadata":{"name":"a","labels":{"pipeline-storage":"enabled"},"annotations":{%s}},`+
				`"spec":{%s}}`, row.annotations, row.spec)
			warnings := p.warnings(t, pod)
			if row.want == "" {
				assert.Empty(t, warnings)
				return
			}
			require.Len(t, warnings, 1, warnings)
			assert.Contains(t, warnings[0], row.want)
		})
	}
}

// warnings are those of the API server about a pod.
func (p *pair) warnings(t *testing.T, pod string) []string {
	t.Helper()

	var received recorder
	config := rest.CopyConfig(suite.RESTConfig(t))
	config.WarningHandler = &received
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	suite.Eventually(t, "the warnings should be in force", func(ctx context.Context) error {
		with := *p
		with.client = client
		received = nil
		_, refused := with.admit(ctx, p.policy, `{"metadata":{"name":"a","labels":{"pipeline-storage":"enabled"},`+
			`"annotations":{"pipeline-storage.io/x":""}},"spec":{"containers":[{"name":"main","image":"a"}]}}`)
		if refused != "" || len(received) == 0 {
			return errors.New("no warning came: " + refused)
		}
		received = nil
		_, refused = with.admit(ctx, p.policy, pod)
		if refused != "" {
			return errors.New("it is refused: " + refused)
		}
		return nil
	})
	return received
}

// recorder keeps warnings.
type recorder []string

func (r *recorder) HandleWarningHeader(_ int, _, text string) { *r = append(*r, text) }
