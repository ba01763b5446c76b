package app

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// This file has the functions with which the flags of the table set fields of the profile.

// staticVolume returns the existing volume of the profile, and adds an empty one first. Thus any
// of the volume flags makes the profile use an existing volume; validation reports a missing
// handle.
func staticVolume(p *storage.Profile) *storage.Volume {
	if p.Volume == nil {
		p.Volume = &storage.Volume{}
	}
	return p.Volume
}

// attributesClass returns the VolumeAttributesClass of the profile, and adds an empty one first.
func attributesClass(p *storage.Profile) *storage.AttributesClass {
	if p.AttributesClass == nil {
		p.AttributesClass = &storage.AttributesClass{}
	}
	return p.AttributesClass
}

// snapshotClass returns the VolumeSnapshotClass of the profile, and adds an empty one first.
func snapshotClass(p *storage.Profile) *storage.SnapshotClass {
	if p.SnapshotClass == nil {
		p.SnapshotClass = &storage.SnapshotClass{}
	}
	return p.SnapshotClass
}

// last returns the value that counts of a flag that is set several times, as is usual for
// commands. Values is never empty.
func last(values []string) string { return values[len(values)-1] }

// stringField sets a text. Validation of the whole configuration judges it later, so no error is
// returned here.
func stringField(field func(*storage.Profile) *string) func(*storage.Profile, []string) error {
	return func(p *storage.Profile, values []string) error {
		*field(p) = last(values)
		return nil
	}
}

// listField sets a list of names. It replaces the list of the file. A value may hold several
// names, with commas between them.
func listField(field func(*storage.Profile) *[]string) func(*storage.Profile, []string) error {
	return func(p *storage.Profile, values []string) error {
		*field(p) = commaSeparated(values)
		return nil
	}
}

// valuesField sets every value as it is: mount options may have commas. It replaces the list of
// the file.
func valuesField(field func(*storage.Profile) *[]string) func(*storage.Profile, []string) error {
	return func(p *storage.Profile, values []string) error {
		*field(p) = values
		return nil
	}
}

