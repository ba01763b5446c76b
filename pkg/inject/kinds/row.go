package kinds

import (
	"slices"
	"strings"
	"sync"
)

// podRow is a [PodPaths] with its paths parsed.
type podRow struct {
	*PodPaths
	scope, spec, claimTemplates, labels path
	volumes                             place
	metadata, sharedVolumes, replicas   []path
	securityContext, affinity           []place
	containers                          []containerRow
	containerMounts                     []path
	// ownMetadata and ownLabels are where labels are added.
	ownMetadata, ownLabels place
}

// containerRow is a path of containers.
type containerRow struct {
	path path
	// list is the list that the path goes through last. isItem reports whether there is one.
	list   path
	isItem bool
	// name is the name that the project gives the container; empty: it has its own.
	name string
	// sharedMounts and sharedEnv are the lists that the containers share with others, in order.
	sharedMounts, sharedEnv []path
	// joined are as in [ProjectPaths].
	joined []path
}

// parseOnce returns the rows of pods whose paths are parsed when they are needed first, because a
// run meets few kinds and all paths cost more than reading a small chart (make bench).
func parseOnce(pods func() []PodPaths) func() []podRow {
	return sync.OnceValue(func() []podRow {
		var rows []podRow
		for _, paths := range pods() {
			rows = append(rows, parseRow(&paths))
		}
		return rows
	})
}

// parseRow parses all paths of a row, which [Kind.Validate] has accepted.
func parseRow(p *PodPaths) podRow {
	row := podRow{
		PodPaths:        p,
		scope:           parsePath(p.Scope),
		spec:            parsePath(p.Spec),
		claimTemplates:  parsePath(p.ClaimTemplates),
		labels:          parsePath(p.Labels),
		volumes:         parsePlace(p.Volumes),
		securityContext: parsePlaces(p.SecurityContext),
		affinity:        parsePlaces(p.Affinity),
		metadata:        parsePaths(p.Metadata),
		sharedVolumes:   parsePaths(p.SharedVolumes),
		replicas:        parsePaths(p.Replicas),
		containerMounts: parsePaths(p.ContainerMounts),
	}
	if len(p.Metadata) > 0 {
		row.ownMetadata = parsePlace(p.Metadata[0])
		row.ownLabels = parsePlace(strings.TrimPrefix(p.Metadata[0]+".labels", "..")) // "." is the scope itself
	}
	for _, text := range p.Containers {
		row.containers = append(row.containers, parseContainers(p, text))
	}
	return row
}

// parseContainers parses one path of containers, with the lists that its containers share.
func parseContainers(p *PodPaths, text string) containerRow {
	list, isItem := strings.CutSuffix(text, anyItem)
	row := containerRow{
		path: parsePath(text), list: parsePath(list), isItem: isItem, name: p.Names[text], joined: parsePaths(p.Joined[text]),
	}
	for _, shared := range p.Shared {
		if len(shared.Containers) == 0 || slices.Contains(shared.Containers, text) {
			row.sharedMounts = append(row.sharedMounts, parsePaths(shared.Mounts)...)
			row.sharedEnv = append(row.sharedEnv, parsePaths(shared.Env)...)
		}
	}
	return row
}
