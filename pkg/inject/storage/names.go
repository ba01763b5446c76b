package storage

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
)

// Release is the Helm release that names are made for. The zero Release is that of admission, where
// no release is known.
type Release struct {
	// Name is the Helm release.
	Name string
	// Namespace is the namespace of the release, where objects without one belong.
	Namespace string
}

// Names are the names of a profile's objects.
type Names struct {
	StorageClass, Volume, Claim string // the class is empty where it is [ClusterDefault]
	// AttributesClass and SnapshotClass are empty where the profile has none.
	AttributesClass, SnapshotClass string
	// DataSource is the name of the object that the claim begins with, or empty.
	DataSource string
}

// Names returns the names of the profile's objects for a release and the namespace of the claim. A
// name in the configuration is used as it is written, with {namespace} and {release} replaced. The
// defaults are safe: with a release fast.<namespace>.<release>,
// pv-data-pipeline.<namespace>.<release> and pvc-data-pipeline.<release>; at admission fast,
// pv-data-pipeline.<namespace> and pvc-data-pipeline. Parts are joined by dots, which no namespace
// can contain. Profiles other than "default" add their own name to the first part.
func (p *Profile) Names(r Release, namespace string) Names {
	releaseNamespace := cmp.Or(r.Namespace, namespace)
	class := p.defaultName(defaultClass)
	if r.Name != "" {
		class = p.defaultName(defaultClass, releaseNamespace, r.Name)
	}
	n := Names{
		StorageClass: cmp.Or(complete(p.StorageClass.Name, releaseNamespace, r.Name), class),
		Claim:        p.ClaimName(r, namespace),
	}
	if p.StorageClass.UsesClusterDefault() {
		n.StorageClass = ""
	}
	if p.Claim.DataSource != nil {
		n.DataSource = complete(p.Claim.DataSource.Name, namespace, r.Name)
	}
	p.nameClasses(&n, class, releaseNamespace, r.Name)
	if p.Volume != nil {
		served := releaseNamespace
		if p.Volume.Shared {
			served = namespace
		}
		n.Volume = cmp.Or(complete(p.Volume.Name, served, r.Name), p.defaultName(defaultVolume, served, r.Name))
	}
	return n
}

// ClaimName returns the name of the profile's claim, as [Profile.Names] does, without the other
// names: each pod that is patched needs this one alone.
func (p *Profile) ClaimName(r Release, namespace string) string {
	if name := complete(p.Claim.Name, namespace, r.Name); name != "" {
		return name
	}
	return p.defaultName(defaultClaim, r.Name)
}

// complete replaces the placeholders of a name. A name that is empty remains empty: it has a
// default.
func complete(name, namespace, release string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, placeholderNamespace, namespace), placeholderRelease, release)
}

// defaultName joins the parts that are not empty by dots, the profile's name behind the first part.
func (p *Profile) defaultName(parts ...string) string {
	if p.Name != DefaultProfile {
		parts[0] += "-" + p.Name
	}
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), ".")
}

// NeedsRelease reports whether any name that the profile uses depends on the release or its
// namespace.
func (p *Profile) NeedsRelease() bool {
	return p.Creates() || p.ClaimNeedsRelease()
}

// ClaimNeedsRelease reports whether the name of the profile's claim depends on the release or its
// namespace.
func (p *Profile) ClaimNeedsRelease() bool {
	return p.Claim.Name == "" || strings.Contains(p.Claim.Name, placeholderRelease) ||
		strings.Contains(p.Claim.Name, placeholderNamespace)
}

// VolumeName is the name of the profile's volume in a pod: deterministic, and a DNS label whatever
// the claim is called.
func (p *Profile) VolumeName() string {
	if p.Name == DefaultProfile {
		return volumePrefix
	}
	return shorten(volumePrefix + "-" + p.Name)
}

// volumePrefix begins the names of injected volumes in pods.
const volumePrefix = "pipeline-storage"

// maxLabel is the length of a DNS label (RFC 1123), which a volume's name must be.
const maxLabel = 63

// shorten makes a DNS label of a longer name, with a hash so that different names stay different.
func shorten(name string) string {
	if len(name) <= maxLabel {
		return name
	}
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(name))
	return fmt.Sprintf("%s-%08x", strings.TrimRight(name[:maxLabel-9], "-"), sum.Sum32())
}

// nameClasses adds the names of the optional classes. They are objects of the cluster, as the
// StorageClass is, and of other kinds, so that its default name is free for them.
func (p *Profile) nameClasses(n *Names, byDefault, namespace, release string) {
	if p.AttributesClass != nil {
		n.AttributesClass = cmp.Or(complete(p.AttributesClass.Name, namespace, release), byDefault)
	}
	if p.SnapshotClass != nil {
		n.SnapshotClass = cmp.Or(complete(p.SnapshotClass.Name, namespace, release), byDefault)
	}
}

// IsVolumeName reports whether a volume of a pod has a name as [Profile.VolumeName] makes them.
func IsVolumeName(volume string) bool {
	return volume == volumePrefix || strings.HasPrefix(volume, volumePrefix+"-")
}
