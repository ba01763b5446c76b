package chart_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

// refusals are profiles that the webhook refuses when it starts. The chart refuses them when it is rendered,
// with the same sentence; where that is empty, by the schema, with the name of the field.
var refusals = map[string]struct{ profile, sentence, field string }{
	"a reserved path": {
		"{name: a, mount: {path: /etc/hosts/}}", "is a file that Kubernetes mounts", "mount.path /etc/hosts",
	},
	"below a reserved path": {
		"{name: a, mount: {path: /proc/x}}", "is in /proc, where container runtimes mount no volume", "mount.path /proc/x",
	},
	"the root": {"{name: a, mount: {path: //}}", "would hide the container's whole file system", "mount.path /"},
	"the token": {
		"{name: a, mount: {path: /run/secrets/kubernetes.io/serviceaccount}}", "service account token", "mount.path",
	},
	"a reserved variable": {
		"{name: a, env: PATH}", "is the list of directories in which programs are found: choose another name", "env PATH",
	},
	"the beginning of a reserved variable": {
		"{name: a, env: KUBERNETES_DATA}", "is where programs find the API server", "env KUBERNETES_DATA",
	},
	"a reserved label": {
		"{name: a, claim: {labels: {app.kubernetes.io/managed-by: me}}}",
		"names the manager of an object, which Helm writes: choose another key", "claim.labels: app.kubernetes.io/managed-by",
	},
	"a reserved annotation of a subdomain": {
		"{name: a, storageClass: {annotations: {x.pipeline-storage.io/y: z}}}",
		"belongs to pipeline-storage, which finds its pods and objects by it", "storageClass.annotations",
	},
	"a reserved annotation of a volume": {
		"{name: a, volume: {handle: v, zone: z, namespace: ml, annotations: {pv.kubernetes.io/bound-by-controller: 'yes'}}}",
		"is written by Kubernetes, to bind volumes and claims", "volume.annotations",
	},
	"a class that nothing creates": {
		"{name: a, storageClass: {create: false}}",
		"the class is not created, so the claim would wait for a class that may not exist: name the one to use, or " +
			"ClusterDefault for the default StorageClass of the cluster", "storageClass.name",
	},
	"the default class, to be created": {
		"{name: a, storageClass: {name: ClusterDefault, create: true}}", "is a class that exists: do not create one",
		"storageClass.name",
	},
	"the default class of a volume": {
		"{name: a, storageClass: {name: ClusterDefault}, volume: {handle: v, zone: z, namespace: ml}}",
		"cannot be the class of a volume, whose class must be known", "storageClass.name",
	},
	"the default class in another spelling": {
		"{name: a, storageClass: {name: clusterdefault}}", "write ClusterDefault for the default StorageClass of the cluster",
		"storageClass.name",
	},
	"a group that no pod can have": {"{name: a, fsGroup: 2147483648}", "", "fsGroup"},
	"a size without its unit": {
		"{name: a, claim: {size: 10}}", "write the unit, such as 10Gi", "claim.size 10 is",
	},
	"a size without its unit, quoted": {
		"{name: a, claim: {size: '10'}}", "write the unit, such as 10Gi", "claim.size 10 is",
	},
	"a size with a tiny unit": {
		"{name: a, claim: {size: 10Ki}}", "write the unit, such as 10", "claim.size 10Ki is",
	},
	"a large number that is too small": {
		"{name: a, claim: {size: 1048575}}", "write the unit, such as 1048575", "claim.size",
	},
	"a size in thousandths":          {"{name: a, claim: {size: 100m}}", "write the unit, such as 100", "claim.size 100m"},
	"a size of nothing":              {"{name: a, claim: {size: 0}}", "must be greater than zero", "claim.size 0"},
	"a size of no bytes":             {"{name: a, claim: {size: 0Gi}}", "must be greater than zero", "claim.size 0Gi"},
	"a negative size":                {"{name: a, claim: {size: -1Gi}}", "must be greater than zero", "claim.size -1Gi"},
	"a negative number":              {"{name: a, claim: {size: -5}}", "must be greater than zero", "claim.size -5"},
	"a zone with a blank":            {"{name: a, volume: {handle: v, zone: us east, namespace: ml}}", "", "zone"},
	"a relative path":                {"{name: a, mount: {path: data}}", "", "path"},
	"a control character in a path":  {`{name: a, mount: {path: "/da\0ta"}}`, "", "path"},
	"a misspelt field of a topology": {"{name: a, storageClass: {allowedTopologies: [{match: []}]}}", "", "match"},
}

func TestChartRefusesWhatTheWebhookRefuses(t *testing.T) {
	t.Parallel()
	suite.BothHelms(t, func(t *testing.T, h *suite.HelmCLI) {
		for name, c := range refusals {
			const head = "apiVersion: pipeline-storage.io/v1alpha1\nkind: StorageConfig\n"
			_, _, atStart := storage.LoadForAdmission([]byte(head + "profiles: [" + c.profile + "]\n"))
			require.ErrorContains(t, atStart, c.sentence, name)
			asJSON, err := yaml.YAMLToJSON([]byte("[" + c.profile + "]"))
			require.NoError(t, err)
			rendered := h.Run(t.Context(), "template", "ps", chart, "--set-json", "config.profiles="+string(asJSON)).Err
			require.ErrorContains(t, rendered, c.field, name)
			if c.sentence == "" {
				require.ErrorContains(t, rendered, "values don't meet the specifications of the schema", name)
			} else {
				require.ErrorContains(t, rendered, `config.profiles: profile "a": `, name)
				require.ErrorContains(t, rendered, c.sentence, name)
			}
		}
	})
}

// What is in order for the webhook is in order for the chart.
func TestChartAcceptsWhatTheWebhookAccepts(t *testing.T) {
	t.Parallel()
	h := suite.Helm(t, "helm4")
	for name, profile := range map[string]string{
		"a path below a reserved one": "{name: a, mount: {path: /usr/local/data}}",
		"a variable like a reserved":  "{name: a, env: PATH_TO_DATA}",
		"the default class":           "{name: a, storageClass: {name: ClusterDefault}}",
		"a class that exists":         "{name: a, storageClass: {name: gold, create: false}}",
		"no class, a volume":          "{name: a, storageClass: {create: false}, volume: {handle: v, zone: z, namespace: e}}",
		"sizes in every form":         "{name: a, claim: {size: 1048576}}",
		"a size with a fraction":      "{name: a, claim: {size: 0.5Gi}}",
		"a size with an exponent":     "{name: a, claim: {size: '1e9'}}",
		"the default path":            "{name: a, mount: {path: ''}}",
		"a zone":                      "{name: a, volume: {handle: v, zone: us-east-1a, namespace: ml}}",
		"labels and annotations":      "{name: a, fsGroup: 0, claim: {labels: {t: '{namespace}'}, annotations: {A/b: '{}'}}}",
	} {
		const head = "apiVersion: pipeline-storage.io/v1alpha1\nkind: StorageConfig\n"
		_, _, err := storage.LoadForAdmission([]byte(head + "profiles: [" + profile + "]\n"))
		require.NoError(t, err, name)
		asJSON, err := yaml.YAMLToJSON([]byte("[" + profile + "]"))
		require.NoError(t, err)
		rendered := h.Run(t.Context(), "template", "ps", chart, "--set-json", "config.profiles="+string(asJSON))
		assert.NoError(t, rendered.Err, name)
	}
}
