package storage

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// volumeSource names the kind of source that a static PersistentVolume of a backend has.
type volumeSource string

const (
	sourceCSI      volumeSource = "csi"
	sourceLocal    volumeSource = "local"
	sourceHostPath volumeSource = "hostPath"
)

// Backend is a preset for one kind of storage.
type Backend struct {
	// Name is the value of storageClass.backend.
	Name string
	// Driver is the CSI driver: provisioner of the StorageClass and driver of a static volume.
	// Empty: the profile names it.
	Driver string
	// Docs is where the facts of the row are from: the driver's repository and the files in it.
	Docs string
	// Parameters are the defaults of StorageClass.parameters.
	Parameters map[string]string
	// BelongsTo are parameters whose default suits the default of another one only. A profile that
	// changes the other one gets no default.
	BelongsTo map[string]string
	// Required are the parameters that the profile must give. They are attributes of a static
	// volume too.
	Required []string
	// ToProvision are the parameters that the profile must give when the class is to make volumes:
	// of each row one.
	ToProvision [][]string
	// Performance are parameters over the defaults, by the value of storageClass.performance.
	Performance map[string]Preset
	// Attributes are the defaults of a static volume's attributes.
	Attributes map[string]string
	// ToMount are the attributes that a static volume must have in addition to Required.
	ToMount []string
	// StageSecret is whether a static volume needs volume.nodeStageSecret.
	StageSecret bool
	// PodAnnotations are those that a pod must have, so that the driver mounts its volumes.
	PodAnnotations map[string]string
	// Mutable are the parameters that a VolumeAttributesClass may have, * for any number. None: the
	// driver modifies no volumes.
	Mutable []string
	// ToModify are the parameters that the StorageClass must have, so that the driver can modify
	// volumes.
	ToModify []string
	// Snapshots is whether the driver makes snapshots.
	Snapshots bool
	// SnapshotParameters are the defaults of VolumeSnapshotClass.parameters.
	SnapshotParameters map[string]string
	// ToSnapshot are the parameters that a VolumeSnapshotClass must have. Those of the same name
	// are the StorageClass's.
	ToSnapshot []string
	// TopologyKey is the node label that a static volume's zone is matched with. Empty: reachable
	// from every node.
	TopologyKey string
	// AccessModes are the modes that the backend can serve. Without ReadWriteOnce, the first is the
	// default of a claim.
	AccessModes []corev1.PersistentVolumeAccessMode
	// Block is whether the volume is a disk of one node at a time, so that nodes cannot share
	// ReadWriteOnce.
	Block bool
	// StaticOnly is whether nothing provisions such volumes, so that the profile must have one.
	StaticOnly bool
	// Handle describes volume.handle, for messages and documentation.
	Handle string
	// FreeHandle is whether the driver finds the volume by its attributes. The handle then only has
	// to be unique.
	FreeHandle bool
	// HandleSeparator stands in a free handle before the namespace of a shared volume. Default: #.
	HandleSeparator string
	// ReadOnlyOption is the mount option by which a node mounts a static volume read-only for every
	// pod, where the profile's mount is read-only. Empty: there is no such option.
	ReadOnlyOption string
	// ReadOnlyAttach is whether the driver attaches a volume read-only where csi.readOnly is true:
	// it has the controller capability PUBLISH_READONLY.
	ReadOnlyAttach bool
	// NoIDMap is the file system of the volumes, where Linux has no idmapped mounts of it, which a pod
	// with hostUsers: false needs. Empty: it has them, or depends on the volume.
	// Source: Linux man-pages, mount_setattr(2), "ID-mapped mounts", which lists the file systems that
	// have them: xfs, ext4, btrfs and more, but no NFS, SMB or Lustre. Kubernetes, User Namespaces,
	// "Before you begin".
	NoIDMap string
	// HostPath is whether provisioned volumes are hostPath volumes.
	// Source: local-path-provisioner README, volumeType.
	HostPath bool

	source volumeSource
}

// Preset is a set of parameters that a backend's documentation gives for one kind of work.
type Preset struct {
	Parameters map[string]string
	// MinSize is the smallest volume that such parameters make; empty: any.
	MinSize string
}

// The values of storageClass.performance. A backend has some of them, or none.
const (
	// performanceStandard is the balance of price and speed that most pipelines need.
	performanceStandard = "standard"
	// performanceFast is for many small reads and writes.
	performanceFast = "fast"
	// performanceThroughput is for large files that are read and written from end to end.
	performanceThroughput = "throughput"
)

