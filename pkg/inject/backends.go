package inject

import (
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
	// Name is what storageClass.backend says.
	Name string
	// Driver is the CSI driver: provisioner of the StorageClass and driver of a static volume. Empty: the profile names it.
	Driver string
	// Parameters are the defaults of StorageClass.parameters.
	Parameters map[string]string
	// Required are the parameters that the profile must give. They are attributes of a static volume too.
	Required []string
	// TopologyKey is the node label that a static volume's zone is matched with. Empty: reachable from every node.
	TopologyKey string
	// AccessModes are the modes that the backend can serve.
	AccessModes []corev1.PersistentVolumeAccessMode
	// Block says that the volume is a disk of one node at a time, so that ReadWriteOnce cannot be shared.
	Block bool
	// StaticOnly says that nothing provisions such volumes: the profile must have a volume.
	StaticOnly bool
	// Handle tells people what volume.handle looks like.
	Handle string
	// FreeHandle says that the driver does not read the handle, which only has to be unique: the attributes say it all.
	FreeHandle bool
	// HostPath says that volumes that are provisioned are hostPath volumes. Source: local-path-provisioner README, volumeType.
	HostPath bool

	source volumeSource
}

var (
	oneNode = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce, corev1.ReadWriteOncePod}
	disk    = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce, corev1.ReadWriteOncePod, corev1.ReadOnlyMany}
	shared  = []corev1.PersistentVolumeAccessMode{
		corev1.ReadWriteOnce, corev1.ReadWriteOncePod, corev1.ReadOnlyMany, corev1.ReadWriteMany,
	}
)

// ClassParameterFSType is the parameter that every CSI provisioner understands as the file system of new volumes.
// Source: kubernetes-csi/external-provisioner, README.
const ClassParameterFSType = "csi.storage.k8s.io/fstype"

// Backends is the table of presets. Drivers, parameters and topology keys are from each driver's own documentation:
// aws-ebs-csi-driver docs/parameters.md and examples/kubernetes/static-provisioning, azuredisk-csi-driver
// docs/driver-parameters.md, gcp-compute-persistent-disk-csi-driver README.md, csi-driver-nfs docs/driver-parameters.md,
// local-path-provisioner README.md.
var Backends = []Backend{
	{
		Name: "aws-ebs", Driver: "ebs.csi.aws.com",
		Parameters:  map[string]string{"type": "gp3", ClassParameterFSType: "ext4"},
		TopologyKey: "topology.ebs.csi.aws.com/zone",
		AccessModes: oneNode, Block: true,
		Handle: "the EBS volume ID (vol-0123456789abcdef0)",
		source: sourceCSI,
	},
	{
		Name: "azure-disk", Driver: "disk.csi.azure.com",
		Parameters:  map[string]string{"skuName": "StandardSSD_LRS", ClassParameterFSType: "ext4"},
		TopologyKey: "topology.disk.csi.azure.com/zone",
		AccessModes: oneNode, Block: true,
		Handle: "the disk's resource ID (/subscriptions/…/providers/Microsoft.Compute/disks/NAME)",
		source: sourceCSI,
	},
	{
		Name: "gce-pd", Driver: "pd.csi.storage.gke.io",
		Parameters:  map[string]string{"type": "pd-balanced", ClassParameterFSType: "ext4"},
		TopologyKey: "topology.gke.io/zone",
		AccessModes: disk, Block: true,
		Handle: "projects/PROJECT/zones/ZONE/disks/NAME",
		source: sourceCSI,
	},
	{
		Name: "nfs", Driver: "nfs.csi.k8s.io",
		Required:    []string{"server", "share"},
		AccessModes: shared,
		Handle:      "any name that is unique in the cluster (SERVER#SHARE#)",
		FreeHandle:  true,
		source:      sourceCSI,
	},
	{
		Name: "local-path", Driver: "rancher.io/local-path",
		TopologyKey: corev1.LabelHostname,
		AccessModes: oneNode, Block: true,
		Handle: "a folder that exists on the node", HostPath: true,
		source: sourceLocal,
	},
	{
		Name: "host-path", Driver: "kubernetes.io/no-provisioner",
		TopologyKey: corev1.LabelHostname,
		AccessModes: shared, StaticOnly: true,
		Handle: "a folder of the node, made when missing",
		source: sourceHostPath,
	},
	{
		Name:        "csi",
		AccessModes: shared, Block: true,
		Handle: "the driver's own volume handle",
		source: sourceCSI,
	},
}

// inTreeNames translates what users of the removed in-tree plugins still write: the provisioner of a StorageClass or the
// field of a PersistentVolume. Source: Kubernetes, csi-translation-lib.
var inTreeNames = map[string]string{
	"kubernetes.io/aws-ebs":    "aws-ebs",
	"awsElasticBlockStore":     "aws-ebs",
	"kubernetes.io/azure-disk": "azure-disk",
	"azureDisk":                "azure-disk",
	"kubernetes.io/gce-pd":     "gce-pd",
	"gcePersistentDisk":        "gce-pd",
	"kubernetes.io/host-path":  "host-path",
	"hostPath":                 "host-path",
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

// backendNames lists the presets for error messages.
func backendNames() []string {
	names := make([]string, len(Backends))
	for i, b := range Backends {
		names[i] = b.Name
	}
	return names
}
