package storage_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// refused are profiles that Kubernetes would refuse later, or that would break a container, by what is
// wrong with them. Each is refused with these texts.
var refused = map[string]struct {
	profile string
	expErr  []string
}{
	"a group that no pod can have": {"fsGroup: 2147483648", []string{
		"line 5: profiles[0].fsGroup: Invalid value: 2147483648: must be between 0 and 2147483647, inclusive",
	}},
	"a negative group": {"fsGroup: -1", []string{
		"profiles[0].fsGroup: Invalid value: -1: must be between 0 and 2147483647",
	}},
	"a zone with a blank": {"volume: {handle: v, zone: us east}", []string{
		`profiles[0].volume.zone: Invalid value: "us east": a valid label must be`,
	}},
	"a zone that is too long": {"volume: {handle: v, zone: " + strings.Repeat("z", 64) + "}", []string{
		"profiles[0].volume.zone: Invalid value", "must be no more than 63 bytes",
	}},
	"a topology key with two slashes": {
		"storageClass: {backend: csi, driver: d.example.com}, volume: {handle: v, zone: z, topologyKey: a/b/c}",
		[]string{`profiles[0].volume.topologyKey: Invalid value: "a/b/c"`},
	},
	"a size without its unit": {"claim: {size: 10}", []string{
		`profiles[0].claim.size: Invalid value: "10": is 10 bytes, and a claim has 1Mi at least: write the unit, such as ` +
			`10Gi`,
	}},
	"a size in kilobytes": {"claim: {size: 500k}", []string{
		`"500k": is 500000 bytes, and a claim has 1Mi at least: write the unit, such as 500Gi`,
	}},
	"a size with the m of thousandths": {"claim: {size: 100m}", []string{
		`"100m": is 100 thousandths of a byte: write the unit, such as 100Mi or 100Gi`,
	}},
	"a size of nothing": {"claim: {size: 0}", []string{
		`profiles[0].claim.size: Invalid value: "0": must be greater than zero`,
	}},
	"a negative size": {"claim: {size: -1Gi}", []string{`"-1Gi": must be greater than zero`}},
	"a control character in the mount path": {`mount: {path: "/da\0ta"}`, []string{
		"profiles[0].mount.path: Invalid value", "must not contain control characters",
	}},
	"a line break in the mount path": {`mount: {path: "/a\nb"}`, []string{"must not contain control characters"}},
	"a control character in the subPath": {`mount: {subPath: "a\tb"}`, []string{
		"profiles[0].mount.subPath: Invalid value", "must not contain control characters",
	}},
	"a name in the mount path that no file system has": {"mount: {path: /a/" + strings.Repeat("b", 256) + "}", []string{
		"profiles[0].mount.path: Invalid value", "must not contain a name longer than 255 bytes",
	}},
	"a mount path that no file system has": {"mount: {path: " + strings.Repeat("/abc", 1024) + "}", []string{
		"profiles[0].mount.path: Invalid value", "must not be longer than 4095 bytes",
	}},
	"a subPath that the longest namespace makes too long": {
		"mount: {subPath: '" + strings.Repeat("a", 200) + "{namespace}'}",
		[]string{"profiles[0].mount.subPath: Invalid value", "must not contain a name longer than 255 bytes"},
	},
	"a claim's name that the longest namespace makes too long": {
		"claim: {name: '" + strings.Repeat("a", 191) + "{namespace}'}",
		[]string{
			"profiles[0].claim.name: Invalid value",
			"must be no more than 253 characters (with the longest namespace, 63 characters, and release, 53)",
		},
	},
	"a class's name that namespace and release make too long": {
		"storageClass: {name: '" + strings.Repeat("a", 138) + "{namespace}{release}'}",
		[]string{"profiles[0].storageClass.name: Invalid value", "must be no more than 253 characters (with the longest"},
	},
	"a driver that is the name of nothing": {"storageClass: {backend: csi, driver: 'a b'}", []string{
		`profiles[0].storageClass.driver: Invalid value: "a b"`,
	}},
	"a provisioner as the driver of a volume": {
		"storageClass: {backend: csi, driver: k8s-sigs.io/nfs}, volume: {handle: v}",
		[]string{`profiles[0].storageClass.driver: Invalid value: "k8s-sigs.io/nfs"`},
	},
	"a driver of a volume that is too long": {
		"storageClass: {backend: csi, driver: " + strings.Repeat("d", 64) + "}, volume: {handle: v}",
		[]string{"profiles[0].storageClass.driver: Too long"},
	},
	"a Secret's name and namespace": {"volume: {handle: v, nodeStageSecret: {name: A, namespace: a.b}}", []string{
		`profiles[0].volume.nodeStageSecret.name: Invalid value: "A"`,
		`profiles[0].volume.nodeStageSecret.namespace: Invalid value: "a.b"`,
	}},
	"an attribute without a name": {"volume: {handle: v, attributes: {'': x}}", []string{
		`profiles[0].volume.attributes: Invalid value: "": a key must not be empty`,
	}},
	"a parameter without a name": {"storageClass: {parameters: {'': x}}", []string{
		`profiles[0].storageClass.parameters: Invalid value: "": a key must not be empty`,
	}},
	"parameters that are too many": {"storageClass: {parameters: " + entries(512, 1) + "}", []string{
		"profiles[0].storageClass.parameters: Too many: 514: must have at most 512 items", // the backend has two
	}},
	"parameters that are too large": {"storageClass: {parameters: " + entries(4, 65536) + "}", []string{
		"profiles[0].storageClass.parameters: Too long: may not be more than 262144 bytes",
	}},
	"parameters of another class that are too many": {"attributesClass: {parameters: " + entries(513, 1) + "}", []string{
		"profiles[0].attributesClass.parameters: Too many: 513",
	}},
	"parameters of snapshots that are too many": {"snapshotClass: {parameters: " + entries(513, 1) + "}", []string{
		"profiles[0].snapshotClass.parameters: Too many: 513",
	}},
	"a control character in a mount option": {`storageClass: {mountOptions: [noatime, "a\nb"]}`, []string{
		"profiles[0].storageClass.mountOptions[1]: Invalid value", "must not contain control characters",
	}},
	"a control character in a directory of a node": {
		`storageClass: {backend: host-path}, volume: {handle: "/a\0"}`,
		[]string{"profiles[0].volume.handle: Invalid value", "must not contain control characters"},
	},
	"a class that nothing creates": {"storageClass: {create: false}", []string{
		"profiles[0].storageClass.name: Required value: the class is not created, so the claim would wait for a class that " +
			"may not exist: name the one to use, or ClusterDefault for the default StorageClass of the cluster",
	}},
	"the cluster's default class, to be created": {"storageClass: {name: ClusterDefault, create: true}", []string{
		`profiles[0].storageClass.name: Invalid value: "ClusterDefault": is a class that exists: do not create one`,
	}},
	"the cluster's default class for a volume": {"storageClass: {name: ClusterDefault}, volume: {handle: v}", []string{
		`profiles[0].storageClass.name: Invalid value: "ClusterDefault": cannot be the class of a volume`,
	}},
	"the cluster's default class in another spelling": {"storageClass: {name: cluster-default}", []string{
		`"cluster-default": write ClusterDefault for the default StorageClass of the cluster`,
	}},
	"labels that the API server refuses": {"claim: {labels: {'a b': x, c: 'd e', '': f}}", []string{
		`profiles[0].claim.labels[a b]: Invalid value: "a b"`, `profiles[0].claim.labels[c]: Invalid value: "d e"`,
		`profiles[0].claim.labels[]: Invalid value: ""`,
	}},
	"a label that the longest namespace makes too long": {"claim: {labels: {team: 'x{namespace}'}}", []string{
		`profiles[0].claim.labels[team]: Invalid value: "x{namespace}"`, "must be no more than 63 bytes (with the longest",
	}},
	"a label with a placeholder of a pod": {"claim: {labels: {pod: '{pod.name}'}}", []string{
		`profiles[0].claim.labels[pod]: Invalid value: "{pod.name}"`,
	}},
	"annotations that the API server refuses": {"volume: {handle: v, annotations: {'a/b/c': x}}", []string{
		`profiles[0].volume.annotations[a/b/c]: Invalid value: "a/b/c"`,
	}},
	"annotations that are too large": {"storageClass: {annotations: " + entries(4, 65536) + "}", []string{
		"profiles[0].storageClass.annotations: Too long: may not be more than 262144 bytes",
	}},
	"labels of what is not created": {
		"claim: {create: false, labels: {a: b}}, storageClass: {annotations: {a: b}}, volume: {name: v, labels: {a: b}}",
		[]string{
			"profiles[0].claim.labels: Forbidden: has no effect, because the profile does not create the claim",
			"profiles[0].storageClass.annotations: Forbidden: has no effect, because the profile does not create the " +
				"storageClass",
			"profiles[0].volume.labels: Forbidden",
		},
	},
	"topologies of a class that is not created": {
		"storageClass: {name: c, create: false, allowedTopologies: [{matchLabelExpressions: [{key: a, values: [b]}]}]}",
		[]string{"profiles[0].storageClass.allowedTopologies: Forbidden: has no effect"},
	},
	"topologies that the API server refuses": {
		"storageClass: {allowedTopologies: [{}, {matchLabelExpressions: [{key: a b, values: [c d, c d]}, {key: e}, " +
			"{key: e, values: [f]}]}]}",
		[]string{
			"profiles[0].storageClass.allowedTopologies[0].matchLabelExpressions: Required value",
			`allowedTopologies[1].matchLabelExpressions[0].key: Invalid value: "a b"`,
			`allowedTopologies[1].matchLabelExpressions[0].values[0]: Invalid value: "c d"`,
			`allowedTopologies[1].matchLabelExpressions[0].values[1]: Duplicate value: "c d"`,
			"allowedTopologies[1].matchLabelExpressions[1].values: Required value",
			`allowedTopologies[1].matchLabelExpressions[2].key: Duplicate value: "e"`,
		},
	},
	"one topology twice": {
		"storageClass: {allowedTopologies: [{matchLabelExpressions: [{key: a, values: [b, c]}, {key: d, values: [e]}]}, " +
			"{matchLabelExpressions: [{key: d, values: [e]}, {key: a, values: [c, b]}]}]}",
		[]string{"profiles[0].storageClass.allowedTopologies[1].matchLabelExpressions: Duplicate value"},
	},
	"an unknown field of a topology": {
		"storageClass: {allowedTopologies: [{matchExpressions: []}]}",
		[]string{`unknown field "profiles[0].storageClass.allowedTopologies[0].matchExpressions"`},
	},
}

