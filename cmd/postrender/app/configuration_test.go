package app_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/pipeline-storage/pipeline-storage/cmd/postrender/app"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

func TestProfileFlagsSetDefault(t *testing.T) {
	const file = "apiVersion: pipeline-storage.io/v1alpha1\nkind: StorageConfig\nprofiles: [{name: a, " +
		"default: true}, {name: b, mount: {path: /b}}, {name: c, mount: {path: /c}}]\n"
	o, err := app.ParseOptions([]string{"--config=x", "--profile=b", "--profile=c"})
	require.NoError(t, err)
	config, _, err := o.Config([]byte(file))
	require.NoError(t, err)
	assert.Equal(t, []bool{false, true, true}, []bool{
		config.Profiles[0].Default,
		config.Profiles[1].Default, config.Profiles[2].Default,
	})
	assert.Equal(t, []string{"--profile=b,c sets default"}, o.Overrides())

	o, err = app.ParseOptions([]string{"--config=x", "--profile=d"})
	require.NoError(t, err)
	_, _, err = o.Config([]byte(file))
	assert.EqualError(t, err, `--config x: --profile: there is no profile "d", only a, b, c`)
}

// static is a volume with its defaults set.
func static(change func(*storage.Volume)) func(*storage.Profile) {
	return func(p *storage.Profile) {
		p.Volume = &storage.Volume{Handle: "h", Create: new(true)}
		change(p.Volume)
	}
}

func gold(p *storage.Profile) {
	p.AttributesClass = &storage.AttributesClass{Name: "gold", Parameters: map[string]string{"a": "b"}, Create: new(true)}
}

