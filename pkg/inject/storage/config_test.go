package storage_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
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

func TestLoadSetsTheDefaults(t *testing.T) {
	config, warnings, err := storage.Load([]byte(injecttest.FileHead + "profiles:\n- name: default\n"))
	require.NoError(t, err)
	assert.Empty(t, warnings)
	assert.Equal(t, storage.Default(), config, "a file with one bare profile stands for the defaults")

	p := config.Profile("default")
	require.NotNil(t, p)
	assert.Equal(t, "100Gi", p.Claim.Size.String())
	assert.Equal(t, []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, p.Claim.AccessModes)
	assert.Equal(t, "aws-ebs", p.StorageClass.Backend)
	assert.Equal(t, corev1.PersistentVolumeReclaimRetain, p.StorageClass.ReclaimPolicy)
	assert.Equal(t, storagev1.VolumeBindingWaitForFirstConsumer, p.StorageClass.VolumeBindingMode)
	assert.True(t, *p.StorageClass.AllowVolumeExpansion)
	assert.True(t, *p.StorageClass.Create)
	assert.True(t, *p.Claim.Create)
	assert.Nil(t, p.Volume)
	assert.Equal(t, "/data", p.Mount.Path)
	assert.False(t, p.Mount.ReadOnly)
	assert.Nil(t, p.FSGroup)
	assert.Empty(t, p.Env)
	assert.Empty(t, p.Warnings())
	assert.Nil(t, config.Profile("other"))
}

func TestLoadReadsEveryField(t *testing.T) {
	config := injecttest.Load(t, `
metadata: {name: team-a, labels: {owner: ml}}
profiles:
- name: default
  claim: {name: "claim-{release}", size: 5Ti, accessModes: [ReadWriteMany], create: false}
  storageClass: {name: nfs-fast, backend: csi, driver: weka.io, parameters: {tier: hot}, reclaimPolicy: Delete,
                 volumeBindingMode: Immediate, allowVolumeExpansion: false, create: false}
  volume: {name: pv-1, handle: vol-1, zone: eu-1a, namespace: ml, attributes: {a: b}, create: false}
  mount: {path: /mnt/x, subPath: runs/1, readOnly: true, containers: [main], excludeContainers: [istio-proxy]}
  fsGroup: 1000
  env: DATA_DIR
  namespaceSelector: {matchLabels: {team: a}}
kinds:
- {group: example.com, kind: Train, pods: [{podTemplate: spec.template}]}
`)
	p := config.Profiles[0]
	assert.Equal(t, map[string]any{"name": "team-a", "labels": map[string]any{"owner": "ml"}}, config.Metadata)
	assert.Equal(t, "claim-{release}", p.Claim.Name)
	assert.Equal(t, "5Ti", p.Claim.Size.String())
	assert.Equal(t, []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}, p.Claim.AccessModes)
	assert.Equal(t, "weka.io", p.StorageClass.Driver)
	assert.Equal(t, map[string]string{"tier": "hot"}, p.StorageClass.Parameters)
	assert.Equal(t, corev1.PersistentVolumeReclaimDelete, p.StorageClass.ReclaimPolicy)
	assert.Equal(t, storagev1.VolumeBindingImmediate, p.StorageClass.VolumeBindingMode)
	assert.False(t, *p.StorageClass.AllowVolumeExpansion)
	assert.Equal(t, "vol-1", p.Volume.Handle)
	assert.Equal(t, map[string]string{"a": "b"}, p.Volume.Attributes)
	assert.Equal(t, storage.MountConfig{
		Path: "/mnt/x", SubPath: "runs/1", ReadOnly: true,
		Containers: []string{"main"}, ExcludeContainers: []string{"istio-proxy"},
	}, p.Mount)
	assert.Equal(t, int64(1000), *p.FSGroup)
	assert.Equal(t, storage.VariableNames{"DATA_DIR"}, p.Env)
	assert.Equal(t, map[string]string{"team": "a"}, p.NamespaceSelector.MatchLabels)
	assert.Len(t, config.Kinds, 1)
	assert.False(t, p.Creates())
}

func TestCreateFollowsTheClaim(t *testing.T) {
	for name, tt := range map[string]struct {
		profile                      string
		expClass, expVolume, expMade bool
	}{
		"by default all three are created":           {"{}", true, true, true},
		"no claim is created, nor the other objects": {"{create: false}", false, false, false},
		"each can be set by itself":                  {"{create: false}, storageClass: {create: true}", true, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := injecttest.Load(t, "profiles:\n- {name: default, volume: {handle: v}, claim: "+tt.profile+"}\n").Profiles[0]
			assert.Equal(t, tt.expClass, *p.StorageClass.Create)
			assert.Equal(t, tt.expVolume, *p.Volume.Create)
			assert.Equal(t, tt.expMade, p.Creates())
		})
	}
}

// mistake is a file and what the error about it has. The file's head is in front of it, unless it begins with "!".
type mistake struct {
	file   string
	expErr []string
}

