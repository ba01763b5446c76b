package reviews

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

const tokenVolume = "kube-api-access-x7k2p"

// encodedPod is the pod as webhooks see it: with the managed fields of its creator, and with what
// the API server's own admission plugins add after those were written.
func (s Size) encodedPod(number int) ([]byte, error) {
	pod := s.pod(number)
	managed, err := managedFields(pod)
	if err != nil {
		return nil, err
	}
	pod.ManagedFields = managed
	admit(&pod.Spec)
	text, err := json.Marshal(pod)
	if err != nil {
		return nil, fmt.Errorf("encode the pod: %w", err)
	}
	return text, nil
}

func (s Size) pod(number int) *corev1.Pod {
	return &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: s.metadata(number),
		Spec:       s.spec(number),
	}
}

func (s Size) metadata(number int) metav1.ObjectMeta {
	isController, blocks := true, true
	job := fmt.Sprintf("nightly-features-%04d", number)
	m := metav1.ObjectMeta{
		GenerateName: job + "-", Namespace: Namespace,
		Labels: map[string]string{
			kinds.Label:                          kinds.LabelEnabled,
			"app.kubernetes.io/name":             "nightly-features",
			"batch.kubernetes.io/controller-uid": uid("job", number),
			"batch.kubernetes.io/job-name":       job,
		},
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: "batch/v1", Kind: "Job", Name: job, UID: types.UID(uid("job", number)),
			Controller: &isController, BlockOwnerDeletion: &blocks,
		}},
		Finalizers: []string{"batch.kubernetes.io/job-tracking"},
	}
	if s.rich {
		m.Labels["app.kubernetes.io/part-of"] = "recommendations"
		m.Labels["app.kubernetes.io/version"] = "2026.10.3"
		m.Annotations = map[string]string{
			"cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
			"kubectl.kubernetes.io/default-container":        containerName(false, 0),
			"prometheus.io/port":                             "9100",
			"prometheus.io/scrape":                           "true",
			"team.example.com/on-call": `{"channel":"#pipelines","escalate":"30m",` +
				`"runbook":"https://runbooks.example.com/nightly"}`,
		}
	}
	return m
}

func (s Size) spec(number int) corev1.PodSpec {
	grace, links := int64(corev1.DefaultTerminationGracePeriodSeconds), corev1.DefaultEnableServiceLinks
	return corev1.PodSpec{
		Volumes:                       s.volumes(),
		InitContainers:                s.list(true, s.initContainers, number),
		Containers:                    s.list(false, s.containers, number),
		RestartPolicy:                 corev1.RestartPolicyNever,
		TerminationGracePeriodSeconds: &grace,
		DNSPolicy:                     corev1.DNSClusterFirst,
		ServiceAccountName:            "pipelines",
		DeprecatedServiceAccount:      "pipelines",
		SecurityContext:               &corev1.PodSecurityContext{},
		SchedulerName:                 corev1.DefaultSchedulerName,
		Tolerations:                   s.tolerations(),
		EnableServiceLinks:            &links,
	}
}

// tolerations of node pools that are reserved for such pods.
func (s Size) tolerations() []corev1.Toleration {
	if !s.rich {
		return nil
	}
	return []corev1.Toleration{{
		Key: "example.com/pool", Operator: corev1.TolerationOpEqual, Value: "pipelines", Effect: corev1.TaintEffectNoSchedule,
	}}
}

func (s Size) volumes() []corev1.Volume {
	if !s.rich {
		return nil
	}
	mode := corev1.ConfigMapVolumeSourceDefaultMode
	return []corev1.Volume{
		{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		{Name: "settings", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "nightly-features"}, DefaultMode: &mode,
		}}},
		{Name: "credentials", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: "warehouse", DefaultMode: &mode,
		}}},
	}
}

// admit does what the plugins ServiceAccount, DefaultTolerationSeconds and Priority do before the
// API server calls a webhook.
func admit(spec *corev1.PodSpec) {
	priority, preemption, seconds := int32(0), corev1.PreemptLowerPriority, int64(300)
	spec.Priority, spec.PreemptionPolicy = &priority, &preemption
	for _, taint := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		spec.Tolerations = append(spec.Tolerations, corev1.Toleration{
			Key: taint, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds,
		})
	}
	spec.Volumes = append(spec.Volumes, token())
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			list[i].VolumeMounts = append(list[i].VolumeMounts, corev1.VolumeMount{
				Name: tokenVolume, ReadOnly: true, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount",
			})
		}
	}
}

