package inject_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// twoProfiles is what pods choose from by annotation.
const twoProfiles = `
profiles:
- name: default
  mount: {subPath: team, excludeContainers: [istio-proxy]}
- name: shared
  mount: {path: /shared, readOnly: true, containers: [main, prepare]}
`

// annotated is a pod with three containers and these annotations, written as "key: value" with our group left out.
func annotated(t *testing.T, annotations ...string) map[string]any {
	t.Helper()
	var meta strings.Builder
	meta.WriteString("annotations:\n")
	for _, a := range annotations {
		key, value, _ := strings.Cut(a, ": ")
		if !strings.Contains(key, "/") {
			scope, name, scoped := strings.Cut(key, ".")
			key = "pipeline-storage.io/" + key
			if scoped {
				key = scope + ".pipeline-storage.io/" + name
			}
		}
		fmt.Fprintf(&meta, "  %s: %q\n", key, value)
	}
	return injecttest.Pod(
		t, meta.String()+"---\ninitContainers: [{name: prepare}]\ncontainers: [{name: main}, {name: istio-proxy}]\n",
	)
}

// mounts returns every mount that was added, with its container.
func mounts(t *testing.T, document map[string]any, result inject.Result) []string {
	t.Helper()
	var out []string
	spec := injecttest.Apply(t, document, result)["spec"].(map[string]any)
	for _, list := range []string{"initContainers", "containers"} {
		for _, c := range spec[list].([]any) {
			container := c.(map[string]any)
			added, _ := container["volumeMounts"].([]any)
			for _, m := range added {
				mount := m.(map[string]any)
				text := fmt.Sprintf("%s %s %s", container["name"], mount["name"], mount["mountPath"])
				if sub, ok := mount["subPath"]; ok {
					text += fmt.Sprintf(" sub %s", sub)
				}
				if mount["readOnly"] == true {
					text += " read-only"
				}
				out = append(out, text)
			}
		}
	}
	return out
}

