package reviews

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"text/template"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

//go:embed pod.yaml.tmpl
var podTemplate string

var templates = template.Must(template.New("").Parse(podTemplate))

// firstPort is that of the metrics of a pod's first container.
const firstPort = 9100

// values are what the template of a pod has, and that of a container with Name, Index and Port. A container has no
// ports where Port is 0.
type values struct {
	Size        Size
	Number      int // of the review
	JobUID      string
	Name        string
	Index, Port int
}

// Container returns the values for a container of the pod. Init containers, called prepare, have no port.
func (v values) Container(name string, index int) values {
	v.Name, v.Index = fmt.Sprintf("%s-%02d", name, index), index
	if name != "prepare" {
		v.Port = firstPort + index
	}
	return v
}

// pod is the pod as webhooks see it: with the managed fields of its creator, and with what the API server's
// own admission plugins (ServiceAccount, DefaultTolerationSeconds and Priority) add after those were written.
func (s Size) pod(number int) ([]byte, error) {
	var pod corev1.Pod
	var added corev1.PodSpec
	v := values{Size: s, Number: number, JobUID: uid("job", number)}
	if err := v.decode("pod", &pod); err != nil {
		return nil, err
	}
	if err := v.decode("admitted", &added); err != nil {
		return nil, err
	}
	var err error
	if pod.ManagedFields, err = managedFields(&pod); err != nil {
		return nil, err
	}
	spec := &pod.Spec
	spec.Priority, spec.PreemptionPolicy = added.Priority, added.PreemptionPolicy
	spec.Tolerations = append(spec.Tolerations, added.Tolerations...)
	spec.Volumes = append(spec.Volumes, added.Volumes...)
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			list[i].VolumeMounts = append(list[i].VolumeMounts, corev1.VolumeMount{
				Name: added.Volumes[0].Name, ReadOnly: true, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount",
			})
		}
	}
	return json.Marshal(pod)
}

// decode executes one of the templates and reads its YAML.
func (v values) decode(name string, into any) error {
	var out strings.Builder
	if err := templates.ExecuteTemplate(&out, name, v); err != nil {
		return err
	}
	return yaml.UnmarshalStrict([]byte(out.String()), into)
}
