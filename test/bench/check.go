package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/test/bench/claim"
)

// document is one decoded document of a stream.
type document struct {
	unstructured.Unstructured
	// workload is the same as its type, and pod is in it. Both are nil for all but the kinds of the streams
	// that hold pods.
	workload any
	pod      *corev1.PodSpec
}

// id identifies a document of one stream. The API version is a part of it, because kinds of two groups may
// have one name.
func (d document) id() string {
	return d.GetAPIVersion() + " " + d.GetKind() + " " + d.GetNamespace() + "/" + d.GetName()
}

// documents decodes a stream; comments and empty documents vanish. It uses the decoder of Kubernetes instead of
// this project's own, so that the check is independent of what it checks.
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
		d, err := decode(one)
		if err != nil {
			return nil, fmt.Errorf("decode document %d: %w", number, err)
		}
		if len(d.Object) > 0 {
			found = append(found, d)
		}
	}
}

// decode refuses a workload with fields that its type does not have.
func decode(text []byte) (d document, err error) {
	if err := yaml.Unmarshal(text, &d.Object); err != nil {
		return d, err
	}
	switch d.GetKind() {
	case "Deployment":
		typed := &appsv1.Deployment{}
		d.workload, d.pod = typed, &typed.Spec.Template.Spec
	case "StatefulSet":
		typed := &appsv1.StatefulSet{}
		d.workload, d.pod = typed, &typed.Spec.Template.Spec
	case "Job":
		typed := &batchv1.Job{}
		d.workload, d.pod = typed, &typed.Spec.Template.Spec
	default:
		return d, nil
	}
	return d, yaml.UnmarshalStrict(text, d.workload)
}

// checkCopy returns an error if a program that must change nothing changed something. It shows only the
// lengths, because a diff of two streams would be too long to read.
func checkCopy(in, out []byte) error {
	if !bytes.Equal(in, out) {
		return fmt.Errorf("the output (%d bytes) differs from the input (%d bytes)", len(out), len(in))
	}
	return nil
}

// checkEdit returns an error unless the output is the input with the claim in every workload and the claim
// itself, so that no tool is measured for less than the others do.
func checkEdit(in []document, out []byte) error {
	after, err := documents(out)
	if err != nil {
		return err
	}
	byID := map[string]document{}
	claims := 0
	for _, d := range after {
		if byID[d.id()].Object != nil {
			return fmt.Errorf("%s is in the output twice", d.id())
		}
		byID[d.id()] = d
		if d.GetKind() == "PersistentVolumeClaim" && d.GetName() == claimName {
			claims++
		}
	}
	if claims != 1 {
		return fmt.Errorf("the output has %d PersistentVolumeClaims %s instead of one", claims, claimName)
	}
	for _, before := range in {
		if err := checkDocument(before, byID[before.id()]); err != nil {
			return fmt.Errorf("%s: %w", before.id(), err)
		}
	}
	return nil
}

// checkDocument compares one document: a workload has the claim and nothing else is new, any other is the same.
// It removes the claim from after. Fields of a workload that are null mean what absent ones do: kustomize drops
// them from what it patches. The error does not show the document, which may be long.
func checkDocument(before, after document) error {
	if after.Object == nil {
		return errors.New("is missing from the output")
	}
	isSame := reflect.DeepEqual(before.Object, after.Object)
	if before.pod != nil {
		if err := claim.Remove(after.pod, claimName, mountPath); err != nil {
			return err
		}
		isSame = equality.Semantic.DeepEqual(before.workload, after.workload)
	}
	if !isSame {
		return errors.New("is changed beyond the volume and its mounts")
	}
	return nil
}
