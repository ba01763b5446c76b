package main

import (
	"cmp"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// backendsHeader begins files/backends.json: people must not edit it.
const backendsHeader = "Generated from pkg/inject/storage by make generate: what the templates read of the " +
	"backends, the defaults and the reserved names."

// inTree are the names of Kubernetes' own volume plugins, a closed set: those that package storage
// translates are aliases. The list never grows: in-tree plugins were replaced by CSI drivers.
// Source: Kubernetes, Volumes, "Out-of-tree volume plugins"; csi-translation-lib, plugins.
var inTree = []string{
	"kubernetes.io/aws-ebs", "awsElasticBlockStore", "kubernetes.io/azure-disk", "azureDisk", "kubernetes.io/azure-file",
	"azureFile", "kubernetes.io/gce-pd", "gcePersistentDisk", "kubernetes.io/host-path", "hostPath",
	"kubernetes.io/rbd", "rbd",
	"kubernetes.io/cephfs", "cephfs", "kubernetes.io/nfs", "nfs", "kubernetes.io/cinder", "cinder",
	"kubernetes.io/vsphere-volume", "vsphereVolume", "kubernetes.io/portworx-volume", "portworxVolume",
}

// backend is what the chart reads of a backend. A field is never null in the file: a template can
// range over it without a check.
type backend struct {
	// Driver is the provisioner of its StorageClasses; empty: the profile names it.
	Driver string `json:"driver"`
	// Source is csi, local or hostPath: the field of a PersistentVolume that a guardrail policy
	// checks.
	Source string `json:"source"`
	// Parameters are those of a StorageClass; the profile's own win.
	Parameters map[string]string `json:"parameters"`
	// Required are the parameters that the profile must set.
	Required []string `json:"required"`
	// Performance are the parameters of each preset.
	Performance map[string]map[string]string `json:"performance"`
	// Attributes are the volumeAttributes of a static CSI volume.
	Attributes map[string]string `json:"attributes"`
	// TopologyKey is the node label that a static volume's zone is matched with; empty: every node
	// reaches the volume.
	TopologyKey string `json:"topologyKey"`
	// HandleSeparator stands before the namespace in the handle of a shared volume; empty: the
	// handle is not changed.
	HandleSeparator string `json:"handleSeparator"`
	// Handle describes volume.handle, for the message about a profile without one.
	Handle string `json:"handle"`
	// ReadOnlyOption and ReadOnlyAttach make a static volume read-only for every pod.
	ReadOnlyOption string `json:"readOnlyOption"`
	ReadOnlyAttach bool   `json:"readOnlyAttach"`
	// AccessMode is that of a claim that names none.
	AccessMode corev1.PersistentVolumeAccessMode `json:"accessMode"`
	// BelongsTo maps a parameter to another one that its default suits: a profile that changes the
	// other one gets no default.
	BelongsTo map[string]string `json:"belongsTo"`
}

// makeBackends returns files/backends.json. The templates cannot call Go, and a second list by hand
// would drift apart. So drivers, parameters and defaults come from package
// storage, and the templates look them up by name. Keys are sorted, so that the file changes only
// with its content. Templates read it ten times for a release, and Helm reads JSON much faster than YAML.
func makeBackends() ([]byte, error) {
	backends := map[string]backend{}
	for _, b := range storage.Backends {
		source, err := sourceOf(b)
		if err != nil {
			return nil, err
		}
		backends[b.Name] = backend{
			Driver: b.Driver, Source: source, Parameters: orEmpty(b.Parameters), Required: append([]string{}, b.Required...),
			Performance: performance(b), Attributes: orEmpty(b.Attributes),
			TopologyKey: b.TopologyKey, HandleSeparator: separator(b), Handle: b.Handle,
			ReadOnlyOption: b.ReadOnlyOption, ReadOnlyAttach: b.ReadOnlyAttach,
			AccessMode: accessMode(b), BelongsTo: orEmpty(b.BelongsTo),
		}
	}
	profile := storage.Default().Profiles[0]
	profile.Volume = &storage.Volume{}
	names := profile.Names(storage.Release{}, "")
	text, err := json.MarshalIndent(map[string]any{
		"_":        backendsHeader,
		"aliases":  aliases(),
		"backends": backends,
		"defaults": map[string]string{
			"profile": profile.Name, "backend": profile.StorageClass.Backend, "claim": names.Claim,
			"size": profile.Claim.Size.String(), "path": profile.Mount.Path,
			"reclaimPolicy": string(profile.StorageClass.ReclaimPolicy),
			"class":         names.StorageClass, "volume": names.Volume,
			"bindingMode":    string(profile.StorageClass.VolumeBindingMode),
			"fsType":         storage.ClassParameterFSType,
			"clusterDefault": storage.ClusterDefault,
			"podVolume":      profile.VolumeName(),
		},
		"reserved": map[string][]reserved{
			"paths":     rows(storage.ReservedPaths),
			"variables": rows(storage.ReservedVariables),
			"keys":      rows(storage.ReservedKeys),
		},
	}, "", "  ")
	return append(text, '\n'), err
}

// reserved is a row of what a profile must not take, so that the chart refuses it as the webhook
// does.
type reserved struct {
	Name  string `json:"name"`
	Below bool   `json:"below"`
	Why   string `json:"why"`
}

// rows are the rows of a table of package storage.
func rows(table []storage.Reserved) []reserved {
	all := make([]reserved, len(table))
	for i, row := range table {
		all[i] = reserved(row)
	}
	return all
}

// performance are the parameters of a backend's presets, by their names.
func performance(b storage.Backend) map[string]map[string]string {
	presets := map[string]map[string]string{}
	for name, preset := range b.Performance {
		presets[name] = preset.Parameters
	}
	return presets
}

// accessMode is the one that package storage gives a claim of the backend. It sets the
// defaults of an example, because the rule depends on several fields of a backend.
func accessMode(b storage.Backend) corev1.PersistentVolumeAccessMode {
	c := storage.Config{
		Profiles: []storage.Profile{{Name: storage.DefaultProfile, StorageClass: storage.StorageClass{Backend: b.Name}}},
	}
	c.SetDefaults()
	return c.Profiles[0].Claim.AccessModes[0]
}

// separator stands before the namespace in the handle of a shared volume. It is empty where the
// driver reads the handle. A handle that the driver only compares may have any suffix; # occurs in
// no namespace name.
func separator(b storage.Backend) string {
	if !b.FreeHandle {
		return ""
	}
	return cmp.Or(b.HandleSeparator, "#")
}

// orEmpty replaces a nil map, which JSON would write as null.
func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// sourceOf is the source of a volume of the backend, as package storage makes it. The example has
// every field that any backend requires. A source that the chart cannot handle is an error, so that
// a new backend does not end up without guardrails.
func sourceOf(b storage.Backend) (string, error) {
	c := storage.Config{Profiles: []storage.Profile{{
		Name:         storage.DefaultProfile,
		StorageClass: storage.StorageClass{Backend: b.Name, Driver: cmp.Or(b.Driver, "driver.example.com")},
		Volume:       &storage.Volume{Handle: "/volume", Zone: "zone", Namespace: "team"},
	}}}
	c.SetDefaults()
	objects, err := storage.Objects(
		&c,
		storage.Release{},
		storage.ProfileRef{Profile: storage.DefaultProfile, Namespace: "team"},
	)
	if err != nil {
		return "", fmt.Errorf("backend %s: %w", b.Name, err)
	}
	switch source := objects.Volumes[0].Spec.PersistentVolumeSource; {
	case source.CSI != nil:
		return "csi", nil
	case source.Local != nil:
		return "local", nil
	case source.HostPath != nil:
		return "hostPath", nil
	}
	return "", fmt.Errorf("backend %s: the chart's guardrail policies have no rule for the source of its volumes: add "+
		"it to templates/_guardrails.tpl", b.Name)
}

// aliases are the other names of backends: their drivers' and the in-tree plugins'. Without this
// the chart would take a name that package storage translates for an unknown driver.
func aliases() map[string]string {
	names := map[string]string{}
	for _, b := range storage.Backends {
		if b.Driver != "" {
			names[b.Driver] = b.Name
		}
	}
	for _, name := range inTree {
		if preset := backendOf(name); preset != name {
			names[name] = preset
		}
	}
	return names
}

// backendOf is the backend into which package storage translates a name. A name that it does not
// translate comes back as it is.
func backendOf(name string) string {
	c := storage.Config{
		Profiles: []storage.Profile{{Name: storage.DefaultProfile, StorageClass: storage.StorageClass{Backend: name}}},
	}
	c.SetDefaults()
	return c.Profiles[0].StorageClass.Backend
}
