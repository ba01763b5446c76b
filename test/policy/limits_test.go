package policy

import (
	"fmt"
	"strings"
	"testing"
	"time"

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
// profiles, and one that is too large: the API server refuses that one, and names the policy. It runs before the
// parallel tests, because it takes seconds of CPU time.
func TestCostStaysBelowTheLimits(t *testing.T) {
	p := installPolicy(t, "limits", profiles(maxProfiles), nil)
	made, refused := p.admit(t.Context(), p.policy, largePod(100, 5))
	require.Empty(t, refused)
	assert.Equal(t, 100*maxProfiles, strings.Count(made, `"mountPath":"/mnt/`))
	assert.Equal(t, 100*maxProfiles, strings.Count(made, `"name":"DIR_`))

	_, refused = p.admit(t.Context(), p.policy, largePod(101, 0))
	assert.Equal(t, "Pod/a: the pod would get over 2000 mounts, more than policies can add: use fewer profiles, "+
		"or mode: webhook", refused)
	_, refused = p.admit(t.Context(), p.policy, largePod(100, 200))
	assert.Contains(t, refused, "cost limit exceeded")
	assert.Less(t, len(refused), 1000, refused)
}

// TestHostilePodsCostLittle: the author of a pod can make each of its lists and texts long. Such a pod is refused, or
// mounted, before the API server gives the request up.
func TestHostilePodsCostLittle(t *testing.T) {
	const (
		long    = 60_000
		profile = "pipeline-storage.io/"
	)
	p := installPolicy(t, "hostile", "profiles: [{name: p0}, {name: p1, mount: {path: /p1}}]", nil)
	annotated := func(key, value string) string {
		return `"annotations":{"` + profile + key + `":"` + value + `"}},"spec":{"containers":[{"name":"c","image":"a"}]}}`
	}
	many := func(count int, format string) string {
		var items []string
		for i := range count {
			items = append(items, fmt.Sprintf(format, i))
		}
		return strings.Join(items, ",")
	}
	spec := func(text string) string { return `"annotations":{}},"spec":{` + text + `}}` }
	const container = `"containers":[{"name":"c","image":"a"}]`
	for name, row := range map[string]struct{ pod, want string }{
		"names to exclude":  {annotated("exclude-containers", strings.Repeat("a,", long)), "lists more than 200 names"},
		"names":             {annotated("containers", strings.Repeat("a,", long)), "lists more than 200 names"},
		"profiles":          {annotated("profiles", strings.Repeat("a,", long)), "lists more than 200 names"},
		"a path":            {annotated("mount-path", strings.Repeat("/a", long)), "must not be longer than 4095 bytes"},
		"a path of 4 KiB":   {annotated("mount-path", strings.Repeat("/a", 2000)), "where policies compare paths"},
		"a directory":       {annotated("sub-path", "a"+strings.Repeat("/a", long)), "must not be longer than 4095 bytes"},
		"a directory, 4KiB": {annotated("sub-path", "a"+strings.Repeat("/a", 2000)), "where policies join paths"},
		"a word":            {annotated("read-only", strings.Repeat("no", long)), `is neither "true" nor "false"`},
		"what was injected": {annotated("injected", strings.Repeat("p0,", long)), ""},
		"annotations":       {`"annotations":{` + many(4000, `"`+profile+`x%d":""`) + `}},"spec":{` + container + `}}`, ""},
		"terms of an affinity": {
			spec(container + `,"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":` +
				`{"nodeSelectorTerms":[` +
				many(5000, `{"matchExpressions":[{"key":"k","operator":"In","values":["%d"]}]}`) + `]}}}`), "",
		},
		"a mount path of its own": {
			spec(`"volumes":[{"name":"v","emptyDir":{}}],"containers":[{"name":"c","image":"a","volumeMounts":[{"name":"v",` +
				`"mountPath":"` + strings.Repeat("/a", long) + `"}]}]`), "write it without them",
		},
		"mounts of its own": {
			spec(`"volumes":[{"name":"v","emptyDir":{}}],"containers":[{"name":"c","image":"a","volumeMounts":[` +
				many(5000, `{"name":"v","mountPath":"/v/%d"}`) + `]}]`),
			"more than policies can compare: use fewer, or mode: webhook",
		},
		"containers": {
			spec(`"containers":[` + many(5000, `{"name":"c%d","image":"a"}`) + `]`), "use fewer profiles, or mode: webhook",
		},
		"a thousand containers": {spec(`"containers":[` + many(1000, `{"name":"c%d","image":"a"}`) + `]`), ""},
		"volumes":               {spec(`"volumes":[` + many(5000, `{"name":"v%d","emptyDir":{}}`) + `],` + container), ""},
		"variables": {
			spec(`"containers":[{"name":"c","image":"a","env":[` + many(10000, `{"name":"E%d","value":"x"}`) + `]}]`), "",
		},
	} {
		t.Run(name, func(t *testing.T) { // one after the other: each is measured
			before := time.Now()
			_, refused := p.admit(t.Context(), p.policy,
				`{"metadata":{"name":"a","labels":{"pipeline-storage":"enabled"},`+row.pod)
			t.Log(time.Since(before)) // an API server gives a request up after 34 seconds
			assert.Less(t, len(refused), 1500)
			assert.True(t, strings.HasSuffix(refused, row.want), refused)
			if row.want == "" {
				assert.Empty(t, refused)
			}
		})
	}
}
