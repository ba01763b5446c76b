package app

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// fieldFlag is a flag that sets one field of the profile.
type fieldFlag struct {
	section string
	name    string
	// path is the field in the configuration file.
	path string
	// value names the value in the help.
	value string
	usage string
	// isBool flags need no value.
	isBool bool
	apply  func(p *storage.Profile, values []string) error
}

// The sections of the field flags, in the order of the help.
const (
	sectionCreate = "Storage"
	sectionStatic = "Existing volume"
	sectionMore   = "Snapshots and changes of volumes"
	sectionMount  = "Mount"
)

var fieldSections = []string{sectionCreate, sectionStatic, sectionMore, sectionMount}

// fieldFlags is the table of flags that set a field of the profile, one for every field.
var fieldFlags = []fieldFlag{
	{
		sectionCreate, "claim", "claim.name", "NAME", "claim; {namespace} and {release} are replaced (default pvc-data-pipeline.<release>)", false,
		text(func(p *storage.Profile) *string { return &p.Claim.Name }),
	},
	{sectionCreate, "size", "claim.size", "QUANTITY", "size that the claim requests (default 100Gi)", false, setSize},
	{sectionCreate, "access-mode", "claim.accessModes", "MODE", "access mode of the claim; may be repeated (default ReadWriteOnce)", false, setAccessModes},
	{
		sectionCreate, "class", "storageClass.name", "NAME", "storage class (default fast.<namespace>.<release>)", false,
		text(func(p *storage.Profile) *string { return &p.StorageClass.Name }),
	},
	{
		sectionCreate, "backend", "storageClass.backend", "NAME", "storage backend: " + backendNames() + " (default aws-ebs)", false,
		text(func(p *storage.Profile) *string { return &p.StorageClass.Backend }),
	},
	{
		sectionCreate, "driver", "storageClass.driver", "NAME", "CSI driver, for the backend csi", false,
		text(func(p *storage.Profile) *string { return &p.StorageClass.Driver }),
	},
	{
		sectionCreate, "parameter", "storageClass.parameters", "KEY=VALUE", "parameter of the storage class; may be repeated", false,
		pairs(func(p *storage.Profile) *map[string]string { return &p.StorageClass.Parameters }),
	},
	{
		sectionCreate, "performance", "storageClass.performance", "NAME", "preset of parameters of the backend: standard, fast or throughput (default: the backend's own)", false,
		text(func(p *storage.Profile) *string { return &p.StorageClass.Performance }),
	},
	{
		sectionCreate, "mount-option", "storageClass.mountOptions", "OPTION", "mount option of new volumes; may be repeated", false,
		each(func(p *storage.Profile) *[]string { return &p.StorageClass.MountOptions }),
	},
	{sectionCreate, "reclaim-policy", "storageClass.reclaimPolicy", "POLICY", "Retain or Delete (default Retain)", false, setReclaimPolicy},
	{sectionCreate, "volume-binding-mode", "storageClass.volumeBindingMode", "MODE", "WaitForFirstConsumer or Immediate (default WaitForFirstConsumer)", false, setBindingMode},
	{
		sectionCreate, "allow-volume-expansion", "storageClass.allowVolumeExpansion", "BOOL", "whether claims may grow (default true)", true,
		boolean(func(p *storage.Profile) **bool { return &p.StorageClass.AllowVolumeExpansion }),
	},

	{
		sectionStatic, "volume-handle", "volume.handle", "HANDLE", "existing volume to use instead of a new one, as its driver names it", false,
		text(func(p *storage.Profile) *string { return &static(p).Handle }),
	},
	{
		sectionStatic, "volume", "volume.name", "NAME", "name of its PersistentVolume (default pv-data-pipeline.<namespace>.<release>)", false,
		text(func(p *storage.Profile) *string { return &static(p).Name }),
	},
	{
		sectionStatic, "volume-zone", "volume.zone", "ZONE", "zone of the volume, or the host name of its node", false,
		text(func(p *storage.Profile) *string { return &static(p).Zone }),
	},
	{
		sectionStatic, "volume-topology-key", "volume.topologyKey", "KEY", "node label that the zone is a value of, for the backend csi", false,
		text(func(p *storage.Profile) *string { return &static(p).TopologyKey }),
	},
	{
		sectionStatic, "volume-namespace", "volume.namespace", "NAMESPACE", "the one namespace that the volume serves (default: the release's)", false,
		text(func(p *storage.Profile) *string { return &static(p).Namespace }),
	},
	{
		sectionStatic, "volume-shared", "volume.shared", "BOOL", "every namespace uses the volume, through a PersistentVolume of its own", true, setShared,
	},
	{
		sectionStatic, "volume-attribute", "volume.attributes", "KEY=VALUE", "attribute of the volume for its driver; may be repeated", false,
		pairs(func(p *storage.Profile) *map[string]string { return &static(p).Attributes }),
	},
	{
		sectionStatic, "volume-mount-option", "volume.mountOptions", "OPTION", "mount option of the volume; may be repeated", false,
		each(func(p *storage.Profile) *[]string { return &static(p).MountOptions }),
	},
	{sectionStatic, "volume-node-stage-secret", "volume.nodeStageSecret", "NAMESPACE/NAME", "Secret that the driver mounts the volume with", false, setStageSecret},

	{
		sectionMore, "attributes-class", "attributesClass.name", "NAME", "volume attributes class; an empty name makes one named as the storage class's default", false,
		text(func(p *storage.Profile) *string { return &attributesClass(p).Name }),
	},
	{
		sectionMore, "attributes-parameter", "attributesClass.parameters", "KEY=VALUE", "parameter of the volume attributes class; may be repeated", false,
		pairs(func(p *storage.Profile) *map[string]string { return &attributesClass(p).Parameters }),
	},
	{
		sectionMore, "snapshot-class", "snapshotClass.name", "NAME", "volume snapshot class; an empty name makes one named as the storage class's default", false,
		text(func(p *storage.Profile) *string { return &snapshotClass(p).Name }),
	},
	{
		sectionMore, "snapshot-parameter", "snapshotClass.parameters", "KEY=VALUE", "parameter of the volume snapshot class; may be repeated", false,
		pairs(func(p *storage.Profile) *map[string]string { return &snapshotClass(p).Parameters }),
	},
	{sectionMore, "snapshot-deletion-policy", "snapshotClass.deletionPolicy", "POLICY", "Retain or Delete: the data of deleted snapshots (default Retain)", false, setDeletionPolicy},

	{
		sectionMount, "mount-path", "mount.path", "PATH", "mount path in the containers (default /data)", false,
		text(func(p *storage.Profile) *string { return &p.Mount.Path }),
	},
	{
		sectionMount, "sub-path", "mount.subPath", "PATH", "directory of the volume to mount; " + storage.PlaceholderPatterns() + " are replaced (default: its root)", false,
		text(func(p *storage.Profile) *string { return &p.Mount.SubPath }),
	},
	{sectionMount, "read-only", "mount.readOnly", "BOOL", "mount read-only", true, setReadOnly},
	{
		sectionMount, "container", "mount.containers", "NAME", "only this container; may be repeated (default: all)", false,
		list(func(p *storage.Profile) *[]string { return &p.Mount.Containers }),
	},
	{
		sectionMount, "exclude-container", "mount.excludeContainers", "NAME", "not this container; may be repeated", false,
		list(func(p *storage.Profile) *[]string { return &p.Mount.ExcludeContainers }),
	},
	{sectionMount, "fs-group", "fsGroup", "GID", "fsGroup for pods that set none", false, setFSGroup},
	{
		sectionMount, "env", "env", "NAME", "environment variable that holds the mount path", false,
		text(func(p *storage.Profile) *string { return &p.Env }),
	},
	{sectionMount, "colocate", "colocate", "BOOL", "keep the pods on one node, for a volume that is on one node at a time", true, setColocate},

	// The last, because it speaks of a volume only when other flags have named one.
	{
		sectionCreate, "create", "the create fields", "LIST",
		"objects to create: class,volume,claim,attributes-class,snapshot-class or none (default: all that the profile needs)", false, setCreate,
	},
}

