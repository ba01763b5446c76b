// Command kyverno is the part of Kyverno that patches: it prints a pod as the rules of a ClusterPolicy with
// patchStrategicMerge leave it. Kyverno's own command line and server link clients of many clouds and registries, which
// take longer to build than all other programs of the tests.
//
// It does not match: every rule must be for the pod.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/go-logr/logr"
	"github.com/kyverno/kyverno/pkg/engine/mutate/patch"
	"sigs.k8s.io/yaml"
)

// policy has the fields of a ClusterPolicy that are read.
type policy struct {
	Spec struct {
		Rules []struct {
			Mutate struct {
				PatchStrategicMerge any `json:"patchStrategicMerge"`
			} `json:"mutate"`
		} `json:"rules"`
	} `json:"spec"`
}

func main() {
	patched, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "kyverno:", err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stdout, string(patched))
}

func run(args []string) ([]byte, error) {
	if len(args) != 2 {
		return nil, errors.New("usage: kyverno POLICY POD")
	}
	var p policy
	text, err := os.ReadFile(args[0])
	if err == nil {
		err = yaml.Unmarshal(text, &p)
	}
	if err != nil {
		return nil, fmt.Errorf("read the policy: %w", err)
	}
	text, err = os.ReadFile(args[1])
	if err == nil {
		text, err = yaml.YAMLToJSON(text)
	}
	if err != nil {
		return nil, fmt.Errorf("read the pod: %w", err)
	}
	for _, rule := range p.Spec.Rules {
		if text, err = patch.ProcessStrategicMergePatch(logr.Discard(), rule.Mutate.PatchStrategicMerge, text); err != nil {
			return nil, fmt.Errorf("patch the pod: %w", err)
		}
	}
	return text, nil
}
