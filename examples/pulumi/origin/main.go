// Command origin is the Pulumi program that this project began with, in Go: a StorageClass, a
// PersistentVolume and a PersistentVolumeClaim for data pipelines, and the claim's name as an
// export, so that pods can mount it. It registers nothing else: the pods are up to you.
// docs/pulumi.md compares it with storage.
package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/pipeline-storage/pipeline-storage/examples/pulumi/kubernetes"
)

const (
	size = "100Gi"
	// volumeID is a placeholder for the ID of your EBS volume.
	volumeID = "vol-0123456789abcdef0"
)

// The Pulumi engine starts the program. An error of the program ends the update.
func main() { pulumi.Run(program) }

// program registers the three objects and the export. Volume and claim name the same class, so
// that the claim is bound to this volume. An error is that of a registration, which the engine
// reports.
func program(ctx *pulumi.Context) error {
	class, err := storageClass(ctx)
	if err != nil {
		return err
	}
	if err := persistentVolume(ctx, class.Name()); err != nil {
		return err
	}
	claim, err := persistentVolumeClaim(ctx, class.Name())
	if err != nil {
		return err
	}
	ctx.Export("persistent_volume_claim_name", claim.Name())
	return nil
}

// storageClass registers the class of the in-tree plugin, which Kubernetes 1.27 removed. It keeps a
// volume when its claim is deleted, and binds a claim when a pod needs it.
func storageClass(ctx *pulumi.Context) (*kubernetes.Resource, error) {
	return kubernetes.Object(ctx, "storage.k8s.io/v1", "StorageClass", "storage-class", pulumi.Map{
		"metadata":          named("fast"),
		"provisioner":       pulumi.String("kubernetes.io/aws-ebs"),
		"parameters":        pulumi.Map{"type": pulumi.String("gp2")},
		"reclaimPolicy":     pulumi.String("Retain"),
		"volumeBindingMode": pulumi.String("WaitForFirstConsumer"),
	})
}

// persistentVolume registers the volume for a disk that exists.
func persistentVolume(ctx *pulumi.Context, class pulumi.StringInput) error {
	_, err := kubernetes.Object(ctx, "v1", "PersistentVolume", "persistent-volume", pulumi.Map{
		"metadata": named("pv-data-pipeline"),
		"spec": pulumi.Map{
			"capacity":                      pulumi.Map{"storage": pulumi.String(size)},
			"accessModes":                   pulumi.ToStringArray([]string{"ReadWriteOnce"}),
			"persistentVolumeReclaimPolicy": pulumi.String("Retain"),
			"storageClassName":              class,
			"awsElasticBlockStore":          pulumi.Map{"volumeID": pulumi.String(volumeID)},
		},
	})
	return err
}

// persistentVolumeClaim registers the claim, in the namespace that is the provider's default.
func persistentVolumeClaim(ctx *pulumi.Context, class pulumi.StringInput) (*kubernetes.Resource, error) {
	return kubernetes.Object(ctx, "v1", "PersistentVolumeClaim", "persistent-volume-claim", pulumi.Map{
		"metadata": named("pvc-data-pipeline"),
		"spec": pulumi.Map{
			"accessModes":      pulumi.ToStringArray([]string{"ReadWriteOnce"}),
			"resources":        pulumi.Map{"requests": pulumi.Map{"storage": pulumi.String(size)}},
			"storageClassName": class,
		},
	})
}

// named is the metadata of an object that has no more than a name.
func named(name string) pulumi.Map { return pulumi.Map{"name": pulumi.String(name)} }