// define adds the flag to a set. Every value is text until it is applied, so that one table serves all.
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

// namedValue shows the name of a flag's value in the help, in the place of its Go type.
type namedValue struct {
	pflag.Value
	name string
}

// Type is what pflag prints behind the flag.
func (v namedValue) Type() string { return v.name }

// String hides the default, which the usage tells.
func (v namedValue) String() string { return "" }

func static(p *storage.Profile) *storage.Volume {
	if p.Volume == nil {
		p.Volume = &storage.Volume{}
	}
	return p.Volume
}

func attributesClass(p *storage.Profile) *storage.AttributesClass {
	if p.AttributesClass == nil {
		p.AttributesClass = &storage.AttributesClass{}
	}
	return p.AttributesClass
}

func snapshotClass(p *storage.Profile) *storage.SnapshotClass {
	if p.SnapshotClass == nil {
		p.SnapshotClass = &storage.SnapshotClass{}
	}
	return p.SnapshotClass
}

func last(values []string) string { return values[len(values)-1] }

func text(field func(*storage.Profile) *string) func(*storage.Profile, []string) error {
	return func(p *storage.Profile, values []string) error {
		*field(p) = last(values)
		return nil
	}
}

func list(field func(*storage.Profile) *[]string) func(*storage.Profile, []string) error {
	return func(p *storage.Profile, values []string) error {
		*field(p) = commaSeparated(values)
		return nil
	}
}

