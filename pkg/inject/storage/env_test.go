package storage_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// TestVariableNames reads both forms and writes them as they are read.
func TestVariableNames(t *testing.T) {
	for text, tt := range map[string]struct {
		exp     storage.VariableNames
		written string
	}{
		"HF_HOME":                 {storage.VariableNames{"HF_HOME"}, `"HF_HOME"`},
		"[HF_HOME]":               {storage.VariableNames{"HF_HOME"}, `"HF_HOME"`},
		"[HF_HOME, HF_HUB_CACHE]": {storage.VariableNames{"HF_HOME", "HF_HUB_CACHE"}, `["HF_HOME","HF_HUB_CACHE"]`},
		`""`:                      {nil, ""},
		"[]":                      {storage.VariableNames{}, ""},
		"null":                    {nil, ""},
	} {
		t.Run(text, func(t *testing.T) {
			config := injecttest.Load(t, "profiles: [{name: default, env: "+text+"}]\n")
			profile := &config.Profiles[0]
			assert.Equal(t, tt.exp, profile.Env)
			assert.Equal(t, len(tt.exp) > 0, config.SetsEnv())
			asJSON, err := json.Marshal(profile)
			require.NoError(t, err)
			var fields map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(asJSON, &fields))
			assert.Equal(t, tt.written, string(fields["env"]))
		})
	}
}

func TestVariableNamesThatAreRefused(t *testing.T) {
	const noName = "expected the name of a variable, or a list of names"
	for name, tt := range map[string]struct{ profiles, exp string }{
		"a number": {
			"- name: a\n- name: b\n  env: 5\n  mount: {path: /b}\n",
			"line 6: profiles[1].env: " + noName,
		},
		"a mapping": {"- name: a\n  env: {A: b}\n", "line 5: profiles[0].env: " + noName},
		"a number in a list": {
			"- name: a\n  env:\n  - A\n  - 5\n", "line 7: profiles[0].env[1]: " + noName,
		},
		"the same twice": {"- name: a\n  env:\n  - A\n  - A\n", `line 7: profiles[0].env[1]: Duplicate value: "A"`},
		"the same in two profiles": {
			"- name: a\n  env: [A, B]\n- name: b\n  env: B\n  mount: {path: /b}\n",
			`line 7: profiles[1].env: Duplicate value: "B"`,
		},
		"what cannot be a name":   {"- name: a\n  env: [A, 1=2]\n", `line 5: profiles[0].env[1]: Invalid value: "1=2"`},
		"an empty name in a list": {"- name: a\n  env: [A, '']\n", "line 5: profiles[0].env[1]: Invalid value: \"\""},
		"the name of a subPath's": {"- name: a\n  env: [A, PIPELINE_STORAGE_POD_X]\n", "profiles[0].env[1]: Invalid value"},
		"a policy that is not known": {
			"- name: a\n  seLinuxChangePolicy: Never\n",
			`line 5: profiles[0].seLinuxChangePolicy: Unsupported value: "Never": supported values: "MountOption", "Recursive"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := storage.Load([]byte("apiVersion: pipeline-storage.io/v1alpha1\nkind: StorageConfig\nprofiles:\n" +
				tt.profiles))
			require.Error(t, err)
			assert.Contains(t, "\n"+err.Error(), tt.exp)
		})
	}
}

// TestBackendsWithoutIDMap holds the backends whose file systems have no idmapped mounts: those that
// are shared over a network, and no disk.
func TestBackendsWithoutIDMap(t *testing.T) {
	for _, b := range storage.Backends {
		switch b.Name {
		case "host-path", "csi": // whatever the node, or the driver, has
			assert.Empty(t, b.NoIDMap, b.Name)
		default:
			assert.Equal(t, b.Block, b.NoIDMap == "", b.Name)
		}
	}
}