func TestAnnotationsNarrow(t *testing.T) {
	const def, shared = "pipeline-storage", "pipeline-storage-shared"
	for name, tt := range map[string]struct {
		annotations []string
		exp         []string
		expWarn     []string
	}{
		"none: the first profile": {
			nil, []string{"prepare " + def + " /data sub team", "main " + def + " /data sub team"}, nil,
		},
		"an empty list of profiles: the first": {
			[]string{"profiles:  , "}, []string{"prepare " + def + " /data sub team", "main " + def + " /data sub team"}, nil,
		},
		"another profile": {
			[]string{"profiles: shared"}, []string{
				"prepare " + shared + " /shared read-only", "main " + shared + " /shared read-only",
			}, nil,
		},
		"both profiles": {
			[]string{"profiles:  shared ,default"},
			[]string{
				"prepare " + shared + " /shared read-only", "prepare " + def + " /data sub team",
				"main " + shared + " /shared read-only", "main " + def + " /data sub team",
			},
			nil,
		},
		"a profile that is named twice is one": {
			[]string{"profiles: default,default", "mount-path: /x"}, []string{
				"prepare " + def + " /x sub team", "main " + def + " /x sub team",
			}, nil,
		},
		"a mount path": {
			[]string{"mount-path: /mnt/x"}, []string{
				"prepare " + def + " /mnt/x sub team", "main " + def + " /mnt/x sub team",
			}, nil,
		},
		"blanks around a value": {
			[]string{"mount-path:  /mnt/x "}, []string{
				"prepare " + def + " /mnt/x sub team", "main " + def + " /mnt/x sub team",
			}, nil,
		},
		"a sub-path lies below the profile's": {
			[]string{"sub-path: run-1/out"}, []string{
				"prepare " + def + " /data sub team/run-1/out", "main " + def + " /data sub team/run-1/out",
			}, nil,
		},
		"a sub-path where the profile has none": {
			[]string{"profiles: shared", "sub-path: run-1"},
			[]string{"prepare " + shared + " /shared sub run-1 read-only", "main " + shared + " /shared sub run-1 read-only"},
			nil,
		},
		"read-only": {
			[]string{"read-only: true"}, []string{
				"prepare " + def + " /data sub team read-only", "main " + def + " /data sub team read-only",
			}, nil,
		},
		"not read-only where the profile is not": {
			[]string{"read-only: false"}, []string{
				"prepare " + def + " /data sub team", "main " + def + " /data sub team",
			}, nil,
		},
		"one container": {
			[]string{"containers: main"}, []string{"main " + def + " /data sub team"}, nil,
		},
		"fewer of the profile's containers": {
			[]string{"profiles: shared", "containers: prepare"}, []string{"prepare " + shared + " /shared read-only"}, nil,
		},
		"a container that the profile excludes stays excluded": {
			[]string{"containers: main,istio-proxy"}, []string{"main " + def + " /data sub team"}, nil,
		},
		"a container that does not exist is warned of": {
			[]string{"containers: main,mian"}, []string{"main " + def + " /data sub team"}, []string{
				`there is no container "mian", which an annotation names`,
			},
		},
		"an excluded container": {
			[]string{"exclude-containers: prepare"}, []string{"main " + def + " /data sub team"}, nil,
		},
		"an excluded container that does not exist is warned of": {
			[]string{"exclude-containers: prepare, missing"}, []string{"main " + def +
				" /data sub team"}, []string{`there is no container "missing"`},
		},
		"with the name of the profile in front": {
			[]string{"default.mount-path: /x", "default.containers: main"}, []string{"main " + def + " /x sub team"}, nil,
		},
		"the name in front wins": {
			[]string{"mount-path: /y", "default.mount-path: /x", "containers: main"}, []string{"main " + def +
				" /x sub team"}, nil,
		},
		"several profiles, each with its own": {
			[]string{
				"profiles: default,shared", "default.mount-path: /x", "shared.containers: main", "default.containers: main",
			},
			[]string{"main " + def + " /x sub team", "main " + shared + " /shared read-only"},
			nil,
		},
		"a misspelt annotation is warned of": {
			[]string{"containers: main", "mountpath: /x"},
			[]string{"main " + def + " /data sub team"},
			[]string{"annotation pipeline-storage.io/mountpath is not known and does nothing"},
		},
		"a misspelt profile in front is warned of": {
			[]string{"containers: main", "defualt.mount-path: /x"},
			[]string{"main " + def + " /data sub team"},
			[]string{"annotation defualt.pipeline-storage.io/mount-path is not known and does nothing"},
		},
		"the profiles annotation takes no profile in front": {
			[]string{"containers: main", "default.profiles: shared"},
			[]string{"main " + def + " /data sub team"},
			[]string{"annotation default.pipeline-storage.io/profiles is not known and does nothing"},
		},
		"the injected annotation and annotations of other projects do nothing": {
			[]string{"containers: main", "injected: default", "example.com/mount-path: /x", "xpipeline-storage.io/y: z"},
			[]string{"main " + def + " /data sub team"},
			nil,
		},
		"warnings come in a stable order": {
			[]string{"containers: main", "f: 1", "b: 1", "e: 1", "a: 1", "d: 1", "c: 1"},
			[]string{"main " + def + " /data sub team"},
			[]string{
				"annotation pipeline-storage.io/a", "annotation pipeline-storage.io/b", "annotation pipeline-storage.io/c",
				"annotation pipeline-storage.io/d", "annotation pipeline-storage.io/e", "annotation pipeline-storage.io/f",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			document := annotated(t, tt.annotations...)
			result := patch(t, injecttest.Load(t, twoProfiles), document)
			require.Nil(t, result.Refused())
			assert.Equal(t, tt.exp, mounts(t, document, result))
			warnings := result.Decisions[0].Warnings
			require.Len(t, warnings, len(tt.expWarn), "%v", warnings)
			for i, exp := range tt.expWarn {
				assert.Contains(t, warnings[i], exp)
			}
		})
	}
}

