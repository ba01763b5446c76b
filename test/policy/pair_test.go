package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// pair is one configuration installed twice: in mode webhook and in mode policy, each for a namespace of its own.
type pair struct {
	client          kubernetes.Interface
	webhook, policy string // the namespaces
}

// installPair installs both. The configuration has no head. The namespaces have the labels, and helm are more
// arguments for both.
func installPair(t *testing.T, name, config string, labels map[string]string, helm ...string) *pair {
	t.Helper()

	p := installPolicy(t, name, config, labels, helm...)
	var arguments []string
	p.webhook, arguments = p.namespace(t, "webhook", name, config, labels)
	webhook := suite.InstallWebhook(t.Context(), t, suite.Installation{
		Release: name, Namespace: "webhook-" + name, Helm: append(arguments, helm...),
	})
	t.Cleanup(webhook.Stop)
	return p
}

// installPolicy installs the policies alone, and returns when they are in force.
func installPolicy(t *testing.T, name, config string, labels map[string]string, helm ...string) *pair {
	t.Helper()

	p := &pair{client: suite.Kubernetes(t)}
	var arguments []string
	p.policy, arguments = p.namespace(t, "policy", name, config, labels)
	suite.Helm(t, "helm4").Must(t, slices.Concat([]string{
		"install", name, chart, "--namespace=policy-" + name, "--create-namespace", suite.Unvalidated,
	}, arguments, helm)...)
	suite.Eventually(t, "the policies should come into force", p.areInForce)
	return p
}

// namespace makes the namespace that an installation in this mode serves, and returns the arguments for Helm.
func (p *pair) namespace(
	t *testing.T, mode, name, config string, labels map[string]string,
) (namespace string, helm []string) {
	t.Helper()

	asJSON, err := yaml.YAMLToJSON([]byte(config))
	require.NoError(t, err)
	all := map[string]string{"pair": mode + "-" + name}
	maps.Copy(all, labels)
	return suite.Namespace(t, p.client, mode, all), []string{
		"--set-json=config=" + string(asJSON), "--set=claims=false", "--set=mode=" + mode,
		"--set=namespaceSelector.matchLabels.pair=" + mode + "-" + name,
	}
}

// areInForce returns nil when the one policy mounts and the other one refuses.
func (p *pair) areInForce(ctx context.Context) error {
	const pod = `{"metadata":{"name":"a","labels":{"pipeline-storage":"enabled"},"annotations":{%s}},` +
		`"spec":{"containers":[{"name":"main","image":"a"}]}}`
	made, refused := p.admit(ctx, p.policy, fmt.Sprintf(pod, ""))
	if refused != "" || !strings.Contains(made, "persistentVolumeClaim") {
		return fmt.Errorf("no storage was mounted: %.300s", made+refused)
	}
	made, refused = p.admit(ctx, p.policy, fmt.Sprintf(pod, `"pipeline-storage.io/profiles":"no-such"`))
	if refused == "" {
		return fmt.Errorf("an unknown profile is admitted: %.300s", made)
	}
	return nil
}

// refusal begins the sentence of the webhook or of the policy.
var refusal = regexp.MustCompile(`^(?s:.*?) denied (?:the )?request: `)

// admit creates a pod as a dry run and returns it as JSON without what differs between two pods anyway, or why it is
// refused.
func (p *pair) admit(ctx context.Context, namespace, pod string) (made, refused string) {
	answer, err := p.client.CoreV1().RESTClient().Post().Namespace(namespace).Resource("pods").
		SetHeader("Content-Type", "application/json").
		VersionedParams(&metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}, metav1.ParameterCodec).
		Body([]byte(pod)).Do(ctx).Raw()
	if err != nil {
		var status metav1.Status
		message := err.Error()
		if json.Unmarshal(answer, &status) == nil && status.Message != "" {
			message = status.Message
		}
		if !apierrors.IsForbidden(err) || !refusal.MatchString(message) {
			message = "API server: " + message
		}
		return "", strings.ReplaceAll(refusal.ReplaceAllString(message, ""), namespace, "NAMESPACE")
	}
	var created corev1.Pod
	if err := json.Unmarshal(answer, &created); err != nil {
		return "", err.Error()
	}
	created.UID, created.CreationTimestamp, created.ManagedFields = "", metav1.Time{}, nil
	text, err := json.Marshal(&created)
	if err != nil {
		return "", err.Error()
	}
	return strings.ReplaceAll(string(text), namespace, "NAMESPACE"), ""
}

// labelled completes a pod so that the API server takes it, and gives it the opt-in label. Text that is no pod
// remains as it is.
func labelled(text string) string {
	var pod corev1.Pod
	if json.Unmarshal([]byte(text), &pod) != nil {
		return text
	}
	if pod.Labels == nil {
		pod.Labels = map[string]string{}
	}
	pod.Labels[kinds.Label] = kinds.LabelEnabled
	return completed(pod)
}

func completed(pod corev1.Pod) string {
	no := false
	pod.ObjectMeta = metav1.ObjectMeta{Name: "a", Labels: pod.Labels, Annotations: pod.Annotations}
	pod.Spec.AutomountServiceAccountToken = &no
	pod.Spec.ServiceAccountName, pod.Spec.DeprecatedServiceAccount, pod.Spec.NodeName = "", "", ""
	pod.Spec.PriorityClassName, pod.Spec.Priority, pod.Spec.RuntimeClassName = "", nil, nil
	pod.Spec.EphemeralContainers, pod.Status = nil, corev1.PodStatus{}
	for _, list := range []*[]corev1.Container{&pod.Spec.InitContainers, &pod.Spec.Containers} {
		for i := range *list {
			c := &(*list)[i]
			c.Image = "example/image"
			for j := range c.Ports {
				if pod.Spec.HostNetwork && c.Ports[j].HostPort != 0 {
					c.Ports[j].HostPort = c.Ports[j].ContainerPort
				}
			}
			for _, mount := range c.VolumeMounts {
				if !slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name }) {
					pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{
						Name: mount.Name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
					})
				}
			}
		}
	}
	text, _ := json.Marshal(&pod)
	return string(text)
}
