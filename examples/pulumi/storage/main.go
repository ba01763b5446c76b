// Command storage is a Pulumi program that deploys a Helm chart with pipeline-storage as its
// post-renderer: the chart's labelled pods get the storage, and the program writes neither
// objects nor mounts. docs/pulumi.md compares it with origin.
package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"github.com/pipeline-storage/pipeline-storage/examples/pulumi/kubernetes"
)

const (
	name  = "nightly"
	chart = "../../etl-cronjob"
	// command is found in $PATH of the machine that runs Pulumi; a path that begins with a dot
	// begins at Pulumi.yaml.
	command = "postrender"
	// script is command with its arguments, for Release, which takes none.
	script = "./postrender.sh"
)

// scriptArguments are those in the script.
var scriptArguments = []string{"--namespace=pipelines", "--release=nightly"}

func main() { pulumi.Run(program) }

// deployments are the ways to deploy the chart, by the setting resource.
var deployments = map[string]func(*pulumi.Context, *config.Config) error{"chart": asChart, "release": asRelease}

// program deploys the chart and exports the claim's name as origin does, so that pods of other
// programs can mount the claim.
func program(ctx *pulumi.Context) error {
	settings := config.New(ctx, "")
	deploy, ok := deployments[settings.Require("resource")]
	if !ok {
		return fmt.Errorf("the resource %q is neither chart nor release", settings.Require("resource"))
	}
	if err := deploy(ctx, settings); err != nil {
		return err
	}
	ctx.Export("persistent_volume_claim_name", pulumi.String(claimName(settings)))
	return nil
}

// claimName is the claim that exists, or the name that the post-renderer gives to the release's
// own: {release} in docs/configuration.md, claim.name.
func claimName(settings *config.Config) string {
	return cmp.Or(settings.Get("claim"), "pvc-data-pipeline."+name)
}

// asChart lets Pulumi render the chart and manage each object.
//
// With a disk that exists, Pulumi waits for nothing: a claim that is bound in advance may be
// bound before Pulumi looks, which then waits for "Pending", the phase of a claim that waits for
// a pod (pulumi-kubernetes, provider/pkg/await/awaiters.go,
// untilCoreV1PersistentVolumeClaimReady).
func asChart(ctx *pulumi.Context, settings *config.Config) error {
	opts, err := inNamespace(ctx, settings)
	if err != nil {
		return err
	}
	return kubernetes.Chart(ctx, name, pulumi.Map{
		"name":         pulumi.String(name),
		"namespace":    pulumi.String(settings.Require("namespace")),
		"chart":        pulumi.String(chart),
		"postRenderer": pulumi.Map{"command": pulumi.String(command), "args": pulumi.ToStringArray(arguments(settings))},
		"skipAwait":    pulumi.Bool(settings.Get("disk") != ""),
	}, opts...)
}

// inNamespace registers the chart's namespace and returns what makes the chart wait for it. The
// namespace stays when it leaves the stack, because the claim in it would go with it. That of a
// claim that exists is there already.
func inNamespace(ctx *pulumi.Context, settings *config.Config) ([]pulumi.ResourceOption, error) {
	if settings.Get("claim") != "" {
		return nil, nil
	}
	namespace := settings.Require("namespace")
	made, err := kubernetes.Object(ctx, "v1", "Namespace", namespace, pulumi.Map{
		"metadata": pulumi.Map{"name": pulumi.String(namespace)},
	}, pulumi.RetainOnDelete(true))
	return []pulumi.ResourceOption{pulumi.DependsOn([]pulumi.Resource{made})}, err
}

// arguments are those of the post-renderer. Helm passes neither namespace nor release.
func arguments(settings *config.Config) []string {
	args := []string{"--namespace=" + settings.Require("namespace"), "--release=" + name}
	if disk := settings.Get("disk"); disk != "" {
		args = append(args, "--volume-handle="+disk, "--set=volume.zone="+settings.Get("zone"))
	}
	if claim := settings.Get("claim"); claim != "" {
		args = append(args, "--existing-claim="+claim)
	}
	return args
}

// asRelease lets the provider's Helm install the chart. Settings that the script does not read would be
// lost in silence.
func asRelease(ctx *pulumi.Context, settings *config.Config) error {
	if args := arguments(settings); !slices.Equal(args, scriptArguments) {
		return fmt.Errorf("a release takes the arguments of %s: write %q there and in scriptArguments", script, args)
	}
	return kubernetes.Release(ctx, name, pulumi.Map{
		"name":            pulumi.String(name),
		"namespace":       pulumi.String(settings.Require("namespace")),
		"createNamespace": pulumi.Bool(true),
		"chart":           pulumi.String(chart),
		"postrender":      pulumi.String(script),
	})
}
