package storage

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ProfileRef is a profile in a namespace whose pods mount its claim.
type ProfileRef struct {
	Profile, Namespace string
}

// ObjectSet holds the storage objects of profiles, in the order of their creation.
type ObjectSet struct {
	StorageClasses    []*storagev1.StorageClass
	AttributesClasses []*storagev1.VolumeAttributesClass
	SnapshotClasses   []*VolumeSnapshotClass
	Volumes           []*corev1.PersistentVolume
	Claims            []*corev1.PersistentVolumeClaim
}

// Objects returns the storage objects that profiles need in namespaces, as far as the configuration
// creates them: a class of each sort per profile, a claim per namespace, and for a static volume
// the one PersistentVolume. That is bound in advance by claimRef and volumeName, so that it needs
// no first consumer. It fails when a static volume is mounted outside the one namespace that it
// serves.
func Objects(config *Config, r Release, refs ...ProfileRef) (ObjectSet, error) {
	var s ObjectSet
	for i := range config.Profiles {
		p := &config.Profiles[i]
		namespaces := namespacesOf(refs, p.Name)
		if len(namespaces) == 0 {
			continue
		}
		if err := p.addObjects(&s, r, namespaces); err != nil {
			return ObjectSet{}, err
		}
	}
	return s, s.validate()
}

// Object is one object of [ObjectSet] with its kind and metadata at hand.
type Object struct {
	Kind string
	Meta *metav1.ObjectMeta
	// Object is the typed object itself.
	Object any
}

// All returns every object in the order of creation.
func (s *ObjectSet) All() []Object {
	var all []Object
	for _, c := range s.StorageClasses {
		all = append(all, Object{c.Kind, &c.ObjectMeta, c})
	}
	for _, c := range s.AttributesClasses {
		all = append(all, Object{c.Kind, &c.ObjectMeta, c})
	}
	for _, c := range s.SnapshotClasses {
		all = append(all, Object{c.Kind, &c.ObjectMeta, c})
	}
	for _, v := range s.Volumes {
		all = append(all, Object{v.Kind, &v.ObjectMeta, v})
	}
	for _, c := range s.Claims {
		all = append(all, Object{c.Kind, &c.ObjectMeta, c})
	}
	return all
}

// validate refuses two profiles that make an object of one name: a literal name can be another
// profile's default.
func (s *ObjectSet) validate() error {
	seen := map[string]string{}
	for _, o := range s.All() {
		key, profile := o.Kind+"/"+o.Meta.Namespace+"/"+o.Meta.Name, o.Meta.Labels[LabelProfile]
		if other, taken := seen[key]; taken && other != profile {
			return fmt.Errorf("the profiles %q and %q would both create %s %s: give one of them another name",
				other, profile, o.Kind, o.Meta.Name)
		}
		seen[key] = profile
	}
	return nil
}

// namespacesOf are the namespaces whose pods mount a profile's claim, sorted, each once.
func namespacesOf(refs []ProfileRef, profile string) []string {
	var namespaces []string
	for _, ref := range refs {
		if ref.Profile == profile && !slices.Contains(namespaces, ref.Namespace) {
			namespaces = append(namespaces, ref.Namespace)
		}
	}
	slices.Sort(namespaces)
	return namespaces
}

// addObjects adds the objects of a profile whose pods are in the namespaces, of which there is at
// least one. It fails where they are not those that its static volume serves.
func (p *Profile) addObjects(s *ObjectSet, r Release, namespaces []string) error {
	served, err := p.volumeNamespaces(r, namespaces)
	if err != nil {
		return err
	}
	p.addClasses(s, r, namespaces)
	for _, namespace := range served {
		s.Volumes = append(s.Volumes, p.persistentVolume(r, namespace))
	}
	if !*p.Claim.Create {
		return nil
	}
	for _, namespace := range namespaces {
		s.Claims = append(s.Claims, p.claim(r, namespace))
	}
	return nil
}