// entries is a map of so many keys, each with a value of that length.
func entries(number, length int) string {
	var all []string
	for i := range number {
		all = append(all, fmt.Sprintf("k%d: %s", i, strings.Repeat("v", length)))
	}
	return "{" + strings.Join(all, ", ") + "}"
}

// TestRefusesWhatKubernetesRefusesLater expects it of both paths, with the same sentences.
func TestRefusesWhatKubernetesRefusesLater(t *testing.T) {
	for name, tt := range refused {
		t.Run(name, func(t *testing.T) {
			text := []byte(injecttest.FileHead + "profiles:\n- name: a\n  " + strings.TrimSpace(
				strings.NewReplacer(", storageClass:", "\n  storageClass:", ", volume:", "\n  volume:").Replace(tt.profile)) + "\n")
			_, _, err := storage.Load(text)
			for _, exp := range tt.expErr {
				require.ErrorContains(t, err, exp)
			}
			_, _, atAdmission := storage.LoadForAdmission(text)
			assert.EqualError(t, atAdmission, err.Error())
		})
	}
}

// TestTheCaseIsRefused is about the profiles that were accepted once, all in one file.
func TestTheCaseIsRefused(t *testing.T) {
	text, err := os.ReadFile("testdata/accepted-and-refused-later.yaml")
	require.NoError(t, err)
	_, _, err = storage.Load(text)
	for _, exp := range []string{
		"line 5: profiles[0].fsGroup: Invalid value: 2147483648",
		`line 6: profiles[1].env: Invalid value: "PATH"`,
		`line 7: profiles[2].mount.path: Invalid value: "/proc"`,
		`line 8: profiles[3].mount.path: Invalid value: "/run/secrets/kubernetes.io/serviceaccount"`,
		`line 9: profiles[4].mount.path: Invalid value: "/da\x00ta"`,
		`line 10: profiles[5].volume.zone: Invalid value: "us east"`,
	} {
		require.ErrorContains(t, err, exp, "every problem is in one error")
	}
}