// mistakes are files that do not load. Line 1 and 2 are the file's head.
var mistakes = map[string]mistake{
	"an empty file":         {"!", []string{"the file is empty"}},
	"comments only":         {"!# nothing\n", []string{"the file is empty"}},
	"no mapping":            {"!- a\n", []string{"line 1: a StorageConfig is a mapping"}},
	"not YAML":              {"!a: b\nc: [\n", []string{"not a YAML document: line 2"}},
	"binary":                {"!\x00\x01", []string{"not a YAML document"}},
	"a tab for indentation": {"!a:\n\tb: c\n", []string{"not a YAML document: line 2"}},
	"a second document":     {"profiles:\n- name: a\n---\nprofiles: []\n", []string{"line 6: a second document"}},
	"an alias of itself":    {"!a: &a [*a]\n", []string{"anchor 'a' value contains itself"}},
	"a number for a name": {
		"profiles:\n- name: a\n  7: b\n",
		[]string{`line 5: the name of a field must be text, which "7" is not`},
	},
	"a number without end": {"metadata:\n  x: .inf\n", []string{"line 4: .inf is not a number that can be used here"}},
	"a repeated field": {
		"profiles:\n- name: a\n  name: b\n",
		[]string{`line 5: mapping key "name" already defined at line 4`},
	},
	"an unknown field": {
		"profiles:\n- name: a\n  mount:\n    pth: /x\n",
		[]string{`line 6: unknown field "profiles[0].mount.pth"`},
	},
	"a field in capitals": {"profiles:\n- Name: a\n", []string{`line 4: unknown field "profiles[0].Name"`}},
	"two unknown fields": {
		"a: 1\nb: 2\nprofiles: []\n",
		[]string{`line 3: unknown field "a"`, `line 4: unknown field "b"`},
	},
	"another apiVersion": {
		"!apiVersion: v2\nkind: StorageConfig\nprofiles: [{name: a}]\n",
		[]string{"line 1: apiVersion: Unsupported value"},
	},
	"no apiVersion": {
		"!kind: StorageConfig\nprofiles: [{name: a}]\n",
		[]string{"line 1: apiVersion: Unsupported value"},
	},
	"another kind": {
		"!apiVersion: pipeline-storage.io/v1alpha1\nkind: Pod\nprofiles: [{name: a}]\n",
		[]string{"line 2: kind: Unsupported value"},
	},
	"no profiles":            {"profiles: []\n", []string{"line 3: profiles: Required value"}},
	"a profile that is null": {"profiles:\n- null\n", []string{"line 4: profiles[0].name: Invalid value"}},
	"no name":                {"profiles:\n- env: A\n", []string{"line 4: profiles[0].name: Invalid value"}},
	"a name with a dot":      {"profiles:\n- name: a.b\n", []string{"line 4: profiles[0].name: Invalid value"}},
	"a list for a mapping": {
		"profiles:\n- name: a\n- name: b\n  claim: []\n",
		[]string{"line 6: profiles[1].claim: expected a mapping, not a list"},
	},
	"a mapping for a list": {"profiles: {}\n", []string{"line 3: profiles: expected a list, not a mapping"}},
	"text for true": {
		"profiles:\n- name: a\n- name: b\n  claim:\n    create: yes please\n",
		[]string{"line 7: profiles[1].claim.create: expected true or false, not text"},
	},
	"a number for text": {
		"profiles:\n- name: a\n  storageClass:\n    parameters:\n      type: gp3\n      iops: 3000\n",
		[]string{"line 8: profiles[0].storageClass.parameters.iops: expected text (put it in quotes), not a number"},
	},
	"true in a list of names": {
		"profiles:\n- name: a\n  mount:\n    containers:\n    - main\n    - true\n",
		[]string{"line 8: profiles[0].mount.containers[1]: expected text (put it in quotes), not true or false"},
	},
	"a broken number": {
		"profiles:\n- name: a\n  fsGroup: 1.5\n",
		[]string{"line 5: profiles[0].fsGroup: expected a whole number, not a number"},
	},
	"a malformed size": {
		"profiles:\n- name: a\n- name: b\n  claim:\n    size: 10Gib\n",
		[]string{`line 7: profiles[1].claim.size: "10Gib" is not a quantity such as 100Gi`},
	},
	"a size of zero": {
		"profiles:\n- name: a\n  claim:\n    size: 0\n",
		[]string{"line 6: profiles[0].claim.size: Invalid value", "greater than zero"},
	},
	"a negative size": {
		"profiles:\n- name: a\n  claim:\n    size: -1Gi\n",
		[]string{"line 6: profiles[0].claim.size: Invalid value", "greater than zero"},
	},
	"a claim's name": {
		"profiles:\n- name: a\n  claim:\n    name: My_Claim\n",
		[]string{"line 6: profiles[0].claim.name: Invalid value"},
	},
	"an unknown placeholder": {
		"profiles:\n- name: a\n  claim:\n    name: data-{chart}\n",
		[]string{"line 6: profiles[0].claim.name: Invalid value"},
	},
	"an access mode of no disk": {
		"profiles:\n- name: a\n  claim:\n    accessModes:\n    - ReadWriteOnce\n    - ReadWriteMany\n",
		[]string{"line 8: profiles[0].claim.accessModes[1]: Unsupported value", "ReadWriteMany"},
	},
	"ReadWriteOncePod with another": {
		"profiles:\n- name: a\n  claim: {accessModes: [ReadWriteOncePod, ReadWriteOnce]}\n",
		[]string{"line 5: profiles[0].claim.accessModes: Invalid value", "cannot be combined"},
	},
	"an unknown backend": {
		"profiles:\n- name: a\n  storageClass:\n    backend: floppy\n",
		[]string{"line 6: profiles[0].storageClass.backend: Unsupported value", "aws-ebs"},
	},
	"a class's name": {
		"profiles:\n- name: a\n  storageClass: {name: A}\n",
		[]string{"line 5: profiles[0].storageClass.name: Invalid value"},
	},
	"a driver of another": {
		"profiles:\n- name: a\n  storageClass:\n    driver: weka.io\n",
		[]string{"line 6: profiles[0].storageClass.driver: Invalid value", "uses ebs.csi.aws.com", "choose the backend csi"},
	},
	"csi without a driver": {
		"profiles:\n- name: a\n  storageClass: {backend: csi}\n",
		[]string{"profiles[0].storageClass.driver: Required value"},
	},
	"csi without a driver, where only the volume needs it": {
		"profiles:\n- name: a\n  storageClass: {backend: csi, create: false}\n  volume: {handle: x}\n",
		[]string{"profiles[0].storageClass.driver: Required value"},
	},
	"nfs without a server": {
		"profiles:\n- name: a\n  storageClass:\n    backend: nfs\n    parameters:\n      share: /x\n",
		[]string{"line 7: profiles[0].storageClass.parameters[server]: Required value", "the backend nfs needs it"},
	},
	"a static nfs volume without a server": {
		"profiles:\n- name: a\n  storageClass: {backend: nfs, create: false}\n" +
			"  volume: {handle: x, attributes: {share: /x}}\n",
		[]string{"profiles[0].volume.attributes[server]: Required value"},
	},
	"efs without a file system": {
		"profiles:\n- name: a\n  storageClass:\n    backend: aws-efs\n",
		[]string{"line 5: profiles[0].storageClass.parameters[fileSystemId]: Required value: the backend aws-efs needs " +
			"it, or fileSystemIdConfigRef or fileSystemIdSecretRef"},
	},
	"ceph without a Secret to provision with": {
		"profiles:\n- name: a\n  storageClass: {backend: cephfs, parameters: {clusterID: c, fsName: f}}\n",
		[]string{
			"profiles[0].storageClass.parameters[csi.storage.k8s.io/provisioner-secret-name]: Required value",
			"node-stage-secret-namespace",
		},
	},
	"a static ceph volume without its Secret": {
		"profiles:\n- name: a\n  storageClass: {backend: cephfs, parameters: {clusterID: c, fsName: f}}\n" +
			"  volume: {handle: x, attributes: {rootPath: /x}}\n",
		[]string{"line 6: profiles[0].volume.nodeStageSecret: Required value"},
	},
	"half a Secret": {
		"profiles:\n- name: a\n  volume:\n    handle: x\n    nodeStageSecret: {name: x}\n",
		[]string{"line 7: profiles[0].volume.nodeStageSecret: Required value: it needs a name and a namespace"},
	},
	"a Secret for a directory": {
		"profiles:\n- name: a\n  storageClass: {backend: host-path}\n" +
			"  volume: {handle: /x, nodeStageSecret: {name: x, namespace: y}}\n",
		[]string{"line 6: profiles[0].volume.nodeStageSecret: Invalid value: \"y/x\": volumes of the backend host-path " +
			"need none"},
	},
	"a bucket without a name": {
		"profiles:\n- name: a\n  storageClass: {backend: mountpoint-s3}\n  volume: {handle: x}\n",
		[]string{"line 6: profiles[0].volume.attributes[bucketName]: Required value: the backend mountpoint-s3 needs it"},
	},
	"a bucket that would be provisioned": {
		"profiles:\n- name: a\n  storageClass: {backend: gcs-fuse}\n",
		[]string{"profiles[0].volume: Required value: nothing provisions volumes of the backend gcs-fuse"},
	},
	"a bucket for one node": {
		"profiles:\n- name: a\n  claim: {accessModes: [ReadWriteOnce]}\n  storageClass: {backend: mountpoint-s3}\n" +
			"  volume: {handle: x, attributes: {bucketName: b}}\n",
		[]string{"line 5: profiles[0].claim.accessModes[0]: Unsupported value", "ReadWriteMany"},
	},
	"mount options of a directory": {
		"profiles:\n- name: a\n  storageClass: {backend: local-path, mountOptions: [ro]}\n" +
			"  volume: {handle: /x, zone: n, mountOptions: [ro]}\n",
		[]string{
			"line 5: profiles[0].storageClass.mountOptions: Invalid value: [\"ro\"]: volumes of the backend local-path " +
				"take none",
			"line 6: profiles[0].volume.mountOptions: Invalid value",
		},
	},
	"an empty mount option": {
		"profiles:\n- name: a\n  storageClass:\n    mountOptions:\n    - noatime\n    - ' '\n",
		[]string{"line 8: profiles[0].storageClass.mountOptions[1]: Invalid value"},
	},
	"an unknown preset": {
		"profiles:\n- name: a\n  storageClass: {performance: fastest}\n",
		[]string{`line 5: profiles[0].storageClass.performance: Unsupported value: "fastest": supported values: "fast", ` +
			`"standard", "throughput"`},
	},
	"a preset that the backend does not have": {
		"profiles:\n- name: a\n  storageClass: {backend: azure-file, performance: throughput}\n",
		[]string{`line 5: profiles[0].storageClass.performance: Unsupported value: "throughput": supported values: ` +
			`"fast", "standard"`},
	},
	"a preset of a backend without any": {
		"profiles:\n- name: a\n  storageClass: {backend: aws-efs, performance: fast, parameters: {fileSystemId: f}}\n",
		[]string{`line 5: profiles[0].storageClass.performance: Invalid value: "fast": the backend aws-efs has no ` +
			`presets: set storageClass.parameters`},
	},
	"a preset for a class that is there": {
		"profiles:\n- name: a\n  storageClass: {performance: fast, create: false}\n",
		[]string{"line 5: profiles[0].storageClass.performance: Invalid value", "so it cannot choose its parameters"},
	},
	"a disk that is too small for its preset": {
		"profiles:\n- name: a\n  claim: {size: 124Gi}\n  storageClass: {performance: throughput}\n",
		[]string{`line 5: profiles[0].claim.size: Invalid value: "124Gi": storageClass.performance throughput needs at ` +
			`least 125Gi`},
	},
	"an attributes class of a driver that modifies nothing": {
		"profiles:\n- name: a\n  storageClass: {backend: aws-efs, parameters: {fileSystemId: f}}\n" +
			"  attributesClass: {parameters: {a: b}}\n",
		[]string{"line 6: profiles[0].attributesClass: Invalid value", "the driver efs.csi.aws.com of the backend " +
			"aws-efs cannot modify volumes; those of aws-ebs, azure-disk, azure-file, gce-pd, ceph-rbd, cephfs can"},
	},
	"an attributes class of nothing": {
		"profiles:\n- name: a\n  attributesClass: {name: gold}\n",
		[]string{"line 5: profiles[0].attributesClass.parameters: Required value: a VolumeAttributesClass needs at " +
			"least one"},
	},
	"an attributes class's name": {
		"profiles:\n- name: a\n  attributesClass: {name: A, parameters: {a: b}}\n",
		[]string{"line 5: profiles[0].attributesClass.name: Invalid value"},
	},
	"an attributes class, but no driver": {
		"profiles:\n- name: a\n  storageClass: {backend: csi, create: false}\n  attributesClass: {parameters: {a: b}}\n",
		[]string{"profiles[0].storageClass.driver: Required value"},
	},
	"snapshots by a driver that makes none": {
		"profiles:\n- name: a\n  storageClass: {backend: local-path}\n  snapshotClass: {}\n",
		[]string{"line 6: profiles[0].snapshotClass: Invalid value", "the driver rancher.io/local-path of the backend " +
			"local-path makes no snapshots; those of aws-ebs, azure-disk, "},
	},
	"a snapshot class's name": {
		"profiles:\n- name: a\n  snapshotClass: {name: A}\n",
		[]string{"line 5: profiles[0].snapshotClass.name: Invalid value"},
	},
	"a snapshot class's policy": {
		"profiles:\n- name: a\n  snapshotClass: {deletionPolicy: Recycle}\n",
		[]string{"line 5: profiles[0].snapshotClass.deletionPolicy: Unsupported value", `"Retain", "Delete"`},
	},
	"a ceph snapshot class without a Secret": {
		"profiles:\n- name: a\n  storageClass: {backend: ceph-rbd, parameters: {clusterID: c, pool: p}}\n" +
			"  volume: {handle: i, nodeStageSecret: {name: s, namespace: n}}\n  snapshotClass: {}\n",
		[]string{"line 7: profiles[0].snapshotClass.parameters[csi.storage.k8s.io/snapshotter-secret-name]: Required value"},
	},
	"two profiles, one attributes class": {
		"profiles:\n- name: a\n  attributesClass: &c {name: c, parameters: {a: b}}\n- name: b\n  attributesClass: *c\n" +
			"  mount: {path: /b}\n",
		[]string{"profiles[1].attributesClass.name: Duplicate value"},
	},
	"two profiles, one snapshot class": {
		"profiles:\n- name: a\n  snapshotClass: {name: c}\n- name: b\n  snapshotClass: {name: c}\n  mount: {path: /b}\n",
		[]string{"line 7: profiles[1].snapshotClass.name: Duplicate value"},
	},
	"a reclaim policy": {
		"profiles:\n- name: a\n  storageClass: {reclaimPolicy: Recycle}\n",
		[]string{"line 5: profiles[0].storageClass.reclaimPolicy: Unsupported value"},
	},
	"a binding mode": {
		"profiles:\n- name: a\n  storageClass: {volumeBindingMode: Later}\n",
		[]string{"line 5: profiles[0].storageClass.volumeBindingMode: Unsupported value"},
	},
	"host-path without a volume": {
		"profiles:\n- name: a\n  storageClass: {backend: host-path}\n",
		[]string{"profiles[0].volume: Required value", "nothing provisions volumes of the backend host-path"},
	},
	"a volume without a handle": {
		"profiles:\n- name: a\n  volume: {zone: z}\n",
		[]string{"line 5: profiles[0].volume.handle: Required value", "EBS volume ID"},
	},
	"a volume's name": {
		"profiles:\n- name: a\n  volume: {handle: v, name: A}\n",
		[]string{"line 5: profiles[0].volume.name: Invalid value"},
	},
	"a volume's namespace": {
		"profiles:\n- name: a\n  volume: {handle: v, namespace: a.b}\n",
		[]string{"line 5: profiles[0].volume.namespace: Invalid value"},
	},
	"the namespace of a volume that exists": {
		"profiles:\n- name: a\n  volume: {name: v, namespace: a.b, create: false}\n",
		[]string{"line 5: profiles[0].volume.namespace: Invalid value"},
	},
	"a relative directory": {
		"profiles:\n- name: a\n  storageClass: {backend: host-path}\n  volume: {handle: data}\n",
		[]string{"line 6: profiles[0].volume.handle: Invalid value"},
	},
	"the node's root as a directory": {
		"profiles:\n- name: a\n  storageClass: {backend: host-path}\n  volume: {handle: //}\n",
		[]string{"line 6: profiles[0].volume.handle: Invalid value"},
	},
	"a directory with two dots": {
		"profiles:\n- name: a\n  storageClass: {backend: local-path}\n  volume: {handle: /a/../b, zone: n}\n",
		[]string{"line 6: profiles[0].volume.handle: Invalid value"},
	},
	"a local volume without node": {
		"profiles:\n- name: a\n  storageClass: {backend: local-path}\n  volume: {handle: /a}\n",
		[]string{"line 6: profiles[0].volume.zone: Required value"},
	},
	"a relative mount path": {
		"profiles:\n- name: a\n  mount: {path: data}\n",
		[]string{"line 5: profiles[0].mount.path: Invalid value", "absolute"},
	},
	"the root as mount path": {
		"profiles:\n- name: a\n  mount: {path: /./}\n",
		[]string{"line 5: profiles[0].mount.path: Invalid value", "whole file system"},
	},
	"a mount path with two dots": {
		"profiles:\n- name: a\n  mount: {path: /a/../b}\n",
		[]string{"line 5: profiles[0].mount.path: Invalid value", "two dots"},
	},
	"a mount path with a colon": {
		"profiles:\n- name: a\n  mount: {path: '/a:b'}\n",
		[]string{"line 5: profiles[0].mount.path: Invalid value", "colon"},
	},
	"the token's path": {
		"profiles:\n- name: a\n  mount: {path: /var/run/secrets/kubernetes.io/serviceaccount/}\n",
		[]string{"line 5: profiles[0].mount.path: Invalid value", "service account token"},
	},
	"an absolute subPath": {
		"profiles:\n- name: a\n  mount: {subPath: /a}\n",
		[]string{"line 5: profiles[0].mount.subPath: Invalid value"},
	},
	"a subPath with two dots": {
		"profiles:\n- name: a\n  mount: {subPath: a/../b}\n",
		[]string{"line 5: profiles[0].mount.subPath: Invalid value"},
	},
	"a negative group": {
		"profiles:\n- name: a\n  fsGroup: -1\n",
		[]string{"line 5: profiles[0].fsGroup: Invalid value"},
	},
	"a variable's name": {
		"profiles:\n- name: a\n  env: 1=2\n",
		[]string{"line 5: profiles[0].env: Invalid value"},
	},
	"a malformed selector": {
		"profiles:\n- name: a\n  namespaceSelector:\n    matchExpressions: [{key: a, operator: Sometimes}]\n",
		[]string{"profiles[0].namespaceSelector", "Sometimes"},
	},
	"two profiles of one name": {
		"profiles:\n- name: a\n- name: a\n  mount: {path: /b}\n",
		[]string{`line 5: profiles[1].name: Duplicate value: "a"`},
	},
	"two profiles at one path": {
		"profiles:\n- name: a\n- name: b\n  mount: {path: /data/}\n",
		[]string{"line 6: profiles[1].mount.path: Duplicate value"},
	},
	"two profiles, one variable": {
		"profiles:\n- name: a\n  env: D\n- name: b\n  env: D\n  mount: {path: /b}\n",
		[]string{"line 7: profiles[1].env: Duplicate value"},
	},
	"two profiles, one claim": {
		"profiles:\n- name: a\n  claim: {name: c}\n- name: b\n  claim: {name: c}\n  mount: {path: /b}\n",
		[]string{"line 7: profiles[1].claim.name: Duplicate value"},
	},
	"two profiles, one volume": {
		"profiles:\n- name: a\n  volume: {name: v, handle: h}\n- name: b\n  volume: {name: v, handle: i}\n" +
			"  mount: {path: /b}\n",
		[]string{"line 7: profiles[1].volume.name: Duplicate value"},
	},
	"two profiles, one class": {
		"profiles:\n- name: a\n  storageClass: {name: c}\n- name: b\n  storageClass: {name: c}\n  mount: {path: /b}\n",
		[]string{"line 7: profiles[1].storageClass.name: Duplicate value"},
	},
	"a kind without a name": {
		"profiles: [{name: a}]\nkinds:\n- pods: [{podTemplate: spec.template}]\n",
		[]string{"line 5: kinds[0].kind: Required value"},
	},
	"a kind with neither": {
		"profiles: [{name: a}]\nkinds:\n- kind: A\n",
		[]string{"line 5: kinds[0].pods: Required value"},
	},
	"objects that are text": {
		"profiles: [{name: a}]\nkinds:\n- kind: A\n  objects: items[*]\n",
		[]string{"line 6: kinds[0].objects: expected a list, not text"},
	},
	"pods without a scope": {
		"profiles: [{name: a}]\nkinds:\n- kind: A\n  pods:\n  - volumes: v\n",
		[]string{"line 7: kinds[0].pods[0].scope: Required value"},
	},
	"a scope without containers": {
		"profiles: [{name: a}]\nkinds:\n- kind: A\n  pods:\n  - {scope: s, volumes: v}\n",
		[]string{"line 7: kinds[0].pods[0].containers: Required value"},
	},
	"a scope without volumes": {
		"profiles: [{name: a}]\nkinds:\n- kind: A\n  pods:\n  - {scope: s, containers: [c]}\n",
		[]string{"line 7: kinds[0].pods[0].volumes: Required value"},
	},
	"a JSON pointer for a path": {
		"profiles: [{name: a}]\nkinds:\n- kind: A\n  pods:\n  - podTemplate: /spec/template\n",
		[]string{"line 7: kinds[0].pods[0].podTemplate: Invalid value"},
	},
	"an index in a path": {
		"profiles: [{name: a}]\nkinds:\n- kind: A\n  pods:\n  - podTemplate: spec.jobs[0].template\n",
		[]string{"line 7: kinds[0].pods[0].podTemplate: Invalid value"},
	},
	"a path with a gap": {
		"profiles: [{name: a}]\nkinds:\n- kind: A\n  pods:\n  - podTemplate: spec..template\n",
		[]string{"line 7: kinds[0].pods[0].podTemplate: Invalid value"},
	},
	"a scope from the root": {
		"profiles: [{name: a}]\nkinds:\n- kind: A\n  pods:\n  - podTemplate: $.spec.template\n",
		[]string{"line 7: kinds[0].pods[0].podTemplate: Invalid value"},
	},
	"volumes in every item": {
		"profiles: [{name: a}]\nkinds:\n- kind: A\n  pods:\n  - {scope: s, containers: [c], volumes: 'volumes[*]'}\n",
		[]string{"line 7: kinds[0].pods[0].volumes: Invalid value"},
	},
	"volumes in the scope itself": {
		"profiles: [{name: a}]\nkinds:\n- kind: A\n  pods:\n  - {scope: s, containers: [c], volumes: .}\n",
		[]string{"line 7: kinds[0].pods[0].volumes: Invalid value"},
	},
	"a broken path of metadata": {
		"profiles: [{name: a}]\nkinds:\n- kind: A\n  pods:\n" +
			"  - {scope: s, containers: [c], volumes: v, metadata: ['a b']}\n",
		[]string{"line 7: kinds[0].pods[0].metadata: Invalid value"},
	},
	"a broken path of replicas": {
		"profiles: [{name: a}]\nkinds:\n- kind: A\n  pods:\n  - {podTemplate: s, replicas: ['a/b']}\n",
		[]string{"line 7: kinds[0].pods[0].replicas: Invalid value"},
	},
	"a broken path of objects": {
		"profiles: [{name: a}]\nkinds:\n- kind: A\n  objects: [a, 'a b']\n",
		[]string{"line 6: kinds[0].objects: Invalid value"},
	},
	"a path of objects with a gap": {
		"profiles: [{name: a}]\nkinds:\n- kind: A\n  objects: ['items[*]..x']\n",
		[]string{"line 6: kinds[0].objects: Invalid value"},
	},
	"an unfinished map": {
		"profiles: [{name: a}]\nkinds:\n- kind: A\n  pods:\n  - podTemplate: 'spec.roles{Master}.template'\n",
		[]string{"line 7: kinds[0].pods[0].podTemplate: Invalid value", "{*} behind that of a map"},
	},
	"volumes in every value": {
		"profiles: [{name: a}]\nkinds:\n- kind: A\n  pods:\n  - {scope: s, containers: [c], volumes: 'volumes{*}'}\n",
		[]string{"line 7: kinds[0].pods[0].volumes: Invalid value"},
	},
	"a broken path of shared mounts": {
		"profiles: [{name: a}]\nkinds:\n- kind: A\n  pods:\n  - {podTemplate: s, shared: [{mounts: ['a/b']}]}\n",
		[]string{"line 7: kinds[0].pods[0].shared[0].mounts: Invalid value"},
	},
	"a broken path of shared env": {
		"profiles: [{name: a}]\nkinds:\n- kind: A\n  pods:\n  - {podTemplate: s, shared: [{env: ['a b']}]}\n",
		[]string{"line 7: kinds[0].pods[0].shared[0].env: Invalid value"},
	},
	"shared mounts that are items": {
		"profiles: [{name: a}]\nkinds:\n- kind: A\n  pods:\n  - {podTemplate: s, shared: [{mounts: ['a[*]']}]}\n",
		[]string{"line 7: kinds[0].pods[0].shared[0].mounts: Invalid value"},
	},
	"what single projects need": {
		"profiles: [{name: a}]\nkinds:\n- kind: A\n  pods:\n  - {podTemplate: t, mirror: {field: f, of: c}, " +
			"containerMounts: [m], noEnv: [c], reference: r,\n     adds: c, labels: $.l, labelPrefix: p., implied: true}\n",
		[]string{
			`line 7: unknown field "kinds[0].pods[0].mirror"`, `unknown field "kinds[0].pods[0].containerMounts"`,
			`unknown field "kinds[0].pods[0].noEnv"`, `unknown field "kinds[0].pods[0].reference"`,
			`line 8: unknown field "kinds[0].pods[0].adds"`, `unknown field "kinds[0].pods[0].labelPrefix"`,
			`unknown field "kinds[0].pods[0].implied"`,
		},
	},
	"a name for an unknown container": {
		"profiles: [{name: a}]\nkinds:\n- kind: A\n  pods:\n" +
			"  - {scope: s, volumes: v, containers: [c], names: {d: n}, shared: [{containers: [e]}]}\n",
		[]string{"line 7: kinds[0].pods[0].names: Invalid value", "line 7: kinds[0].pods[0].shared[0].containers: " +
			"Invalid value"},
	},
	"labels in every item": {
		"profiles: [{name: a}]\nkinds:\n- kind: A\n  pods:\n  - {scope: s, labels: 'a[*]'}\n",
		[]string{"line 7: kinds[0].pods[0].labels: Invalid value"},
	},
	"labels with volumes alone": {
		"profiles: [{name: a}]\nkinds:\n- kind: A\n  pods:\n  - {scope: s, labels: l, volumes: v}\n",
		[]string{"line 7: kinds[0].pods[0].containers: Required value"},
	},
	"a pod template and its parts": {
		"profiles: [{name: a}]\nkinds:\n- kind: A\n  pods:\n  - {podTemplate: t, volumes: v}\n",
		[]string{"line 7: kinds[0].pods[0].podTemplate: Invalid value", "leave out"},
	},
}

