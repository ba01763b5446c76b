package storage_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

func TestDataSourceMistakes(t *testing.T) {
	for name, tt := range map[string]struct{ claim, exp string }{
		"no kind": {
			"{dataSource: {name: a}}",
			"line 5: profiles[0].claim.dataSource.kind: Required value: VolumeSnapshot or PersistentVolumeClaim",
		},
		"no name": {"{dataSource: {kind: VolumeSnapshot}}", "profiles[0].claim.dataSource.name: Required value"},
		"a name that no object has": {
			"{dataSource: {kind: VolumeSnapshot, name: A_b}}",
			`profiles[0].claim.dataSource.name: Invalid value: "A_b"`,
		},
		"a kind in other letters, which would have no group": {
			"{dataSource: {kind: volumesnapshot, name: a}}",
			"profiles[0].claim.dataSource.apiGroup: Required value: for the kind volumesnapshot: only VolumeSnapshot and " +
				"PersistentVolumeClaim need none",
		},
		"a group with a slash": {
			"{dataSource: {kind: Bucket, apiGroup: a/b, name: a}}",
			`profiles[0].claim.dataSource.apiGroup: Invalid value: "a/b"`,
		},
		"a claim that exists": {
			"{name: mine, create: false, dataSource: {kind: VolumeSnapshot, name: a}}",
			"profiles[0].claim.dataSource: Invalid value: \"a\": nothing is copied into a claim that exists",
		},
		"a volume that exists": {
			"{dataSource: {kind: VolumeSnapshot, name: a}}\n  volume: {handle: v, zone: z}",
			"profiles[0].claim.dataSource: Invalid value: \"a\": nothing is copied into a volume that exists",
		},
		"a driver without snapshots": {
			"{dataSource: {kind: VolumeSnapshot, name: a}}\n" +
				"  storageClass: {backend: aws-efs, parameters: {fileSystemId: fs-1}}",
			"makes no snapshots; those of aws-ebs, ",
		},
		"a provisioner that would ignore it": {
			"{dataSource: {kind: PersistentVolumeClaim, name: a}}\n  storageClass: {backend: local-path}",
			"volumes of the backend local-path are directories of a node, into which nothing is copied",
		},
		"its own literal name": {
			"{name: mine, dataSource: {kind: PersistentVolumeClaim, name: mine}}",
			"profiles[0].claim.dataSource.name: Invalid value: \"mine\": a claim cannot begin with its own data",
		},
		"its own default name of a release": {
			"{dataSource: {kind: PersistentVolumeClaim, name: 'pvc-data-pipeline.{release}'}}",
			"a claim cannot begin with its own data",
		},
		"its own default name at admission": {
			"{dataSource: {kind: PersistentVolumeClaim, name: pvc-data-pipeline}}",
			"a claim cannot begin with its own data",
		},
		"a copy that is smaller": {
			"{name: mine, size: 10Gi}\n- name: copy\n  mount: {path: /copy}\n" +
				"  claim: {size: 9Gi, dataSource: {kind: PersistentVolumeClaim, name: mine}}",
			"line 8: profiles[1].claim.size: Invalid value: \"9Gi\": must be at least 10Gi, the size of the claim mine",
		},
		"a copy by another driver": {
			"{name: mine}\n- name: copy\n  mount: {path: /copy}\n  storageClass: {backend: gce-pd}\n" +
				"  claim: {dataSource: {kind: PersistentVolumeClaim, name: mine}}",
			"profiles[1].storageClass.backend: Invalid value: \"gce-pd\": a driver copies its own volumes only, and mine, " +
				"which is the dataSource, has the driver ebs.csi.aws.com",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := storage.Load([]byte(injecttest.FileHead + "profiles:\n- name: default\n  claim: " + tt.claim + "\n"))
			assert.ErrorContains(t, err, tt.exp)
		})
	}
}

func TestDataSourceOfAReleaseIsRefusedAtAdmission(t *testing.T) {
	_, _, err := storage.LoadForAdmission([]byte(injecttest.FileHead +
		"profiles: [{name: default, claim: {dataSource: {kind: VolumeSnapshot, name: 'a-{release}'}}}]\n"))
	require.ErrorContains(t, err,
		`profiles[0].claim.dataSource.name: Invalid value: "a-{release}": at admission no release`)
}

// TestVolumeSnapshotHasItsGroupByDefault: a group that is written is used, as that of a populator.
func TestVolumeSnapshotHasItsGroupByDefault(t *testing.T) {
	for written, exp := range map[string]string{
		"kind: VolumeSnapshot":                           "snapshot.storage.k8s.io",
		"kind: VolumeSnapshot, apiGroup: example.com":    "example.com",
		"kind: PersistentVolumeClaim":                    "",
		"kind: Bucket, apiGroup: populators.example.com": "populators.example.com",
	} {
		p := injecttest.Load(t, "profiles: [{name: default, claim: {dataSource: {name: a, "+written+"}}}]\n").Profiles[0]
		assert.Equal(t, exp, p.Claim.DataSource.APIGroup, written)
	}
}