// TestReservedNames holds each row of the tables to what it refuses.
func TestReservedNames(t *testing.T) {
	problems := func(profile string) string {
		_, _, err := storage.Load([]byte(injecttest.FileHead + "profiles:\n- name: a\n  " + profile + "\n"))
		if err == nil {
			return ""
		}
		return err.Error()
	}
	text, err := os.ReadFile(filepath.Join(docs, "configuration.md"))
	require.NoError(t, err)
	for _, row := range slices.Concat(storage.ReservedPaths, storage.ReservedVariables) {
		assert.Contains(t, string(text), "`"+row.Name+"`", "docs/configuration.md has every row")
	}
	for _, row := range storage.ReservedPaths {
		for _, path := range []string{row.Name, row.Name + "/", "/." + row.Name, "/" + row.Name + "/."} {
			assert.Contains(t, problems("mount: {path: '"+path+"'}"), row.Why, path)
		}
		if below := problems("mount: {path: '" + row.Name + "/x'}"); row.Below {
			assert.Contains(t, below, row.Why, "%s/x", row.Name)
		} else {
			assert.Empty(t, below, "%s/x", row.Name)
		}
	}
	for _, row := range storage.ReservedVariables {
		assert.Equal(t, row.Below, problems("env: "+row.Name+"X") != "", row.Name)
		assert.Contains(t, problems("env: "+row.Name), row.Why+": choose another name")
	}
	for _, row := range storage.ReservedKeys {
		key := row.Name
		if row.Below {
			assert.Contains(t, problems("claim: {annotations: {sub."+key+"/x: a}}"), row.Why, key)
			assert.Empty(t, problems("claim: {annotations: {other-"+key+"/x: a}}"), key)
			key += "/x"
		}
		assert.Contains(t, problems("claim: {labels: {"+key+": a}}"), row.Why+": choose another key", key)
	}
}