// TestLoadReportsEveryMistake expects each mistake with its line and its field.
func TestLoadReportsEveryMistake(t *testing.T) {
	for name, tt := range mistakes {
		t.Run(name, func(t *testing.T) {
			text, whole := strings.CutPrefix(tt.file, "!")
			if !whole {
				text = injecttest.FileHead + text
			}
			config, _, err := storage.Load([]byte(text))
			require.Error(t, err)
			assert.Nil(t, config)
			for _, exp := range tt.expErr {
				require.ErrorContains(t, err, exp)
			}
			assert.NotContains(t, err.Error(), "inject.", "the message has no Go types")
		})
	}
}

func TestLoadReportsAllMistakesAtOnce(t *testing.T) {
	_, _, err := storage.Load([]byte(injecttest.FileHead + "profiles:\n- name: A\n  env: 1=2\n  mount: {path: x}\n"))
	require.Error(t, err)
	for _, exp := range []string{"line 4: profiles[0].name", "line 5: profiles[0].env", "line 6: profiles[0].mount.path"} {
		assert.ErrorContains(t, err, exp)
	}
}

// TestPlaceholdersAndDatesAreText keeps what YAML would read as something else than it was written.
func TestPlaceholdersAndDatesAreText(t *testing.T) {
	p := injecttest.Load(t, "profiles:\n- name: a\n  storageClass: {parameters: {since: 2026-01-31}}\n"+
		"  claim: {name: '{release}-x.{namespace}'}\n").Profiles[0]
	assert.Equal(t, "2026-01-31", p.StorageClass.Parameters["since"])
	assert.Equal(t, "demo-x.ml", p.Names(injecttest.Release, "ml").Claim)
}

