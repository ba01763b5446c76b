// Command usual mounts a claim into pods as most webhooks do it: decode the pod, copy it, change
// the copy, encode it, and let controller-runtime find the difference.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/servers/standard"
)

// The edit is the one that cmd/webhook makes with every default.
const (
	volumeName = "pipeline-storage"
	claimName  = "pvc-data-pipeline"
	mountPath  = "/data"
)

func main() {
	scheme := runtime.NewScheme()
	err := corev1.AddToScheme(scheme)
	if err == nil {
		err = standard.Run(usual{decoder: admission.NewDecoder(scheme)})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// usual is the handler.
type usual struct{ decoder admission.Decoder }

// Handle implements [admission.Handler].
func (u usual) Handle(_ context.Context, request admission.Request) admission.Response {
	var pod corev1.Pod
	if err := u.decoder.Decode(request, &pod); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	changed := pod.DeepCopy()
	mount(&changed.Spec)
	text, err := json.Marshal(changed)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	return admission.PatchResponseFromRaw(request.Object.Raw, text)
}

// mount adds the volume, and its mount to every container.
func mount(spec *corev1.PodSpec) {
	spec.Volumes = append(spec.Volumes, corev1.Volume{Name: volumeName, VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claimName},
	}})
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			list[i].VolumeMounts = append(list[i].VolumeMounts, corev1.VolumeMount{Name: volumeName, MountPath: mountPath})
		}
	}
}
