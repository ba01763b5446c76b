package kinds

// Scheduling is what is read of a pod to keep it on one node with others, and where it can be
// extended.
type Scheduling struct {
	// LabelsPath is the pointer of the pod's labels, or with NoMetadata that of its metadata, which
	// is absent. It is empty when there is no place for them. HasLabels is true where labels are
	// there.
	LabelsPath            string
	HasLabels, NoMetadata bool
	// AffinityPath is the pointer of the pod's affinity; empty when there is no place for one.
	// Affinity is what is there.
	AffinityPath string
	Affinity     map[string]any
	// Inherited is true where the pod has no affinity of its own but one that it shares with other
	// pods of the object.
	Inherited bool
	// NodeName is the node that the pod names itself.
	NodeName string
	// PerNode is as in [Kind].
	PerNode bool
	// Spread are the pod's topologySpreadConstraints, and Ports the ports of each of its containers
	// that has some, as they were decoded. With HostNetwork all of these are ports of the node.
	Spread      any
	Ports       []any
	HostNetwork bool
}

// readScheduling reads what the pod's scheduling depends on, but for the ports, which are read with
// the containers.
func readScheduling(p *Scheduling, s scope, row *podRow) {
	spec := s.object(row.spec)
	p.NodeName, p.Spread = StringOf(spec["nodeName"]), spec["topologySpreadConstraints"]
	p.HostNetwork = spec["hostNetwork"] == true
	if len(row.metadata) > 0 {
		p.readLabels(s, row)
	}
	for i, place := range row.affinity {
		n, ok := s.place(place)
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
}

func (p *Scheduling) readLabels(s scope, row *podRow) {
	if n, ok := s.place(row.ownLabels); ok {
		_, p.HasLabels = n.value.(map[string]any)
		p.LabelsPath = n.pointer
		return
	}
	if n, ok := s.place(row.ownMetadata); ok && n.value == nil {
		p.LabelsPath, p.NoMetadata = n.pointer, true
	}
}