var (
	oneNode = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce, corev1.ReadWriteOncePod}
	disk    = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce, corev1.ReadWriteOncePod, corev1.ReadOnlyMany}
	shared  = []corev1.PersistentVolumeAccessMode{
		corev1.ReadWriteOnce, corev1.ReadWriteOncePod, corev1.ReadOnlyMany, corev1.ReadWriteMany,
	}
)

// ClassParameterFSType is the parameter that every CSI provisioner understands as the file system
// of new volumes. Source: kubernetes-csi/external-provisioner, README.
const ClassParameterFSType = "csi.storage.k8s.io/fstype"

// cephSecrets are the parameters that name the Secret with the Ceph user.
// Source: ceph-csi, docs/rbd/deploy.md and docs/cephfs/deploy.md, volume parameters.
var cephSecrets = [][]string{
	{"csi.storage.k8s.io/provisioner-secret-name"},
	{"csi.storage.k8s.io/provisioner-secret-namespace"},
	{"csi.storage.k8s.io/node-stage-secret-name"},
	{"csi.storage.k8s.io/node-stage-secret-namespace"},
}

// cephModify are the parameters that the driver needs to modify volumes. Source: ceph-csi,
// docs/volumeattributesclass.md.
var cephModify = []string{
	"csi.storage.k8s.io/controller-modify-secret-name",
	"csi.storage.k8s.io/controller-modify-secret-namespace",
}

// cephSnapshot are the parameters of a VolumeSnapshotClass.
// Source: ceph-csi, examples/cephfs/snapshotclass.yaml.
var cephSnapshot = []string{
	"clusterID", "csi.storage.k8s.io/snapshotter-secret-name", "csi.storage.k8s.io/snapshotter-secret-namespace",
}

