package storage_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"sigs.k8s.io/yaml"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

var update = flag.Bool("update", false, "write the expected files")

// golden compares text with a file, or writes the file with -update.
func golden(t *testing.T, file string, actual []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(file, actual, 0o644))
	}
	expected, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(expected), string(actual), "if this is intended: go test ./pkg/inject/storage -update")
}

// TestObjects makes the objects of testdata/objects/NAME.in.yaml, whose metadata has the release, the
// namespaces of the pods and, when not all, the profiles that they use, and compares them with
// NAME.out.yaml.
func TestObjects(t *testing.T) {
	files, err := filepath.Glob("testdata/objects/*.in.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		name := strings.TrimSuffix(file, ".in.yaml")
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			config, warnings, err := storage.Load(text)
			require.NoError(t, err)
			require.Empty(t, warnings)
			golden(t, name+".out.yaml", writeObjects(t, config))
		})
	}
}

func writeObjects(t *testing.T, config *storage.Config) []byte {
	t.Helper()
	text := func(key string) string { value, _ := config.Metadata[key].(string); return value }
	list := func(key string, otherwise ...string) []string {
		values, ok := config.Metadata[key].([]any)
		if !ok {
			return otherwise
		}
		var out []string
		for _, v := range values {
			out = append(out, v.(string))
		}
		return out
	}
	var refs []storage.ProfileRef
	for _, profile := range list("profiles", "default") {
		for _, namespace := range list("pods") {
			refs = append(refs, storage.ProfileRef{Profile: profile, Namespace: namespace})
		}
	}
	var out bytes.Buffer
	for i := range config.Profiles {
		for _, warning := range config.Profiles[i].Warnings() {
			out.WriteString("# warning: " + warning + "\n")
		}
	}
	objects, err := storage.Objects(config, storage.Release{Name: text("release"), Namespace: text("namespace")}, refs...)
	if err != nil {
		assert.Empty(t, objects)
		out.WriteString("# error: " + err.Error() + "\n")
	}
	for _, object := range objects.All() {
		writeObject(t, &out, object.Object, emptyObjects[object.Kind]())
	}
	return out.Bytes()
}

// emptyObjects are what each kind is read back into.
var emptyObjects = map[string]func() any{
	"StorageClass":          func() any { return &storagev1.StorageClass{} },
	"VolumeAttributesClass": func() any { return &storagev1.VolumeAttributesClass{} },
	"VolumeSnapshotClass":   func() any { return &storage.VolumeSnapshotClass{} },
	"PersistentVolume":      func() any { return &corev1.PersistentVolume{} },
	"PersistentVolumeClaim": func() any { return &corev1.PersistentVolumeClaim{} },
}

// writeObject writes an object and reads it back strictly: nothing may be unknown, lost or changed.
func writeObject(t *testing.T, out *bytes.Buffer, object, again any) {
	t.Helper()
	text, err := yaml.Marshal(object)
	require.NoError(t, err)
	require.NoError(t, yaml.UnmarshalStrict(text, again))
	textAgain, err := yaml.Marshal(again)
	require.NoError(t, err)
	assert.Equal(t, string(text), string(textAgain))
	out.WriteString("---\n")
	out.Write(text)
}

