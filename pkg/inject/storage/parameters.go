package storage

import "maps"

// driver is the backend's; for the backend csi it is the profile's.
func (p *Profile) driver() string {
	if b := p.Backend(); b.Driver != "" {
		return b.Driver
	}
	return p.StorageClass.Driver
}

// parameters are the preset's, those of its performance, and the profile's own over them. An empty
// value removes one.
func (p *Profile) parameters() map[string]string {
	merged := map[string]string{}
	maps.Copy(merged, p.Backend().Parameters)
	maps.Copy(merged, p.Backend().Performance[p.StorageClass.Performance].Parameters)
	for name, owner := range p.Backend().BelongsTo {
		if own, isSet := p.StorageClass.Parameters[owner]; isSet && own != merged[owner] {
			delete(merged, name)
		}
	}
	maps.Copy(merged, p.StorageClass.Parameters)
	maps.DeleteFunc(merged, func(_, value string) bool { return value == "" })
	return merged
}

// attributes are the volume's own over the backend's and the parameters that it needs on both
// sides.
func (p *Profile) attributes() map[string]string {
	merged := map[string]string{}
	maps.Copy(merged, p.Backend().Attributes)
	for _, name := range p.Backend().Required {
		if value := p.StorageClass.Parameters[name]; value != "" {
			merged[name] = value
		}
	}
	maps.Copy(merged, p.Volume.Attributes)
	return merged
}

// topologyKey is the backend's; for the backend csi it is the volume's.
func (p *Profile) topologyKey() string {
	if key := p.Backend().TopologyKey; key != "" {
		return key
	}
	return p.Volume.TopologyKey
}