// Backends is the table of presets. Every row is from the documentation that it names; a fact from
// another place names its source beside it. A node hands a PersistentVolume's mountOptions to the
// driver as mount flags. They are those of mount(8), ro included, where a row has no others.
// Source: CSI specification, VolumeCapability.MountVolume.mount_flags.
var Backends = []Backend{
	{
		Name: "aws-ebs", Driver: "ebs.csi.aws.com",
		Docs: "aws-ebs-csi-driver: docs/parameters.md, docs/modify-volume.md, docs/tagging.md, docs/snapshot.md, " +
			"examples/kubernetes/static-provisioning",
		Parameters: map[string]string{"type": "gp3", ClassParameterFSType: "ext4"},
		Performance: map[string]Preset{
			performanceStandard: {Parameters: map[string]string{"type": "gp3"}},
			// The most that the driver's table of volume types gives gp3.
			performanceFast: {Parameters: map[string]string{"type": "gp3", "iops": "16000", "throughput": "1000"}},
			// A hard disk. Its least size: Amazon EBS User Guide, volume types.
			performanceThroughput: {Parameters: map[string]string{"type": "st1"}, MinSize: "125Gi"},
		},
		Mutable: []string{"type", "iops", "throughput", "tagSpecification_*", "tagDeletion_*"}, Snapshots: true,
		TopologyKey: "topology.ebs.csi.aws.com/zone",
		AccessModes: oneNode, Block: true,
		Handle:         "the EBS volume ID (vol-0123456789abcdef0)",
		ReadOnlyOption: "ro", source: sourceCSI,
	},
	{
		Name: "aws-efs", Driver: "efs.csi.aws.com",
		Docs: "aws-efs-csi-driver: docs/parameters.md, examples/kubernetes/efs/access_points, " +
			"examples/kubernetes/efs/static_provisioning",
		// The driver makes access points, not file systems.
		Parameters:     map[string]string{"provisioningMode": "efs-ap", "directoryPerms": "700"},
		ToProvision:    [][]string{{"fileSystemId", "fileSystemIdConfigRef", "fileSystemIdSecretRef"}},
		AccessModes:    shared,
		Handle:         "FILESYSTEM[:DIRECTORY[:ACCESSPOINT]] (fs-0123456789abcdef0::fsap-0123456789abcdef0)",
		ReadOnlyOption: "ro", source: sourceCSI,
		// efs-utils mounts NFS: the driver, docs/README.md.
		NoIDMap: "NFS",
	},
	{
		Name: "aws-fsx-lustre", Driver: "fsx.csi.aws.com",
		Docs: "aws-fsx-csi-driver: examples/kubernetes/dynamic_provisioning, examples/kubernetes/static_provisioning",
		// FSx itself defaults to SCRATCH_1, which keeps no copy of the data.
		// Source: Amazon FSx API Reference, CreateFileSystemLustreConfiguration.
		Parameters: map[string]string{"deploymentType": "PERSISTENT_2", "perUnitStorageThroughput": "125"},
		// What a unit may have depends on the type, and SCRATCH_2 has none. Source: the same page.
		BelongsTo:   map[string]string{"perUnitStorageThroughput": "deploymentType"},
		ToProvision: [][]string{{"subnetId"}},
		Performance: map[string]Preset{
			performanceStandard: {
				Parameters: map[string]string{"deploymentType": "PERSISTENT_2", "perUnitStorageThroughput": "125"},
			},
			performanceThroughput: {
				Parameters: map[string]string{"deploymentType": "PERSISTENT_2", "perUnitStorageThroughput": "1000"},
			},
		},
		ToMount:        []string{"dnsname", "mountname"},
		AccessModes:    shared,
		Handle:         "the file system's ID (fs-0123456789abcdef0)",
		ReadOnlyOption: "ro", source: sourceCSI,
		NoIDMap: "Lustre",
	},
	{
		Name: "azure-disk", Driver: "disk.csi.azure.com",
		Docs:       "azuredisk-csi-driver: docs/driver-parameters.md, deploy/example/modifyvolume, deploy/example/snapshot",
		Parameters: map[string]string{"skuName": "StandardSSD_LRS", ClassParameterFSType: "ext4"},
		Performance: map[string]Preset{
			performanceStandard: {Parameters: map[string]string{"skuName": "StandardSSD_LRS"}},
			performanceFast:     {Parameters: map[string]string{"skuName": "Premium_LRS"}},
			performanceThroughput: {Parameters: map[string]string{
				"skuName": "PremiumV2_LRS", "cachingMode": "None", "DiskIOPSReadWrite": "4000", "DiskMBpsReadWrite": "1000",
			}},
		},
		Mutable: []string{"skuName", "DiskIOPSReadWrite", "DiskMBpsReadWrite"}, Snapshots: true,
		TopologyKey: "topology.disk.csi.azure.com/zone",
		AccessModes: oneNode, Block: true,
		Handle:         "the disk's resource ID (/subscriptions/…/providers/Microsoft.Compute/disks/NAME)",
		ReadOnlyOption: "ro", source: sourceCSI,
	},
	{
		Name: "azure-file", Driver: "file.csi.azure.com",
		Docs: "azurefile-csi-driver: docs/driver-parameters.md, deploy/example/pv-azurefile-csi.yaml, " +
			"deploy/example/modifyvolume, deploy/example/snapshot",
		Parameters: map[string]string{"skuName": "Standard_LRS"},
		Performance: map[string]Preset{
			performanceStandard: {Parameters: map[string]string{"skuName": "Standard_LRS"}},
			performanceFast:     {Parameters: map[string]string{"skuName": "Premium_LRS"}},
		},
		ToMount: []string{"shareName"},
		Mutable: []string{"provisionedIOPS", "provisionedBandwidth"}, Snapshots: true,
		AccessModes: shared,
		Handle:      "any name that is unique in the cluster, without # (ACCOUNT_SHARE)",
		FreeHandle:  true, HandleSeparator: "_",
		ReadOnlyOption: "ro", source: sourceCSI,
		// parameters.protocol chooses: docs/driver-parameters.md.
		NoIDMap: "SMB or NFS",
	},
	{
		Name: "gce-pd", Driver: "pd.csi.storage.gke.io",
		Docs: "gcp-compute-persistent-disk-csi-driver: README.md, docs/kubernetes/user-guides; Google Cloud: " +
			"Hyperdisk in GKE",
		Parameters: map[string]string{"type": "pd-balanced", ClassParameterFSType: "ext4"},
		Performance: map[string]Preset{
			performanceStandard: {Parameters: map[string]string{"type": "pd-balanced"}},
			performanceFast:     {Parameters: map[string]string{"type": "pd-ssd"}},
			// Its least size: Google Cloud, About Hyperdisk Throughput.
			performanceThroughput: {Parameters: map[string]string{"type": "hyperdisk-throughput"}, MinSize: "2Ti"},
		},
		Mutable: []string{"iops", "throughput"}, Snapshots: true,
		TopologyKey: "topology.gke.io/zone",
		AccessModes: disk, Block: true,
		Handle: "projects/PROJECT/zones/ZONE/disks/NAME",
		// Its capabilities: the driver, pkg/gce-pd-csi-driver/gce-pd-driver.go.
		ReadOnlyOption: "ro", ReadOnlyAttach: true, source: sourceCSI,
	},
	{
		Name: "gce-filestore", Driver: "filestore.csi.storage.gke.io",
		Docs:       "gcp-filestore-csi-driver: README.md, docs/kubernetes/pre-provisioned-pv.md, docs/kubernetes/backup.md",
		Parameters: map[string]string{"tier": "standard"},
		Performance: map[string]Preset{
			performanceStandard:   {Parameters: map[string]string{"tier": "standard"}},
			performanceFast:       {Parameters: map[string]string{"tier": "premium"}},
			performanceThroughput: {Parameters: map[string]string{"tier": "zonal"}},
		},
		ToMount:   []string{"ip", "volume"},
		Snapshots: true, SnapshotParameters: map[string]string{"type": "backup"},
		AccessModes:    shared,
		Handle:         "modeInstance/ZONE/INSTANCE/SHARE",
		ReadOnlyOption: "ro", source: sourceCSI,
		NoIDMap: "NFS",
	},
	{
		Name: "gcs-fuse", Driver: "gcsfuse.csi.storage.gke.io",
		Docs: "gcs-fuse-csi-driver: docs/usage.md",
		// The driver's own webhook adds the sidecar that mounts the bucket to pods with this
		// annotation.
		PodAnnotations: map[string]string{"gke-gcsfuse/volumes": "true"},
		AccessModes:    []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce, corev1.ReadOnlyMany, corev1.ReadWriteMany},
		StaticOnly:     true,
		Handle:         "the bucket's name, or _ for all that the pod's service account may read",
		// The driver keeps ro for mount(8), and hands the others to gcsfuse:
		// pkg/csi_mounter/csi_mounter.go.
		ReadOnlyOption: "ro", source: sourceCSI,
		// A FUSE server has to offer them, from Linux 6.12: Linux, include/uapi/linux/fuse.h.
		NoIDMap: "FUSE without FUSE_ALLOW_IDMAP",
	},
	{
		Name: "mountpoint-s3", Driver: "s3.csi.aws.com",
		Docs:        "mountpoint-s3-csi-driver: docs/CONFIGURATION.md, examples/kubernetes/static_provisioning",
		ToMount:     []string{"bucketName"},
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany, corev1.ReadOnlyMany},
		StaticOnly:  true,
		Handle:      "any name that is unique in the cluster",
		FreeHandle:  true,
		// Mount options are Mountpoint's own arguments: mountpoint-s3, doc/CONFIGURATION.md; the
		// driver, pkg/mountpoint (ArgReadOnly).
		ReadOnlyOption: "read-only", source: sourceCSI,
		// As gcs-fuse; mountpoint-s3#1835.
		NoIDMap: "FUSE without FUSE_ALLOW_IDMAP",
	},
	{
		Name: "ceph-rbd", Driver: "rbd.csi.ceph.com",
		Docs:        "ceph-csi: docs/rbd/deploy.md, docs/static-pvc.md, docs/volumeattributesclass.md, examples/rbd",
		Parameters:  map[string]string{"imageFeatures": "layering", ClassParameterFSType: "ext4"},
		Required:    []string{"clusterID", "pool"},
		ToProvision: cephSecrets,
		Attributes:  map[string]string{"staticVolume": "true", "imageFeatures": "layering"},
		StageSecret: true,
		// The first four are for the kernel's client, the others for rbd-nbd.
		Mutable: []string{
			"maxReadIops", "maxWriteIops", "maxReadBps", "maxWriteBps",
			"baseIops", "maxIops", "baseBps", "maxBps", "iopsPerGiB", "bpsPerGiB", "baseVolSizeBytes",
		},
		ToModify:  cephModify,
		Snapshots: true, ToSnapshot: cephSnapshot,
		AccessModes: disk, Block: true,
		Handle: "the image's name",
		// internal/csi-common (ConstructMountOptions) takes the mount flags.
		ReadOnlyOption: "ro", source: sourceCSI,
	},
	{
		Name: "cephfs", Driver: "cephfs.csi.ceph.com",
		Docs:        "ceph-csi: docs/cephfs/deploy.md, docs/static-pvc.md, examples/cephfs",
		Required:    []string{"clusterID", "fsName"},
		ToProvision: cephSecrets,
		Attributes:  map[string]string{"staticVolume": "true"},
		ToMount:     []string{"rootPath"},
		StageSecret: true,
		Mutable:     []string{"mds-pin-export", "mds-pin-distributed", "mds-pin-random"}, ToModify: cephModify,
		Snapshots: true, ToSnapshot: cephSnapshot,
		AccessModes: shared,
		Handle:      "any name that is unique in the cluster",
		FreeHandle:  true,
		// As ceph-rbd.
		ReadOnlyOption: "ro", source: sourceCSI,
		// Linux, fs/ceph/super.c FS_ALLOW_IDMAP; ceph-csi#5440.
		NoIDMap: "CephFS before Linux 6.7",
	},
	{
		Name: "nfs", Driver: "nfs.csi.k8s.io",
		Docs:           "csi-driver-nfs: docs/driver-parameters.md, deploy/example/snapshot",
		Required:       []string{"server", "share"},
		Snapshots:      true,
		AccessModes:    shared,
		Handle:         "any name that is unique in the cluster (SERVER#SHARE#)",
		FreeHandle:     true,
		ReadOnlyOption: "ro", source: sourceCSI,
		NoIDMap: "NFS",
	},
	{
		Name: "local-path", Driver: "rancher.io/local-path",
		Docs:        "local-path-provisioner: README.md",
		TopologyKey: corev1.LabelHostname,
		AccessModes: oneNode, Block: true,
		Handle: "an existing directory of the node", HostPath: true,
		source: sourceLocal,
	},
	{
		Name: "host-path", Driver: "kubernetes.io/no-provisioner",
		Docs:        "Kubernetes: Volumes (hostPath), Storage Classes (local)",
		TopologyKey: corev1.LabelHostname,
		AccessModes: shared, StaticOnly: true,
		Handle: "a directory of the node, created when it is missing",
		source: sourceHostPath,
	},
	{
		Name:        "csi",
		Docs:        "the documentation of your driver",
		AccessModes: shared, Block: true,
		Handle: "the driver's own volume handle",
		// An option of every file system, mount(8). A driver that cannot attach read-only never
		// gets csi.readOnly.
		ReadOnlyOption: "ro", ReadOnlyAttach: true, source: sourceCSI,
	},
}

