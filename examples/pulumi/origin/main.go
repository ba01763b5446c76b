// Command origin is the Pulumi program that this project began with: a StorageClass, a
// PersistentVolume and a PersistentVolumeClaim for data pipelines, and a pod that mounts the
// claim. docs/pulumi.md lists what of it is assumed.
package main

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"github.com/pipeline-storage/pipeline-storage/examples/pulumi/kubernetes"
)

const (
	// The names and the size of the original.
	class  = "fast"
	volume = "pv-data-pipeline"
	claim  = "pvc-data-pipeline"
	size   = "100Gi"
)

// backend is a cloud's disk, by the name of the plugin that was part of Kubernetes. They were
// in-tree volume plugins.
type backend struct {
	// provisioner creates volumes of the class.
	provisioner string
	// source is the part of a PersistentVolume that names a disk.
	source func(disk string) (field string, value pulumi.Map)
}

// Kubernetes has since moved these plugins to CSI drivers, which is why the project uses drivers.
var backends = map[string]backend{
	"aws-ebs": {"kubernetes.io/aws-ebs", func(disk string) (string, pulumi.Map) {
		return "awsElasticBlockStore", pulumi.Map{"volumeID": pulumi.String(disk), "fsType": pulumi.String("ext4")}
	}},
	"azure-disk": {"kubernetes.io/azure-disk", func(disk string) (string, pulumi.Map) {
		return "azureDisk", pulumi.Map{
			"diskName": pulumi.String(volume), "diskURI": pulumi.String(disk),
			"kind": pulumi.String("Managed"), "fsType": pulumi.String("ext4"),
		}
	}},
	"gce-pd": {"kubernetes.io/gce-pd", func(disk string) (string, pulumi.Map) {
		return "gcePersistentDisk", pulumi.Map{"pdName": pulumi.String(disk), "fsType": pulumi.String("ext4")}
	}},
}

// The Pulumi engine starts the program and gives it the settings of the stack. An error of the
// program ends the update.
func main() { pulumi.Run(program) }

// program registers everything. It requires the settings backend and disk, and fails for an
// unknown backend.
func program(ctx *pulumi.Context) error {
	settings := config.New(ctx, "")
	backend, ok := backends[settings.Require("backend")]
	if !ok {
		return fmt.Errorf("the backend %q is not one of aws-ebs, azure-disk and gce-pd", settings.Require("backend"))
	}
	if err := storage(ctx, backend, settings.Require("disk")); err != nil {
		return err
	}
	return pipeline(ctx)
}

// storage registers the three objects. Disk is the cloud's own name of an existing disk. Volume
// and claim name the same class, so that the claim is bound to this volume. An error is that of
// the registration, which the engine reports.
func storage(ctx *pulumi.Context, backend backend, disk string) error {
	_, err := kubernetes.Object(ctx, "storage.k8s.io/v1", "StorageClass", class, pulumi.Map{
		"metadata":             named(class),
		"provisioner":          pulumi.String(backend.provisioner),
		"reclaimPolicy":        pulumi.String("Retain"),
		"volumeBindingMode":    pulumi.String("WaitForFirstConsumer"),
		"allowVolumeExpansion": pulumi.Bool(true),
	})
	if err != nil {
		return err
	}

	field, source := backend.source(disk)
	_, err = kubernetes.Object(ctx, "v1", "PersistentVolume", volume, pulumi.Map{
		"metadata": named(volume),
		"spec": pulumi.Map{
			"storageClassName":              pulumi.String(class),
			"capacity":                      pulumi.Map{"storage": pulumi.String(size)},
			"accessModes":                   pulumi.StringArray{pulumi.String("ReadWriteOnce")},
			"persistentVolumeReclaimPolicy": pulumi.String("Retain"),
			field:                           source,
		},
	})
	if err != nil {
		return err
	}

	_, err = kubernetes.Object(ctx, "v1", "PersistentVolumeClaim", claim, pulumi.Map{
		"metadata": named(claim),
		"spec": pulumi.Map{
			"storageClassName": pulumi.String(class),
			"accessModes":      pulumi.StringArray{pulumi.String("ReadWriteOnce")},
			"resources":        pulumi.Map{"requests": pulumi.Map{"storage": pulumi.String(size)}},
		},
	})
	return err
}

// pipeline registers the pod that works with the data. Volume and mount are written by hand,
// again in each pod template. This is the repetition that the project removes: the examples
// beside this one have none of it.
func pipeline(ctx *pulumi.Context) error {
	_, err := kubernetes.Object(ctx, "v1", "Pod", "data-pipeline", pulumi.Map{
		"metadata": named("data-pipeline"),
		"spec": pulumi.Map{
			"containers": pulumi.Array{pulumi.Map{
				"name":    pulumi.String("pipeline"),
				"image":   pulumi.String("python:3.13-slim"),
				"command": pulumi.ToStringArray([]string{"python", "-m", "http.server", "--directory", "/data"}),
				"volumeMounts": pulumi.Array{pulumi.Map{
					"name": pulumi.String("data"), "mountPath": pulumi.String("/data"),
				}},
			}},
			"volumes": pulumi.Array{pulumi.Map{
				"name":                  pulumi.String("data"),
				"persistentVolumeClaim": pulumi.Map{"claimName": pulumi.String(claim)},
			}},
		},
	})
	return err
}

// named is the metadata of an object that has no more than a name: its namespace is the
// provider's default.
func named(name string) pulumi.Map { return pulumi.Map{"name": pulumi.String(name)} }