// TestObjectsKeepData holds for every object of every backend.
func TestObjectsKeepData(t *testing.T) {
	for _, backend := range storage.Backends {
		t.Run(backend.Name, func(t *testing.T) {
			config := staticConfig(t, backend)
			objects, err := storage.Objects(config, injecttest.Release, storage.ProfileRef{Profile: "default", Namespace: "ml"})
			require.NoError(t, err)
			require.Len(t, objects.StorageClasses, 1)
			require.Len(t, objects.Volumes, 1)
			require.Len(t, objects.Claims, 1)
			class, volume, claim := objects.StorageClasses[0], objects.Volumes[0], objects.Claims[0]
			for _, annotations := range []map[string]string{class.Annotations, volume.Annotations, claim.Annotations} {
				assert.Equal(t, map[string]string{
					"helm.sh/resource-policy": "keep", "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
					"kustomize.toolkit.fluxcd.io/prune": "disabled",
				}, annotations, "and no annotation of a hook")
			}
			for _, labels := range []map[string]string{class.Labels, volume.Labels, claim.Labels} {
				assert.Equal(t, map[string]string{"pipeline-storage.io/profile": "default"}, labels)
			}
			assert.Equal(t, corev1.PersistentVolumeReclaimRetain, *class.ReclaimPolicy)
			assert.Equal(t, corev1.PersistentVolumeReclaimRetain, volume.Spec.PersistentVolumeReclaimPolicy)

			assert.Equal(t, volume.Name, claim.Spec.VolumeName, "bound from both sides, so that no first consumer is waited for")
			assert.Equal(t, claim.Name, volume.Spec.ClaimRef.Name)
			assert.Equal(t, claim.Namespace, volume.Spec.ClaimRef.Namespace)
			assert.Empty(t, volume.Spec.ClaimRef.UID, "a claim that is made again must bind again")
			assert.Equal(t, class.Name, volume.Spec.StorageClassName)
			assert.Equal(t, class.Name, *claim.Spec.StorageClassName)
			assert.Equal(t, volume.Spec.Capacity[corev1.ResourceStorage], claim.Spec.Resources.Requests[corev1.ResourceStorage])
			assert.Equal(t, volume.Spec.AccessModes, claim.Spec.AccessModes)

			assert.NotEmpty(t, class.Provisioner)
			assert.False(
				t,
				strings.HasPrefix(class.Provisioner, "kubernetes.io/") && backend.Driver != "kubernetes.io/no-provisioner",
				"the in-tree provisioners are gone",
			)
			key := backend.TopologyKey
			if backend.Name == "csi" {
				key = "topology.example.com/zone"
			}
			hasAffinity := volume.Spec.NodeAffinity != nil
			assert.Equal(t, key != "", hasAffinity)
			if hasAffinity {
				term := volume.Spec.NodeAffinity.Required.NodeSelectorTerms
				require.Len(t, term, 1, "terms are joined by or")
				assert.Equal(
					t,
					[]corev1.NodeSelectorRequirement{{Key: key, Operator: "In", Values: []string{"zone-1"}}},
					term[0].MatchExpressions,
				)
			}
		})
	}
}

// staticConfig is a profile with an existing volume of a backend.
func staticConfig(t *testing.T, backend storage.Backend) *storage.Config {
	t.Helper()
	config, warnings, err := storage.New(func(c *storage.Config) error {
		p := &c.Profiles[0]
		p.StorageClass.Backend = backend.Name
		p.StorageClass.Parameters = map[string]string{}
		for _, name := range backend.Required {
			p.StorageClass.Parameters[name] = "x"
		}
		p.Volume = &storage.Volume{Handle: "/srv/data", Attributes: map[string]string{}}
		for _, name := range backend.ToMount {
			p.Volume.Attributes[name] = "x"
		}
		if backend.StageSecret {
			p.Volume.NodeStageSecret = &storage.SecretReference{Name: "ceph", Namespace: "kube-system"}
		}
		if backend.TopologyKey != "" {
			p.Volume.Zone = "zone-1"
		}
		if backend.Driver == "" {
			p.StorageClass.Driver = "csi.example.com"
			p.Volume.Zone, p.Volume.TopologyKey = "zone-1", "topology.example.com/zone"
		}
		return nil
	})
	require.NoError(t, err)
	assert.Empty(t, warnings)
	return config
}

func TestObjectsAreNotSharedBetweenCalls(t *testing.T) {
	config := storage.Default()
	use := storage.ProfileRef{Profile: "default", Namespace: "ml"}
	first, err := storage.Objects(config, injecttest.Release, use)
	require.NoError(t, err)
	first.StorageClasses[0].Parameters["type"] = "changed"
	first.StorageClasses[0].Labels["x"] = "y"
	*first.StorageClasses[0].ReclaimPolicy = corev1.PersistentVolumeReclaimDelete
	first.Claims[0].Spec.AccessModes[0] = corev1.ReadWriteMany
	second, err := storage.Objects(config, injecttest.Release, use)
	require.NoError(t, err)
	expected, err := storage.Objects(storage.Default(), injecttest.Release, use)
	require.NoError(t, err)
	assert.Equal(t, expected, second)
}

