package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	registrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/reviews"
	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/servers/listen"
	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
)

// Names of what the webhook finds in its cluster.
const (
	ownNamespace  = "pipeline-storage"
	serviceName   = "pipeline-storage"
	configuration = "pipeline-storage"
	serviceDNS    = serviceName + "." + ownNamespace + ".svc"
)

// config is the smallest configuration file: one profile with every default.
const config = "apiVersion: " + storage.APIVersion + "\nkind: StorageConfig\nprofiles:\n- name: default\n"

// cluster is the control plane beside which the webhook runs.
type cluster struct {
	plane  *controlplane.ControlPlane
	config string
}

// startCluster starts etcd and an API server and creates what the chart would create.
func startCluster(ctx context.Context, dir string, ca []byte) (*cluster, error) {
	c := &cluster{config: filepath.Join(dir, "config.yaml")}
	if err := os.WriteFile(c.config, []byte(config), 0o644); err != nil {
		return nil, fmt.Errorf("write the configuration: %w", err)
	}
	plane, err := controlplane.Start(ctx)
	if err != nil {
		return nil, err
	}
	c.plane = plane
	if err := c.install(ctx, ca); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, c.stop())
	}
	return c, nil
}

// stop ends the control plane and returns the end of its logs if it failed.
func (c *cluster) stop() string {
	logs := c.plane.Logs()
	if err := c.plane.Stop(); err != nil {
		return fmt.Sprintf("%v\n%s", err, logs)
	}
	return ""
}

// args are the flags that the webhook needs in this cluster. It reads its own certificate, does not
// write the caBundle, and does not drain.
func (c *cluster) args() []string {
	return []string{
		"--kubeconfig=" + c.plane.Kubeconfig,
		"--config=" + c.config,
		"--namespace=" + ownNamespace,
		"--pod-name=benchadmission-0",
		"--installation=" + ownNamespace + ".benchadmission",
		"--webhook-configuration=" + configuration,
		"--service=" + serviceName,
		"--certificates=files",
		"--inject-ca=true",
		"--leader-elect=true",
		"--claims=true",
		"--drain=0s",
	}
}

// install makes the two namespaces, the Service and the MutatingWebhookConfiguration.
func (c *cluster) install(ctx context.Context, ca []byte) error {
	client, err := c.plane.Client()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	for _, one := range []struct {
		path   string
		object any
	}{
		{"/api/v1/namespaces", namespace(ownNamespace)},
		{"/api/v1/namespaces", namespace(reviews.Namespace)},
		{"/api/v1/namespaces/" + ownNamespace + "/services", service()},
		{"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", webhookConfiguration(ca)},
	} {
		if err := c.create(ctx, client, one.path, one.object); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) create(ctx context.Context, client *http.Client, path string, object any) error {
	text, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("encode an object: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.plane.Host+path, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("create an object: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("create an object: %w", err)
	}
	if response.StatusCode != http.StatusCreated {
		return fmt.Errorf("create an object: POST %s: %s: %s", path, response.Status, answer)
	}
	return nil
}

func namespace(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func service() *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: serviceName},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app.kubernetes.io/name": serviceName},
			Ports:    []corev1.ServicePort{{Port: 443}},
		},
	}
}

func webhookConfiguration(ca []byte) *registrationv1.MutatingWebhookConfiguration {
	path, none, seconds := listen.Path, registrationv1.SideEffectClassNone, int32(5)
	return &registrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: configuration},
		Webhooks: []registrationv1.MutatingWebhook{{
			Name: "storage." + storage.Group,
			ClientConfig: registrationv1.WebhookClientConfig{
				Service:  &registrationv1.ServiceReference{Namespace: ownNamespace, Name: serviceName, Path: &path},
				CABundle: ca,
			},
			Rules: []registrationv1.RuleWithOperations{{
				Operations: []registrationv1.OperationType{registrationv1.Create},
				Rule:       registrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
			}},
			ObjectSelector:          &metav1.LabelSelector{MatchLabels: map[string]string{kinds.Label: kinds.LabelEnabled}},
			SideEffects:             &none,
			AdmissionReviewVersions: []string{"v1"},
			TimeoutSeconds:          &seconds,
		}},
	}
}