// each takes every value as it is: mount options may have commas.
func each(field func(*storage.Profile) *[]string) func(*storage.Profile, []string) error {
	return func(p *storage.Profile, values []string) error {
		*field(p) = values
		return nil
	}
}

func pairs(field func(*storage.Profile) *map[string]string) func(*storage.Profile, []string) error {
	return func(p *storage.Profile, values []string) error {
		m := field(p)
		if *m == nil {
			*m = map[string]string{}
		}
		for _, pair := range values {
			key, value, ok := strings.Cut(pair, "=")
			if !ok || key == "" {
				return fmt.Errorf("%q is not KEY=VALUE", pair)
			}
			(*m)[key] = value
		}
		return nil
	}
}

func boolean(field func(*storage.Profile) **bool) func(*storage.Profile, []string) error {
	return func(p *storage.Profile, values []string) error {
		b, err := strconv.ParseBool(last(values))
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", last(values))
		}
		*field(p) = &b
		return nil
	}
}

var (
	setReadOnly = plainBoolean(func(p *storage.Profile) *bool { return &p.Mount.ReadOnly })
	setColocate = plainBoolean(func(p *storage.Profile) *bool { return &p.Colocate })
	setShared   = plainBoolean(func(p *storage.Profile) *bool { return &static(p).Shared })
)

// plainBoolean sets a field that is false when absent.
func plainBoolean(field func(*storage.Profile) *bool) func(*storage.Profile, []string) error {
	return func(p *storage.Profile, values []string) error {
		var value *bool
		if err := boolean(func(*storage.Profile) **bool { return &value })(p, values); err != nil {
			return err
		}
		*field(p) = *value
		return nil
	}
}

func setSize(p *storage.Profile, values []string) error {
	size, err := resource.ParseQuantity(last(values))
	if err != nil {
		return fmt.Errorf("%q is not a quantity such as 100Gi", last(values))
	}
	if size.Sign() <= 0 {
		return errors.New("must be greater than zero")
	}
	p.Claim.Size = size
	return nil
}

