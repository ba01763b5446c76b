package status

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
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

// inPolicyMode are the objects of an installation in policy mode.
func inPolicyMode() []client.Object {
	meta := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: name, Labels: map[string]string{
			kube.LabelName: kube.ProductName, kube.LabelInstance: "ps",
		}}
	}
	variables := []v1.Variable{{Name: "config", Expression: "{}"}}
	guardrail := &v1.ValidatingAdmissionPolicy{ObjectMeta: meta("storage.ps.namespaces")}
	guardrail.Spec.ParamKind = &v1.ParamKind{APIVersion: "v1", Kind: "Namespace"}
	warnings := &v1.ValidatingAdmissionPolicy{ObjectMeta: meta("storage.ps.warnings")}
	warnings.Spec.Variables, warnings.Spec.FailurePolicy = variables, new(v1.Ignore)
	return []client.Object{
		&v1.MutatingAdmissionPolicy{
			ObjectMeta: meta("storage.ps"), Spec: v1.MutatingAdmissionPolicySpec{Variables: variables},
		},
		&v1.MutatingAdmissionPolicyBinding{
			ObjectMeta: meta("storage.ps"),
			Spec:       v1.MutatingAdmissionPolicyBindingSpec{PolicyName: "storage.ps"},
		},
		&v1.ValidatingAdmissionPolicy{
			ObjectMeta: meta("storage.ps"), Spec: v1.ValidatingAdmissionPolicySpec{Variables: variables},
		},
		&v1.ValidatingAdmissionPolicyBinding{
			ObjectMeta: meta("storage.ps"),
			Spec:       v1.ValidatingAdmissionPolicyBindingSpec{PolicyName: "storage.ps"},
		},
		guardrail, warnings,
	}
}

// cluster has objects, and lists them by the field of their name, as the API server does for every kind.
func cluster(fail func(client.ObjectList) error, objects ...client.Object) client.Client {
	c := fake.NewClientBuilder().WithScheme(Scheme()).WithRESTMapper(Mapper()).WithObjects(objects...).Build()
	return interceptor.NewClient(c, interceptor.Funcs{List: func(
		ctx context.Context, c client.WithWatch, list client.ObjectList, o ...client.ListOption,
	) error {
		if err := fail(list); err != nil {
			return err
		}
		var options client.ListOptions
		options.ApplyOptions(o)
		if options.FieldSelector == nil {
			return c.List(ctx, list, o...)
		}
		name, _ := options.FieldSelector.RequiresExactMatch(metav1.ObjectNameField)
		options.FieldSelector = nil
		err := c.List(ctx, list, &options)
		if all, ok := list.(*metav1.PartialObjectMetadataList); ok {
			all.Items = slices.DeleteFunc(all.Items, func(m metav1.PartialObjectMetadata) bool { return m.Name != name })
		}
		return err
	}})
}

func noFailure(client.ObjectList) error { return nil }

func TestGathersPolicies(t *testing.T) {
	t.Parallel()
	s, err := Gather(t.Context(), cluster(noFailure, inPolicyMode()...), Options{All: true})
	require.NoError(t, err)
	assert.Empty(t, s.Unread)
	assert.Len(t, s.Policies.Mutating, 1)
	assert.Len(t, s.Policies.Validating, 1, "policies that warn or guard do not count")
	assert.Len(t, s.Policies.MutatingBindings, 1)
	assert.Len(t, s.Policies.ValidatingBindings, 1)
	require.Len(t, Analyze(s).Installations, 1)
	assert.Equal(t, Installation{
		Name: "storage.ps", Namespace: "storage", Mode: ModePolicy, Profiles: []string{}, Problems: []Problem{},
	}, Analyze(s).Installations[0])
}

