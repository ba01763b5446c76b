package manifest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gomodules.xyz/jsonpatch/v2"
)

// Documents of any size share memory when they follow each other.
func TestReleasedMemoryLeavesNoTrace(t *testing.T) {
	for i := range 200 {
		var body strings.Builder
		want := map[string]any{}
		for key := range 1 + 7*i%(largeMap+3) {
			fmt.Fprintf(&body, "k%d: {v%d: t%d}\n", key, i, i)
			want[fmt.Sprintf("k%d", key)] = map[string]any{fmt.Sprintf("v%d", i): fmt.Sprintf("t%d", i)}
		}
		tree, err := Decode([]byte(body.String()))
		require.NoError(t, err)
		require.Equal(t, want, tree.Value())
		_, err = tree.Apply([]jsonpatch.Operation{jsonpatch.NewOperation("add", "/new", "text")})
		require.NoError(t, err)
		require.Equal(t, want, tree.Value())
		tree.Release()
	}
}

// A scalar is compared with a value as if it were decoded.
func TestEqualsScalar(t *testing.T) {
	root, err := parseAny([]byte(`["", a, "a", on, "on", 'no', null, "null", ~, true, "true", 1, "1", 1.0, !!str 1, <<]`))
	require.NoError(t, err)
	for _, n := range root.Content {
		for _, other := range root.Content {
			value := scalar(other)
			assert.Equal(t, scalar(n) == value, equalsScalar(n, value), "%+v %#v", n, value)
		}
	}
}