// TestClassesFollowTheProfile is about the optional classes and what names them.
func TestClassesFollowTheProfile(t *testing.T) {
	const classes = "attributesClass: {parameters: {iops: '6000'}}, snapshotClass: {}"
	for name, tt := range map[string]struct {
		profile  string
		expKinds []string
		expClaim *string
	}{
		"both are made, before volume and claim": {
			"volume: {handle: v, zone: z}, " + classes,
			[]string{
				"StorageClass", "VolumeAttributesClass", "VolumeSnapshotClass", "PersistentVolume", "PersistentVolumeClaim",
			},
			new("fast.ml.demo"),
		},
		"both are there": {
			"attributesClass: {name: gold, create: false}, snapshotClass: {name: daily, create: false}",
			[]string{"StorageClass", "PersistentVolumeClaim"},
			new("gold"),
		},
		"neither, when the claim is not made": {"claim: {create: false}, " + classes, nil, nil},
		"neither in the profile":              {"env: A", []string{"StorageClass", "PersistentVolumeClaim"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			config := injecttest.Load(t, "profiles: [{name: default, "+tt.profile+"}]\n")
			objects, err := storage.Objects(config, injecttest.Release, storage.ProfileRef{Profile: "default", Namespace: "ml"})
			require.NoError(t, err)
			var kinds []string
			for _, object := range objects.All() {
				kinds = append(kinds, object.Kind)
				assert.Equal(t, "keep", object.Meta.Annotations["helm.sh/resource-policy"])
			}
			assert.Equal(t, tt.expKinds, kinds)
			for _, claim := range objects.Claims {
				assert.Equal(t, tt.expClaim, claim.Spec.VolumeAttributesClassName)
			}
			for _, volume := range objects.Volumes {
				assert.Equal(t, tt.expClaim, volume.Spec.VolumeAttributesClassName, "the binder wants both the same")
			}
		})
	}
}

// TestAttributesClassWarnings warns of parameters that the driver would refuse.
func TestAttributesClassWarnings(t *testing.T) {
	const secrets = "clusterID: c, pool: p, csi.storage.k8s.io/provisioner-secret-name: s, " +
		"csi.storage.k8s.io/provisioner-secret-namespace: n, " +
		"csi.storage.k8s.io/node-stage-secret-name: s, csi.storage.k8s.io/node-stage-secret-namespace: n"
	const modify = ", csi.storage.k8s.io/controller-modify-secret-name: s, " +
		"csi.storage.k8s.io/controller-modify-secret-namespace: n"
	for name, tt := range map[string]struct{ profile, exp string }{
		"parameters that the driver modifies": {
			"attributesClass: {parameters: {iops: '1', throughput: '2', tagSpecification_1: 'a=b'}}",
			"",
		},
		"a parameter that it does not modify": {
			"attributesClass: {parameters: {iops: '1', speed: '2'}}",
			`profile "default": attributesClass.parameters: the backend aws-ebs is not known to modify speed: it modifies ` +
				`type, iops, throughput, tagSpecification_*, tagDeletion_*`,
		},
		"any parameter of an unknown driver": {
			"storageClass: {backend: csi, driver: d}, attributesClass: {parameters: {speed: '2'}}",
			"",
		},
		"a class without the Secret": {
			"storageClass: {backend: ceph-rbd, parameters: {" + secrets + "}}, attributesClass: {parameters: {maxReadIops: " +
				"'1'}}",
			`profile "default": attributesClass: the backend ceph-rbd needs parameters of the class for it: add to ` +
				`storageClass.parameters ` +
				"csi.storage.k8s.io/controller-modify-secret-name, csi.storage.k8s.io/controller-modify-secret-namespace",
		},
		"a class with it": {
			"storageClass: {backend: ceph-rbd, parameters: {" + secrets + modify + "}}, attributesClass: {parameters: " +
				"{maxReadIops: '1'}}",
			"",
		},
		"an unmanaged class": {
			"storageClass: {backend: ceph-rbd, name: x, create: false, parameters: {clusterID: c, pool: p}}, " +
				"attributesClass: {parameters: {baseIops: '1'}}",
			"",
		},
		"no class to modify with": {"storageClass: {backend: ceph-rbd, parameters: {" + secrets + "}}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			config := injecttest.Load(t, "profiles: [{name: default, "+tt.profile+"}]\n")
			assert.Contains(t, strings.Join(config.Profiles[0].Warnings(), "\n"), tt.exp)
			assert.Equal(t, tt.exp == "", len(config.Profiles[0].Warnings()) == 0)
		})
	}
}

// lustre is a profile of aws-fsx-lustre with parameters of its own.
func lustre(parameters string) string {
	return "storageClass: {backend: aws-fsx-lustre, parameters: {subnetId: s, " + parameters + "}}"
}

func TestWarnsOfVolumeWithoutZone(t *testing.T) {
	for name, tt := range map[string]struct{ profile, exp string }{
		"the backend has the key": {
			"volume: {handle: vol-1}",
			"set it to the volume's topology.ebs.csi.aws.com/zone",
		},
		"the volume has the key": {
			"storageClass: {backend: csi, driver: d}, volume: {handle: vol-1, topologyKey: topology.example.com/zone}",
			"set it to the volume's topology.example.com/zone",
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := injecttest.Load(t, "profiles: [{name: default, "+tt.profile+"}]\n")
			assert.Equal(t, []string{`profile "default": volume.zone is empty, so the scheduler may put pods where the ` +
				"volume cannot be reached; " + tt.exp}, config.Profiles[0].Warnings())
		})
	}
}