// TestReportsWhatPolicyModeLacks removes each object of the installation.
func TestReportsWhatPolicyModeLacks(t *testing.T) {
	t.Parallel()
	want := []string{
		"MutatingAdmissionPolicy storage.ps does not exist: nothing mounts the storage of the pods that it selects",
		"MutatingAdmissionPolicyBinding storage.ps does not exist: nothing mounts the storage of the pods that it selects",
		"ValidatingAdmissionPolicy storage.ps does not exist: pods that it selects start without their storage where it " +
			"cannot be mounted",
		"ValidatingAdmissionPolicyBinding storage.ps does not exist: pods that it selects start without their storage " +
			"where it cannot be mounted",
	}
	for i := range want {
		t.Run(want[i], func(t *testing.T) {
			t.Parallel()
			s, err := Gather(t.Context(), cluster(noFailure, slices.Delete(inPolicyMode(), i, i+1)...), Options{All: true})
			require.NoError(t, err)
			all := Analyze(s).Installations
			require.Len(t, all, 1)
			require.Len(t, all[0].Problems, 1)
			kind, rest, _ := strings.Cut(want[i], " ")
			name, _, _ := strings.Cut(rest, " ")
			assert.Equal(t, Problem{
				Reason: ReasonPolicyIncomplete, About: []string{kind + "/" + name}, Message: want[i],
				Next: "create it again: helm upgrade, or what installed the others",
			}, all[0].Problems[0])
			assert.Equal(t, "storage", all[0].Namespace)
		})
	}
}

// TestPoliciesThatCannotBeRead: a cluster without the kinds has none, and a missing right proves nothing.
func TestPoliciesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	unserved := apierrors.NewGenericServerResponse(404, "list", schema.GroupResource{}, "", "", 0, true)
	for name, tt := range map[string]struct {
		fails  func(client.ObjectList) bool
		err    error
		unread []string
		found  int
		failed bool
	}{
		"the kinds are not served": {
			func(l client.ObjectList) bool { return strings.Contains(typeOf(l), "MutatingAdmissionPolicy") },
			unserved, nil, 0, false,
		},
		"no right to anything of the mode": {
			func(l client.ObjectList) bool { return strings.Contains(typeOf(l), "AdmissionPolicy") },
			errForbidden,
			[]string{policies},
			0, false,
		},
		"no right to the bindings": {
			func(l client.ObjectList) bool { return strings.Contains(typeOf(l), "Binding") },
			errForbidden,
			[]string{policyBindings, validationBindings},
			1, false,
		},
		"no right to the policies that refuse": {
			func(l client.ObjectList) bool { return typeOf(l) == "ValidatingAdmissionPolicyList" },
			errForbidden,
			[]string{validations},
			1, false,
		},
		"no answer about the policies": {
			func(l client.ObjectList) bool { return typeOf(l) == "MutatingAdmissionPolicyList" },
			errors.New("timeout"),
			[]string{policies},
			0, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fail := func(l client.ObjectList) error {
				if tt.fails(l) {
					return tt.err
				}
				return nil
			}
			s, err := Gather(t.Context(), cluster(fail, inPolicyMode()...), Options{All: true})
			require.NoError(t, err)
			assert.Equal(t, tt.unread, slices.Sorted(maps.Keys(s.Unread)))
			assert.Equal(t, tt.failed, s.Failed)
			all := Analyze(s).Installations
			require.Len(t, all, tt.found)
			for _, one := range all {
				assert.Empty(t, one.Problems, "what may not be read is not missing")
			}
		})
	}
}

// typeOf is the name of the type of a list.
func typeOf(l client.ObjectList) string {
	gvk, err := cluster(noFailure).GroupVersionKindFor(l)
	if err != nil {
		return ""
	}
	return gvk.Kind
}

// TestUnreadPoliciesDecideOnlyWhereNothingElseDoes: a user may have the rights of before policy mode.
func TestUnreadPoliciesDecideOnlyWhereNothingElseDoes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		labels map[string]string
		want   string
	}{
		"the webhook selects the namespace":    {map[string]string{"team": "ml"}, "it was labeled after it was created"},
		"the webhook leaves the namespace out": {nil, "it has the label and no storage"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := base(t)
			s.Pods, s.Namespaces[0].Labels, s.Unread = []corev1.Pod{aPod(false)}, tt.labels, map[string]string{policies: "x"}
			problems := Analyze(s).Namespaces[0].Problems
			require.Len(t, problems, 1)
			assert.Equal(t, ReasonNotInjected, problems[0].Reason)
			assert.Contains(t, problems[0].Message, tt.want)
		})
	}
}
