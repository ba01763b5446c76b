package app

import (
	"github.com/spf13/pflag"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// fieldFlag is a flag that sets one field of the profile. The table of these flags is the only
// place that names them: help, parsing and messages come from it.
type fieldFlag struct {
	// section is the heading in the help, one of fieldSections. A flag without one would not be
	// defined.
	section string
	// name is the flag without its dashes. It is unique in the table.
	name string
	// path is the field in the configuration file. It is also what messages of the configuration
	// begin with.
	path string
	// value names the value in the help.
	value string
	// usage is one line of the help, with the default in parentheses at its end.
	usage string
	// isBool flags need no value.
	isBool bool
	// apply sets the field. Values has the texts of the flag, at least one. An error is without the
	// flag's name, which the caller adds. It runs before defaults are set, so fields may be nil.
	apply func(p *storage.Profile, values []string) error
}

// The sections of the field flags, in the order of the help.
const (
	sectionCreate = "Storage"
	sectionStatic = "Existing volume"
	sectionMore   = "Snapshots and changes of volumes"
	sectionMount  = "Mount"
)

// fieldSections are all sections, in the order of the help.
var fieldSections = []string{sectionCreate, sectionStatic, sectionMore, sectionMount}

// fieldFlags is the table of flags that set a field of the profile, one for every field. Flags
// are applied in this order, whatever the order of the command line. TestEveryFieldHasAFlag
// compares the table with the fields of the type.
var fieldFlags = []fieldFlag{
	{
		section: sectionCreate, name: "claim", path: "claim.name", value: "NAME",
		usage: "claim; {namespace} and {release} are replaced (default pvc-data-pipeline.<release>)",
		apply: stringField(func(p *storage.Profile) *string { return &p.Claim.Name }),
	},
	{
		section: sectionCreate, name: "size", path: "claim.size", value: "QUANTITY",
		usage: "size that the claim requests (default 100Gi)",
		apply: setSize,
	},
	{
		section: sectionCreate, name: "access-mode", path: "claim.accessModes", value: "MODE",
		usage: "access mode of the claim; may be repeated (default ReadWriteOnce)",
		apply: setAccessModes,
	},
	{
		section: sectionCreate, name: "claim-label", path: "claim.labels", value: "KEY=VALUE",
		usage: "label of the claim; {namespace} and {release} are replaced; may be repeated",
		apply: pairsField(func(p *storage.Profile) *map[string]string { return &p.Claim.Labels }),
	},
	{
		section: sectionCreate, name: "claim-annotation", path: "claim.annotations", value: "KEY=VALUE",
		usage: "annotation of the claim; {namespace} and {release} are replaced; may be repeated",
		apply: pairsField(func(p *storage.Profile) *map[string]string { return &p.Claim.Annotations }),
	},
	{
		section: sectionCreate, name: "class", path: "storageClass.name", value: "NAME",
		usage: "storage class; " + storage.ClusterDefault + " is the cluster's default one " +
			"(default fast.<namespace>.<release>)",
		apply: stringField(func(p *storage.Profile) *string { return &p.StorageClass.Name }),
	},
	{
		section: sectionCreate, name: "backend", path: "storageClass.backend", value: "NAME",
		usage: "storage backend: " + backendNames() + " (default aws-ebs)",
		apply: stringField(func(p *storage.Profile) *string { return &p.StorageClass.Backend }),
	},
	{
		section: sectionCreate, name: "driver", path: "storageClass.driver", value: "NAME",
		usage: "CSI driver, for the backend csi",
		apply: stringField(func(p *storage.Profile) *string { return &p.StorageClass.Driver }),
	},
	{
		section: sectionCreate, name: "parameter", path: "storageClass.parameters", value: "KEY=VALUE",
		usage: "parameter of the storage class; may be repeated",
		apply: pairsField(func(p *storage.Profile) *map[string]string { return &p.StorageClass.Parameters }),
	},
	{
		section: sectionCreate, name: "performance", path: "storageClass.performance", value: "NAME",
		usage: "preset of parameters of the backend: standard, fast or throughput (default: the backend's own)",
		apply: stringField(func(p *storage.Profile) *string { return &p.StorageClass.Performance }),
	},
	{
		section: sectionCreate, name: "mount-option", path: "storageClass.mountOptions", value: "OPTION",
		usage: "mount option of new volumes; may be repeated",
		apply: valuesField(func(p *storage.Profile) *[]string { return &p.StorageClass.MountOptions }),
	},
	{
		section: sectionCreate, name: "reclaim-policy", path: "storageClass.reclaimPolicy", value: "POLICY",
		usage: "Retain or Delete (default Retain)",
		apply: setReclaimPolicy,
	},
	{
		section: sectionCreate, name: "volume-binding-mode", path: "storageClass.volumeBindingMode", value: "MODE",
		usage: "WaitForFirstConsumer or Immediate (default WaitForFirstConsumer)",
		apply: setBindingMode,
	},
	{
		section: sectionCreate, name: "allow-volume-expansion", path: "storageClass.allowVolumeExpansion", value: "BOOL",
		usage:  "whether claims may grow (default true)",
		isBool: true,
		apply:  boolField(func(p *storage.Profile) **bool { return &p.StorageClass.AllowVolumeExpansion }),
	},
	{
		section: sectionCreate, name: "allowed-topology", path: "storageClass.allowedTopologies", value: "KEY=VALUE,VALUE",
		usage: "node label, and the values of it where new volumes may be; may be repeated (default: everywhere)",
		apply: setTopologies,
	},

	{
		section: sectionStatic, name: "volume-handle", path: "volume.handle", value: "HANDLE",
		usage: "existing volume to use instead of a new one, as its driver names it",
		apply: stringField(func(p *storage.Profile) *string { return &staticVolume(p).Handle }),
	},
	{
		section: sectionStatic, name: "volume", path: "volume.name", value: "NAME",
		usage: "name of its PersistentVolume (default pv-data-pipeline.<namespace>.<release>)",
		apply: stringField(func(p *storage.Profile) *string { return &staticVolume(p).Name }),
	},
	{
		section: sectionStatic, name: "volume-zone", path: "volume.zone", value: "ZONE",
		usage: "zone of the volume, or the host name of its node",
		apply: stringField(func(p *storage.Profile) *string { return &staticVolume(p).Zone }),
	},
	{
		section: sectionStatic, name: "volume-topology-key", path: "volume.topologyKey", value: "KEY",
		usage: "node label that the zone is a value of, for the backend csi",
		apply: stringField(func(p *storage.Profile) *string { return &staticVolume(p).TopologyKey }),
	},
	{
		section: sectionStatic, name: "volume-namespace", path: "volume.namespace", value: "NAMESPACE",
		usage: "the one namespace that the volume serves (default: the release's)",
		apply: stringField(func(p *storage.Profile) *string { return &staticVolume(p).Namespace }),
	},
	{
		section: sectionStatic, name: "volume-shared", path: "volume.shared", value: "BOOL",
		usage:  "every namespace uses the volume, through a PersistentVolume of its own",
		isBool: true,
		apply:  setShared,
	},
	{
		section: sectionStatic, name: "volume-attribute", path: "volume.attributes", value: "KEY=VALUE",
		usage: "attribute of the volume for its driver; may be repeated",
		apply: pairsField(func(p *storage.Profile) *map[string]string { return &staticVolume(p).Attributes }),
	},
	{
		section: sectionStatic, name: "volume-mount-option", path: "volume.mountOptions", value: "OPTION",
		usage: "mount option of the volume; may be repeated",
		apply: valuesField(func(p *storage.Profile) *[]string { return &staticVolume(p).MountOptions }),
	},
	{
		section: sectionStatic, name: "volume-node-stage-secret", path: "volume.nodeStageSecret", value: "NAMESPACE/NAME",
		usage: "Secret that the driver mounts the volume with",
		apply: setStageSecret,
	},

	{
		section: sectionMore, name: "data-source", path: "claim.dataSource", value: "KIND[.GROUP]/NAME",
		usage: "what a new claim begins with: VolumeSnapshot/NAME or PersistentVolumeClaim/NAME of its namespace; " +
			"{namespace} and {release} are replaced",
		apply: setDataSource,
	},
	{
		section: sectionMore, name: "attributes-class", path: "attributesClass.name", value: "NAME",
		usage: "volume attributes class; an empty name makes one named as the storage class's default",
		apply: stringField(func(p *storage.Profile) *string { return &attributesClass(p).Name }),
	},
	{
		section: sectionMore, name: "attributes-parameter", path: "attributesClass.parameters", value: "KEY=VALUE",
		usage: "parameter of the volume attributes class; may be repeated",
		apply: pairsField(func(p *storage.Profile) *map[string]string { return &attributesClass(p).Parameters }),
	},
	{
		section: sectionMore, name: "snapshot-class", path: "snapshotClass.name", value: "NAME",
		usage: "volume snapshot class; an empty name makes one named as the storage class's default",
		apply: stringField(func(p *storage.Profile) *string { return &snapshotClass(p).Name }),
	},
	{
		section: sectionMore, name: "snapshot-parameter", path: "snapshotClass.parameters", value: "KEY=VALUE",
		usage: "parameter of the volume snapshot class; may be repeated",
		apply: pairsField(func(p *storage.Profile) *map[string]string { return &snapshotClass(p).Parameters }),
	},
	{
		section: sectionMore, name: "snapshot-deletion-policy", path: "snapshotClass.deletionPolicy", value: "POLICY",
		usage: "Retain or Delete: the data of deleted snapshots (default Retain)",
		apply: setDeletionPolicy,
	},

	{
		section: sectionMount, name: "mount-path", path: "mount.path", value: "PATH",
		usage: "mount path in the containers (default /data)",
		apply: stringField(func(p *storage.Profile) *string { return &p.Mount.Path }),
	},
	{
		section: sectionMount, name: "sub-path", path: "mount.subPath", value: "PATH",
		usage: "directory of the volume to mount; " + storage.PlaceholderPatterns() +
			" are replaced (default: its root)",
		apply: stringField(func(p *storage.Profile) *string { return &p.Mount.SubPath }),
	},
	{
		section: sectionMount, name: "read-only", path: "mount.readOnly", value: "BOOL",
		usage:  "mount read-only",
		isBool: true,
		apply:  setReadOnly,
	},
	{
		section: sectionMount, name: "container", path: "mount.containers", value: "NAME",
		usage: "only this container; may be repeated (default: all)",
		apply: listField(func(p *storage.Profile) *[]string { return &p.Mount.Containers }),
	},
	{
		section: sectionMount, name: "exclude-container", path: "mount.excludeContainers", value: "NAME",
		usage: "not this container; may be repeated",
		apply: listField(func(p *storage.Profile) *[]string { return &p.Mount.ExcludeContainers }),
	},
	{
		section: sectionMount, name: "fs-group", path: "fsGroup", value: "GID",
		usage: "fsGroup for pods that set none",
		apply: setFSGroup,
	},
	{
		section: sectionMount, name: "selinux-change-policy", path: "seLinuxChangePolicy", value: "POLICY",
		usage: "seLinuxChangePolicy for pods that set none: MountOption or Recursive",
		apply: setSELinuxChangePolicy,
	},
	{
		section: sectionMount, name: "env", path: "env", value: "NAME",
		usage: "environment variable that holds the mount path; may be repeated",
		apply: listField(func(p *storage.Profile) *[]string { return (*[]string)(&p.Env) }),
	},
	{
		section: sectionMount, name: "colocate", path: "colocate", value: "BOOL",
		usage:  "keep the pods on one node, for a volume that is on one node at a time",
		isBool: true,
		apply:  setColocate,
	},

	// The last, because it speaks of a volume only when other flags have named one.
	{
		section: sectionCreate, name: "create", path: "the create fields", value: "LIST",
		usage: "objects to create: class,volume,claim,attributes-class,snapshot-class or none (default: " +
			"all that the profile needs)",
		apply: setCreate,
	},
}

// define adds the flag to a set. Every value is text until it is applied, so that one table
// serves all. The returned slice is filled when the set is parsed. Commas in a value stay: pflag
// splits those of a StringSlice, but not those of a StringArray. A flag without a value, such as
// --read-only, sets true.
func (f fieldFlag) define(fs *pflag.FlagSet) *[]string {
	values := &[]string{}
	fs.StringArrayVar(values, f.name, nil, f.usage)
	flag := fs.Lookup(f.name)
	flag.Value, flag.DefValue = namedValue{flag.Value, f.value}, ""
	if f.isBool {
		flag.NoOptDefVal = "true"
	}
	return values
}

// namedValue shows the name of a flag's value in the help, in the place of its Go type. pflag
// takes the name from Type, which would print stringArray for every flag here.
type namedValue struct {
	pflag.Value
	name string
}

// Type is what pflag prints behind the flag. It is in capitals, as in the usage of other
// commands.
func (v namedValue) Type() string { return v.name }

// String hides the default, which the usage has. pflag prints a default behind the usage, which
// would repeat it.
func (v namedValue) String() string { return "" }