func TestPerformanceIsUnderTheProfilesOwnParameters(t *testing.T) {
	for name, tt := range map[string]struct {
		profile string
		exp     map[string]string
	}{
		"the backend's own": {"env: A", map[string]string{"type": "gp3", storage.ClassParameterFSType: "ext4"}},
		"fast": {
			"storageClass: {performance: fast}",
			map[string]string{"type": "gp3", "iops": "16000", "throughput": "1000", storage.ClassParameterFSType: "ext4"},
		},
		"fast, but with own iops": {
			"storageClass: {performance: fast, parameters: {iops: '9000', throughput: ''}}",
			map[string]string{"type": "gp3", "iops": "9000", storage.ClassParameterFSType: "ext4"},
		},
		"throughput": {
			"claim: {size: 125Gi}, storageClass: {performance: throughput}",
			map[string]string{"type": "st1", storage.ClassParameterFSType: "ext4"},
		},
		"the type of a file system, and its speed": {
			lustre(""), map[string]string{"subnetId": "s", "deploymentType": "PERSISTENT_2", "perUnitStorageThroughput": "125"},
		},
		"the same type, written again": {
			lustre("deploymentType: PERSISTENT_2"),
			map[string]string{"subnetId": "s", "deploymentType": "PERSISTENT_2", "perUnitStorageThroughput": "125"},
		},
		"another type does not keep the speed of the first": {
			lustre("deploymentType: SCRATCH_2"), map[string]string{"subnetId": "s", "deploymentType": "SCRATCH_2"},
		},
		"nor that of a preset": {
			strings.Replace(lustre("deploymentType: PERSISTENT_1"), "backend", "performance: throughput, backend", 1),
			map[string]string{"subnetId": "s", "deploymentType": "PERSISTENT_1"},
		},
		"but its own": {
			lustre("deploymentType: PERSISTENT_1, perUnitStorageThroughput: '200'"),
			map[string]string{"subnetId": "s", "deploymentType": "PERSISTENT_1", "perUnitStorageThroughput": "200"},
		},
		"another type, of any size": {
			"claim: {size: 1Gi}, storageClass: {performance: throughput, parameters: {type: gp2}}",
			map[string]string{"type": "gp2", storage.ClassParameterFSType: "ext4"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			objects, err := storage.Objects(
				injecttest.Load(t, "profiles: [{name: default, "+tt.profile+"}]\n"),
				injecttest.Release,
				storage.ProfileRef{Profile: "default", Namespace: "ml"},
			)
			require.NoError(t, err)
			assert.Equal(t, tt.exp, objects.StorageClasses[0].Parameters)
		})
	}
}

func TestSingleNode(t *testing.T) {
	for name, tt := range map[string]struct {
		profile string
		exp     bool
	}{
		"a disk":                      {"env: A", true},
		"a disk for one pod":          {"claim: {accessModes: [ReadWriteOncePod]}", true},
		"a disk that many nodes read": {"claim: {accessModes: [ReadOnlyMany]}, storageClass: {backend: gce-pd}", false},
		"files":                       {"storageClass: {backend: nfs, parameters: {server: s, share: /s}}", false},
		"another driver, once":        {"storageClass: {backend: csi, driver: d.example.com}", true},
		"another driver for many nodes": {
			"claim: {accessModes: [ReadWriteMany]}, storageClass: {backend: csi, driver: d.example.com}",
			false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := injecttest.Load(t, "profiles: [{name: default, "+tt.profile+"}]\n")
			assert.Equal(t, tt.exp, config.Profiles[0].SingleNode())
		})
	}
}

func TestRefusesTwoProfilesWithOneObject(t *testing.T) {
	config, _, err := storage.Load([]byte(injecttest.FileHead + `profiles:
- name: default
  claim: {name: "pvc-data-pipeline-b.{release}"}
- name: b
  mount: {path: /b}
`))
	require.NoError(t, err)
	_, err = storage.Objects(
		config,
		injecttest.Release,
		storage.ProfileRef{Profile: "default", Namespace: "ml"},
		storage.ProfileRef{Profile: "b", Namespace: "ml"},
	)
	require.EqualError(t, err, `the profiles "default" and "b" would both create PersistentVolumeClaim `+
		`pvc-data-pipeline-b.`+injecttest.Release.Name+`: give one of them another name`)
}
