package storage_test

import (
	"fmt"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// The three objects of an existing disk: bound in advance, kept, and tied to its zone.
func ExampleObjects() {
	config, _, err := storage.New(func(c *storage.Config) error {
		c.Profiles[0].Volume = &storage.Volume{Handle: "vol-0123456789abcdef0", Zone: "us-east-1a"}
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	release := storage.Release{Name: "nightly", Namespace: "ml"}
	objects, err := storage.Objects(config, release, storage.ProfileRef{Profile: "default", Namespace: "ml"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(objects.StorageClasses[0].Name, objects.StorageClasses[0].Provisioner)
	fmt.Println(objects.Volumes[0].Name, objects.Volumes[0].Spec.ClaimRef.Name)
	fmt.Println(objects.Claims[0].Name, objects.Claims[0].Spec.VolumeName)
	// Output:
	// fast.ml.nightly ebs.csi.aws.com
	// pv-data-pipeline.ml.nightly pvc-data-pipeline.nightly
	// pvc-data-pipeline.nightly pv-data-pipeline.ml.nightly
}