// fields are the flags that set a field, and what each does to the default profile.
var fields = map[string]struct {
	args string
	exp  func(*storage.Profile)
}{
	"claim":           {"--claim c", func(p *storage.Profile) { p.Claim.Name = "c" }},
	"claim, twice":    {"--claim b --claim c", func(p *storage.Profile) { p.Claim.Name = "c" }},
	"claim, in place": {"--claim={release}-c", func(p *storage.Profile) { p.Claim.Name = "{release}-c" }},
	"size":            {"--size 5Ti", func(p *storage.Profile) { p.Claim.Size = resource.MustParse("5Ti") }},
	"access-mode": {"--access-mode ReadWriteOncePod", func(p *storage.Profile) {
		p.Claim.AccessModes = []corev1.PersistentVolumeAccessMode{"ReadWriteOncePod"}
	}},
	"access-mode, many": {"--backend gce-pd --access-mode ReadWriteOnce,ReadOnlyMany", func(p *storage.Profile) {
		p.StorageClass.Backend, p.Claim.AccessModes = "gce-pd",
			[]corev1.PersistentVolumeAccessMode{"ReadWriteOnce", "ReadOnlyMany"}
	}},
	"class": {"--class s", func(p *storage.Profile) { p.StorageClass.Name = "s" }},
	"class, the cluster's default one": {"--class ClusterDefault", func(p *storage.Profile) {
		p.StorageClass.Name, p.StorageClass.Create = storage.ClusterDefault, new(false)
	}},
	"claim-label": {"--claim-label team={namespace} --claim-label a=", func(p *storage.Profile) {
		p.Claim.Labels = map[string]string{"team": "{namespace}", "a": ""}
	}},
	"claim-annotation": {"--claim-annotation a=b,c=d", func(p *storage.Profile) {
		p.Claim.Annotations = map[string]string{"a": "b,c=d"}
	}},
	"allowed-topology": {"--allowed-topology zone=a,b --allowed-topology zone=c", func(p *storage.Profile) {
		p.StorageClass.AllowedTopologies = []corev1.TopologySelectorTerm{
			{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: "zone", Values: []string{"a", "b"}}}},
			{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: "zone", Values: []string{"c"}}}},
		}
	}},
	"backend": {"--backend local-path", func(p *storage.Profile) { p.StorageClass.Backend = "local-path" }},
	"driver": {"--backend csi --driver d.io", func(p *storage.Profile) {
		p.StorageClass.Backend,
			p.StorageClass.Driver = "csi", "d.io"
	}},
	"parameter": {
		"--parameter a=b --parameter c=d=e,f",
		func(p *storage.Profile) { p.StorageClass.Parameters = map[string]string{"a": "b", "c": "d=e,f"} },
	},
	"reclaim-policy": {"--reclaim-policy Delete", func(p *storage.Profile) { p.StorageClass.ReclaimPolicy = "Delete" }},
	"volume-binding-mode": {"--volume-binding-mode Immediate", func(p *storage.Profile) {
		p.StorageClass.VolumeBindingMode = storagev1.VolumeBindingImmediate
	}},
	"allow-volume-expansion": {
		"--allow-volume-expansion=false",
		func(p *storage.Profile) { p.StorageClass.AllowVolumeExpansion = new(false) },
	},
	"allow-volume-expansion, alone": {
		"--allow-volume-expansion",
		func(p *storage.Profile) { p.StorageClass.AllowVolumeExpansion = new(true) },
	},
	"volume-handle": {"--volume-handle h", static(func(*storage.Volume) {})},
	"volume":        {"--volume v --volume-handle h", static(func(v *storage.Volume) { v.Name = "v" })},
	"volume-zone": {
		"--volume-zone z --volume-handle h",
		static(func(v *storage.Volume) { v.Zone = "z" }),
	},
	"volume-topology-key": {"--backend csi --driver d --volume-zone z --volume-topology-key k " +
		"--volume-handle h", func(p *storage.Profile) {
		p.StorageClass.Backend, p.StorageClass.Driver, p.StorageClass.Parameters = "csi", "d", nil
		static(func(v *storage.Volume) { v.Zone, v.TopologyKey = "z", "k" })(p)
	}},
	"volume-namespace": {"--volume-namespace n --volume-handle h", static(func(v *storage.Volume) { v.Namespace = "n" })},
	"volume-shared": {"--backend nfs --volume-shared --volume-handle h --parameter server=s " +
		"--parameter share=/", func(p *storage.Profile) {
		p.StorageClass.Backend, p.StorageClass.Parameters = "nfs", map[string]string{"server": "s", "share": "/"}
		static(func(v *storage.Volume) { v.Shared = true })(p)
	}},
	"volume-attribute": {
		"--volume-attribute a=b --volume-handle h",
		static(func(v *storage.Volume) { v.Attributes = map[string]string{"a": "b"} }),
	},
	"performance": {"--performance fast", func(p *storage.Profile) { p.StorageClass.Performance = "fast" }},
	"mount-option": {
		"--mount-option a,b --mount-option c",
		func(p *storage.Profile) { p.StorageClass.MountOptions = []string{"a,b", "c"} },
	},
	"volume-mount-option": {
		"--volume-mount-option a,b --volume-mount-option c --volume-handle h",
		static(func(v *storage.Volume) {
			v.MountOptions = []string{"a,b", "c"}
		}),
	},
	"volume-node-stage-secret": {"--volume-node-stage-secret n/s --volume-handle h", static(func(v *storage.Volume) {
		v.NodeStageSecret = &storage.SecretReference{Name: "s", Namespace: "n"}
	})},
	"attributes-class":     {"--attributes-class gold --attributes-parameter a=b", gold},
	"attributes-parameter": {"--attributes-parameter a=b --attributes-class gold", gold},
	"snapshot-class": {"--snapshot-class=", func(p *storage.Profile) {
		p.SnapshotClass = &storage.SnapshotClass{DeletionPolicy: "Retain", Create: new(true)}
	}},
	"snapshot-parameter": {"--snapshot-parameter a=b", func(p *storage.Profile) {
		p.SnapshotClass = &storage.SnapshotClass{
			Parameters:     map[string]string{"a": "b"},
			DeletionPolicy: "Retain", Create: new(true),
		}
	}},
	"snapshot-deletion-policy": {"--snapshot-deletion-policy Delete --snapshot-class s", func(p *storage.Profile) {
		p.SnapshotClass = &storage.SnapshotClass{Name: "s", DeletionPolicy: "Delete", Create: new(true)}
	}},
	"create, of what is optional": {"--create claim,attributes-class --attributes-class gold " +
		"--attributes-parameter a=b --snapshot-class s --class c", func(p *storage.Profile) {
		gold(p)
		p.StorageClass.Name, p.StorageClass.Create = "c", new(false)
		p.SnapshotClass = &storage.SnapshotClass{Name: "s", DeletionPolicy: "Retain", Create: new(false)}
	}},
	"mount-path":     {"--mount-path /m", func(p *storage.Profile) { p.Mount.Path = "/m" }},
	"sub-path":       {"--sub-path s", func(p *storage.Profile) { p.Mount.SubPath = "s" }},
	"read-only":      {"--read-only", func(p *storage.Profile) { p.Mount.ReadOnly = true }},
	"read-only, not": {"--read-only=false", func(*storage.Profile) {}},
	"container": {
		"--container a,b --container c",
		func(p *storage.Profile) { p.Mount.Containers = []string{"a", "b", "c"} },
	},
	"exclude-container": {
		"--exclude-container a --exclude-container b",
		func(p *storage.Profile) { p.Mount.ExcludeContainers = []string{"a", "b"} },
	},
	"fs-group": {"--fs-group 0", func(p *storage.Profile) { p.FSGroup = new(int64(0)) }},
	"env":      {"--env E", func(p *storage.Profile) { p.Env = storage.VariableNames{"E"} }},
	"create": {"--create claim --class s", func(p *storage.Profile) {
		p.StorageClass.Name, p.StorageClass.Create, p.Claim.Create = "s", new(false), new(true)
	}},
	"create, none": {"--create none", func(p *storage.Profile) {
		p.StorageClass.Create, p.Claim.Create = new(false), new(false)
	}},
	"create, in front of the volume that it speaks of": {"--create claim,class --volume v " +
		"--volume-handle h", static(func(v *storage.Volume) { v.Name, v.Create = "v", new(false) })},
}

