package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/restmapper"
)

const (
	provisionerModule = "github.com/rancher/local-path-provisioner"
	manifestFile      = "local-path-storage.yaml"
	yamlBuffer        = 4096
)

// provisionerManifest returns the manifest that the provisioner's own project publishes for its
// users.
func provisionerManifest(ctx context.Context) ([]byte, error) {
	root, err := goList(ctx, "", modulePath)
	if err != nil {
		return nil, err
	}

	dir, err := goList(ctx, filepath.Join(root, "tools", "localpath"), provisionerModule)
	if err != nil {
		return nil, err
	}

	return os.ReadFile(filepath.Join(dir, "deploy", manifestFile))
}

// deployProvisioner creates the objects of the manifest unchanged. It does not wait: the first
// claim does.
func (c *Cluster) deployProvisioner(ctx context.Context) error {
	manifest, err := os.ReadFile(filepath.Join(runDir, manifestFile))
	if err != nil {
		return err
	}

	return c.Apply(ctx, manifest)
}

// Apply creates the objects of a stream of YAML documents that do not exist yet. Each must name its
// namespace.
func (c *Cluster) Apply(ctx context.Context, manifest []byte) error {
	groups, err := restmapper.GetAPIGroupResources(c.Client.Discovery())
	if err != nil {
		return fmt.Errorf("read the kinds of the cluster: %w", err)
	}

	mapper := restmapper.NewDiscoveryRESTMapper(groups)
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifest), yamlBuffer)

	for {
		object := &unstructured.Unstructured{}

		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return nil
		}

		if err != nil {
			return fmt.Errorf("read a manifest: %w", err)
		}

		if len(object.Object) == 0 {
			continue
		}

		if err := c.create(ctx, mapper, object); err != nil {
			return fmt.Errorf("make %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
}

func (c *Cluster) create(ctx context.Context, mapper meta.RESTMapper, object *unstructured.Unstructured) error {
	kind := object.GroupVersionKind()

	mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return err
	}

	resource := c.Dynamic.Resource(mapping.Resource)

	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		_, err = resource.Namespace(object.GetNamespace()).Create(ctx, object, createOptions)
	} else {
		_, err = resource.Create(ctx, object, createOptions)
	}

	if apierrors.IsAlreadyExists(err) {
		return nil
	}

	return err
}
