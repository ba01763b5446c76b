// Command standard is a webhook by controller-runtime's server and its admission.Webhook, as kubebuilder's
// projects are. It allows every pod unread: that is what controller-runtime costs by itself. With --mount it
// mounts a claim into pods as most webhooks do it. It runs without a manager and discards logs, which real ones
// pay for.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"os"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/servers/listen"
)

// The edit is the one that cmd/webhook makes with every default.
const (
	volumeName = "pipeline-storage"
	claimName  = "pvc-data-pipeline"
	mountPath  = "/data"
)

func main() {
	isMounting := pflag.Bool("mount", false, "mount a claim instead of allowing pods unread")
	o := listen.Parse()
	if err := o.Run(func() error { return serve(o, *isMounting) }); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(o listen.Options, isMounting bool) error {
	log.SetLogger(logr.Discard())
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return err
	}
	var handler admission.Handler = admission.HandlerFunc(allow)
	if isMounting {
		handler = mounting{decoder: admission.NewDecoder(scheme)}
	}
	server := webhook.NewServer(webhook.Options{
		Host: listen.Host, Port: o.Port, CertDir: o.Certificates, TLSOpts: []func(*tls.Config){o.TLS},
	})
	server.Register(listen.Path, &admission.Webhook{Handler: handler})
	if err := server.Start(context.Background()); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

func allow(context.Context, admission.Request) admission.Response { return admission.Allowed("") }

// mounting is the usual way: decode the pod, copy it, change the copy, encode it, and let controller-runtime find
// the difference.
type mounting struct{ decoder admission.Decoder }

// Handle implements [admission.Handler].
func (m mounting) Handle(_ context.Context, request admission.Request) admission.Response {
	var pod corev1.Pod
	if err := m.decoder.Decode(request, &pod); err != nil {
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
