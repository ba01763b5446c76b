package selection

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	v1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/pipeline-storage/pipeline-storage/internal/kube"
)

var product = map[string]string{kube.LabelName: kube.ProductName}

func reader(objects ...client.Object) client.WithWatch {
	return fake.NewClientBuilder().WithScheme(kube.Scheme(kube.Groups()...)).WithObjects(objects...).Build()
}

// failing is a reader of whose lists of policies every one has the error.
func failing(err error) client.Reader {
	return interceptor.NewClient(reader(), interceptor.Funcs{
		List: func(_ context.Context, _ client.WithWatch, list client.ObjectList, _ ...client.ListOption) error {
			if _, ok := list.(*v1.MutatingAdmissionPolicyList); ok {
				return err
			}
			return nil
		},
	})
}

func TestReadsOwnSelection(t *testing.T) {
	t.Parallel()
	b := binding("s.ps", "s.ps", nil, nil)
	webhooks := &v1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "s.ps"}, Webhooks: []v1.MutatingWebhook{{NamespaceSelector: equals("team", "b")}},
	}
	full := reader(policy(equals("team", "a"), nil), &b, webhooks)
	ofA, ofB := map[string]string{"team": "a"}, map[string]string{"team": "b"}
	for name, tt := range map[string]struct {
		source       Source
		cached, live client.Reader
		kind         string
		a, b         bool
	}{
		"the policy":   {ByPolicy("s.ps"), full, reader(), kube.KindPolicy, true, false},
		"the webhooks": {ByWebhooks("s.ps"), full, reader(), kube.KindWebhookConfiguration, false, true},
		"a policy that lost its label": {
			ByPolicy("s.ps"), reader(&b), full, kube.KindPolicy, true, false,
		},
		"webhooks that lost their label": {
			ByWebhooks("s.ps"), reader(), full, kube.KindWebhookConfiguration, false, true,
		},
		"a policy that does not exist": {ByPolicy("none"), full, full, "", false, false},
		"webhooks that do not exist":   {ByWebhooks("none"), full, full, "", false, false},
		"a policy without a binding": {
			ByPolicy("s.ps"), reader(policy(nil, nil)), reader(), kube.KindPolicy, false, false,
		},
		"a policy where no webhook is left": {
			ByPolicy("s.ps"), reader(policy(nil, nil), &b), reader(), kube.KindPolicy, true, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := tt.source.Read(t.Context(), tt.cached, tt.live)
			require.NoError(t, err)
			assert.Equal(t, tt.kind == "", s == nil)
			if s != nil {
				assert.Equal(t, tt.kind, s.Kind)
			}
			assert.Equal(t, tt.a, s.MatchesNamespace(ofA))
			assert.Equal(t, tt.b, s.MatchesNamespace(ofB))
		})
	}
}

func TestNamespacesOfOwnObjectsOnly(t *testing.T) {
	t.Parallel()
	selector := equals("team", "a")
	own := binding("any", "s.ps", selector, nil)
	other := binding("s.ps", "other", selector, nil)
	webhooks := &v1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "s.ps"}, Webhooks: []v1.MutatingWebhook{{NamespaceSelector: selector}, {}},
	}
	for name, tt := range map[string]struct {
		object client.Object
		want   []*metav1.LabelSelector
	}{
		"the policy":                     {policy(selector, nil), []*metav1.LabelSelector{selector}},
		"a policy without selector":      {policy(nil, nil), []*metav1.LabelSelector{nil}},
		"a binding of the policy":        {&own, []*metav1.LabelSelector{selector}},
		"a binding of another policy":    {&other, nil},
		"webhooks":                       {webhooks, []*metav1.LabelSelector{selector, nil}},
		"an object of another kind":      {&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "s.ps"}}, nil},
		"webhooks of another name":       {&v1.MutatingWebhookConfiguration{Webhooks: webhooks.Webhooks}, nil},
		"a policy of another name":       {&v1.MutatingAdmissionPolicy{}, nil},
		"a binding that names no policy": {&v1.MutatingAdmissionPolicyBinding{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, ByPolicy("s.ps").Namespaces(tt.object))
		})
	}
}

func TestInstalledFindsBothModes(t *testing.T) {
	t.Parallel()
	webhooks := &v1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "w", Labels: product}}
	third := &v1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "third"}}
	own, b := policy(nil, nil), binding("s.ps", "s.ps", nil, nil)
	own.Labels = product
	unserved := apierrors.NewGenericServerResponse(404, "list", schema.GroupResource{}, "", "", 0, true)
	forbidden := apierrors.NewForbidden(schema.GroupResource{}, "", nil)
	for name, tt := range map[string]struct {
		policies client.Reader
		want     []string
		fails    bool
	}{
		"webhooks and policies": {
			reader(own, &b), []string{"MutatingWebhookConfiguration w", "MutatingAdmissionPolicy s.ps"}, false,
		},
		"no policies":                      {reader(), []string{"MutatingWebhookConfiguration w"}, false},
		"a cluster that does not serve it": {failing(unserved), []string{"MutatingWebhookConfiguration w"}, false},
		"an account without the right":     {failing(forbidden), []string{"MutatingWebhookConfiguration w"}, false},
		"no answer":                        {failing(context.DeadlineExceeded), nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, err := Installed(t.Context(), reader(webhooks, third), tt.policies)
			assert.Equal(t, tt.fails, err != nil, "%v", err)
			var names []string
			for _, s := range all {
				names = append(names, s.String())
			}
			assert.Equal(t, tt.want, names)
		})
	}
}

// TestCachesPoliciesInPolicyModeOnly: an API server before Kubernetes 1.36 has none to watch.
func TestCachesPoliciesInPolicyModeOnly(t *testing.T) {
	t.Parallel()
	kinds := func(s Source) (cached, watched []string) {
		for object := range s.Cache() {
			gvk, err := reader().GroupVersionKindFor(object)
			require.NoError(t, err)
			cached = append(cached, gvk.Kind)
		}
		for _, object := range s.Objects() {
			gvk, err := reader().GroupVersionKindFor(object)
			require.NoError(t, err)
			watched = append(watched, gvk.Kind)
		}
		return cached, watched
	}
	for _, s := range []Source{{}, ByWebhooks("s.ps")} {
		cached, watched := kinds(s)
		assert.Equal(t, []string{kube.KindWebhookConfiguration}, cached)
		assert.Equal(t, []string{kube.KindWebhookConfiguration}, watched)
	}
	cached, watched := kinds(ByPolicy("s.ps"))
	assert.ElementsMatch(t, []string{kube.KindWebhookConfiguration, kube.KindPolicy, kube.KindPolicyBinding}, cached)
	assert.Equal(t, []string{kube.KindPolicy, kube.KindPolicyBinding}, watched)
}