// TestLoadAllows is about files that look odd and are in order.
func TestLoadAllows(t *testing.T) {
	for name, text := range map[string]string{
		"an empty document behind": "profiles: [{name: a}]\n---\n",
		"the end of the document":  "profiles: [{name: a}]\n...\n",
		"anchors and merge keys":   "profiles:\n- &a {name: a}\n- {<<: *a, name: b, mount: {path: /b}}\n",
		"two profiles of a class that is": "profiles:\n- {name: a, storageClass: {name: c, create: false}}\n" +
			"- {name: b, mount: {path: /b}, storageClass: {name: c, create: false}}\n",
		"nulls where something may be left": "metadata: ~\nprofiles: [{name: a, claim: ~, storageClass: {create: ~}, " +
			"volume: ~, fsGroup: ~}]\nkinds: ~\n",
		"ReadWriteOncePod alone":             "profiles: [{name: a, claim: {accessModes: [ReadWriteOncePod]}}]\n",
		"a driver that is the backend's own": "profiles: [{name: a, storageClass: {driver: ebs.csi.aws.com}}]\n",
		"paths that only look like the token's": "profiles: [{name: a, mount: {path: " +
			"/var/run/secrets/kubernetes.io/serviceaccount-2}}]\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, warnings, err := storage.Load([]byte(injecttest.FileHead + text))
			require.NoError(t, err)
			assert.Empty(t, warnings)
		})
	}
}

