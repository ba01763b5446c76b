package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
)

// installation is the name of the webhook's namespace, Service and MutatingWebhookConfiguration.
const (
	installation = "pipeline-storage"
	serviceDNS   = installation + "." + installation + ".svc"
)

// config is the smallest configuration file: one profile with every default.
const config = "apiVersion: " + storage.APIVersion + "\nkind: StorageConfig\nprofiles:\n- name: default\n"

// objects are what the chart would create. The webhook writes the caBundle.
//
//go:embed cluster.yaml
var objects string

// cluster is the control plane beside which the webhook runs.
type cluster struct {
	plane  *controlplane.ControlPlane
	config string
}

// startCluster starts etcd and an API server and creates the objects.
func startCluster(ctx context.Context, dir string) (*cluster, error) {
	c := &cluster{config: filepath.Join(dir, "config.yaml")}
	if err := os.WriteFile(c.config, []byte(config), 0o644); err != nil {
		return nil, fmt.Errorf("write the configuration: %w", err)
	}
	var err error
	if c.plane, err = controlplane.Start(ctx, controlplane.Options{}); err != nil {
		return nil, err
	}
	if err := c.install(ctx); err != nil {
		return nil, fmt.Errorf("install the webhook: %w\n%w", err, c.stop())
	}
	return c, nil
}

func (c *cluster) install(ctx context.Context) error {
	log.SetLogger(logr.Discard()) // controller-runtime complains without one
	api, err := client.New(c.plane.RESTConfig(), client.Options{})
	if err != nil {
		return err
	}
	for text := range strings.SplitSeq(objects, "\n---\n") {
		var object unstructured.Unstructured
		if err := yaml.UnmarshalStrict([]byte(text), &object.Object); err != nil {
			return err
		}
		if err := api.Create(ctx, &object); err != nil {
			return err
		}
	}
	return nil
}

// stop ends the control plane. If that had ended before, the error has the end of its logs.
func (c *cluster) stop() error {
	logs := c.plane.Logs().Tails()
	if err := c.plane.Stop(); err != nil {
		return fmt.Errorf("the control plane: %w\n%s", err, logs)
	}
	return nil
}

// args are the flags that the webhook needs in this cluster. It reads its own certificate, and does not drain.
func (c *cluster) args() []string {
	return []string{
		"--kubeconfig=" + c.plane.Kubeconfig,
		"--config=" + c.config,
		"--namespace=" + installation,
		"--pod-name=benchadmission-0",
		"--installation=" + installation + ".benchadmission",
		"--webhook-configuration=" + installation,
		"--service=" + installation,
		"--certificates=files",
		"--inject-ca=true",
		"--leader-elect=true",
		"--claims=true",
		"--drain=0s",
	}
}
