package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseDefaults(t *testing.T) {
	o, err := parse(nil)

	require.NoError(t, err)
	assert.Equal(t, 5, o.Rounds)
	assert.Equal(t, 7, o.starts)
	assert.Equal(t, 10*time.Second, o.idle)
	assert.Equal(t, []string{"constant", "allow", "usual", "webhook"}, o.Candidates.Names)
	assert.Equal(t, []string{"small", "medium", "large"}, o.Sizes.Names)
	assert.Len(t, o.candidates(), 4)
}

func TestDefaultRunIsShort(t *testing.T) {
	o, err := parse(nil)
	require.NoError(t, err)

	periods := len(o.Sizes.Names) * len(o.Candidates.Names) * (o.Rounds + o.http2Rounds + 1)
	assert.Less(t, time.Duration(periods)*(o.duration+o.warmUp)+o.idle, 330*time.Second, "6 minutes with all starts")
}

func TestParseQuickRun(t *testing.T) {
	o, err := parse([]string{
		"--servers=webhook,allow", "--rounds=1", "--sizes=large", "--http2-rounds=0",
		"--duration=1s",
	})

	require.NoError(t, err)
	chosen := o.candidates()
	require.Len(t, chosen, 2)
	assert.Equal(t, "allow", chosen[0].name, "the order is the table's")
	assert.Equal(t, "webhook", chosen[1].name)
}

func TestParseRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"an unknown server":              {[]string{"--servers=other"}, "choose from constant, allow, usual, webhook"},
		"a server named twice":           {[]string{"--servers=webhook,webhook"}, "webhook is named twice"},
		"an unknown size":                {[]string{"--sizes=huge"}, "choose from small, medium, large"},
		"too few rounds to publish":      {[]string{"--rounds=2"}, "fewer than 3 rounds are noise"},
		"no rounds":                      {[]string{"--rounds=0", "--servers=webhook"}, "at least one round"},
		"rounds below none":              {[]string{"--http2-rounds=-1"}, "set 0 for no rounds over HTTP/2"},
		"no starts":                      {[]string{"--starts=0"}, "at least once"},
		"no time":                        {[]string{"--duration=0s"}, "longer than nothing"},
		"a profile of a missing server":  {[]string{"--profile=x", "--servers=allow"}, "--servers does not name"},
		"an argument that is not a flag": {[]string{"large"}, "takes flags only"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(test.args)
			assert.ErrorContains(t, err, test.want)
		})
	}
}
