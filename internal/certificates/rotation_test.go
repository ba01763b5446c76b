package certificates

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

func TestPlan(t *testing.T) {
	a, b := authorityAt(t, noon), authorityAt(t, noon.Add(day))
	const late = DefaultCALifetime - time.Hour

	for name, tt := range map[string]struct {
		state   signers
		settled bundle
		after   time.Duration
		exp     action
	}{
		"no Secret":                                     {signers{}, nil, 0, found},
		"no Secret, and a caBundle of somebody":         {signers{}, certs(a), 0, found},
		"all is well":                                   {signers{current: a}, certs(a), 0, keep},
		"the caBundle was wiped":                        {signers{current: a}, nil, 0, keep},
		"two thirds are over":                           {signers{current: a}, certs(a), DefaultCALifetime / 3 * 2, begin},
		"just before that":                              {signers{current: a}, certs(a), DefaultCALifetime/3*2 - time.Second, keep},
		"an operator asks":                              {signers{current: a, asked: "1"}, certs(a), 0, begin},
		"an operator asked":                             {signers{current: a, asked: "1", answered: "1"}, certs(a), 0, keep},
		"an operator asks again":                        {signers{current: a, asked: "2", answered: "1"}, certs(a), 0, begin},
		"an operator removed the annotation":            {signers{current: a, answered: "1"}, certs(a), 0, keep},
		"the next is not trusted yet":                   {signers{current: a, next: b}, certs(a), 0, keep},
		"the next is trusted":                           {signers{current: a, next: b}, certs(a, b), 0, promote},
		"an operator asks during a rotation":            {signers{current: a, next: b, asked: "2"}, certs(a), 0, keep},
		"two thirds are over and the next waits":        {signers{current: a, next: b}, certs(a), late, keep},
		"the cluster was off and all expired":           {signers{current: a}, certs(a), DefaultCALifetime, found},
		"it was off in a rotation and the next is good": {signers{current: a, next: b}, certs(a), DefaultCALifetime, promote},
		"it was off in a rotation and all expired":      {signers{current: a, next: b}, certs(a, b), 2 * DefaultCALifetime, found},
		"only the next can be read":                     {signers{next: b}, certs(a), 0, promote},
		"the next expired":                              {signers{current: b, next: a}, certs(a, b), DefaultCALifetime, begin},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tt.exp, tt.state.plan(tt.settled, noon.Add(tt.after)))
		})
	}
}

func TestCarryOut(t *testing.T) {
	a, b := authorityAt(t, noon), authorityAt(t, noon)
	do := func(s signers, do action) signers {
		after, err := s.carryOut(do, noon, DefaultCALifetime)
		require.NoError(t, err)
		return after
	}

	founded := do(signers{next: a, asked: "1"}, found)
	assert.NotNil(t, founded.current)
	assert.Nil(t, founded.next)
	assert.Equal(t, keep, founded.plan(nil, noon), "the request is answered, too")

	begun := do(signers{current: a, asked: "1"}, begin)
	assert.True(t, a.same(begun.current), "the current one signs until the next is trusted")
	assert.Len(t, begun.trusted(), 2)
	assert.Equal(t, "1", begun.answered)

	promoted := do(signers{current: a, next: b, answered: "1"}, promote)
	assert.Equal(t, signers{current: b, answered: "1"}, promoted)
}

func TestSecretKeepsSignersAndWhatIsNotOurs(t *testing.T) {
	a, b := authorityAt(t, noon), authorityAt(t, noon)
	object := &corev1.Secret{Data: map[string][]byte{"note": []byte("hands off")}}
	object.Annotations = map[string]string{AnnotationRotate: "1", "other": "value"}

	require.NoError(t, signers{current: a, next: b, answered: "1"}.encode(object))
	back := decodeSigners(object)
	assert.True(t, a.same(back.current))
	assert.True(t, b.same(back.next))
	assert.Equal(t, []string{"1", "1"}, []string{back.asked, back.answered})

	require.NoError(t, signers{current: b}.encode(object))
	back = decodeSigners(object)
	assert.True(t, b.same(back.current))
	assert.Nil(t, back.next)
	assert.NotContains(t, object.Data, KeyNextCAKey, "an old key must not lie about")
	assert.Equal(t, []byte("hands off"), object.Data["note"])
	assert.Equal(t, "value", object.Annotations["other"])
}

func TestForeignSecretIsNotTouched(t *testing.T) {
	labelled := func(s corev1.Secret) corev1.Secret {
		s.Labels = map[string]string{LabelName: LabelNameValue}
		return s
	}
	pair := corev1.Secret{Data: map[string][]byte{corev1.TLSCertKey: nil, corev1.TLSPrivateKeyKey: nil}}
	for name, tt := range map[string]struct {
		secret corev1.Secret
		exp    bool
	}{
		"empty":                            {corev1.Secret{}, false},
		"empty, ours":                      {labelled(corev1.Secret{}), false},
		"broken, ours":                     {labelled(pair), false},
		"ours, and the label was removed":  {corev1.Secret{Data: map[string][]byte{KeyCAKey: nil}}, false},
		"a certificate of somebody else's": {pair, true},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tt.exp, foreign(&tt.secret))
		})
	}
}