// token is the volume that the API server gives every pod for its ServiceAccount.
func token() corev1.Volume {
	mode, seconds := corev1.ProjectedVolumeSourceDefaultMode, int64(3607)
	return corev1.Volume{Name: tokenVolume, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		DefaultMode: &mode,
		Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{ExpirationSeconds: &seconds, Path: "token"}},
			{ConfigMap: &corev1.ConfigMapProjection{
				LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"},
				Items:                []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}},
			}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{
				Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"},
			}}}},
		},
	}}}
}

func containerName(isInit bool, index int) string {
	if isInit {
		return fmt.Sprintf("prepare-%02d", index)
	}
	return fmt.Sprintf("stage-%02d", index)
}

func (s Size) list(isInit bool, count, number int) []corev1.Container {
	var all []corev1.Container
	for index := range count {
		all = append(all, s.container(isInit, index, number))
	}
	return all
}

func (s Size) container(isInit bool, index, number int) corev1.Container {
	name := containerName(isInit, index)
	c := corev1.Container{
		Name:    name,
		Image:   "images.example.com/pipelines/" + name + ":2026.10.3",
		Command: []string{"python", "-m", "pipelines.run"},
		Args:    []string{"--stage=" + name, fmt.Sprintf("--run=%06d", number)},
		Env:     s.env(name, number),
		Resources: corev1.ResourceRequirements{
			Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("2Gi")},
			Requests: corev1.ResourceList{
				corev1.ResourceCPU:    resource.MustParse("250m"),
				corev1.ResourceMemory: resource.MustParse("1Gi"),
			},
		},
		TerminationMessagePath:   corev1.TerminationMessagePathDefault,
		TerminationMessagePolicy: corev1.TerminationMessageReadFile,
		ImagePullPolicy:          corev1.PullIfNotPresent,
	}
	if s.rich {
		enrich(&c, isInit, index)
	}
	return c
}

// enrich gives a container what long charts give theirs.
func enrich(c *corev1.Container, isInit bool, index int) {
	no, yes := false, true
	c.VolumeMounts = []corev1.VolumeMount{
		{Name: "scratch", MountPath: "/tmp"},
		{Name: "settings", ReadOnly: true, MountPath: "/etc/pipelines"},
		{Name: "credentials", ReadOnly: true, MountPath: "/var/run/warehouse"},
	}
	c.SecurityContext = &corev1.SecurityContext{
		AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes, RunAsNonRoot: &yes,
		Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
	if isInit {
		return
	}
	port := int32(9100 + index)
	c.Ports = []corev1.ContainerPort{{
		Name: fmt.Sprintf("metrics-%02d", index), ContainerPort: port,
		Protocol: corev1.ProtocolTCP,
	}}
	c.LivenessProbe = probe("/healthz", port)
	c.ReadinessProbe = probe("/readyz", port)
}

func probe(path string, port int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: path, Port: intstr.FromInt32(port), Scheme: corev1.URISchemeHTTP,
		}},
		TimeoutSeconds: 1, PeriodSeconds: 10, SuccessThreshold: 1, FailureThreshold: 3,
	}
}

// env returns a list of variables of the usual kinds: most are literal, every fourth has a
// reference.
func (s Size) env(container string, number int) []corev1.EnvVar {
	var all []corev1.EnvVar
	for index := range s.variables {
		v := corev1.EnvVar{Name: fmt.Sprintf("PIPELINE_SETTING_%02d", index)}
		switch index % 8 {
		case 3:
			v.ValueFrom = &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: "warehouse"}, Key: fmt.Sprintf("setting-%02d", index),
			}}
		case 7:
			v.ValueFrom = &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{
				APIVersion: "v1",
				FieldPath:  "metadata.name",
			}}
		default:
			v.Value = fmt.Sprintf("https://warehouse.example.com/%s/%06d?part=%02d", container, number, index)
		}
		all = append(all, v)
	}
	return all
}