func TestBackendNamesAreTranslated(t *testing.T) {
	for name, tt := range map[string]struct {
		backend string
		exp     string
		expWarn string
	}{
		"a preset stays":                {"gce-pd", "gce-pd", ""},
		"a CSI driver names its preset": {"ebs.csi.aws.com", "aws-ebs", ""},
		"an in-tree provisioner, AWS": {
			"kubernetes.io/aws-ebs",
			"aws-ebs",
			`profile "a": backend "kubernetes.io/aws-ebs" is an in-tree name: using the backend "aws-ebs" (ebs.csi.aws.com)`,
		},
		"an in-tree provisioner, Azure":        {"kubernetes.io/azure-disk", "azure-disk", "in-tree"},
		"an in-tree provisioner, Google":       {"kubernetes.io/gce-pd", "gce-pd", "in-tree"},
		"an in-tree volume source, AWS":        {"awsElasticBlockStore", "aws-ebs", "in-tree"},
		"an in-tree volume source, Azure":      {"azureDisk", "azure-disk", "in-tree"},
		"an in-tree volume source, Google":     {"gcePersistentDisk", "gce-pd", "in-tree"},
		"an in-tree provisioner, shares":       {"kubernetes.io/azure-file", "azure-file", "file.csi.azure.com"},
		"an in-tree volume source, shares":     {"azureFile", "azure-file", "in-tree"},
		"a directory of the node, as in a pod": {"hostPath", "host-path", "kubernetes.io/no-provisioner"},
	} {
		t.Run(name, func(t *testing.T) {
			text := injecttest.FileHead + "profiles:\n- name: a\n" +
				"  storageClass: {backend: " + tt.backend + "}\n  volume: {handle: /srv/data, attributes: {shareName: s}}\n"
			config, warnings, err := storage.Load([]byte(text))
			require.NoError(t, err)
			assert.Equal(t, tt.exp, config.Profiles[0].StorageClass.Backend)
			if tt.expWarn == "" {
				assert.Empty(t, warnings)
				return
			}
			require.Len(t, warnings, 1)
			assert.Contains(t, warnings[0], tt.expWarn)
			assert.Contains(t, warnings[0], tt.exp)
		})
	}
}