func TestFieldFlagsSetFields(t *testing.T) {
	for name, tt := range fields {
		t.Run(name, func(t *testing.T) {
			o, err := app.ParseOptions(strings.Fields(tt.args))
			require.NoError(t, err)
			config, warnings, err := o.Config(nil)
			require.NoError(t, err)
			assert.Empty(t, warnings)
			assert.Empty(t, o.Overrides(), "there is no file to override")
			exp := storage.Default()
			tt.exp(&exp.Profiles[0])
			assert.Equal(t, exp, config)
		})
	}
}

func TestFieldFlagsRefuse(t *testing.T) {
	for name, tt := range map[string]struct {
		args string
		exp  string
	}{
		"a size that is not a quantity": {"--size 10Gib", `--size: "10Gib" is not a quantity such as 100Gi`},
		"a size of zero":                {"--size 0", `--size: "0" must be greater than zero`},
		"a class that nothing creates":  {"--create claim", "--class: Required value: the class is not created"},
		"the cluster's class, created": {
			"--create class,claim --class ClusterDefault",
			`--class: Invalid value: "ClusterDefault": is a class that exists: do not create one`,
		},
		"a label without a value": {"--claim-label team", `--claim-label: "team" is not KEY=VALUE`},
		"a label that breaks things": {
			"--claim-label app.kubernetes.io/managed-by=me", "--claim-label[app.kubernetes.io/managed-by]: Invalid value",
		},
		"a size without its unit": {
			"--size 10", `--size: "10" is 10 bytes, and a claim has 1Mi at least: write the unit, such as 10Gi`,
		},
		"a topology without values":     {"--allowed-topology zone", `--allowed-topology: "zone" is not KEY=VALUE,VALUE`},
		"a path that breaks things":     {"--mount-path /proc", `--mount-path: Invalid value: "/proc": is in /proc`},
		"a variable that breaks things": {"--env PATH", `--env: Invalid value: "PATH": is the list of directories`},
		"a group that is not a number":  {"--fs-group staff", `--fs-group: "staff" is no group number`},
		"a negative group":              {"--fs-group -1", "--fs-group: Invalid value: -1: must be between 0 and 2147483647"},
		"a parameter without =":         {"--parameter iops", `--parameter: "iops" is not KEY=VALUE`},
		"an attribute without key":      {"--volume-attribute =x", `--volume-attribute: "=x" is not KEY=VALUE`},
		"a yes":                         {"--read-only=yes", `--read-only: "yes" is neither true nor false`},
		"an unknown object": {
			"--create pods",
			`--create: "pods" is not one of class, volume, claim, attributes-class, snapshot-class; none cannot be combined`,
		},
		"none and one": {
			"--create none,claim",
			`--create: "none" is not one of class, volume, claim, attributes-class, snapshot-class; none cannot be combined`,
		},
		"an unknown preset": {
			"--performance lightning",
			`--performance: Unsupported value: "lightning": supported values: "fast", "standard", "throughput"`,
		},
		"a Secret without a namespace": {
			"--volume-node-stage-secret s --volume-handle h",
			`--volume-node-stage-secret: "s" is not NAMESPACE/NAME`,
		},
		"a missing Secret": {"--backend ceph-rbd --parameter clusterID=c --parameter " +
			"pool=p --volume-handle h", "--volume-node-stage-secret: Required value"},
		"a class of nothing": {"--attributes-class gold", "--attributes-parameter: Required " +
			"value: a VolumeAttributesClass needs at least one"},
		"a class that is not there": {"--create snapshot-class", "--create: there is no snapshot " +
			"class to create: name one with --snapshot-class"},
		"a deletion policy": {
			"--snapshot-deletion-policy Recycle",
			`--snapshot-deletion-policy: Unsupported value: "Recycle"`,
		},
		"an unknown backend": {"--backend floppy", `--backend: Unsupported value: "floppy"`},
		"an access mode":     {"--access-mode ReadWriteMany", `--access-mode[0]: Unsupported value: "ReadWriteMany"`},
		"a reclaim policy":   {"--reclaim-policy Recycle", `--reclaim-policy: Unsupported value: "Recycle"`},
		"a binding mode":     {"--volume-binding-mode Later", `--volume-binding-mode: Unsupported value: "Later"`},
		"a missing parameter": {"--backend nfs --parameter share=/x", "--parameter[server]: " +
			"Required value: the backend nfs needs it"},
		"a missing driver": {"--backend csi", "--driver: Required value"},
		"an empty list of objects": {"--create=", "--create: must not be empty: name class, " +
			"volume, claim, attributes-class and snapshot-class, or none"},
		"a missing handle": {"--volume-zone z", "--volume-handle: Required value: for the backend aws-ebs"},
		"a missing volume": {"--backend host-path", "--volume-handle: Required value: " +
			"nothing provisions volumes of the backend host-path"},
		"a zone that means nothing": {"--backend nfs --parameter server=s --parameter share=/x --volume-handle h " +
			"--volume-zone z", `--volume-zone: Invalid value: "z": volumes of the backend nfs have no zone`},
		"a zone without its key": {
			"--backend csi --driver d --volume-handle h --volume-zone z",
			"--volume-topology-key: Required value",
		},
		"a key that is known already": {
			"--volume-handle h --volume-topology-key k",
			`--volume-topology-key: Invalid value: "k": only the backend csi needs one`,
		},
		"a missing zone":  {"--backend local-path --volume-handle /x", "--volume-zone: Required value"},
		"a mount path":    {"--mount-path x", `--mount-path: Invalid value: "x": must be an absolute path`},
		"a sub-path":      {"--sub-path ..", `--sub-path: Invalid value: "..": must be a relative path`},
		"a claim's name":  {"--claim A", `--claim: Invalid value: "A"`},
		"a class's name":  {"--class A", `--class: Invalid value: "A"`},
		"a volume's name": {"--volume A --volume-handle h", `--volume: Invalid value: "A"`},
		"a namespace": {
			"--volume-namespace A --volume-handle h",
			`--volume-namespace: Invalid value: "A"`,
		},
		"a variable":                       {"--env =", `--env: Invalid value: "="`},
		"a volume that is made of nothing": {"--create volume", "--create: "},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := app.ParseOptions(strings.Fields(tt.args))
			require.NoError(t, err)
			_, _, err = o.Config(nil)
			require.ErrorContains(t, err, tt.exp)
			assert.NotContains(t, err.Error(), "profiles", "people wrote no profiles")
		})
	}
}

