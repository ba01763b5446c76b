package limits_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// shape is a kind of pod that can grow.
type shape struct {
	name string
	way  way
	// pod returns a pod that grows linearly with n.
	pod func(n int) *corev1.Pod
	// start is an n of which twice as much is still created.
	start int
	// pathological is a shape that no user needs. Its review may be larger than MaxBody.
	pathological bool
}

// The most that a pod may have by the limits of package admission.
const (
	maxVariables  = 20_000
	maxContainers = 1000
	maxVolumes    = 1000
	mountsOfOne   = 10
)

var shapes = []shape{
	{"one variable of text", inJSON, oneVariable, 100_000, false},
	{"JSON documents in variables", inJSON, documents(jsonText), 100_000, false},
	{"XML documents in variables", inJSON, documents(xmlText), 100_000, false},
	{"5,000 variables, then text", inJSON, withText(variables(5000)), 100_000, false},
	{"5,000 variables, then text", byApply, withText(variables(5000)), 100_000, false},
	{"20,000 variables from Secrets, then text", inJSON, withText(secretVariables(maxVariables)), 10_000, false},
	{"100 containers, then text", inJSON, withText(containers(100)), 100_000, false},
	{"100 containers, then text", byApply, withText(containers(100)), 100_000, false},
	{"1,000 containers, then text", inProtobuf, withText(containers(maxContainers)), 100_000, false},
	{"1,000 volumes with 10,000 mounts, then text", inJSON, withText(volumes(maxVolumes)), 100_000, false},
	{"arguments", inJSON, arguments, 20_000, false},
	{"256 KiB of annotations, then text", inJSON, withText(annotated), 100_000, false},
	{"`kubectl apply` of JSON documents", inJSON, lastApplied, 20_000, false},

	{"`<`, which JSON writers escape", inJSON, documents("<"), 50_000, true},
	{"`<`, which JSON writers escape", inProtobuf, documents("<"), 50_000, true},
	{"control characters", inProtobuf, documents("\x01"), 50_000, true},
	{"as many containers as fit", inJSON, bareContainers, 5000, true},
}

const (
	jsonText = `{"learningRate":0.001,"layers":[{"units":128,"activation":"relu"}],"name":"model"},`
	xmlText  = "<property><name>fs.defaultFS</name><value>hdfs://namenode:8020</value></property>\n"
)

// mostOfOne is how many bytes one variable has at most: Linux starts no process with 128 KiB in
// one.
// Source: Linux, include/uapi/linux/binfmts.h MAX_ARG_STRLEN.
const mostOfOne = 127 << 10

func newPod(env ...corev1.EnvVar) *corev1.Pod {
	return &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: "largest", Labels: map[string]string{kinds.Label: "enabled"}},
		Spec: corev1.PodSpec{
			SchedulerName: "does-not-exist", // nothing runs
			Containers:    []corev1.Container{{Name: "main", Image: "train:1", Env: env}},
		},
	}
}

// repeat returns n bytes of a text.
func repeat(text string, n int) string { return strings.Repeat(text, n/len(text)+1)[:n] }

// addText adds variables of this many bytes in all to the first container.
func addText(pod *corev1.Pod, text string, n int) *corev1.Pod {
	first := &pod.Spec.Containers[0]
	for i := 0; n > 0; i++ {
		size := min(n, mostOfOne)
		first.Env = append(first.Env, corev1.EnvVar{Name: fmt.Sprintf("TEXT_%d", i), Value: repeat(text, size)})
		n -= size
	}
	return pod
}

// documents is a pod with n bytes of a text in its variables.
func documents(text string) func(n int) *corev1.Pod {
	return func(n int) *corev1.Pod { return addText(newPod(), text, n) }
}

// withText is a pod to which n bytes of plain text are added.
func withText(pod func() *corev1.Pod) func(n int) *corev1.Pod {
	return func(n int) *corev1.Pod { return addText(pod(), "a", n) }
}

func variables(count int) func() *corev1.Pod {
	return func() *corev1.Pod {
		env := make([]corev1.EnvVar, count)
		for i := range env {
			env[i] = corev1.EnvVar{Name: fmt.Sprintf("SERVICE_OF_THE_TEAM_%05d_PORT", i), Value: "8080"}
		}
		return newPod(env...)
	}
}