func setAccessModes(p *storage.Profile, values []string) error {
	p.Claim.AccessModes = nil
	for _, mode := range commaSeparated(values) {
		p.Claim.AccessModes = append(p.Claim.AccessModes, corev1.PersistentVolumeAccessMode(mode))
	}
	return nil
}

func setReclaimPolicy(p *storage.Profile, values []string) error {
	p.StorageClass.ReclaimPolicy = corev1.PersistentVolumeReclaimPolicy(last(values))
	return nil
}

func setDeletionPolicy(p *storage.Profile, values []string) error {
	snapshotClass(p).DeletionPolicy = storage.DeletionPolicy(last(values))
	return nil
}

func setStageSecret(p *storage.Profile, values []string) error {
	namespace, name, ok := strings.Cut(last(values), "/")
	if !ok || namespace == "" || name == "" {
		return fmt.Errorf("%q is not NAMESPACE/NAME", last(values))
	}
	static(p).NodeStageSecret = &storage.SecretReference{Name: name, Namespace: namespace}
	return nil
}

func setBindingMode(p *storage.Profile, values []string) error {
	p.StorageClass.VolumeBindingMode = storagev1.VolumeBindingMode(last(values))
	return nil
}

func setFSGroup(p *storage.Profile, values []string) error {
	gid, err := strconv.ParseInt(last(values), 10, 64)
	if err != nil {
		return fmt.Errorf("%q is no group number", last(values))
	}
	p.FSGroup = &gid
	return nil
}

// creatable are the objects that --create names, each with how it is set; false: the profile has none.
var creatable = []struct {
	name string
	set  func(p *storage.Profile, create *bool) bool
}{
	{"class", func(p *storage.Profile, create *bool) bool { p.StorageClass.Create = create; return true }},
	{"volume", func(p *storage.Profile, create *bool) bool {
		if p.Volume != nil {
			p.Volume.Create = create
		}
		return p.Volume != nil
	}},
	{"claim", func(p *storage.Profile, create *bool) bool { p.Claim.Create = create; return true }},
	{"attributes-class", func(p *storage.Profile, create *bool) bool {
		if p.AttributesClass != nil {
			p.AttributesClass.Create = create
		}
		return p.AttributesClass != nil
	}},
	{"snapshot-class", func(p *storage.Profile, create *bool) bool {
		if p.SnapshotClass != nil {
			p.SnapshotClass.Create = create
		}
		return p.SnapshotClass != nil
	}},
}

// nothingToCreate says what to add where --create names an object that the profile does not have.
var nothingToCreate = map[string]string{
	"volume":           "there is no volume to create: name one with --volume-handle",
	"attributes-class": "there is no attributes class to create: name one with --attributes-class",
	"snapshot-class":   "there is no snapshot class to create: name one with --snapshot-class",
}

// setCreate says outright which objects are created.
func setCreate(p *storage.Profile, values []string) error {
	names := commaSeparated(values)
	if len(names) == 0 {
		return errors.New("says nothing: name class, volume, claim, attributes-class and snapshot-class, or none")
	}
	if slices.Equal(names, []string{"none"}) {
		names = nil
	}
	known := make([]string, len(creatable))
	for i, object := range creatable {
		known[i] = object.name
		wanted := slices.Contains(names, object.name)
		if exists := object.set(p, &wanted); wanted && !exists {
			return errors.New(nothingToCreate[object.name])
		}
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return fmt.Errorf("%q is none of %s; none stands alone", name, strings.Join(known, ", "))
		}
	}
	return nil
}

func commaSeparated(values []string) []string {
	var all []string
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			if part = strings.TrimSpace(part); part != "" {
				all = append(all, part)
			}
		}
	}
	return all
}

func backendNames() string {
	names := make([]string, len(storage.Backends))
	for i, b := range storage.Backends {
		names[i] = b.Name
	}
	return strings.Join(names, ", ")
}
