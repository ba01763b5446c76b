package samples_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// longNamespace is as long as a namespace can be.
var longNamespace = strings.Repeat("n", 63)

// limit is a value of a profile at a limit of the API server, and one beyond it.
type limit struct {
	set            func(p *storage.Profile, value string)
	within, beyond string
}

func label(p *storage.Profile, value string) { p.Claim.Labels = map[string]string{"a": value} }

// parameters sets so many parameters of so many bytes: NUMBER*BYTES.
func parameters(p *storage.Profile, value string) {
	var number, bytes int
	_, _ = fmt.Sscanf(value, "%d*%d", &number, &bytes)
	p.StorageClass.Backend, p.StorageClass.Driver = "csi", "d.example.com"
	p.StorageClass.Parameters = map[string]string{}
	for i := range number {
		p.StorageClass.Parameters[fmt.Sprintf("k%03d", i)] = strings.Repeat("v", bytes-4)
	}
}

// topology allows the topologies KEY=VALUE/VALUE.
func topology(p *storage.Profile, value string) {
	key, values, _ := strings.Cut(value, "=")
	p.StorageClass.AllowedTopologies = []corev1.TopologySelectorTerm{{
		MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: key, Values: strings.Split(values, "/")}},
	}}
}

// static gives a profile a volume.
func static(set func(p *storage.Profile, value string)) func(p *storage.Profile, value string) {
	return func(p *storage.Profile, value string) {
		p.StorageClass.Backend, p.StorageClass.Driver = "csi", "d.example.com"
		p.Volume = &storage.Volume{Handle: "v", Namespace: longNamespace, TopologyKey: "zone"}
		set(p, value)
	}
}

// limits are the rules of the API that package storage has in its own words.
var limits = map[string]limit{
	"a claim's name": {
		func(p *storage.Profile, v string) { p.Claim.Name = v + "{namespace}" },
		strings.Repeat("a", 190), strings.Repeat("a", 191),
	},
	"a class's name": {
		func(p *storage.Profile, v string) { p.StorageClass.Name = v + "{namespace}" },
		strings.Repeat("a", 190), strings.Repeat("a", 191),
	},
	"a label's value":          {label, strings.Repeat("a", 63), strings.Repeat("a", 64)},
	"a label with a namespace": {label, "{namespace}", "x{namespace}"},
	"the text of a label":      {label, "a_b.c", "a b"},
	"a label's key": {
		func(p *storage.Profile, v string) { p.Claim.Labels = map[string]string{v: ""} }, "example.com/a", "a/b/c",
	},
	"an annotation's key": {
		func(p *storage.Profile, v string) { p.Claim.Annotations = map[string]string{v: ""} }, "Example.COM/a", "a/b/c",
	},
	"the size of annotations": {
		func(p *storage.Profile, v string) { p.StorageClass.Annotations = map[string]string{"a": v} },
		strings.Repeat("a", 255*1024), strings.Repeat("a", 256*1024-1),
	},
	"the number of parameters": {parameters, "512*8", "513*8"},
	"the size of parameters":   {parameters, "256*1024", "256*1025"},
	"a provisioner": {func(p *storage.Profile, v string) {
		p.StorageClass.Backend, p.StorageClass.Driver = "csi", v
	}, "Example.com/nfs", "a/b/c"},
	"a topology's key":    {topology, "example.com/zone=a/b", "a b=c"},
	"a topology's values": {topology, "zone=a/b", "zone=a/a"},
	"a zone":              {static(func(p *storage.Profile, v string) { p.Volume.Zone = v }), "us-east-1a", "us east"},
	"a volume's driver": {
		static(func(p *storage.Profile, v string) { p.StorageClass.Driver = v }), "D.example.com", "example.com/nfs",
	},
	"a long driver of a volume": {
		static(func(p *storage.Profile, v string) { p.StorageClass.Driver = v }), strings.Repeat("d", 63),
		strings.Repeat("d", 64),
	},
	"a volume's label": {
		static(func(p *storage.Profile, v string) { p.Volume.Labels = map[string]string{"a": v} }), "b", "b c",
	},
	"a group": {func(p *storage.Profile, v string) {
		group := resource.MustParse(v)
		p.FSGroup = new(group.Value())
	}, "2147483647", "2147483648"},
}

// TestLimitsAreThoseOfTheAPIServer: a configuration is refused exactly where the API server refuses its objects
// or its pods.
func TestLimitsAreThoseOfTheAPIServer(t *testing.T) {
	t.Parallel()

	client := suite.Dynamic(t)
	createNamespace(t, client, longNamespace)

	for name, l := range limits {
		for value, isWithin := range map[string]bool{l.within: true, l.beyond: false} {
			config := &storage.Config{
				APIVersion: storage.APIVersion, Kind: storage.ConfigKind, Profiles: []storage.Profile{{Name: "limits"}},
			}
			l.set(&config.Profiles[0], value)
			config.SetDefaults()
			accepted := decide(t, client, config)
			require.Equal(t, isWithin, accepted == nil, "the API server about %s %.80q: %v", name, value, accepted)
			problems := config.Validate()
			assert.Equal(t, isWithin, len(problems) == 0, "package storage about %s %.80q: %.300v", name, value, problems)
		}
	}
}

// decide has the API server decide about the objects of the profile and a pod, and creates none.
func decide(t *testing.T, client dynamic.Interface, config *storage.Config) error {
	t.Helper()

	ref := storage.ProfileRef{Profile: "limits", Namespace: longNamespace}
	objects, err := storage.Objects(config, storage.Release{}, ref)
	require.NoError(t, err)

	for _, object := range objects.All() {
		fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object.Object)
		require.NoError(t, err)
		if err := dryRun(t, client, resources[object.Kind], object.Meta.Namespace, fields); err != nil {
			return err
		}
	}

	// The namespace has a ServiceAccount.
	return dryRun(t, client, schema.GroupVersionResource{Version: "v1", Resource: "pods"}, "default", aPod(t, config))
}

// dryRun has the API server decide about an object.
func dryRun(
	t *testing.T, client dynamic.Interface, kind schema.GroupVersionResource, namespace string, fields map[string]any,
) error {
	t.Helper()

	_, err := client.Resource(kind).Namespace(namespace).Create(t.Context(), &unstructured.Unstructured{Object: fields},
		metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
	return err
}

// aPod is a pod with the group of the profile, as the webhook would set it.
func aPod(t *testing.T, config *storage.Config) map[string]any {
	t.Helper()

	pod := map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": "limits", "labels": map[string]any{kinds.Label: kinds.LabelEnabled}},
		"spec":     map[string]any{"containers": []any{map[string]any{"name": "main", "image": "example.com/main"}}},
	}
	found, err := kinds.NewTable(nil).Find(pod)
	require.NoError(t, err)
	result := inject.Patch(config, inject.Request{Namespace: longNamespace, Admission: true}, found[0].Pods...)
	require.Nil(t, result.Refused())

	return injecttest.Apply(t, pod, result)
}