// pairsField sets entries of a map from KEY=VALUE. Unlike a list, a map keeps the entries of the
// file that no flag names. A value may be empty and may have equals signs.
func pairsField(field func(*storage.Profile) *map[string]string) func(*storage.Profile, []string) error {
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

// boolField sets a field whose absence is not false: the pointer distinguishes the two. It
// accepts the texts of [strconv.ParseBool].
func boolField(field func(*storage.Profile) **bool) func(*storage.Profile, []string) error {
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
	setReadOnly = plainBoolField(func(p *storage.Profile) *bool { return &p.Mount.ReadOnly })
	setColocate = plainBoolField(func(p *storage.Profile) *bool { return &p.Colocate })
	setShared   = plainBoolField(func(p *storage.Profile) *bool { return &staticVolume(p).Shared })
)

// plainBoolField sets a field that is false when absent. It reads the same texts as boolField.
func plainBoolField(field func(*storage.Profile) *bool) func(*storage.Profile, []string) error {
	return func(p *storage.Profile, values []string) error {
		var value *bool
		if err := boolField(func(*storage.Profile) **bool { return &value })(p, values); err != nil {
			return err
		}
		*field(p) = *value
		return nil
	}
}

// setSize sets the size that the claim requests. It refuses a wrong size here, so that the error
// has the name of the flag.
func setSize(p *storage.Profile, values []string) error { return p.Claim.SetSize(last(values)) }

// setTopologies replaces the topologies of the file by one for each KEY=VALUE,VALUE.
func setTopologies(p *storage.Profile, values []string) error {
	p.StorageClass.AllowedTopologies = nil
	for _, text := range values {
		key, list, ok := strings.Cut(text, "=")
		if !ok || key == "" {
			return fmt.Errorf("%q is not KEY=VALUE,VALUE", text)
		}
		p.StorageClass.AllowedTopologies = append(p.StorageClass.AllowedTopologies, corev1.TopologySelectorTerm{
			MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{
				{Key: key, Values: commaSeparated([]string{list})},
			},
		})
	}
	return nil
}

// setDataSource sets the dataSource of the claim as kubectl names objects: the group stands behind
// the kind, and is not needed for VolumeSnapshot.
func setDataSource(p *storage.Profile, values []string) error {
	kind, name, ok := strings.Cut(last(values), "/")
	kind, group, _ := strings.Cut(kind, ".")
	if !ok || kind == "" || name == "" {
		return fmt.Errorf("%q is not KIND/NAME, such as VolumeSnapshot/nightly", last(values))
	}
	p.Claim.DataSource = &storage.DataSource{Kind: kind, Name: name, APIGroup: group}
	return nil
}

// setAccessModes replaces the access modes of the file. Validation refuses an unknown mode.
func setAccessModes(p *storage.Profile, values []string) error {
	p.Claim.AccessModes = nil
	for _, mode := range commaSeparated(values) {
		p.Claim.AccessModes = append(p.Claim.AccessModes, corev1.PersistentVolumeAccessMode(mode))
	}
	return nil
}

// setReclaimPolicy sets what becomes of a volume when its claim is deleted. Validation refuses an
// unknown policy.
func setReclaimPolicy(p *storage.Profile, values []string) error {
	p.StorageClass.ReclaimPolicy = corev1.PersistentVolumeReclaimPolicy(last(values))
	return nil
}

// setDeletionPolicy sets what becomes of a snapshot's data when its VolumeSnapshot is deleted. It
// adds the snapshot class, so that this flag alone requests one.
func setDeletionPolicy(p *storage.Profile, values []string) error {
	snapshotClass(p).DeletionPolicy = storage.DeletionPolicy(last(values))
	return nil
}

// setStageSecret sets the Secret from NAMESPACE/NAME. A Secret without a namespace is refused: a
// PersistentVolume belongs to none.
func setStageSecret(p *storage.Profile, values []string) error {
	namespace, name, ok := strings.Cut(last(values), "/")
	if !ok || namespace == "" || name == "" {
		return fmt.Errorf("%q is not NAMESPACE/NAME", last(values))
	}
	staticVolume(p).NodeStageSecret = &storage.SecretReference{Name: name, Namespace: namespace}
	return nil
}

// setBindingMode sets when a volume is created: with the claim, or with its first pod. Validation
// refuses an unknown mode.
func setBindingMode(p *storage.Profile, values []string) error {
	p.StorageClass.VolumeBindingMode = storagev1.VolumeBindingMode(last(values))
	return nil
}

// setFSGroup sets the group that owns the volume's files. 0 is a valid group, so the field is a
// pointer.
func setFSGroup(p *storage.Profile, values []string) error {
	gid, err := strconv.ParseInt(last(values), 10, 64)
	if err != nil {
		return fmt.Errorf("%q is no group number", last(values))
	}
	p.FSGroup = &gid
	return nil
}

// setSELinuxChangePolicy sets how the nodes label the volume's files. Validation refuses an unknown
// policy.
func setSELinuxChangePolicy(p *storage.Profile, values []string) error {
	p.SELinuxChangePolicy = corev1.PodSELinuxChangePolicy(last(values))
	return nil
}

// creatable are the objects that --create names, each with how it is set; false: the profile has
// none. The pointer that set gets may be stored, so each call needs one of its own.
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

// nothingToCreate are the messages for objects that --create names and the profile does not have.
// Class and claim are missing here, because every profile has them.
var nothingToCreate = map[string]string{
	"volume":           "there is no volume to create: name one with --volume-handle",
	"attributes-class": "there is no attributes class to create: name one with --attributes-class",
	"snapshot-class":   "there is no snapshot class to create: name one with --snapshot-class",
}

// setCreate sets for every object whether it is created. The flag lists all that is created:
// objects that it does not name are not created. It refuses an unknown name and an object that
// the profile does not have.
func setCreate(p *storage.Profile, values []string) error {
	names := commaSeparated(values)
	if len(names) == 0 {
		return errors.New("must not be empty: name class, volume, claim, attributes-class and snapshot-class, or none")
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
			return fmt.Errorf("%q is not one of %s; none cannot be combined", name, strings.Join(known, ", "))
		}
	}
	return nil
}

// commaSeparated splits values at commas, and drops blanks and empty parts. It returns nil when
// nothing remains.
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

// backendNames lists the backends for the help, in the order of their table.
func backendNames() string {
	names := make([]string, len(storage.Backends))
	for i, b := range storage.Backends {
		names[i] = b.Name
	}
	return strings.Join(names, ", ")
}
