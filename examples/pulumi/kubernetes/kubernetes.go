// Package kubernetes registers resources with Pulumi's Kubernetes provider through Pulumi's own SDK.
//
// The typed SDK of the provider, github.com/pulumi/pulumi-kubernetes/sdk/v4, registers the same
// types with the same inputs. Inputs are plain maps here, with the field names of the Kubernetes
// API.
package kubernetes

import (
	"errors"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Version is the provider that the programs are written for. Pulumi installs it when it first
// runs a program.
const Version = "4.34.2"

// Resource is an object of the cluster, as the provider answers it.
type Resource struct {
	pulumi.CustomResourceState
	// Metadata is the object's metadata.
	Metadata pulumi.MapOutput `pulumi:"metadata"`
}

// Name is the metadata.name of the object: an input of another object, which then comes after
// this one, or an export. It fails for an object without a name.
func (r *Resource) Name() pulumi.StringOutput {
	return r.Metadata.ApplyT(func(metadata map[string]any) (string, error) {
		name, ok := metadata["name"].(string)
		if !ok {
			return "", errors.New("the object has no metadata.name")
		}
		return name, nil
	}).(pulumi.StringOutput)
}

// Object registers an object of the cluster. As in the typed SDK, the type is "kubernetes:" with
// the API version and the kind, and both are inputs as well; the core group is called "core"
// (pulumi-kubernetes, sdk/go/kubernetes/core/v1/pod.go, NewPod).
func Object(ctx *pulumi.Context, apiVersion, kind, name string, inputs pulumi.Map, opts ...pulumi.ResourceOption) (
	*Resource, error,
) {
	group := apiVersion
	if group == "v1" {
		group = "core/v1"
	}
	inputs["apiVersion"], inputs["kind"] = pulumi.String(apiVersion), pulumi.String(kind)
	var object Resource
	err := ctx.RegisterResource("kubernetes:"+group+":"+kind, name, inputs, &object, withVersion(opts)...)
	return &object, err
}

// Chart registers a Helm chart that Pulumi renders, and whose objects it then manages one by one
// (pulumi-kubernetes, sdk/go/kubernetes/helm/v4/chart.go, NewChart).
func Chart(ctx *pulumi.Context, name string, inputs pulumi.Map, opts ...pulumi.ResourceOption) error {
	var chart pulumi.ResourceState
	return ctx.RegisterRemoteComponentResource("kubernetes:helm.sh/v4:Chart", name, inputs, &chart, withVersion(opts)...)
}

// Release registers a release that the Helm inside the provider installs (pulumi-kubernetes,
// sdk/go/kubernetes/helm/v3/release.go, NewRelease).
func Release(ctx *pulumi.Context, name string, inputs pulumi.Map, opts ...pulumi.ResourceOption) error {
	var release pulumi.CustomResourceState
	return ctx.RegisterResource("kubernetes:helm.sh/v3:Release", name, inputs, &release, withVersion(opts)...)
}

func withVersion(opts []pulumi.ResourceOption) []pulumi.ResourceOption {
	return append([]pulumi.ResourceOption{pulumi.Version(Version)}, opts...)
}
