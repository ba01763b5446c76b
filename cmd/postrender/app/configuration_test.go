package app_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
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

// fields are flags that set a field, and what each does to the default profile.
var fields = map[string]struct {
	args string
	exp  func(*storage.Profile)
}{
	"claim":           {"--claim c", func(p *storage.Profile) { p.Claim.Name = "c" }},
	"claim, twice":    {"--claim b --claim c", func(p *storage.Profile) { p.Claim.Name = "c" }},
	"claim, in place": {"--claim={release}-c", func(p *storage.Profile) { p.Claim.Name = "{release}-c" }},
	"existing-claim": {"--existing-claim c", func(p *storage.Profile) {
		p.Claim.Name, p.Claim.Create, p.StorageClass.Create = "c", new(false), new(false)
	}},
	"size": {"--size 5Ti", func(p *storage.Profile) { p.Claim.Size = resource.MustParse("5Ti") }},
	"access-mode": {"--access-mode ReadWriteOncePod", func(p *storage.Profile) {
		p.Claim.AccessModes = []corev1.PersistentVolumeAccessMode{"ReadWriteOncePod"}
	}},
	"access-mode, many": {"--backend gce-pd --access-mode ReadWriteOnce,ReadOnlyMany", func(p *storage.Profile) {
		p.StorageClass.Backend, p.Claim.AccessModes = "gce-pd",
			[]corev1.PersistentVolumeAccessMode{"ReadWriteOnce", "ReadOnlyMany"}
	}},
	"access-mode, repeated": {
		"--backend gce-pd --access-mode ReadWriteOnce --access-mode ReadOnlyMany", func(p *storage.Profile) {
			p.StorageClass.Backend, p.Claim.AccessModes = "gce-pd",
				[]corev1.PersistentVolumeAccessMode{"ReadWriteOnce", "ReadOnlyMany"}
		},
	},
	"storage-class": {"--storage-class s", func(p *storage.Profile) {
		p.StorageClass.Name, p.StorageClass.Create = "s", new(false)
	}},
	"set, of a class of another name": {
		"--set storageClass.name=s", func(p *storage.Profile) { p.StorageClass.Name = "s" },
	},
	"storage-class, the cluster's default one": {"--storage-class ClusterDefault", func(p *storage.Profile) {
		p.StorageClass.Name, p.StorageClass.Create = storage.ClusterDefault, new(false)
	}},
	"volume-handle":  {"--volume-handle h", static(func(*storage.Volume) {})},
	"mount-path":     {"--mount-path /m", func(p *storage.Profile) { p.Mount.Path = "/m" }},
	"sub-path":       {"--sub-path s", func(p *storage.Profile) { p.Mount.SubPath = "s" }},
	"read-only":      {"--read-only", func(p *storage.Profile) { p.Mount.ReadOnly = true }},
	"read-only, not": {"--read-only=false", func(*storage.Profile) {}},
	"set, over a flag": {
		"--set claim.size=2Ti --size 1Ti", func(p *storage.Profile) { p.Claim.Size = resource.MustParse("2Ti") },
	},
	"set, of what is not there by default": {
		"--set snapshotClass.name= --set fsGroup=0", func(p *storage.Profile) {
			p.SnapshotClass = &storage.SnapshotClass{DeletionPolicy: "Retain", Create: new(true)}
			p.FSGroup = new(int64(0))
		},
	},
	"set, of an existing volume": {
		"--set volume.handle=h,volume.zone=z", static(func(v *storage.Volume) { v.Zone = "z" }),
	},
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
		"a size of zero":                {"--size 0", `--size: Invalid value: "0": must be greater than zero`},
		"a class that nothing creates": {
			"--set storageClass.create=false", "--storage-class: Required value: the class is not created",
		},
		"the cluster's class, created": {
			"--set storageClass.create=true --storage-class ClusterDefault",
			`--storage-class: Invalid value: "ClusterDefault": is a class that exists: do not create one`,
		},
		"a field without a value": {"--set claim.labels.team", `--set claim.labels.team: key "team" has no value`},
		"a label that breaks things": {
			`--set claim.labels.app\.kubernetes\.io/managed-by=me`,
			"--set claim.labels[app.kubernetes.io/managed-by]: Invalid value",
		},
		"a size without its unit": {
			"--size 10",
			`--size: Invalid value: "10": is 10 bytes, and a claim has 1Mi at least: write the unit, such as 10Gi`,
		},
		"a path that breaks things":     {"--mount-path /proc", `--mount-path: Invalid value: "/proc": is in /proc`},
		"a variable that breaks things": {"--set env=PATH", `--set env: Invalid value: "PATH": is the list of directories`},
		"a variable that is no name":    {"--set env.a=b", "--set env: expected the name of a variable, or a list of names"},
		"a group that is not a number":  {"--set fsGroup=staff", "--set fsGroup: expected a whole number, not text"},
		"a negative group": {
			"--set fsGroup=-1", "--set fsGroup: Invalid value: -1: must be between 0 and 2147483647",
		},
		"a yes":            {"--read-only=yes", "--read-only: expected true or false, not text"},
		"an unknown field": {"--set claim.sise=1Gi", `--set: unknown field "claim.sise"`},
		"two unknown fields": {
			"--set claim.sise=1Gi,mount.pth=/x", "--set: unknown field \"claim.sise\"\n--set: unknown field \"mount.pth\"",
		},
		"two mistakes": {
			"--set fsGroup=-1 --mount-path x", `--mount-path: Invalid value: "x": must be an absolute path`,
		},
		"a text for a mapping": {"--set storageClass=s", "--set storageClass: expected a mapping, not text"},
		"an unknown preset": {
			"--set storageClass.performance=lightning",
			`--set storageClass.performance: Unsupported value: "lightning": supported values: "fast", "standard", "throughput"`,
		},
		"a missing Secret": {
			"--backend ceph-rbd --set storageClass.parameters.clusterID=c,storageClass.parameters.pool=p --volume-handle h",
			"--set volume.nodeStageSecret: Required value",
		},
		"an unknown backend": {"--backend floppy", `--backend: Unsupported value: "floppy"`},
		"an access mode":     {"--access-mode ReadWriteMany", `--access-mode[0]: Unsupported value: "ReadWriteMany"`},
		"a missing parameter": {
			"--backend nfs --set storageClass.parameters.share=/x",
			"--set storageClass.parameters[server]: Required value: the backend nfs needs it",
		},
		"a missing handle": {"--set volume.zone=z", "--volume-handle: Required value: for the backend aws-ebs"},
		"a missing volume": {
			"--backend host-path", "--volume-handle: Required value: nothing provisions volumes of the backend host-path",
		},
		"a missing zone":  {"--backend local-path --volume-handle /x", "--set volume.zone: Required value"},
		"a mount path":    {"--mount-path x", `--mount-path: Invalid value: "x": must be an absolute path`},
		"a sub-path":      {"--sub-path ..", `--sub-path: Invalid value: "..": must be a relative path`},
		"a claim's name":  {"--claim A", `--claim: Invalid value: "A"`},
		"a claim there":   {"--existing-claim A", `--claim: Invalid value: "A"`},
		"a class's name":  {"--storage-class A", `--storage-class: Invalid value: "A"`},
		"a volume's name": {"--set volume.name=A --volume-handle h", `--set volume.name: Invalid value: "A"`},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := app.ParseOptions(strings.Fields(tt.args))
			require.NoError(t, err)
			_, _, err = o.Config(nil)
			require.ErrorContains(t, err, tt.exp)
			assert.NotContains(t, err.Error(), "profiles", "people wrote no profiles")
			assert.NotContains(t, err.Error(), "line ", "people wrote no lines")
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
			"--set env=E --size 1Gi --set mount.containers={a,b}", file("a"),
			[]string{
				"--size=1Gi sets claim.size", "--set env=E overrides the configuration",
				"--set mount.containers={a,b} overrides the configuration",
			},
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