func secretVariables(count int) func() *corev1.Pod {
	return func() *corev1.Pod {
		env := make([]corev1.EnvVar, count)
		for i := range env {
			env[i] = corev1.EnvVar{
				Name: fmt.Sprintf("SERVICE_OF_THE_TEAM_%05d_KEY", i),
				ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
					LocalObjectReference: corev1.LocalObjectReference{Name: "credentials"}, Key: "password",
				}},
			}
		}
		return newPod(env...)
	}
}

// containers are as complete as those of a production chart: managedFields name every field of
// each.
func containers(count int) func() *corev1.Pod {
	resources := corev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("128Mi")}
	container := func(i int) corev1.Container {
		port := 1024 + i // containers of a pod share its ports
		probe := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: "/healthz",
			Port: intstr.FromInt(port),
		}}}
		return corev1.Container{
			Name: fmt.Sprintf("worker-%d", i), Image: "registry.example.com/team/worker:1.0.0",
			Args: []string{"--shard", strconv.Itoa(i)},
			Env: []corev1.EnvVar{
				{Name: "SHARD", Value: strconv.Itoa(i)},
				{Name: "NODE", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "spec.nodeName"}}},
			},
			Ports:         []corev1.ContainerPort{{Name: fmt.Sprintf("http-%d", i), ContainerPort: int32(port)}},
			LivenessProbe: probe, ReadinessProbe: probe,
			Resources:    corev1.ResourceRequirements{Requests: resources, Limits: resources},
			VolumeMounts: []corev1.VolumeMount{{Name: "scratch", MountPath: "/scratch"}},
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true), RunAsNonRoot: new(true),
				Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
		}
	}
	return func() *corev1.Pod {
		pod := newPod()
		pod.Spec.Volumes = []corev1.Volume{{
			Name:         "scratch",
			VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
		}}
		pod.Spec.Containers = make([]corev1.Container, count)
		for i := range pod.Spec.Containers {
			pod.Spec.Containers[i] = container(i)
		}
		return pod
	}
}

func bareContainers(n int) *corev1.Pod {
	pod := newPod()
	pod.Spec.Containers = make([]corev1.Container, n)
	for i := range pod.Spec.Containers {
		pod.Spec.Containers[i] = corev1.Container{Name: fmt.Sprintf("c%05d", i), Image: "a:1"}
	}
	return pod
}

func volumes(count int) func() *corev1.Pod {
	return func() *corev1.Pod {
		pod := newPod()
		first := &pod.Spec.Containers[0]
		for i := range count {
			name := fmt.Sprintf("configuration-%d", i)
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
				ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}},
			}})
			for j := range mountsOfOne {
				first.VolumeMounts = append(first.VolumeMounts,
					corev1.VolumeMount{Name: name, MountPath: fmt.Sprintf("/etc/configuration/%d/%d", i, j)})
			}
		}
		return pod
	}
}

func arguments(n int) *corev1.Pod {
	pod := newPod()
	pod.Spec.Containers[0].Args = make([]string, n)
	for i := range n {
		pod.Spec.Containers[0].Args[i] = "-v"
	}
	return pod
}

// annotated is a pod with annotations as large as the API server accepts. They hold JSON, as
// annotations do.
func annotated() *corev1.Pod {
	const key = "example.com/configuration"
	pod := newPod()
	pod.Annotations = map[string]string{key: repeat(jsonText, maxAnnotations-len(key))}
	return pod
}

// lastApplied is a pod as kubectl apply sends it: with the manifest in an annotation.
func lastApplied(n int) *corev1.Pod {
	pod := documents(jsonText)(n)
	manifest, _ := json.Marshal(pod) // a pod of text always has one
	pod.Annotations = map[string]string{corev1.LastAppliedConfigAnnotation: string(manifest) + "\n"}
	return pod
}

func oneVariable(n int) *corev1.Pod {
	return newPod(corev1.EnvVar{Name: "TEXT", Value: repeat("a", n)})
}
