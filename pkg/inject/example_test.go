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
			fmt.Println(op.Operation, op.Path)
			value, _ := json.Marshal(op.Value)
			fmt.Println("   ", string(value))
		}
		for _, d := range result.Decisions {
			fmt.Println(o.Kind, o.Name, d.Reason)
		}
	}
	// Output:
	// add /spec/template/spec/volumes
	//     [{"name":"pipeline-storage","persistentVolumeClaim":{"claimName":"pvc-data-pipeline"}}]
	// add /spec/template/spec/containers/0/volumeMounts
	//     [{"name":"pipeline-storage","mountPath":"/data"}]
	// Job train Injected
}
