package inject_test

import (
	"encoding/json"
	"fmt"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// An object is decoded only to be looked at; what comes back are operations for its original.
func ExamplePatch() {
	config := storage.Default()
	var object map[string]any
	_ = json.Unmarshal([]byte(`{
		"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "train"},
		"spec": {"template": {
			"metadata": {"labels": {"pipeline-storage": "enabled"}},
			"spec": {"containers": [{"name": "main", "image": "example.com/train:1"}]}
		}}
	}`), &object)

	objects, err := kinds.NewTable(config.Kinds).Find(object)
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