// TestAllowsWhatPeopleMean is about values near the limits, which are in order.
func TestAllowsWhatPeopleMean(t *testing.T) {
	for name, profile := range map[string]string{
		"the largest group":                 "fsGroup: 2147483647",
		"the group of root":                 "fsGroup: 0",
		"the smallest size":                 "claim: {size: 1Mi}",
		"a size in bytes":                   "claim: {size: 10737418240}",
		"a volume below /usr":               "mount: {path: /usr/local/data}",
		"a volume below /etc":               "mount: {path: /etc/models}",
		"a volume below /dev/shm":           "mount: {path: /dev/shm/cache}",
		"a path that begins as another":     "mount: {path: /processed}",
		"a file system's longest name":      "mount: {path: /" + strings.Repeat("a", 255) + "}",
		"the home of a container":           "env: HOME",
		"a variable that begins as another": "env: PATH_TO_DATA",
		"the longest claim's name":          "claim: {name: '" + strings.Repeat("a", 190) + "{namespace}'}",
		"a provisioner that is not CSI":     "storageClass: {backend: csi, driver: k8s-sigs.io/nfs-subdir-external}",
		"as many parameters as there may be": "storageClass: {parameters: " +
			strings.Replace(entries(512, 1), "k0: v, k1: v, ", "", 1) + "}",
		"a class that exists":         "storageClass: {name: c, create: false}",
		"the cluster's default class": "storageClass: {name: ClusterDefault}",
		"the name of a class with it": "storageClass: {name: cluster-default-2, create: false}",
		"a static volume, whose class need not exist": "storageClass: {create: false}\n  volume: {handle: v, zone: z, " +
			"namespace: ml}",
		"no claim, and so no class": "claim: {name: c, create: false}",
		"labels and annotations": "claim: {labels: {team: '{namespace}', app.kubernetes.io/part-of: a, empty: ''}, " +
			`annotations: {Backup.example.com/Plan: '{"daily": "{release}"}'}}`,
		"topologies": "storageClass: {allowedTopologies: [{matchLabelExpressions: [{key: a/b, values: [c, d]}]}]}",
	} {
		t.Run(name, func(t *testing.T) {
			text := []byte(injecttest.FileHead + "profiles:\n- name: a\n  " + profile + "\n")
			config, warnings, err := storage.Load(text)
			require.NoError(t, err)
			assert.Empty(t, warnings)
			requireSameWhenPrinted(t, config)
		})
	}
}

// TestAdmissionRefusesMetadataOfAnotherNamespace: no release is known there, and a class is that of every
// namespace.
func TestAdmissionRefusesMetadataOfAnotherNamespace(t *testing.T) {
	load := func(profile string) error {
		_, _, err := storage.LoadForAdmission([]byte(injecttest.FileHead + "profiles:\n- name: a\n  " + profile + "\n"))
		return err
	}
	require.ErrorContains(t, load("claim: {labels: {app: '{release}'}}"),
		`line 5: profiles[0].claim.labels[app]: Invalid value: "{release}": at admission no release is known`)
	require.ErrorContains(t, load("storageClass: {annotations: {ns: 'x {namespace}'}}"),
		`line 5: profiles[0].storageClass.annotations[ns]: Invalid value: "x {namespace}": the class is that of every `+
			"namespace: use a plain value, or {namespace} in storageClass.name, too")
	require.NoError(t, load("storageClass: {name: 'c-{namespace}', annotations: {ns: 'x {namespace}'}}"))
	require.NoError(t, load("claim: {labels: {team: '{namespace}'}}"))
}
