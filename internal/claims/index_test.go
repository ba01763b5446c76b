package claims

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/pipeline-storage/pipeline-storage/internal/claimtest"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

func injectedPod(namespace, name, injected string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Name: name, Namespace: namespace, Annotations: map[string]string{inject.AnnotationInjected: injected},
	}}
}

func TestInjectedProfiles(t *testing.T) {
	t.Parallel()

	for name, row := range map[string]struct {
		injected string
		want     []string
	}{
		"none":                      {"", nil},
		"one":                       {"a", []string{"a"}},
		"several, with spaces":      {"a, b ,c", []string{"a", "b", "c"}},
		"nothing between commas":    {",a,,", []string{"a"}},
		"the same twice is once":    {"a,b,a", []string{"a", "b"}},
		"only commas and spaces":    {" , ,", nil},
		"what no profile is called": {"a b,../c,D," + strings.Repeat("e", 64), nil},
		"few of many":               {strings.Repeat("a,", 100_000), []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, row.want, inject.InjectedProfiles(map[string]string{inject.AnnotationInjected: row.injected}))
		})
	}
}

// TestCacheKeepsFewNames holds that the cache keeps little of what a pod's author writes into the
// injected annotation.
func TestCacheKeepsFewNames(t *testing.T) {
	t.Parallel()

	config := func() *storage.Config { return claimtest.Config(t, `{name: default}`, `{name: models}`) }
	var many strings.Builder
	for i := range 45_000 {
		fmt.Fprintf(&many, "%d,", i)
	}
	for name, row := range map[string]struct{ annotation, want string }{
		"profiles in force":            {"default,models", "default,models"},
		"a profile of a newer file":    {"default,new", "default,new"},
		"45,000 forged names":          {many.String(), "0,1,2,3"},
		"forged names before true one": {"a,b,c,d,e,f,models", "a,b,c,d,models"},
		"the same name twice":          {"default,default", "default"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stripped := stripPod(config)(injectedPod("ml", "one", row.annotation))
			assert.Equal(t, row.want, stripped.Annotations[inject.AnnotationInjected])
			assert.Len(t, refsOf(stripped), strings.Count(row.want, ",")+1)
		})
	}
	assert.Empty(t, stripPod(config)(&metav1.PartialObjectMetadata{}).Annotations)
}

func TestIndexFollowsPods(t *testing.T) {
	t.Parallel()

	index := &Index{synced: func() bool { return true }}
	h := index.handler()
	profile := &claimtest.Config(t, `{name: default}`).Profiles[0]
	use := storage.ProfileRef{Profile: "default", Namespace: "ml"}
	one, two := injectedPod("ml", "one", "default"), injectedPod("ml", "two", "default,other")

	assert.Empty(t, index.Warnings("ml", profile))

	h.OnAdd(one, true)
	assert.Equal(t,
		[]string{"claim pvc-data-pipeline is ReadWriteOnce and another pod uses it: they must run on one node"},
		index.Warnings("ml", profile))
	assert.Empty(t, index.Warnings("etl", profile), "another namespace has another claim")

	h.OnAdd(two, false)
	assert.Equal(t,
		[]string{"claim pvc-data-pipeline is ReadWriteOnce and 2 other pods use it: they must run on one node"},
		index.Warnings("ml", profile))
	assert.ElementsMatch(t, []storage.ProfileRef{use, {Profile: "other", Namespace: "ml"}}, index.refs())

	assert.Empty(t, index.Warnings("ml", &claimtest.Config(t, `{name: default, colocate: true}`).Profiles[0]),
		"they do run on one node")

	ending := two.DeepCopy()
	ending.DeletionTimestamp = new(metav1.Now())
	h.OnUpdate(two, ending)
	assert.EqualValues(t, 1, index.podsOf(use), "a pod that is being deleted counts no more")
	h.OnDelete(ending)
	assert.EqualValues(t, 1, index.podsOf(use), "and not twice")

	h.OnUpdate(one, one)
	assert.EqualValues(t, 1, index.podsOf(use))
	h.OnDelete(toolscache.DeletedFinalStateUnknown{Key: "ml/one", Obj: one})
	assert.Empty(t, index.Warnings("ml", profile))
	assert.Empty(t, index.refs(), "a use without pods is forgotten")
}

func TestWarnings(t *testing.T) {
	t.Parallel()

	filled := func() *Index {
		index := &Index{synced: func() bool { return true }}
		set := &nameSet{synced: func() bool { return true }}
		set.OnAdd(injectedPod("ml", "there", ""), true)
		index.names.running.Store(set)
		for _, name := range []string{"disk", "pod", "shared", "use"} {
			index.handler().OnAdd(injectedPod("ml", name, name), true)
		}
		return index
	}
	empty := filled()
	empty.synced = func() bool { return false }
	empty.names.running.Load().synced = empty.synced

	for name, row := range map[string]struct {
		index   *Index
		profile string
		want    []string
	}{
		"a claim that one pod at a time can use": {
			filled(), `{name: pod, claim: {accessModes: [ReadWriteOncePod]}}`,
			[]string{"claim pvc-data-pipeline-pod is ReadWriteOncePod and another pod uses it: only one pod at a time can"},
		},
		"a claim that many nodes can use": {
			filled(), `{name: shared, claim: {accessModes: [ReadWriteMany]}, ` +
				`storageClass: {backend: nfs, parameters: {server: s, share: /x}}}`, nil,
		},
		"a claim that is missing and not created": {
			filled(), `{name: other, claim: {name: missing, create: false}}`,
			[]string{"claim missing does not exist in namespace ml: the pod waits until someone creates it"},
		},
		"a claim that is missing and will be created": {filled(), `{name: other, claim: {name: missing}}`, nil},
		"a claim that is there":                       {filled(), `{name: other, claim: {name: there, create: false}}`, nil},
		"an unmanaged claim, whose modes are not read": {
			filled(), `{name: use, claim: {name: missing, create: false}}`,
			[]string{"claim missing does not exist in namespace ml: the pod waits until someone creates it"},
		},
		"caches that are not filled": {empty, `{name: use, claim: {name: missing, create: false}}`, nil},
		"no index":                   {nil, `{name: use, claim: {name: missing, create: false}}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, row.want, row.index.Warnings("ml", &claimtest.Config(t, row.profile).Profiles[0]))
		})
	}
	assert.Empty(t, (*Index)(nil).Warnings("ml", nil))
}

func TestNameSetForgets(t *testing.T) {
	t.Parallel()

	set := &nameSet{synced: func() bool { return true }}
	names := claimNames{}
	names.running.Store(set)
	claim := injectedPod("ml", "data", "")

	set.OnAdd(claim, false)
	assert.False(t, names.missing("ml", "data"))
	set.OnDelete(toolscache.DeletedFinalStateUnknown{Key: "ml/data", Obj: claim})
	assert.True(t, names.missing("ml", "data"))
}
