package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMeasuresEveryCandidateByDefault(t *testing.T) {
	o, err := parse(nil)

	require.NoError(t, err)
	assert.Equal(t, 21, o.Rounds)
	assert.Equal(t, defaultNames(), o.Candidates.Names)
	assert.Equal(t, []string{"small", "medium", "large"}, o.Sizes.Names)
}

func TestParsesSelectionWithFewRounds(t *testing.T) {
	o, err := parse([]string{"--only=postrender,copy", "--sizes=large", "--rounds=3", "--postrender=bin/postrender"})

	require.NoError(t, err)
	assert.Equal(t, []string{"postrender", "copy"}, o.Candidates.Names)
	assert.Equal(t, []string{"large"}, o.Sizes.Names)
	assert.Equal(t, "bin/postrender", *o.paths[postrender])
}

func TestMeasuresNamedPredecessor(t *testing.T) {
	o, err := parse([]string{"--predecessor=old/postrender"})

	require.NoError(t, err)
	assert.Equal(t, append(defaultNames(), predecessor), o.Candidates.Names)
	assert.Equal(t, "old/postrender", *o.paths[predecessor])
}

func TestRefusesInvalidFlags(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"an unknown program":             {[]string{"--only=helm"}, "choose from copy, imports, postrender, yq, kustomize"},
		"an unknown stream":              {[]string{"--sizes=huge"}, "choose from small, medium, large"},
		"too few rounds":                 {[]string{"--rounds=14"}, "fewer than 15 rounds are noise"},
		"no rounds":                      {[]string{"--rounds=0", "--only=copy"}, "at least one round"},
		"an argument that is not a flag": {[]string{"large"}, "takes flags only"},
		"a program named twice":          {[]string{"--only=copy,copy"}, "copy is named twice"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(test.args)
			assert.ErrorContains(t, err, test.want)
		})
	}
}
