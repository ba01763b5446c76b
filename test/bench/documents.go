package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// document is one decoded document of a stream. Its methods return zero values for fields that
// are missing.
type document map[string]any

// documents decodes a stream; comments and empty documents vanish. It uses the decoder of
// Kubernetes instead of this project's own, so that the check is independent of what it checks.
func documents(text []byte) ([]document, error) {
	var found []document
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for number := 1; ; number++ {
		one, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read document %d: %w", number, err)
		}
		var d document
		if err := yaml.Unmarshal(one, &d); err != nil {
			return nil, fmt.Errorf("decode document %d: %w", number, err)
		}
		if len(d) > 0 {
			found = append(found, d)
		}
	}
}

// The fields that identify an object.
func (d document) kind() string       { return stringOf(d, "kind") }
func (d document) apiVersion() string { return stringOf(d, "apiVersion") }
func (d document) name() string       { return stringOf(child(d, "metadata"), "name") }
func (d document) namespace() string  { return stringOf(child(d, "metadata"), "namespace") }

// id identifies a document of one stream. The API version is a part of it, because kinds of two
// groups may have one name.
func (d document) id() string {
	return d.apiVersion() + " " + d.kind() + " " + d.namespace() + "/" + d.name()
}

// workload reports whether the document's pod template stands where Deployments have it. The
// streams have no other kinds with pods. A CronJob, for example, has it one level deeper.
func (d document) workload() bool {
	switch d.kind() {
	case "Deployment", "StatefulSet", "Job":
		return true
	}
	return false
}

// pod is the spec of a workload's pod template. It is empty for a document without one, and its
// changes are changes of the document.
func (d document) pod() map[string]any { return child(child(child(d, "spec"), "template"), "spec") }

// workloads are the documents with a pod template. They are in the order of the stream.
func workloads(all []document) []document {
	var found []document
	for _, d := range all {
		if d.workload() {
			found = append(found, d)
		}
	}
	return found
}

// containerLists are the fields of a pod that hold containers. Ephemeral containers are not among
// them: a manifest cannot have any.
var containerLists = []string{"initContainers", "containers"}

// stringOf returns a field that holds text, else nothing.
func stringOf(object map[string]any, field string) string {
	value, _ := object[field].(string)
	return value
}

// child is a field that holds an object, else an empty one. It can be read but must not be
// changed when the field is missing.
func child(object map[string]any, field string) map[string]any {
	value, _ := object[field].(map[string]any)
	return value
}

// items are the objects of a field that holds a list of them. Items that are not objects are left
// out.
func items(object map[string]any, field string) []map[string]any {
	list, _ := object[field].([]any)
	var found []map[string]any
	for _, each := range list {
		if item, ok := each.(map[string]any); ok {
			found = append(found, item)
		}
	}
	return found
}
