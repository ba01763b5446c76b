package kinds

// Scheduling is what is read of a pod to keep it on one node with others, and where it can be extended.
type Scheduling struct {
	// LabelsPath is the pointer of the pod's labels, or where NoMetadata says that there is none, of its metadata. It is empty
	// when there is no place for them. HasLabels says that there are some.
	LabelsPath            string
	HasLabels, NoMetadata bool
	// AffinityPath is the pointer of the pod's affinity; empty when there is no place for one. Affinity is what is there.
	AffinityPath string
	Affinity     map[string]any
	// Inherited says that the pod has none of its own but one that it shares with other pods of the object.
	Inherited bool
	// NodeName is the node that the pod names itself.
	NodeName string
	// PerNode is as in [Kind].
	PerNode bool
	// Spread are the pod's topologySpreadConstraints, and Ports the ports of each of its containers that has some, as they were
	// decoded. HostNetwork says that all of these are ports of the node.
	Spread      any
	Ports       []any
	HostNetwork bool
}

// readScheduling reads a pod's placement from its document.
func readScheduling(s scope, paths PodPaths) Scheduling {
	spec := s.object(paths.Spec)
	p := Scheduling{NodeName: StringOf(spec["nodeName"]), Spread: spec["topologySpreadConstraints"], HostNetwork: spec["hostNetwork"] == true}
	for _, path := range paths.Containers {
		for _, n := range s.all(path) {
			if ports, ok := n.field("ports"); ok && ports.value != nil {
				p.Ports = append(p.Ports, ports.value)
			}
		}
	}
	if len(paths.Metadata) > 0 {
		p.readLabels(s, paths.Metadata[0])
	}
	for i, path := range paths.Affinity {
		n, ok := s.place(path)
		if !ok {
			continue
		}
		affinity, _ := n.value.(map[string]any)
		switch {
		case i == 0:
			p.AffinityPath, p.Affinity = n.pointer, affinity
		case n.value != nil && len(p.Affinity) == 0:
			p.Inherited = true
		}
	}
	return p
}

func (p *Scheduling) readLabels(s scope, metadata string) {
	join := metadata + ".labels"
	if metadata == "." {
		join = "labels"
	}
	if n, ok := s.place(join); ok {
		_, p.HasLabels = n.value.(map[string]any)
		p.LabelsPath = n.pointer
		return
	}
	if n, ok := s.place(metadata); ok && n.value == nil {
		p.LabelsPath, p.NoMetadata = n.pointer, true
	}
}