func TestOverridesComeBeforeDefaultsAndValidation(t *testing.T) {
	noClaim := func(c *storage.Config) error {
		create := false
		c.Profiles[0].Claim.Create = &create
		c.Profiles[0].StorageClass.Backend = "kubernetes.io/aws-ebs"
		return nil
	}
	broken := func(c *storage.Config) error { c.Profiles[0].Mount.Path = "x"; return nil }
	refused := func(*storage.Config) error { return errors.New("no such thing") }

	config, warnings, err := storage.New(noClaim)
	require.NoError(t, err)
	assert.False(t, *config.Profiles[0].StorageClass.Create, "the default follows the override")
	assert.Len(t, warnings, 1)

	_, _, err = storage.New(broken)
	require.ErrorContains(t, err, "profiles[0].mount.path: Invalid value")
	_, _, err = storage.New(refused)
	require.EqualError(t, err, "no such thing")

	file := []byte(injecttest.FileHead + "profiles:\n- name: a\n  mount: {path: /x}\n")
	config, _, err = storage.Load(file, noClaim)
	require.NoError(t, err)
	assert.Equal(t, "/x", config.Profiles[0].Mount.Path)
	assert.False(t, *config.Profiles[0].StorageClass.Create)
	_, _, err = storage.Load(file, broken)
	require.ErrorContains(t, err, "line 5: profiles[0].mount.path: Invalid value")
	_, _, err = storage.Load(file, refused)
	require.EqualError(t, err, "no such thing")
}