func TestAnnotationsNeverWiden(t *testing.T) {
	for name, tt := range map[string]struct {
		annotations []string
		exp         string
	}{
		"an unknown profile": {
			[]string{"profiles: default,other"},
			`annotation pipeline-storage.io/profiles: there is no profile "other", only default, shared`,
		},
		"a relative mount path": {
			[]string{"mount-path: x"}, `annotation pipeline-storage.io/mount-path: "x" must be an absolute path`,
		},
		"an empty mount path": {[]string{"mount-path: "}, "must be an absolute path"},
		"the root":            {[]string{"mount-path: /"}, "would hide the container's whole file system"},
		"the token": {
			[]string{"mount-path: /var/run/secrets/kubernetes.io/serviceaccount"},
			"would hide the pod's service account token",
		},
		"below the token": {
			[]string{"mount-path: /var/run/secrets/kubernetes.io/serviceaccount/x"},
			"would hide the pod's service account token",
		},
		"the token by its other name": {
			[]string{"mount-path: /run/secrets/kubernetes.io/serviceaccount"},
			"would hide the pod's service account token in /var/run/secrets/kubernetes.io/serviceaccount",
		},
		"a path of the kernel": {
			[]string{"mount-path: /proc/data/"},
			`annotation pipeline-storage.io/mount-path: "/proc/data/" is in /proc, where container runtimes mount no volume`,
		},
		"the container's programs":          {[]string{"mount-path: /usr/bin"}, "would hide the container's programs"},
		"a file that Kubernetes mounts":     {[]string{"mount-path: /etc/hosts"}, "is a file that Kubernetes mounts"},
		"a control character in a path":     {[]string{"mount-path: /a\x00"}, "must not contain control characters"},
		"a control character in a sub-path": {[]string{"sub-path: a\x00"}, "must not contain control characters"},
		"a sub-path that is too long with the profile's": {
			[]string{"sub-path: " + strings.Repeat("abc/", 1023)}, "must not be longer than 4095 bytes",
		},
		"a mount path with two dots": {[]string{"mount-path: /a/.."}, "must not contain two dots"},
		"a mount path with a colon":  {[]string{"mount-path: /a:/b"}, "must not contain a colon"},
		"an absolute sub-path": {
			[]string{"sub-path: /etc"},
			`annotation pipeline-storage.io/sub-path: "/etc" must be a relative path without two dots`,
		},
		"a sub-path with two dots":     {[]string{"sub-path: ../other-team"}, "must be a relative path without two dots"},
		"a sub-path that climbs later": {[]string{"sub-path: a/../../b"}, "must be a relative path without two dots"},
		"writing to what is read-only": {
			[]string{"profiles: shared", "read-only: false"},
			`annotation pipeline-storage.io/read-only: the profile "shared" is read-only`,
		},
		"read-only as a yes": {[]string{"read-only: yes"}, `"yes" is neither "true" nor "false"`},
		"a container beyond the profile's": {
			[]string{"profiles: shared", "containers: main,istio-proxy"},
			`annotation pipeline-storage.io/containers: the profile "shared" is for the containers main, prepare only`,
		},
		"an empty list of containers": {[]string{"containers:  , "}, "it names no container"},
		"several profiles, one meant by all": {
			[]string{"profiles: default,shared", "mount-path: /x"},
			"annotation pipeline-storage.io/mount-path: the pod uses several profiles, so write " +
				"PROFILE.pipeline-storage.io/mount-path",
		},
		"several profiles, one meant by all, which is also wrong": {
			[]string{"profiles: default,shared", "mount-path: x"}, "the pod uses several profiles",
		},
		"a refusal with the profile's name": {
			[]string{"shared.read-only: false", "profiles: shared"}, "annotation shared.pipeline-storage.io/read-only: ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			result := patch(t, injecttest.Load(t, twoProfiles), annotated(t, tt.annotations...))
			refused := result.Refused()
			require.NotNil(t, refused)
			assert.Equal(t, inject.ReasonInvalid, refused.Reason)
			assert.Contains(t, refused.Message, tt.exp)
			assert.Empty(t, result.Operations)
		})
	}
}

// TestAnnotationsLeaveTheConfigurationAlone patches two pods in turn: the first must not narrow the second.
func TestAnnotationsLeaveTheConfigurationAlone(t *testing.T) {
	config := injecttest.Load(t, twoProfiles)
	patch(t, config, annotated(t, "exclude-containers: main", "mount-path: /x", "sub-path: y", "read-only: true"))
	document := annotated(t)
	assert.Equal(t, []string{"prepare pipeline-storage /data sub team", "main pipeline-storage /data sub team"},
		mounts(t, document, patch(t, config, document)))
	assert.Equal(t, injecttest.Load(t, twoProfiles), config)
}