// file is a configuration file with as many profiles as names.
func file(names ...string) []byte {
	text := bytes.NewBufferString("apiVersion: pipeline-storage.io/v1alpha1\nkind: StorageConfig\nprofiles:\n")
	for _, name := range names {
		fmt.Fprintf(text, "- {name: %[1]s, mount: {path: /%[1]s}}\n", name)
	}
	return text.Bytes()
}

func TestFieldFlagsOverrideFile(t *testing.T) {
	for name, tt := range map[string]struct {
		args         string
		file         []byte
		expOverrides []string
		expErr       string
	}{
		"no field flags": {"", file("a", "b"), nil, ""},
		"fields of the one profile": {
			"--env E --size 1Gi --container a --container b", file("a"),
			[]string{"--size=1Gi sets claim.size", "--container=a,b sets mount.containers", "--env=E sets env"},
			"",
		},
		"a field of which profile?": {"--size 1Gi", file("a", "b"), nil, "--config f.yaml: --size sets a " +
			"field of the one profile, but the file has 2: set it there"},
		"a field of no profile": {"--size 1Gi", file(), nil, "--config f.yaml: --size sets a field of " +
			"the one profile, but the file has 0"},
		"a field that is refused": {"--size no", file("a"), nil, `--config f.yaml: --size: "no" is not a quantity`},
		"a file that is refused":  {"", []byte("a: b"), nil, `--config f.yaml: line 1: unknown field "a"`},
		"a mistake by a flag": {
			"--mount-path x", file("a"), nil,
			`--config f.yaml: line 4: profiles[0].mount.path: Invalid value: "x"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := app.ParseOptions(append(strings.Fields(tt.args), "--config", "f.yaml"))
			require.NoError(t, err)
			config, _, err := o.Config(tt.file)
			if tt.expErr != "" {
				assert.ErrorContains(t, err, tt.expErr)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.expOverrides, o.Overrides())
			assert.Equal(t, "/a", config.Profiles[0].Mount.Path, "what no flag sets is the file's")
			if len(tt.expOverrides) > 0 {
				assert.Equal(t, "1Gi", config.Profiles[0].Claim.Size.String())
				assert.Equal(t, []string{"a", "b"}, config.Profiles[0].Mount.Containers)
				assert.Equal(t, storage.VariableNames{"E"}, config.Profiles[0].Env)
			}
		})
	}
}