// inTreeNames translates what users of the removed in-tree plugins still write: the provisioner of
// a StorageClass or the field of a PersistentVolume. Source: Kubernetes, csi-translation-lib.
var inTreeNames = map[string]string{
	"kubernetes.io/aws-ebs":    "aws-ebs",
	"awsElasticBlockStore":     "aws-ebs",
	"kubernetes.io/azure-disk": "azure-disk",
	"azureDisk":                "azure-disk",
	"kubernetes.io/azure-file": "azure-file",
	"azureFile":                "azure-file",
	"kubernetes.io/gce-pd":     "gce-pd",
	"gcePersistentDisk":        "gce-pd",
	"kubernetes.io/host-path":  "host-path",
	"hostPath":                 "host-path",
}

// defaultAccessMode is the mode of a claim that names none.
func (b Backend) defaultAccessMode() corev1.PersistentVolumeAccessMode {
	if len(b.AccessModes) == 0 || slices.Contains(b.AccessModes, defaultAccessMode) {
		return defaultAccessMode
	}
	return b.AccessModes[0]
}

// backendByName finds a preset by its name or by its driver's.
func backendByName(name string) (Backend, bool) {
	for _, b := range Backends {
		if name == b.Name || (name == b.Driver && name != "") {
			return b, true
		}
	}
	return Backend{}, false
}

// Backend is the row of the profile's backend in [Backends]; zero where no row has that name.
func (p *Profile) Backend() Backend {
	b, _ := backendByName(p.StorageClass.Backend)
	return b
}

// backendNames lists the presets for error messages.
func backendNames() []string {
	names := make([]string, len(Backends))
	for i, b := range Backends {
		names[i] = b.Name
	}
	return names
}

// backendsThat lists the names of the backends for which can is true, for messages.
func backendsThat(can func(Backend) bool) string {
	var names []string
	for _, b := range Backends {
		if can(b) {
			names = append(names, b.Name)
		}
	}
	return strings.Join(names, ", ")
}