// TestDefaultProfiles are what pods get that name none, rendered or admitted.
func TestDefaultProfiles(t *testing.T) {
	const profiles = "profiles: [{name: a, mount: {path: /a}}, {name: b, mount: {path: /b}%s}, {name: c, mount: " +
		"{path: /c}%s}]\n"
	for name, tt := range map[string]struct {
		b, c        string
		annotations []string
		exp         []string
	}{
		"without a default the first":       {"", "", nil, []string{"a"}},
		"one that is not the first":         {", default: true", "", nil, []string{"b"}},
		"several, in the order of the file": {", default: true", ", default: true", nil, []string{"b", "c"}},
		"a pod that names its own": {
			", default: true", ", default: true", []string{"profiles: c,a"}, []string{"c", "a"},
		},
		"each narrowed by its own annotation": {
			", default: true", ", default: true",
			[]string{"c.exclude-containers: prepare,main,istio-proxy"},
			[]string{"b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := injecttest.LoadForAdmission(t, fmt.Sprintf(profiles, tt.b, tt.c))
			document := annotated(t, tt.annotations...)
			document["metadata"].(map[string]any)["labels"] = map[string]any{"pipeline-storage": "enabled"}
			assert.Equal(t, tt.exp, patch(t, config, document).Decisions[0].Profiles)
			assert.Equal(t, tt.exp, admit(t, config, document, nil).Decisions[0].Profiles)
		})
	}
	config := injecttest.Load(t, fmt.Sprintf(profiles, ", default: true", ", default: true"))
	document := annotated(t, "mount-path: /x")
	refused := patch(t, config, document)
	assert.Contains(t, refused.Refused().Message, "the pod uses several profiles, so write PROFILE.")
	require.NoError(t, config.SetDefaultProfiles("a", "c"))
	assert.Equal(t, []string{"a", "c"}, patch(t, config, annotated(t)).Decisions[0].Profiles)
	assert.EqualError(t, config.SetDefaultProfiles("d"), `there is no profile "d", only a, b, c`)
}

// TestThreeStoragesServeBothPaths is about the example's file.
func TestThreeStoragesServeBothPaths(t *testing.T) {
	text, err := os.ReadFile("../../examples/three-storages.yaml")
	require.NoError(t, err)
	for _, load := range []func([]byte) (*storage.Config, []string, error){
		storage.LoadForAdmission, func(text []byte) (*storage.Config, []string, error) { return storage.Load(text) },
	} {
		config, warnings, err := load(text)
		require.NoError(t, err)
		assert.Empty(t, warnings)
		for i := range config.Profiles {
			assert.Empty(t, config.Profiles[i].Warnings())
		}
		decision := patch(t, config, annotated(t)).Decisions[0]
		assert.Equal(t, []string{"datasets", "scratch"}, decision.Profiles, "no container is called train")
	}
}

// written are the annotations that only the webhook writes.
var written = []string{inject.AnnotationInjected, inject.AnnotationSelectedBy}

// TestEveryAnnotationIsDocumented finds the annotations in the source, so that a new one can neither be left out of
// docs/configuration.md nor be warned of as unknown.
func TestEveryAnnotationIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	config := injecttest.Load(t, "profiles: [{name: default}]\n")
	for name, key := range injecttest.Constants(t, ".", "Annotation") {
		require.True(t, strings.HasPrefix(key, storage.Group+"/"), name)
		row := "| `" + key + "` |"
		if slices.Contains(written, key) {
			row = "`" + key
		}
		isDocumented := strings.Contains(string(text), row)
		assert.True(t, isDocumented, "%s needs %q in docs/configuration.md", name, row)
		pod := injecttest.Pod(
			t, "labels: {pipeline-storage: enabled}\nannotations: {"+key+": x}\n---\ncontainers: [{name: main}]",
		)
		result := inject.Patch(config, inject.Request{Namespace: "ml"}, injecttest.Find(t, config, pod)[0].Pods...)
		assert.NotContains(t, strings.Join(result.Decisions[0].Warnings, "\n"), "not known", name)
	}
}

// effects has a value of every annotation that narrows a profile, by the names of their constants. Each
// changes what a pod gets of [twoProfiles].
var effects = map[string]string{
	"AnnotationProfiles":          "shared",
	"AnnotationMountPath":         "/x",
	"AnnotationSubPath":           "run",
	"AnnotationReadOnly":          "true",
	"AnnotationContainers":        "main",
	"AnnotationExcludeContainers": "main",
}

// TestEveryAnnotationHasAnEffect finds the annotations in the source. Each changes what is added to a pod,
// and Remove follows it back.
func TestEveryAnnotationHasAnEffect(t *testing.T) {
	config := injecttest.Load(t, twoProfiles)
	without := lines(t, patch(t, config, annotated(t)))
	for name, key := range injecttest.Constants(t, ".", "Annotation") {
		if slices.Contains(written, key) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			value := effects[name]
			require.NotEmpty(t, value, "%s needs a value in effects of pkg/inject/annotation_test.go", name)
			document := annotated(t, key+": "+value)
			result := patch(t, config, document)
			require.Nil(t, result.Refused())
			assert.NotEqual(t, without, lines(t, result), "%s needs a row in narrowing of pkg/inject/annotation.go "+
				"that changes the profile", name)
			patched := injecttest.Apply(t, document, result)
			removed := injecttest.Apply(t, patched, remove(t, config, patched))
			assert.Equal(t, document, removed, "Remove must undo what Patch adds")
		})
	}
}
