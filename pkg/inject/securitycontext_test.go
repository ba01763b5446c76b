package inject_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/internal/injecttest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

func TestSELinuxChangePolicy(t *testing.T) {
	const (
		policy = "profiles: [{name: default, seLinuxChangePolicy: Recursive}]\n"
		both   = "profiles: [{name: default, seLinuxChangePolicy: Recursive, fsGroup: 7}]\n"
		two    = "profiles: [{name: default, fsGroup: 7}, {name: b, default: true, seLinuxChangePolicy: Recursive, mount: " +
			"{path: /b}}]\n"
		differ = "profiles: [{name: default, seLinuxChangePolicy: Recursive}, {name: b, seLinuxChangePolicy: MountOption, " +
			"mount: {path: /b}}]\n"
		chosen = "annotations: {pipeline-storage.io/profiles: 'default, b'}\n---\n"
		main   = "containers: [{name: main}]"

		alone    = `/spec/securityContext {"seLinuxChangePolicy":"Recursive"}`
		extended = `/spec/securityContext/seLinuxChangePolicy "Recursive"`
		whole    = `/spec/securityContext {"fsGroup":7,"fsGroupChangePolicy":"OnRootMismatch",` +
			`"seLinuxChangePolicy":"Recursive"}`
	)
	for name, tt := range map[string]struct {
		config, pod string
		exp         []string
		expWarn     []string
	}{
		"a pod without a context": {policy, main, []string{alone}, nil},
		"a pod with one":          {policy, "securityContext: {runAsUser: 1}\n" + main, []string{extended}, nil},
		"a pod with a policy keeps it": {
			policy, "securityContext: {seLinuxChangePolicy: MountOption}\n" + main, nil, nil,
		},
		"beside the group of a profile":       {both, main, []string{whole}, nil},
		"beside the group of another profile": {two, chosen + main, []string{whole}, nil},
		"beside the pod's own group":          {both, "securityContext: {fsGroup: 1}\n" + main, []string{extended}, nil},
		"of two profiles the first counts": {
			differ, chosen + main,
			[]string{`/spec/securityContext {"seLinuxChangePolicy":"Recursive"}`},
			[]string{`seLinuxChangePolicy MountOption of profile "b" is not set: the pod has Recursive for another profile`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			result := patch(t, injecttest.Load(t, tt.config), injecttest.Pod(t, tt.pod))
			require.Nil(t, result.Refused())
			var contexts []string
			for _, line := range lines(t, result) {
				if line, isContext := strings.CutPrefix(line, "add /spec/securityContext"); isContext {
					contexts = append(contexts, "/spec/securityContext"+line)
				}
			}
			assert.Equal(t, tt.exp, contexts)
			assert.Equal(t, tt.expWarn, result.Decisions[0].Warnings)
			again := patch(t, injecttest.Load(t, tt.config), injecttest.Apply(t, injecttest.Pod(t, tt.pod), result))
			assert.Empty(t, again.Operations, "a second round adds nothing")
		})
	}
}

func TestWarnsOfThePolicyWhereItHasNoPlace(t *testing.T) {
	result := patch(
		t, injecttest.Load(t, "profiles: [{name: default, seLinuxChangePolicy: Recursive}]\n"),
		injecttest.Decode(t, "apiVersion: tekton.dev/v1\nkind: Task\nspec: {steps: [{name: a}]}\n"),
	)
	assert.Equal(t, []string{
		`seLinuxChangePolicy Recursive of profile "default" is not set: this kind has no security context of the pod, or ` +
			`its parent is missing`,
	}, result.Decisions[0].Warnings)
}

func TestRemovesTheSecurityContext(t *testing.T) {
	const (
		both     = "profiles: [{name: default, seLinuxChangePolicy: Recursive, fsGroup: 7}]\n"
		injected = "volumes: [" + volume + "]\ncontainers: [{name: main, volumeMounts: [" + mount + "]}]\n"
		stays    = " stays: the security context has fields of the pod's own, and this may be one of them; remove it " +
			`yourself if the profile "default" has set it`
	)
	for name, tt := range map[string]struct {
		context string
		removed bool
		expWarn []string
	}{
		"as injection writes it": {
			"{fsGroup: 7, fsGroupChangePolicy: OnRootMismatch, seLinuxChangePolicy: Recursive}", true, nil,
		},
		"with another field": {
			"{fsGroup: 7, fsGroupChangePolicy: OnRootMismatch, seLinuxChangePolicy: Recursive, runAsUser: 1}", false,
			[]string{"fsGroup 7" + stays, "seLinuxChangePolicy Recursive" + stays},
		},
		"with the policy alone": {
			"{seLinuxChangePolicy: Recursive}", false, []string{"seLinuxChangePolicy Recursive" + stays},
		},
		"with other values":      {"{fsGroup: 8, seLinuxChangePolicy: MountOption}", false, nil},
		"without what it writes": {"{runAsUser: 1}", false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			result := remove(t, injecttest.Load(t, both), injecttest.Pod(t, "securityContext: "+tt.context+"\n"+injected))
			assert.Equal(t, tt.removed, strings.Contains(strings.Join(paths(t, result), " "), "/spec/securityContext"))
			assert.Equal(t, tt.expWarn, result.Decisions[0].Warnings)
			if tt.removed {
				group := int64(7)
				assert.Contains(t, result.Decisions[0].Removed, inject.Addition{Profile: "default", FSGroup: &group})
				assert.Contains(t, result.Decisions[0].Removed,
					inject.Addition{Profile: "default", SELinuxChangePolicy: "Recursive"})
			}
		})
	}
}

// TestRemovesTheSecurityContextOfTwoProfiles is about one context to which both have added.
func TestRemovesTheSecurityContextOfTwoProfiles(t *testing.T) {
	config := injecttest.Load(t, "profiles: [{name: default, fsGroup: 7}, {name: b, fsGroup: 8, seLinuxChangePolicy: "+
		"Recursive, mount: {path: /b}}]\n")
	for _, order := range []string{"default, b", "b, default"} {
		pod := injecttest.Pod(t, "annotations: {pipeline-storage.io/profiles: '"+order+"'}\n---\ncontainers: [{name: main}]")
		injected := injecttest.Apply(t, pod, patch(t, config, pod))
		result := remove(t, config, injected)
		assert.Contains(t, paths(t, result), "/spec/securityContext", order)
		assert.Empty(t, result.Decisions[0].Warnings, order)
	}
}
