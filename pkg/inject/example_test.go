package inject_test

import (
	"encoding/json"
	"fmt"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// An object is decoded only to be looked at; what comes back are operations for its original.
func ExamplePatch() {
	config := inject.Default()
	var object map[string]any
	_ = json.Unmarshal([]byte(`{
		"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "train"},
		"spec": {"template": {
			"metadata": {"labels": {"pipeline-storage": "enabled"}},
			"spec": {"containers": [{"name": "main", "image": "example.com/train:1"}]}
		}}
	}`), &object)

	objects, err := inject.NewTable(config.Kinds).Find(object)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, o := range objects {
		result := inject.Patch(config, inject.Request{Namespace: "ml"}, o.Pods...)
		for _, op := range result.Operations {
			fmt.Println(op.Json())
		}
		for _, d := range result.Decisions {
			fmt.Println(o.Kind, o.Name, d.Reason)
		}
	}
	// Output:
	// {"op":"add","path":"/spec/template/spec/volumes","value":[{"name":"pipeline-storage","persistentVolumeClaim":{"claimName":"pvc-data-pipeline"}}]}
	// {"op":"add","path":"/spec/template/spec/containers/0/volumeMounts","value":[{"name":"pipeline-storage","mountPath":"/data"}]}
	// Job train Injected
}

// The three objects of an existing disk: bound in advance, kept, and tied to its zone.
func ExampleObjects() {
	config, _, err := inject.New(func(c *inject.Config) error {
		c.Profiles[0].Volume = &inject.Volume{Handle: "vol-0123456789abcdef0", Zone: "us-east-1a"}
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	release := inject.Release{Name: "nightly", Namespace: "ml"}
	storage, err := inject.Objects(config, release, inject.Use{Profile: "default", Namespace: "ml"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(storage.StorageClasses[0].Name, storage.StorageClasses[0].Provisioner)
	fmt.Println(storage.Volumes[0].Name, storage.Volumes[0].Spec.ClaimRef.Name)
	fmt.Println(storage.Claims[0].Name, storage.Claims[0].Spec.VolumeName)
	// Output:
	// fast.ml.nightly ebs.csi.aws.com
	// pv-data-pipeline.ml.nightly pvc-data-pipeline.nightly
	// pvc-data-pipeline.nightly pv-data-pipeline.ml.nightly
}
