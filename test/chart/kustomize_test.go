package chart_test

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/internal/drift"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// kustomizations are the components that config/default can have, by what they are for.
var kustomizations = map[string][]string{
	"default": nil, "certmanager": {"certmanager"}, "prometheus": {"prometheus"}, "both": {"certmanager", "prometheus"},
	"namespace label": {"namespace-label"}, "all": {"certmanager", "prometheus", "namespace-label"},
	"policy": {"policy"},
}

// build runs kustomize on config/default with components.
func build(t *testing.T, components ...string) []*unstructured.Unstructured {
	t.Helper()
	return parse(t, printedBy(t, append([]string{"kustomize"}, components...), func() suite.Result {
		return kustomize(t, components)
	}))
}

func kustomize(t *testing.T, components []string) suite.Result {
	t.Helper()
	dir := t.TempDir()
	config, err := filepath.Abs(root + "/config")
	require.NoError(t, err)
	relative := func(name string) string {
		path, err := filepath.Rel(dir, filepath.Join(config, name))
		require.NoError(t, err)
		return path
	}
	kustomization := map[string][]string{"resources": {relative("default")}}
	for _, component := range components {
		kustomization["components"] = append(kustomization["components"], relative(component))
	}
	text, err := yaml.Marshal(kustomization)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "kustomization.yaml"), text, 0o600))

	return suite.Shell{}.Exec(t.Context(), t, parts.Require(t, "kustomize")["kustomize"], "build", dir)
}

// What "helm install pipeline-storage --namespace pipeline-storage" makes and what config/default makes is
// the same: rights, ports, arguments, probes, security contexts, webhook and policies.
func TestConfigIsTheChart(t *testing.T) {
	t.Parallel()
	flags := map[string][]string{
		"certmanager": {"--set=certificates.mode=certManager"},
		"prometheus":  {"--set=metrics.serviceMonitor.enabled=true,metrics.prometheusRule.enabled=true"},

		"namespace-label": {"--set=optIn.namespaceLabel=true"},

		"policy": {"--set=mode=policy", "--kube-version=" + policyVersion},
	}
	for name, components := range kustomizations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := []string{"template", "pipeline-storage", chart, "--namespace", "pipeline-storage", "--no-hooks"}
			for _, component := range components {
				args = append(args, flags[component]...)
			}
			want := normalized(t, parse(t, suite.Helm(t, "helm4").Must(t, args...)))
			got := normalized(t, build(t, components...))
			delete(got, "Namespace/pipeline-storage") // Helm creates it only with --create-namespace
			for key := range want {
				assert.Equal(t, want[key], got[key], key)
			}
			for key := range got {
				assert.Contains(t, want, key, "the chart has no such object")
			}
		})
	}
}

// normalized returns the objects by kind and name without what only a chart has, with their rights in one form.
func normalized(t *testing.T, all []*unstructured.Unstructured) map[string]any {
	t.Helper()
	named := map[string]any{}
	for _, object := range all {
		labels := object.GetLabels()
		for _, label := range []string{"helm.sh/chart", "app.kubernetes.io/version", "app.kubernetes.io/managed-by"} {
			delete(labels, label)
		}
		object.SetLabels(labels)
		if rules, found := object.Object["rules"]; found {
			object.Object["rules"] = rights(t, rules)
		}
		switch object.GetKind() {
		case "ConfigMap":
			readConfig(t, object)
		case "MutatingWebhookConfiguration":
			dropInstalled(object)
		}
		sortNamed(object.Object)
		named[object.GetKind()+"/"+object.GetName()] = object.Object
	}
	return named
}

// readConfig replaces the texts of the files by their content.
func readConfig(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	texts, _, err := unstructured.NestedStringMap(object.Object, "data")
	require.NoError(t, err)
	files := map[string]any{}
	for name, text := range texts {
		if !strings.HasSuffix(name, ".yaml") { // a parameter of the policies
			files[name] = text
			continue
		}
		var content map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(text), &content))
		files[name] = content
	}
	object.Object["data"] = files
}

// dropInstalled removes the hash of the expected webhooks, which only a chart can compute: without it
// nothing is restored.
func dropInstalled(object *unstructured.Unstructured) {
	annotations := object.GetAnnotations()
	delete(annotations, drift.AnnotationInstalled)
	if len(annotations) == 0 {
		annotations = nil
	}
	object.SetAnnotations(annotations)
}

// rights are rules taken apart into single ones, sorted: controller-gen merges rules, the chart keeps their
// reasons apart.
func rights(t *testing.T, rules any) []string {
	t.Helper()
	var all []struct{ APIGroups, Resources, ResourceNames, Verbs []string }
	text, err := yaml.Marshal(rules)
	require.NoError(t, err)
	require.NoError(t, yaml.UnmarshalStrict(text, &all))
	var single []string
	for _, rule := range all {
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{"any"}
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, name := range names {
					for _, verb := range rule.Verbs {
						single = append(single, strings.Join([]string{verb, resource, group, name}, " "))
					}
				}
			}
		}
	}
	slices.Sort(single)
	return slices.Compact(single)
}

// sortNamed sorts lists of things with names, in which Kustomize puts what it adds first.
func sortNamed(value any) {
	switch v := value.(type) {
	case map[string]any:
		for _, below := range v {
			sortNamed(below)
		}
	case []any:
		for _, below := range v {
			sortNamed(below)
		}
		slices.SortStableFunc(v, func(a, b any) int { return cmp.Compare(nameOf(a), nameOf(b)) })
	}
}

func nameOf(value any) string {
	object, _ := value.(map[string]any)
	name, _ := object["name"].(string)
	return name
}
