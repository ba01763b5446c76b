package storage

// HasSource reports whether the row has a source that makes a volume.
func (b *Backend) HasSource() bool { return volumeSources[b.source] != nil }
