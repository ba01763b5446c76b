package inject

import "slices"

// volumeList finds volumes by name in a time that does not grow with their number. Of several volumes with one name the first
// counts.
type volumeList struct {
	list []PodVolume
	// byName are positions in the list once there are more than linearSearchLimit.
	byName map[string]int
}

func newVolumeList(list []PodVolume) volumeList {
	l := volumeList{list: list}
	if len(list) <= linearSearchLimit {
		return l
	}
	l.byName = make(map[string]int, len(list))
	for i, v := range slices.Backward(list) {
		l.byName[v.Name] = i
	}
	return l
}

// named returns the volume of a name.
func (l *volumeList) named(name string) (PodVolume, bool) {
	if l.byName == nil {
		return first(l.list, func(v PodVolume) bool { return v.Name == name })
	}
	i, ok := l.byName[name]
	if !ok {
		return PodVolume{}, false
	}
	return l.list[i], true
}

// withClaim returns the first volume with a claim.
func (l *volumeList) withClaim(claim string) (PodVolume, bool) {
	return first(l.list, func(v PodVolume) bool { return v.Claim == claim })
}

func first(list []PodVolume, matches func(PodVolume) bool) (PodVolume, bool) {
	if i := slices.IndexFunc(list, matches); i >= 0 {
		return list[i], true
	}
	return PodVolume{}, false
}

// container returns the pod's container of that name, or nil.
func (p *podPatch) container(name string) *Container {
	if len(p.pod.Containers) <= linearSearchLimit {
		return p.pod.container(name)
	}
	if p.containers == nil {
		p.containers = make(map[string]*Container, len(p.pod.Containers))
		for i := range slices.Backward(p.pod.Containers) {
			p.containers[p.pod.Containers[i].Name] = &p.pod.Containers[i]
		}
	}
	return p.containers[name]
}
