package diagnose

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// labeledPod is a pod with the claim data, on a node, with the level of its SELinux label.
func labeledPod(name, node string, phase corev1.PodPhase, level string) corev1.Pod {
	pod := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			NodeName: node,
			Volumes: []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"},
			}}},
			Containers: []corev1.Container{
				{Name: "other", SecurityContext: &corev1.SecurityContext{
					SELinuxOptions: &corev1.SELinuxOptions{Level: "s0:c9"},
				}},
				{Name: "main", VolumeMounts: []corev1.VolumeMount{{Name: "v", MountPath: "/data"}}},
			},
		},
		Status: corev1.PodStatus{Phase: phase},
	}
	if level != "" {
		pod.Spec.SecurityContext = &corev1.PodSecurityContext{SELinuxOptions: &corev1.SELinuxOptions{Level: level}}
	}
	return pod
}

// recursive sets the policy of a pod.
func recursive(pod corev1.Pod) corev1.Pod {
	policy := corev1.SELinuxChangePolicyRecursive
	context := *pod.Spec.SecurityContext
	context.SELinuxChangePolicy = &policy
	pod.Spec.SecurityContext = &context
	return pod
}

func TestSELinux(t *testing.T) {
	t.Parallel()

	const running, pending = corev1.PodRunning, corev1.PodPending
	first := labeledPod("a", "n", running, "s0:c1")
	second := labeledPod("b", "n", pending, "s0:c2")
	unlabeled := labeledPod("b", "n", pending, "")
	for name, tt := range map[string]struct {
		pods []corev1.Pod
		want bool
	}{
		"two labels on one node":    {[]corev1.Pod{second, first}, true},
		"a label beside none":       {[]corev1.Pod{first, unlabeled}, true},
		"a policy on one side only": {[]corev1.Pod{recursive(first), second}, true},
		"the policy on both sides":  {[]corev1.Pod{recursive(first), recursive(second)}, false},
		"one label":                 {[]corev1.Pod{first, labeledPod("b", "n", pending, "s0:c1")}, false},
		"no labels":                 {[]corev1.Pod{labeledPod("a", "n", running, ""), unlabeled}, false},
		"on two nodes":              {[]corev1.Pod{first, labeledPod("b", "m", pending, "s0:c2")}, false},
		"both run, so none waits":   {[]corev1.Pod{first, labeledPod("b", "n", running, "s0:c2")}, false},
		"one waits for a node":      {[]corev1.Pod{first, labeledPod("b", "", pending, "s0:c2")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := SELinux("data", tt.pods)
			assert.Equal(t, tt.want, found != nil)
		})
	}
	found := SELinux("data", []corev1.Pod{first, second})
	require.NotNil(t, found)
	assert.Equal(t, "claim data is mounted on the node n for the pod a (SELinux label s0:c1), and the pod b waits for it "+
		"(SELinux label s0:c2): from Kubernetes 1.37 a node mounts such a volume with one SELinux label. Give both pods "+
		"the same seLinuxOptions, or set seLinuxChangePolicy: Recursive in the profile and recreate the pods", found.Note)
}

func TestLabelsConflict(t *testing.T) {
	t.Parallel()

	for name, tt := range map[string]struct {
		a, b string
		want bool
	}{
		"the node completes the first parts": {"system_u:system_r:container_t:s0:c1,c2", ":::s0:c1,c2", false},
		"another level":                      {"system_u:system_r:container_t:s0:c1,c2", ":::s0:c98,c99", true},
		"another type":                       {"::spc_t:s0", "::container_t:s0", true},
		"a level beside none":                {":::s0:c1", "", true},
		"none":                               {"", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, labelsConflict(tt.a, tt.b))
			assert.Equal(t, tt.want, labelsConflict(tt.b, tt.a))
		})
	}
}
