package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// maxProfiles is what the chart lets a configuration have in mode policy.
const maxProfiles = 20

// profiles is a configuration with that many, each of which a pod can use beside the others.
func profiles(count int) string {
	var b strings.Builder
	b.WriteString("profiles:\n")
	for i := range count {
		fmt.Fprintf(&b, "- {name: p%[1]d, default: true, env: [DIR_%[1]d], claim: {name: c%[1]d}, "+
			"mount: {path: /mnt/%[1]d}}\n", i)
	}
	return b.String()
}

// largePod has that many containers, each with as many mounts and variables of its own.
func largePod(containers, mounts int) string {
	var list []string
	for i := range containers {
		var volumeMounts, env []string
		for j := range mounts {
			volumeMounts = append(volumeMounts, fmt.Sprintf(`{"name":"own","mountPath":"/own/some/where/%d"}`, j))
			env = append(env, fmt.Sprintf(`{"name":"OWN_%d","value":"x"}`, j))
		}
		list = append(list, fmt.Sprintf(`{"name":"c%d","image":"a","volumeMounts":[%s],"env":[%s]}`, i,
			strings.Join(volumeMounts, ","), strings.Join(env, ",")))
	}
	return `{"metadata":{"name":"a","labels":{"pipeline-storage":"enabled"}},"spec":{"volumes":[` +
		`{"name":"own","emptyDir":{}}],"containers":[` + strings.Join(list, ",") + `]}}`
}

// TestCostStaysBelowTheLimits creates the largest pod that docs/policy-mode.md promises to serve, with the most
// profiles, and one that is too large: the API server refuses that one, and names the policy.
func TestCostStaysBelowTheLimits(t *testing.T) {
	t.Parallel()

	p := installPolicy(t, "limits", profiles(maxProfiles), nil)
	made, refused := p.admit(t.Context(), p.policy, largePod(100, 20))
	require.Empty(t, refused)
	assert.Equal(t, 100*maxProfiles, strings.Count(made, `"mountPath":"/mnt/`))
	assert.Equal(t, 100*maxProfiles, strings.Count(made, `"name":"DIR_`))

	_, refused = p.admit(t.Context(), p.policy, largePod(101, 0))
	assert.Equal(t, "Pod/a: the pod would get over 2000 mounts, more than policies can add: use fewer profiles, "+
		"or mode: webhook", refused)
	_, refused = p.admit(t.Context(), p.policy, strings.Replace(largePod(1, 0), `"labels"`,
		`"annotations":{"pipeline-storage.io/profiles":"p0","pipeline-storage.io/exclude-containers":"`+
			strings.Repeat("a,", 50_000)+`"},"labels"`, 1))
	assert.Equal(t, "Pod/a: annotation pipeline-storage.io/exclude-containers: lists more than 200 names", refused)
	_, refused = p.admit(t.Context(), p.policy, largePod(100, 200))
	assert.Contains(t, refused, "cost limit exceeded")
	assert.Less(t, len(refused), 1000, refused)
}
