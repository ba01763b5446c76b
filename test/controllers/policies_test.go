package controllers

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	v1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/pipeline-storage/pipeline-storage/internal/claims"
	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/internal/selection"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/test/process"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// withLabel selects what has a label, with any value.
func withLabel(key string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: key, Operator: metav1.LabelSelectorOpExists},
	}}
}

// newPolicy returns a policy that injects the annotation alone, into pods without one of the namespaces
// that a selector matches.
func newPolicy(name string, namespaces *metav1.LabelSelector) *v1.MutatingAdmissionPolicy {
	return &v1.MutatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{kube.LabelName: kube.ProductName}},
		Spec: v1.MutatingAdmissionPolicySpec{
			ReinvocationPolicy: v1.NeverReinvocationPolicy,
			MatchConstraints: &v1.MatchResources{
				NamespaceSelector: namespaces,
				ResourceRules: []v1.NamedRuleWithOperations{{RuleWithOperations: v1.RuleWithOperations{
					Operations: []v1.OperationType{v1.Create},
					Rule:       v1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
				}}},
			},
			MatchConditions: []v1.MatchCondition{{
				Name: "not-annotated", Expression: "!has(object.metadata.annotations) || " +
					"!('" + inject.AnnotationInjected + "' in object.metadata.annotations)",
			}},
			Mutations: []v1.Mutation{{
				PatchType: v1.PatchTypeApplyConfiguration,
				ApplyConfiguration: &v1.ApplyConfiguration{Expression: `Object{metadata: Object.metadata{annotations: {` +
					`"` + inject.AnnotationInjected + `": "default"}}}`},
			}},
		},
	}
}

// newBinding returns the binding of a policy that selects by the opt-in label.
func newBinding(policy string) *v1.MutatingAdmissionPolicyBinding {
	return &v1.MutatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: policy},
		Spec: v1.MutatingAdmissionPolicyBindingSpec{PolicyName: policy, MatchResources: &v1.MatchResources{
			ObjectSelector: &metav1.LabelSelector{MatchLabels: map[string]string{kinds.Label: kinds.LabelEnabled}},
		}},
	}
}

// create creates objects of the cluster that end with the test.
func (f *fixture) create(objects ...client.Object) {
	f.t.Helper()
	for _, o := range objects {
		require.NoError(f.t, f.Create(f.t.Context(), o), "%T %s", o, o.GetName())
		f.t.Cleanup(func() { assert.NoError(f.t, client.IgnoreNotFound(f.Delete(context.Background(), o))) })
	}
}

// inPolicyMode is a replica of an installation whose policies have its name.
func (f *fixture) inPolicyMode(o *claims.Options, _ *manager.Options) {
	o.Selection = selection.ByPolicy(f.name)
}

// awaitPolicy returns when the API server has the policy in force in a namespace.
func (f *fixture) awaitPolicy(namespace string) {
	f.t.Helper()
	require.Eventually(f.t, func() bool {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: namespace, GenerateName: "try-", Labels: map[string]string{kinds.Label: kinds.LabelEnabled},
			},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "example.com/main"}}},
		}
		require.NoError(f.t, f.Create(f.t.Context(), pod, client.DryRunAll))
		return pod.Annotations[inject.AnnotationInjected] != ""
	}, timeout, poll, "the policy is in force in %s", namespace)
}

// barrierIn is barrier for a namespace that the installation selects.
func (f *fixture) barrierIn(namespace, pod string) {
	f.t.Helper()
	f.pod(namespace, pod, "no-such-profile")
	f.event(namespace, pod, diagnose.ReasonProfileUnknown)
}

// unannotated is a pod whose annotation admission must add.
func unannotated(p *corev1.Pod) { p.Annotations = nil }