// volumeNamespaces returns the namespaces for which a PersistentVolume is created: none, the one
// that it serves, or each when it is shared.
func (p *Profile) volumeNamespaces(r Release, namespaces []string) ([]string, error) {
	if p.Volume == nil {
		return nil, nil
	}
	served := namespaces
	if !p.Volume.Shared {
		only := cmp.Or(p.Volume.Namespace, r.Namespace, namespaces[0])
		if err := p.servesOnly(only, namespaces); err != nil {
			return nil, err
		}
		served = []string{only}
	}
	if !*p.Volume.Create {
		return nil, nil
	}
	return served, nil
}

// servesOnly refuses a static volume outside its namespace: a PersistentVolume is bound to one
// claim.
func (p *Profile) servesOnly(only string, namespaces []string) error {
	for _, namespace := range namespaces {
		if namespace != only {
			return fmt.Errorf("profile %q: its volume serves the namespace %q only, but pods in %q would mount it: "+
				"give %q a profile of its own, set volume.shared if many nodes can mount it at once, or leave volume "+
				"out to have one provisioned in each namespace",
				p.Name, only, namespace, namespace)
		}
	}
	return nil
}

// meta is the metadata of an object that holds data: Helm, Argo CD and Flux retain it, and a label
// names the profile.
func (p *Profile) meta(name, namespace string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name:      name,
		Namespace: namespace,
		Labels:    map[string]string{LabelProfile: p.Name},
		Annotations: map[string]string{
			annotationResourcePolicy: "keep",
			annotationSyncOptions:    syncOptionsKeep,
			annotationFluxPrune:      fluxPruneKeep,
		},
	}
}

// addClasses adds one class of each sort, or one for each namespace when its name has {namespace}
// at admission.
func (p *Profile) addClasses(s *ObjectSet, r Release, namespaces []string) {
	seen := map[[2]string]bool{}
	once := func(kind, name string) bool {
		key := [2]string{kind, name}
		defer func() { seen[key] = true }()
		return !seen[key]
	}
	for _, namespace := range namespaces {
		n := p.Names(r, namespace)
		if *p.StorageClass.Create && once("StorageClass", n.StorageClass) {
			s.StorageClasses = append(s.StorageClasses, p.storageClass(r, namespace))
		}
		if p.createsAttributesClass() && once("VolumeAttributesClass", n.AttributesClass) {
			s.AttributesClasses = append(s.AttributesClasses, p.attributesClass(n))
		}
		if p.createsSnapshotClass() && once("VolumeSnapshotClass", n.SnapshotClass) {
			s.SnapshotClasses = append(s.SnapshotClasses, p.snapshotClass(n))
		}
	}
}

// storageClass is the StorageClass of the profile, for the release or, without one, for the
// claim's namespace. Its fields are copies: the caller may change them.
func (p *Profile) storageClass(r Release, namespace string) *storagev1.StorageClass {
	meta := p.meta(p.Names(r, namespace).StorageClass, "")
	addMetadata(&meta, p.StorageClass.Labels, p.StorageClass.Annotations, cmp.Or(r.Namespace, namespace), r.Name)
	return &storagev1.StorageClass{
		TypeMeta:             metav1.TypeMeta{APIVersion: "storage.k8s.io/v1", Kind: "StorageClass"},
		ObjectMeta:           meta,
		Provisioner:          p.driver(),
		Parameters:           p.parameters(),
		MountOptions:         slices.Clone(p.StorageClass.MountOptions),
		ReclaimPolicy:        new(p.StorageClass.ReclaimPolicy),
		VolumeBindingMode:    new(p.StorageClass.VolumeBindingMode),
		AllowVolumeExpansion: new(*p.StorageClass.AllowVolumeExpansion),
		AllowedTopologies:    p.StorageClass.allowedTopologies(),
	}
}

