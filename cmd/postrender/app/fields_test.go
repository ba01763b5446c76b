package app

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// TestSetSetsEveryField walks the type of a profile: --set of any field in it finds the field, and
// never reports an unknown one.
func TestSetSetsEveryField(t *testing.T) {
	t.Parallel()
	paths := injecttest.FieldPaths(reflect.TypeFor[storage.Profile]())
	require.NotEmpty(t, paths)
	for _, path := range paths {
		p := &storage.Profile{}
		o, err := ParseOptions([]string{"--set", strings.ReplaceAll(path, "[]", "[0]") + "=1"})
		require.NoError(t, err)
		tree, err := o.fields()
		require.NoError(t, err)
		if err = merge(p, tree); err != nil {
			assert.NotContains(t, err.Error(), "unknown field", path)
			assert.NotContains(t, err.Error(), "not a mapping", path)
			continue
		}
		assert.NotEqual(t, &storage.Profile{}, p, "--set %s=1 sets nothing", path)
	}
}

func TestSetIsThatOfHelm(t *testing.T) {
	t.Parallel()
	base := func() *storage.Profile {
		return &storage.Profile{
			StorageClass: storage.StorageClass{Parameters: map[string]string{"type": "io2"}, MountOptions: []string{"a", "b"}},
		}
	}
	for name, tt := range map[string]struct {
		args []string
		want func(*storage.Profile)
	}{
		"a text that looks like a number": {
			[]string{"storageClass.parameters.iops=3000"},
			func(p *storage.Profile) { p.StorageClass.Parameters["iops"] = "3000" },
		},
		"a text that looks like a truth": {
			[]string{"claim.labels.on=true"}, func(p *storage.Profile) { p.Claim.Labels = map[string]string{"on": "true"} },
		},
		"a key with dots": {
			[]string{`claim.labels.example\.com/team=ml`},
			func(p *storage.Profile) { p.Claim.Labels = map[string]string{"example.com/team": "ml"} },
		},
		"a value with commas": {
			[]string{`mount.subPath=a\,b`}, func(p *storage.Profile) { p.Mount.SubPath = "a,b" },
		},
		"several fields in one": {
			[]string{"mount.path=/m,mount.readOnly=true"},
			func(p *storage.Profile) { p.Mount.Path, p.Mount.ReadOnly = "/m", true },
		},
		"the last one counts": {
			[]string{"mount.path=/a", "mount.path=/b"}, func(p *storage.Profile) { p.Mount.Path = "/b" },
		},
		"a list takes the place of the one before": {
			[]string{"storageClass.mountOptions={c}"}, func(p *storage.Profile) { p.StorageClass.MountOptions = []string{"c"} },
		},
		"a list by its places": {
			[]string{"mount.containers[0]=a", "mount.containers[1]=b"},
			func(p *storage.Profile) { p.Mount.Containers = []string{"a", "b"} },
		},
		"one text for a list": {
			[]string{"mount.containers=a"}, func(p *storage.Profile) { p.Mount.Containers = []string{"a"} },
		},
		"a placeholder is no list": {
			[]string{"claim.labels.team={namespace}", "mount.subPath={pod.name}/x", "claim.name={release}-data"},
			func(p *storage.Profile) {
				p.Claim.Labels, p.Claim.Name = map[string]string{"team": "{namespace}"}, "{release}-data"
				p.Mount.SubPath = "{pod.name}/x"
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &Options{Set: tt.args}
			tree, err := o.fields()
			require.NoError(t, err)
			got, want := base(), base()
			require.NoError(t, merge(got, tree))
			tt.want(want)
			assert.Equal(t, want, got)
		})
	}
}

// TestSetCompletesFields: the paths that a shell completes are those of the type.
func TestSetCompletesFields(t *testing.T) {
	t.Parallel()
	paths := setPaths()
	for _, want := range []string{"storageClass.performance=", "claim.size=", "env=", "volume.zone=", "fsGroup="} {
		assert.Contains(t, paths, want)
	}
	assert.NotContains(t, paths, "claim=")
	assert.NotContains(t, paths, "=")
	fields := injecttest.FieldPaths(reflect.TypeFor[storage.Profile]())
	for _, path := range paths {
		field := strings.TrimSuffix(path, "=")
		assert.True(t, slices.ContainsFunc(fields, func(f string) bool {
			return strings.HasPrefix(f, field) || strings.HasPrefix(field, f+".")
		}), field)
	}
}

// TestFlagsOfFieldsAreFields holds the table of flags to the type, and to the section of the help.
func TestFlagsOfFieldsAreFields(t *testing.T) {
	t.Parallel()
	fields := injecttest.FieldPaths(reflect.TypeFor[storage.Profile]())
	for _, f := range setFlags {
		assert.True(t, slices.ContainsFunc(fields, func(field string) bool {
			return field == f.path || strings.HasPrefix(field, f.path+".") || strings.HasPrefix(field, f.path+"[")
		}), "--%s sets the unknown field %s", f.name, f.path)
	}
}

// The help is to fit on one screen: half of a large one.
const helpLines, helpColumns = 50, 120

func TestHelpFitsOnOneScreen(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.Equal(t, 0, Run([]string{"--help"}, Streams{In: os.Stdin, Out: &out, Err: &out}))
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	assert.LessOrEqual(t, len(lines), helpLines)
	for _, line := range lines {
		assert.LessOrEqual(t, len(line), helpColumns, line)
	}
}
