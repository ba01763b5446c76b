package claims

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/pipeline-storage/pipeline-storage/internal/claimtest"
	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

func markedPod(namespace, name, mark string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Name: name, Namespace: namespace, Annotations: map[string]string{inject.AnnotationInjected: mark},
	}}
}

func TestInjectedProfiles(t *testing.T) {
	t.Parallel()

	for name, row := range map[string]struct {
		mark string
		want []string
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
			assert.Equal(t, row.want, inject.InjectedProfiles(map[string]string{inject.AnnotationInjected: row.mark}))
		})
	}
}

// TestCacheKeepsFewNames holds that the cache keeps little of what a pod's author writes into the injected annotation.
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
			kept := stripPod(config)(markedPod("ml", "one", row.annotation))
			assert.Equal(t, row.want, kept.Annotations[inject.AnnotationInjected])
			assert.Len(t, usesOf(kept), strings.Count(row.want, ",")+1)
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
	one, two := markedPod("ml", "one", "default"), markedPod("ml", "two", "default,other")

	assert.Empty(t, index.Warnings("ml", profile))

	h.OnAdd(one, true)
	assert.Equal(t, []string{"claim pvc-data-pipeline is ReadWriteOnce and another pod uses it: they must run on one node"}, index.Warnings("ml", profile))
	assert.Empty(t, index.Warnings("etl", profile), "another namespace has another claim")

	h.OnAdd(two, false)
	assert.Equal(t, []string{"claim pvc-data-pipeline is ReadWriteOnce and 2 other pods use it: they must run on one node"}, index.Warnings("ml", profile))
	assert.ElementsMatch(t, []storage.ProfileRef{use, {Profile: "other", Namespace: "ml"}}, index.known())

	assert.Empty(t, index.Warnings("ml", &claimtest.Config(t, `{name: default, colocate: true}`).Profiles[0]), "they do run on one node")

	ending := two.DeepCopy()
	ending.DeletionTimestamp = new(metav1.Now())
	h.OnUpdate(two, ending)
	assert.EqualValues(t, 1, index.pods(use), "a pod that is being deleted counts no more")
	h.OnDelete(ending)
	assert.EqualValues(t, 1, index.pods(use), "and not twice")

	h.OnUpdate(one, one)
	assert.EqualValues(t, 1, index.pods(use))
	h.OnDelete(toolscache.DeletedFinalStateUnknown{Key: "ml/one", Obj: one})
	assert.Empty(t, index.Warnings("ml", profile))
	assert.Empty(t, index.known(), "a use without pods is forgotten")
}