// claim is the PersistentVolumeClaim of the profile in a namespace. Without a static volume its
// volumeName is empty, and the class provisions the volume. [ClusterDefault] leaves the class to
// the API server.
func (p *Profile) claim(r Release, namespace string) *corev1.PersistentVolumeClaim {
	n := p.Names(r, namespace)
	meta := p.meta(n.Claim, namespace)
	addMetadata(&meta, p.Claim.Labels, p.Claim.Annotations, namespace, r.Name)
	return &corev1.PersistentVolumeClaim{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"},
		ObjectMeta: meta,
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      slices.Clone(p.Claim.AccessModes),
			StorageClassName: stringPointer(n.StorageClass),
			VolumeName:       n.Volume,
			DataSourceRef:    p.Claim.DataSource.reference(n.DataSource),
			// The binder requires the volume to have the same class.
			// Source: Kubernetes, pv_controller checkVolumeSatisfyClaim.
			VolumeAttributesClassName: stringPointer(n.AttributesClass),
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: p.Claim.Size},
			},
		},
	}
}

// persistentVolume is the static volume of the profile, bound in advance to its claim in a
// namespace. The claimRef has no UID, so that a recreated claim binds again.
// Source: Kubernetes, Persistent Volumes, Reserving a PersistentVolume.
func (p *Profile) persistentVolume(r Release, namespace string) *corev1.PersistentVolume {
	n := p.Names(r, namespace)
	meta := p.meta(n.Volume, "")
	addMetadata(&meta, p.Volume.Labels, p.Volume.Annotations, namespace, r.Name)
	return &corev1.PersistentVolume{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolume"},
		ObjectMeta: meta,
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: p.Claim.Size},
			AccessModes:                   slices.Clone(p.Claim.AccessModes),
			PersistentVolumeReclaimPolicy: p.StorageClass.ReclaimPolicy,
			StorageClassName:              n.StorageClass,
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: namespace, Name: n.Claim,
			},
			VolumeAttributesClassName: stringPointer(n.AttributesClass),
			MountOptions:              p.volumeOptions(),
			NodeAffinity:              p.nodeAffinity(),
			PersistentVolumeSource:    p.source(namespace),
		},
	}
}

// nodeAffinity keeps pods in the zone of the volume: in another one the disk cannot be attached.
func (p *Profile) nodeAffinity() *corev1.VolumeNodeAffinity {
	key := p.topologyKey()
	if p.Volume.Zone == "" || key == "" {
		return nil
	}
	return &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{
				Key: key, Operator: corev1.NodeSelectorOpIn, Values: []string{p.Volume.Zone},
			}},
		}},
	}}
}

// source is the PersistentVolumeSource of the backend. A node distinguishes the volumes of a driver
// by their handles, so a handle that the driver does not read is made unique where the volume is
// shared. Source: Kubernetes, core/v1 CSIPersistentVolumeSource.
func (p *Profile) source(namespace string) corev1.PersistentVolumeSource {
	handle := p.Volume.Handle
	if p.Volume.Shared && p.Backend().FreeHandle {
		handle += cmp.Or(p.Backend().HandleSeparator, "#") + namespace
	}
	return volumeSources[p.Backend().source](p, handle)
}

var volumeSources = map[volumeSource]func(*Profile, string) corev1.PersistentVolumeSource{
	sourceCSI: func(p *Profile, handle string) corev1.PersistentVolumeSource {
		return corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{
			Driver:             p.driver(),
			VolumeHandle:       handle,
			ReadOnly:           p.attachesReadOnly(),
			FSType:             p.parameters()[ClassParameterFSType],
			VolumeAttributes:   p.attributes(),
			NodeStageSecretRef: p.Volume.stageSecret(),
		}}
	},
	sourceLocal: func(_ *Profile, directory string) corev1.PersistentVolumeSource {
		return corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: directory}}
	},
	sourceHostPath: func(_ *Profile, directory string) corev1.PersistentVolumeSource {
		create := corev1.HostPathDirectoryOrCreate
		return corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: directory, Type: &create}}
	},
}

// stringPointer returns a pointer to a name, or nil for an empty one.
func stringPointer(name string) *string {
	if name == "" {
		return nil
	}
	return &name
}

// stageSecret is the Secret by which a node mounts a static volume, or nil.
func (v *Volume) stageSecret() *corev1.SecretReference {
	if v.NodeStageSecret == nil {
		return nil
	}
	return &corev1.SecretReference{Name: v.NodeStageSecret.Name, Namespace: v.NodeStageSecret.Namespace}
}

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