func TestNewWithoutOverridesIsTheDefault(t *testing.T) {
	config, warnings, err := storage.New()
	require.NoError(t, err)
	assert.Empty(t, warnings)
	assert.Equal(t, storage.Default(), config)
}

func TestNames(t *testing.T) {
	at := func(name, namespace string) storage.Release { return storage.Release{Name: name, Namespace: namespace} }
	const literal = "claim: {name: 'c-{namespace}-{release}'}, storageClass: {name: 's-{namespace}-{release}'}, " +
		"volume: {handle: h, name: 'v-{namespace}-{release}'}"
	for name, tt := range map[string]struct {
		profile   string
		release   storage.Release
		namespace string
		exp       storage.Names
	}{
		"default names of a release": {
			"name: default, volume: {handle: h}", at("demo", "ml"), "ml",
			storage.Names{StorageClass: "fast.ml.demo", Volume: "pv-data-pipeline.ml.demo", Claim: "pvc-data-pipeline.demo"},
		},
		"default names at admission": {
			"name: default, volume: {handle: h}", at("", ""), "ml",
			storage.Names{StorageClass: "fast", Volume: "pv-data-pipeline.ml", Claim: "pvc-data-pipeline"},
		},
		"no static volume, no volume's name": {
			"name: default", at("demo", "ml"), "ml",
			storage.Names{StorageClass: "fast.ml.demo", Claim: "pvc-data-pipeline.demo"},
		},
		"another profile adds its name": {
			"name: training, volume: {handle: h}", at("demo", "ml"), "ml",
			storage.Names{
				StorageClass: "fast-training.ml.demo",
				Volume:       "pv-data-pipeline-training.ml.demo", Claim: "pvc-data-pipeline-training.demo",
			},
		},
		"another profile at admission": {
			"name: training, volume: {handle: h}", at("", ""), "ml",
			storage.Names{
				StorageClass: "fast-training",
				Volume:       "pv-data-pipeline-training.ml", Claim: "pvc-data-pipeline-training",
			},
		},
		"a pod in another namespace: what is of the cluster keeps the release's": {
			"name: default, volume: {handle: h}", at("demo", "ml"), "other",
			storage.Names{StorageClass: "fast.ml.demo", Volume: "pv-data-pipeline.ml.demo", Claim: "pvc-data-pipeline.demo"},
		},
		"names that are written are literal": {
			"name: default, claim: {name: c}, storageClass: {name: s}, volume: {handle: h, name: v}", at("demo", "ml"), "ml",
			storage.Names{StorageClass: "s", Volume: "v", Claim: "c"},
		},
		"placeholders are replaced": {
			"name: default, " + literal, at("demo", "ml"), "ml",
			storage.Names{StorageClass: "s-ml-demo", Volume: "v-ml-demo", Claim: "c-ml-demo"},
		},
		"a claim's namespace is its own": {
			"name: default, " + literal, at("demo", "ml"), "other",
			storage.Names{StorageClass: "s-ml-demo", Volume: "v-ml-demo", Claim: "c-other-demo"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := injecttest.Load(t, "profiles:\n- {"+tt.profile+"}\n")
			assert.Equal(t, tt.exp, config.Profiles[0].Names(tt.release, tt.namespace))
		})
	}
}

// TestReleasesNeverShareANameByAccident is about two releases in one namespace and in two.
func TestReleasesNeverShareANameByAccident(t *testing.T) {
	p := injecttest.Load(t, "profiles:\n- {name: default, volume: {handle: h}}\n").Profiles[0]
	owner := map[string]storage.Release{}
	for _, r := range []storage.Release{
		{Name: "a", Namespace: "x"},
		{Name: "b", Namespace: "x"},
		{Name: "a", Namespace: "y"},
		{Name: "b-c", Namespace: "a"},
		{Name: "c", Namespace: "a-b"},
	} {
		names := p.Names(r, r.Namespace)
		for _, n := range []string{
			"class " + names.StorageClass, "volume " + names.Volume, "claim " + r.Namespace + "/" + names.Claim,
		} {
			other, taken := owner[n]
			assert.Falsef(t, taken, "%s of %v and of %v", n, r, other)
			owner[n] = r
		}
	}
}

func TestNeedsRelease(t *testing.T) {
	for name, tt := range map[string]struct {
		profile string
		exp     bool
	}{
		"objects are created":                 {"claim: {name: c}, storageClass: {name: s}", true},
		"an existing claim by its name":       {"claim: {name: c, create: false}", false},
		"an existing claim by default name":   {"claim: {create: false}", true},
		"an existing claim of the release":    {"claim: {name: 'c-{release}', create: false}", true},
		"an existing claim of the namespace":  {"claim: {name: 'c-{namespace}', create: false}", true},
		"an existing claim but a class":       {"claim: {name: c, create: false}, storageClass: {create: true}", true},
		"an existing claim but a volume":      {"claim: {name: c, create: false}, volume: {handle: h, create: true}", true},
		"everything exists, volume mentioned": {"claim: {name: c, create: false}, volume: {name: v}", false},
	} {
		t.Run(name, func(t *testing.T) {
			p := injecttest.Load(t, "profiles:\n- {name: default, "+tt.profile+"}\n").Profiles[0]
			assert.Equal(t, tt.exp, p.NeedsRelease())
		})
	}
}