func TestWarnings(t *testing.T) {
	t.Parallel()

	filled := func() *Index {
		index := &Index{synced: func() bool { return true }}
		set := &nameSet{synced: func() bool { return true }}
		set.OnAdd(markedPod("ml", "there", ""), true)
		index.names.running.Store(set)
		for _, name := range []string{"disk", "pod", "shared", "use"} {
			index.handler().OnAdd(markedPod("ml", name, name), true)
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
			filled(), `{name: shared, claim: {accessModes: [ReadWriteMany]}, storageClass: {backend: nfs, parameters: {server: s, share: /x}}}`, nil,
		},
		"a claim that is missing and nobody makes": {
			filled(), `{name: other, claim: {name: gone, create: false}}`,
			[]string{"claim gone does not exist in namespace ml: the pod waits until someone creates it"},
		},
		"a claim that is missing and will be made":         {filled(), `{name: other, claim: {name: gone}}`, nil},
		"a claim that is there":                            {filled(), `{name: other, claim: {name: there, create: false}}`, nil},
		"a claim of others, whose modes nobody knows here": {filled(), `{name: use, claim: {name: gone, create: false}}`, []string{"claim gone does not exist in namespace ml: the pod waits until someone creates it"}},
		"caches that are not filled":                       {empty, `{name: use, claim: {name: gone, create: false}}`, nil},
		"no index":                                         {nil, `{name: use, claim: {name: gone, create: false}}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, row.want, row.index.Warnings("ml", &claimtest.Config(t, row.profile).Profiles[0]))
		})
	}
	assert.Empty(t, (*Index)(nil).Overlap())
}

func TestNameSetForgets(t *testing.T) {
	t.Parallel()

	set := &nameSet{synced: func() bool { return true }}
	names := claimNames{}
	names.running.Store(set)
	claim := markedPod("ml", "data", "")

	set.OnAdd(claim, false)
	assert.False(t, names.missing("ml", "data"))
	set.OnDelete(toolscache.DeletedFinalStateUnknown{Key: "ml/data", Obj: claim})
	assert.True(t, names.missing("ml", "data"))
}

func TestSendsNoticeOnceInAWhile(t *testing.T) {
	t.Parallel()

	n := newNotices(nil)
	now := time.Now()
	assert.True(t, n.isNews(notice{object: "u", note: "a"}, now))
	assert.False(t, n.isNews(notice{object: "u", note: "a"}, now.Add(quiet-time.Second)))
	assert.True(t, n.isNews(notice{object: "u", note: "b"}, now), "another sentence is news")
	assert.True(t, n.isNews(notice{object: "v", note: "b"}, now), "another object, too")
	assert.False(t, n.isNews(notice{object: "u", note: "a"}, now), "two sentences in turn are not")
	assert.True(t, n.isNews(notice{object: "u", note: "b"}, now.Add(quiet)), "and after a while")

	for i := range 3 * manyNotices {
		n.isNews(notice{object: "u", note: string(rune(i))}, now)
	}
	assert.LessOrEqual(t, len(n.said), manyNotices, "memory is bounded")
}

// TestSendsNoticeOnceWhenItsClaimIsCreated: the first reconciliation of a pod finds no claim, the second does.
func TestSendsNoticeOnceWhenItsClaimIsCreated(t *testing.T) {
	t.Parallel()

	recorder := events.NewFakeRecorder(2)
	n := newNotices(recorder)
	pod, claim := &corev1.ObjectReference{Kind: "Pod", UID: "u"}, &corev1.ObjectReference{Kind: kindClaim, Name: "data", UID: "c"}
	problem := diagnose.Finding{Reason: diagnose.ReasonVolumeWritable, Note: "PersistentVolume v is writable"}
	n.warn(pod, nil, actionProvide, problem)
	n.warn(pod, claim, actionProvide, problem)
	assert.Len(t, recorder.Events, 1)
}

func TestShorten(t *testing.T) {
	t.Parallel()

	assert.Equal(t, "short", shorten("short"))
	cut := shorten(strings.Repeat("é", maxNote))
	assert.LessOrEqual(t, len(cut), maxNote)
	assert.True(t, utf8.ValidString(cut))
	assert.True(t, strings.HasSuffix(cut, "é…"))
}

func TestRefused(t *testing.T) {
	t.Parallel()

	claims := schema.GroupResource{Resource: "persistentvolumeclaims"}
	ending := apierrors.NewForbidden(claims, "x", nil)
	ending.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}

	var refusal refusal
	require.ErrorIs(t, refused(ending, "R", "create x"), errNamespaceEnds)
	require.ErrorAs(t, refused(apierrors.NewForbidden(claims, "x", nil), "R", "create x"), &refusal)
	require.ErrorAs(t, refused(apierrors.NewInvalid(schema.GroupKind{}, "x", nil), "R", "create x"), &refusal)
	require.ErrorAs(t, refused(apierrors.NewBadRequest("x"), "R", "create x"), &refusal)
	assert.Equal(t, "R", refusal.Reason)
	assert.Contains(t, refusal.Note, "the API server refused to create x: ")
	for _, err := range []error{apierrors.NewConflict(claims, "x", nil), apierrors.NewServiceUnavailable("x"), apierrors.NewTooManyRequests("x", 1)} {
		got := refused(err, "R", "create x")
		assert.NotErrorAs(t, got, &refusal)
		assert.ErrorIs(t, got, err)
	}
}

// TestMapper holds Mapper to Scheme: what the one knows of ours, the other finds.
func TestMapper(t *testing.T) {
	t.Parallel()

	for _, object := range []runtime.Object{
		&corev1.Pod{}, &corev1.PersistentVolumeClaim{}, &corev1.PersistentVolume{}, &corev1.Namespace{}, &corev1.Secret{}, &corev1.ConfigMap{},
		metadataOf("Pod"), metadataOf("Namespace"),
	} {
		gvk, err := apiutil.GVKForObject(object, Scheme())
		require.NoError(t, err)
		mapping, err := Mapper().RESTMapping(gvk.GroupKind(), gvk.Version)
		require.NoError(t, err)
		assert.Equal(t, strings.ToLower(gvk.Kind)+"s", mapping.Resource.Resource)
	}
	for group, kind := range map[string]string{
		"storage.k8s.io": "StorageClass", "coordination.k8s.io": "Lease", "events.k8s.io": "Event", "admissionregistration.k8s.io": "MutatingWebhookConfiguration",
	} {
		gk := schema.GroupKind{Group: group, Kind: kind}
		assert.True(t, Scheme().Recognizes(gk.WithVersion("v1")), kind)
		_, err := Mapper().RESTMapping(gk, "v1")
		assert.NoError(t, err, kind)
	}
}