func TestPolicyModeServesSelectedNamespaces(t *testing.T) {
	f := newFixture(t, `{name: default, storageClass: {name: CLASS}}`)
	served, other, apart := f.namespace(f.name), f.namespace(f.name+"-too"), f.namespace()
	f.create(newPolicy(f.name, withLabel(f.name)), newBinding(f.name))
	f.awaitPolicy(served)
	f.run(f.inPolicyMode)

	f.pod(other, "forged", "default")
	f.pod(apart, "forged", "default")
	pod := f.pod(served, "one", "", unannotated)
	assert.Equal(t, "default", pod.Annotations[inject.AnnotationInjected], "the policy has injected it")
	eventually(f, served, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
	f.missing(other, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{})
	f.missing(apart, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{})

	// The policy selects another namespace. A binding of another policy, which selects all, changes nothing.
	f.create(newPolicy(f.name+"-third", withLabel(f.name+"-third")), newBinding(f.name+"-third"))
	live := &v1.MutatingAdmissionPolicy{}
	require.NoError(t, f.Get(t.Context(), client.ObjectKey{Name: f.name}, live))
	live.Spec.MatchConstraints.NamespaceSelector = withLabel(f.name + "-too")
	require.NoError(t, f.Update(t.Context(), live))
	eventually(f, other, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
	f.barrierIn(other, "barrier")
	f.missing(apart, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{})
}

func TestPolicyModeFollowsItsBindings(t *testing.T) {
	f := newFixture(t, `{name: default, storageClass: {name: CLASS}}`)
	first, second := f.namespace(f.name), f.namespace(f.name, f.name+"-too")
	f.create(newPolicy(f.name, withLabel(f.name)))
	r := f.run(f.inPolicyMode)
	f.pod(first, "one", "default")
	f.pod(second, "one", "default")
	require.Eventually(t, func() bool { return len(r.pods(f)) == 2 }, timeout, poll)
	time.Sleep(time.Second) // no Event can show that nothing is done
	f.missing(first, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{})

	binding := newBinding(f.name)
	binding.Spec.MatchResources.NamespaceSelector = withLabel(f.name + "-too")
	f.create(binding)
	eventually(f, second, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
	f.barrierIn(second, "barrier")
	f.missing(first, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{})

	another := newBinding(f.name)
	another.Name += ".namespace"
	f.create(another)
	eventually(f, first, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
}

// TestPolicyModeRunsControllerAlone runs the program with the flags of the chart's Deployment in policy
// mode: it is ready without a certificate, creates the claim, and ends at once.
func TestPolicyModeRunsControllerAlone(t *testing.T) {
	f := newFixture(t)
	namespace := f.namespace(f.name)
	f.create(newPolicy(f.name, withLabel(f.name)), newBinding(f.name))
	dir := t.TempDir()
	config, kubeconfig := filepath.Join(dir, "config.yaml"), filepath.Join(dir, "kubeconfig")
	require.NoError(t, os.WriteFile(config, []byte("apiVersion: pipeline-storage.io/v1alpha1\nkind: StorageConfig\n"+
		"profiles:\n- {name: default, storageClass: {name: "+f.class+"}}\n"), 0o600))
	require.NoError(t, suite.WriteKubeconfig(f.limited, kubeconfig))
	addresses, err := process.FreeAddresses(2)
	require.NoError(t, err)
	program, err := process.Start(process.Options{
		Name: f.name, Program: suite.Program(t, "cmd/webhook"), Log: filepath.Join(dir, "webhook.log"),
		Args: []string{
			"--webhook=false", "--admission-policy=" + f.name, "--installation=" + f.name, "--config=" + config,
			"--kubeconfig=" + kubeconfig, "--leader-elect=false", "--namespace=" + ownNamespace,
			"--metrics-bind-address=" + addresses[0], "--health-probe-bind-address=" + addresses[1],
		},
	})
	require.NoError(t, err)
	t.Cleanup(program.Kill)
	var ready string
	require.Eventually(t, func() bool {
		ready, err = process.Get(t.Context(), "http://"+addresses[1]+"/readyz")
		return err == nil
	}, timeout, poll, "%v\n%s", err, program.LogTail())
	assert.Equal(t, "process: ok\nserver: ok\ncaches: ok\nconfiguration: ok\ninstallations: ok\n", ready)

	f.awaitPolicy(namespace)
	f.pod(namespace, "one", "", unannotated)
	eventually(f, namespace, "pvc-data-pipeline", &corev1.PersistentVolumeClaim{}, exists)
	f.event(namespace, "pvc-data-pipeline", diagnose.ReasonCreated)
	assert.NotContains(t, program.LogTail(), `"level":"ERROR"`)
	require.NoError(t, program.Stop(5*time.Second), "without the drain of a server: %s", program.LogTail())
}