func TestVolumeNameIsADNSLabel(t *testing.T) {
	long := strings.Repeat("a", 63)
	names := map[string]string{}
	for _, profile := range []string{
		"default", "training", long, long[:62] + "b", long[:62], long[:36] + "-" + long[:20],
	} {
		p := storage.Profile{Name: profile}
		name := p.VolumeName()
		assert.LessOrEqual(t, len(name), 63, name)
		assert.Regexp(t, `^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`, name)
		assert.NotContains(t, name, "--")
		assert.Equal(t, name, p.VolumeName(), "deterministic")
		assert.NotContains(t, names, name, "of %s and %s", profile, names[name])
		names[name] = profile
	}
	// These stand in pods that exist: changing them would add a second volume to each.
	assert.Equal(t, "default", names["pipeline-storage"])
	assert.Equal(t, "training", names["pipeline-storage-training"])
	assert.Equal(t, long, names["pipeline-storage-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-4633ff03"])
}

func TestPrintedConfigurationLoadsTheSame(t *testing.T) {
	for name, text := range map[string]string{
		"the default": "profiles:\n- name: default\n",
		"every sort of class": `
profiles:
- name: a
  storageClass: {performance: fast, mountOptions: [noatime]}
  attributesClass: {name: gold, parameters: {iops: "6000"}}
  snapshotClass: {deletionPolicy: Delete}
  volume: {handle: h, zone: z, mountOptions: [ro], nodeStageSecret: {name: s, namespace: n}}
`,
		"two profiles and a kind": `
metadata: {name: x}
profiles:
- {name: a, claim: {size: 0.5Gi, name: c}, fsGroup: 0, env: A, volume: {handle: h, zone: z, attributes: {k: "1"}}}
- {name: b, mount: {path: /b, readOnly: true, containers: [x]}, storageClass: {backend: kubernetes.io/gce-pd},
   namespaceSelector: {}}
kinds: [{group: example.com, kind: A, pods: [{podTemplate: spec.template, replicas: [$.spec.n]}]}]
`,
	} {
		t.Run(name, func(t *testing.T) {
			requireSameWhenPrinted(t, injecttest.Load(t, text))
		})
	}
}

// requireSameWhenPrinted prints a configuration, loads that, and prints it again.
func requireSameWhenPrinted(t testing.TB, config *storage.Config) {
	t.Helper()
	printed, err := yaml.Marshal(config)
	require.NoError(t, err)
	again, warnings, err := storage.Load(printed)
	require.NoError(t, err, "%s", printed)
	require.Empty(t, warnings, "what was translated stays so")
	printedAgain, err := yaml.Marshal(again)
	require.NoError(t, err)
	require.Equal(t, string(printed), string(printedAgain))
}

// TestTheDocumentedConfigurationLoads holds docs/configuration.md to what the code reads.
func TestTheDocumentedConfigurationLoads(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "configuration.md"))
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	require.Len(t, blocks, 3)
	config, warnings, err := storage.Load([]byte(blocks[0][1]))
	require.NoError(t, err)
	assert.Empty(t, warnings)
	assert.Len(t, config.Profiles, 3)
	assert.Len(t, config.Kinds, 2)
	assert.Len(t, injecttest.Load(t, "profiles: [{name: a}]\n"+blocks[1][1]).Kinds, 2)
	assert.Equal(
		t,
		"/runs",
		injecttest.Load(t, "profiles:\n- name: a\n  "+strings.ReplaceAll(blocks[2][1], "\n", "\n  ")).Profiles[0].Mount.Path,
	)
}

// TestEveryFieldIsDocumented walks the types of the configuration: docs/configuration.md has each field in
// its first example, or a field of a row of kinds in the table below it. The schema of the chart describes
// it.
func TestEveryFieldIsDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(docs, "configuration.md"))
	require.NoError(t, err)
	_, example, _ := strings.Cut(string(text), "```yaml\n")
	example, rest, _ := strings.Cut(example, "```")
	table, _, _ := strings.Cut(rest, "```")
	documented := map[string]bool{}
	addPaths(documented, "", injecttest.Decode(t, example))
	schema, err := os.ReadFile(filepath.Join("..", "..", "..", "charts", "pipeline-storage", "values.schema.json"))
	require.NoError(t, err)
	definitions := injecttest.DecodeJSON(t, schema)["definitions"].(map[string]any)
	for _, field := range injecttest.FieldPaths(reflect.TypeFor[storage.Config]()) {
		_, name, isRow := strings.Cut(field, "kinds[].")
		name = name[strings.LastIndex(name, ".")+1:]
		assert.True(
			t,
			documented[field] || isRow && strings.Contains(table, name+"`"),
			"docs/configuration.md needs %s",
			field,
		)
		assert.NotEmpty(t, descriptionOf(definitions, "Config", strings.Split(field, ".")), "values.schema.json has no "+
			"description of %s", field)
	}
}

// addPaths adds the paths of all values below a value, as [injecttest.FieldPaths] spells them.
func addPaths(paths map[string]bool, path string, value any) {
	paths[path] = true
	switch value := value.(type) {
	case map[string]any:
		for key, below := range value {
			addPaths(paths, strings.TrimPrefix(path+"."+key, "."), below)
		}
	case []any:
		for _, item := range value {
			addPaths(paths, path+"[]", item)
		}
	}
}

// descriptionOf follows the names of fields through the definitions of a schema.
func descriptionOf(definitions map[string]any, definition string, path []string) string {
	schema, _ := definitions[definition].(map[string]any)
	properties, _ := schema["properties"].(map[string]any)
	field, _ := properties[strings.TrimSuffix(path[0], "[]")].(map[string]any)
	if len(path) == 1 {
		text, _ := field["description"].(string)
		return text
	}
	text, err := json.Marshal(field)
	if err != nil {
		return ""
	}
	found := regexp.MustCompile(`"#/definitions/([A-Za-z]+)"`).FindSubmatch(text)
	if found == nil {
		return ""
	}
	return descriptionOf(definitions, string(found[1]), path[1:])
}
