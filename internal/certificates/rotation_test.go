package certificates

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/pipeline-storage/pipeline-storage/internal/kube"
)

func TestPlan(t *testing.T) {
	a, b := caAt(t, noon), caAt(t, noon.Add(day))
	const late = DefaultCALifetime - time.Hour

	for name, tt := range map[string]struct {
		state      signers
		propagated bundle
		after      time.Duration
		exp        action
	}{
		"no Secret": {signers{}, nil, 0, createCA},
		"no Secret, and a caBundle of a third party": {signers{}, certs(a), 0, createCA},
		"all is well":            {signers{current: a}, certs(a), 0, noAction},
		"the caBundle was wiped": {signers{current: a}, nil, 0, noAction},
		"two thirds are over": {
			signers{current: a},
			certs(a), DefaultCALifetime / 3 * 2,
			beginRotation,
		},
		"just before that": {
			signers{current: a},
			certs(a),
			DefaultCALifetime/3*2 - time.Second, noAction,
		},
		"an operator requests a rotation": {
			signers{current: a, rotateRequest: "1"},
			certs(a), 0,
			beginRotation,
		},
		"the request is fulfilled": {
			signers{current: a, rotateRequest: "1", rotateDone: "1"},
			certs(a), 0, noAction,
		},
		"an operator requests another": {
			signers{current: a, rotateRequest: "2", rotateDone: "1"},
			certs(a), 0, beginRotation,
		},
		"an operator removed the annotation": {signers{current: a, rotateDone: "1"}, certs(a), 0, noAction},
		"the next is not trusted yet":        {signers{current: a, next: b}, certs(a), 0, noAction},
		"the next is trusted":                {signers{current: a, next: b}, certs(a, b), 0, promoteNext},
		"an operator requests one in a rotation": {
			signers{current: a, next: b, rotateRequest: "2"},
			certs(a), 0,
			noAction,
		},
		"two thirds are over and the next waits": {signers{current: a, next: b}, certs(a), late, noAction},
		"the cluster was off and all expired":    {signers{current: a}, certs(a), DefaultCALifetime, createCA},
		"it was off in a rotation and the next is good": {
			signers{current: a, next: b},
			certs(a), DefaultCALifetime,
			promoteNext,
		},
		"it was off in a rotation and all expired": {
			signers{current: a, next: b},
			certs(a, b), 2 * DefaultCALifetime,
			createCA,
		},
		"only the next can be read": {signers{next: b}, certs(a), 0, promoteNext},
		"the next expired": {
			signers{current: b, next: a},
			certs(a, b), DefaultCALifetime,
			beginRotation,
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tt.exp, tt.state.plan(tt.propagated, noon.Add(tt.after)))
		})
	}
}

func TestCarryOut(t *testing.T) {
	a, b := caAt(t, noon), caAt(t, noon)
	do := func(s signers, do action) signers {
		after, err := s.carryOut(do, noon, DefaultCALifetime)
		require.NoError(t, err)
		return after
	}

	created := do(signers{next: a, rotateRequest: "1"}, createCA)
	assert.NotNil(t, created.current)
	assert.Nil(t, created.next)
	assert.Equal(t, noAction, created.plan(nil, noon), "the request is fulfilled, too")

	begun := do(signers{current: a, rotateRequest: "1"}, beginRotation)
	assert.True(t, a.same(begun.current), "the current one signs until the next is trusted")
	assert.Len(t, begun.trusted(), 2)
	assert.Equal(t, "1", begun.rotateDone)

	promoted := do(signers{current: a, next: b, rotateDone: "1"}, promoteNext)
	assert.Equal(t, signers{current: b, rotateDone: "1"}, promoted)
}

func TestSecretRetainsSignersAndOtherData(t *testing.T) {
	a, b := caAt(t, noon), caAt(t, noon)
	object := &corev1.Secret{Data: map[string][]byte{"note": []byte("hands off")}}
	object.Annotations = map[string]string{AnnotationRotate: "1", "other": "value"}

	require.NoError(t, signers{current: a, next: b, rotateDone: "1"}.encode(object))
	back := decodeSigners(object)
	assert.True(t, a.same(back.current))
	assert.True(t, b.same(back.next))
	assert.Equal(t, []string{"1", "1"}, []string{back.rotateRequest, back.rotateDone})

	require.NoError(t, signers{current: b}.encode(object))
	back = decodeSigners(object)
	assert.True(t, b.same(back.current))
	assert.Nil(t, back.next)
	assert.NotContains(t, object.Data, KeyNextCAKey, "an old key must not lie about")
	assert.Equal(t, []byte("hands off"), object.Data["note"])
	assert.Equal(t, "value", object.Annotations["other"])
}

func TestSecretOfThirdPartyIsRecognized(t *testing.T) {
	labelled := func(s corev1.Secret) corev1.Secret {
		s.Labels = map[string]string{kube.LabelName: kube.ProductName}
		return s
	}
	pair := corev1.Secret{Data: map[string][]byte{corev1.TLSCertKey: nil, corev1.TLSPrivateKeyKey: nil}}
	for name, tt := range map[string]struct {
		secret corev1.Secret
		exp    bool
	}{
		"empty":                          {corev1.Secret{}, false},
		"empty, own":                     {labelled(corev1.Secret{}), false},
		"broken, own":                    {labelled(pair), false},
		"own, and the label was removed": {corev1.Secret{Data: map[string][]byte{KeyCAKey: nil}}, false},
		"a certificate of a third party": {pair, true},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tt.exp, isThirdParty(&tt.secret))
		})
	}
}
