package main

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
)

// checkCopy returns an error if a program that must change nothing changed something. It shows
// only the lengths, because a diff of two streams would be too long to read.
func checkCopy(in, out []byte) error {
	if !bytes.Equal(in, out) {
		return fmt.Errorf("the output (%d bytes) differs from the input (%d bytes)", len(out), len(in))
	}
	return nil
}

// checkEdit returns an error unless the output is the input with the claim in every workload and
// the claim itself, so that no tool is measured for less than the others do. Where the volume
// stands in its list, and what it is called, is up to the tool.
func checkEdit(in []document, out []byte) error {
	after, err := documents(out)
	if err != nil {
		return err
	}
	byID := map[string]document{}
	claims := 0
	for _, d := range after {
		if byID[d.id()] != nil {
			return fmt.Errorf("%s is in the output twice", d.id())
		}
		byID[d.id()] = d
		if d.kind() == "PersistentVolumeClaim" && d.name() == claimName {
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

// checkDocument compares one document: a workload has the claim and nothing else is new, any
// other is the same. After is nil for a lost document. It is changed by the check: the claim is
// removed from it before both are compared. The error does not show the document, which may be
// long.
func checkDocument(before, after document) error {
	if after == nil {
		return errors.New("is missing from the output")
	}
	if before.workload() {
		if err := checkPod(after.pod()); err != nil {
			return err
		}
		removeClaim(after.pod())
	}
	if !reflect.DeepEqual(prune(map[string]any(before)), prune(map[string]any(after))) {
		return errors.New("is changed beyond the volume and its mounts")
	}
	return nil
}

// checkPod looks for the volume, and for its mount in every container. A mount that is there
// twice is refused, too: the API server would refuse it. Init containers count.
func checkPod(pod map[string]any) error {
	name := claimVolume(pod)
	if name == "" {
		return fmt.Errorf("no volume holds the claim %s", claimName)
	}
	for _, list := range containerLists {
		for _, container := range items(pod, list) {
			if mountsOf(container, name) != 1 {
				return fmt.Errorf("container %q mounts volume %q at %s %d times instead of once",
					stringOf(container, "name"), name, mountPath, mountsOf(container, name))
			}
		}
	}
	return nil
}

// claimVolume is the name of the volume that holds the claim. It is empty without such a volume.
// The first one counts.
func claimVolume(pod map[string]any) string {
	for _, volume := range items(pod, "volumes") {
		if stringOf(child(volume, "persistentVolumeClaim"), "claimName") == claimName {
			return stringOf(volume, "name")
		}
	}
	return ""
}

// mountsOf counts the mounts of a volume at the path that the edit promises.
func mountsOf(container map[string]any, volume string) int {
	found := 0
	for _, mount := range items(container, "volumeMounts") {
		if stringOf(mount, "name") == volume && stringOf(mount, "mountPath") == mountPath {
			found++
		}
	}
	return found
}

// removeClaim reverses the edit. Without the claim it changes nothing.
func removeClaim(pod map[string]any) {
	name := claimVolume(pod)
	removeNamed(pod, "volumes", name)
	for _, list := range containerLists {
		for _, container := range items(pod, list) {
			removeNamed(container, "volumeMounts", name)
		}
	}
}

// removeNamed removes the items of that name from a list, and the list if it is empty then. Thus
// a list that the edit has created leaves nothing behind.
func removeNamed(object map[string]any, field, name string) {
	var rest []any
	for _, item := range items(object, field) {
		if stringOf(item, "name") != name {
			rest = append(rest, item)
		}
	}
	if rest == nil {
		delete(object, field)
		return
	}
	object[field] = rest
}

// prune returns the value without fields that are null, which mean to Kubernetes what absent ones
// do: kustomize drops them from what it patches. The value itself remains as it is. Lists retain
// their nulls, because a position has a meaning.
func prune(value any) any {
	switch value := value.(type) {
	case map[string]any:
		rest := map[string]any{}
		for field, each := range value {
			if each != nil {
				rest[field] = prune(each)
			}
		}
		return rest
	case []any:
		rest := make([]any, len(value))
		for i, each := range value {
			rest[i] = prune(each)
		}
		return rest
	}
	return value
}
