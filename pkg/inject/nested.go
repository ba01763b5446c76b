package inject

import (
	"fmt"
	"strings"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// nestedPaths collects mounts whose paths lie in one another, for one warning about all containers
// of a pod: a client of the API server sees few warnings.
type nestedPaths struct {
	pairs []nestedPair
	// at are positions in pairs.
	at map[nestedKey]int
}

// nestedKey is a mount path of a profile, and a mount that nests with it.
type nestedKey struct{ mountPath, path, volume string }

// nestedPair are the containers in which two mounts nest.
type nestedPair struct {
	nestedKey
	containers nameList
}

// add notes that a mount of a container nests with a profile's path.
func (n *nestedPaths) add(container, mountPath string, m *kinds.VolumeMount) {
	key := nestedKey{mountPath, m.Path, m.Volume}
	at, isKnown := n.at[key]
	if !isKnown {
		if n.at == nil {
			n.at = map[nestedKey]int{}
		}
		at = len(n.pairs)
		n.at[key] = at
		n.pairs = append(n.pairs, nestedPair{nestedKey: key})
	}
	n.pairs[at].containers.add(container)
}

// namedNested is how many pairs of paths that nest are named.
const namedNested = 3

// warning is the warning about all of them; empty without one.
func (n *nestedPaths) warning() string {
	var parts []string
	for i := range n.pairs[:min(len(n.pairs), namedNested)] {
		pair := &n.pairs[i]
		parts = append(parts, fmt.Sprintf(
			"%s: mount path %s nests with %s of volume %q", pair.containers.sentence("container"), pair.mountPath, pair.path,
			pair.volume,
		))
	}
	if more := len(n.pairs) - namedNested; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}
