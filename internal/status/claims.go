package status

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// claim finds a claim of the namespace. It is nil where the claim does not exist or could not be
// read.
func (a *analysis) claim(name string) *corev1.PersistentVolumeClaim {
	i := slices.IndexFunc(
		a.Claims, func(c corev1.PersistentVolumeClaim) bool { return c.Namespace == a.name && c.Name == name },
	)
	if i < 0 {
		return nil
	}
	return &a.Claims[i]
}

// volume finds a PersistentVolume of the cluster. It is nil where the volume does not exist or
// could not be read, and for the empty name.
func (a *analysis) volume(name string) *corev1.PersistentVolume {
	i := slices.IndexFunc(a.Volumes, func(v corev1.PersistentVolume) bool { return v.Name == name })
	if i < 0 {
		return nil
	}
	return &a.Volumes[i]
}

// claims reads those that pods use or that profiles created. The second sort includes claims that
// no pod uses now: their data costs money, too. A claim that pods use and that is missing gets a
// row, unless claims could not be read.
func (a *analysis) claims() {
	names := map[string]bool{}
	for name := range a.used {
		names[name] = true
	}
	for i := range a.Claims {
		if c := &a.Claims[i]; c.Namespace == a.name && c.Labels[storage.LabelProfile] != "" {
			names[c.Name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		claim := a.claim(name)
		if claim == nil && a.unread(claims) {
			continue
		}
		a.namespace.Claims = append(a.namespace.Claims, a.claimRow(name, claim))
		a.claimProblems(name, claim)
	}
}

// claimRow describes a claim for the report. Claim is nil for one that is missing. Before a claim
// is bound, size and access modes are those that it requests; afterwards those that it has.
func (a *analysis) claimRow(name string, claim *corev1.PersistentVolumeClaim) Claim {
	row := Claim{
		Name: name, Profile: a.profiles[name], Phase: "Missing", AccessModes: []string{}, Nodes: []string{},
		Pods: len(a.used[name]),
	}
	for _, pod := range a.used[name] {
		if node := pod.Spec.NodeName; node != "" && !slices.Contains(row.Nodes, node) {
			row.Nodes = append(row.Nodes, node)
		}
	}
	slices.Sort(row.Nodes)
	if claim == nil {
		return row
	}
	row.Phase, row.Volume, row.StorageClass = string(claim.Status.Phase), claim.Spec.VolumeName, diagnose.ClassOf(claim)
	if claim.DeletionTimestamp != nil {
		row.Phase = "Deleting"
	}
	if profile := claim.Labels[storage.LabelProfile]; profile != "" {
		row.Profile = profile
	}
	size, modes := diagnose.Requested(claim), claim.Spec.AccessModes
	if capacity, ok := claim.Status.Capacity[corev1.ResourceStorage]; ok {
		size, modes = capacity, claim.Status.AccessModes
	}
	row.Size = size.String()
	for _, m := range modes {
		row.AccessModes = append(row.AccessModes, string(m))
	}
	if volume := a.volume(claim.Spec.VolumeName); volume != nil {
		row.ReclaimPolicy = string(volume.Spec.PersistentVolumeReclaimPolicy)
	}
	switch {
	case isOwn(claim):
		row.CreatedBy = "controller"
	case claim.Labels["app.kubernetes.io/managed-by"] == "Helm":
		row.CreatedBy = "Helm"
	}
	return row
}

// isOwn reports whether a claims controller created the claim, of any installation. A claim of a
// Helm release is not: see [diagnose.OwnedBy].
func isOwn(claim *corev1.PersistentVolumeClaim) bool {
	installation := claim.Labels[storage.LabelInstallation]
	return installation != "" && diagnose.OwnedBy(installation, claim)
}

// claimProblems adds why pods wait for a claim, and why the next ones would. What the claims
// controller has reported comes first. Findings about the driver, the nodes and the pods that
// share the volume follow.
func (a *analysis) claimProblems(name string, claim *corev1.PersistentVolumeClaim) {
	about := "PersistentVolumeClaim/" + name
	pods := podsOf(a.used[name])
	if a.addControllerEvents(name, claim) && claim == nil {
		return // the controller has reported why it could not create the claim
	}
	if len(pods) == 0 && (claim == nil || claim.Status.Phase == corev1.ClaimPending) {
		return // with WaitForFirstConsumer this is as it should be
	}
	if claim != nil && claim.DeletionTimestamp == nil {
		a.useProblems(claim, about)
	}
	switch {
	case claim != nil && claim.DeletionTimestamp != nil:
		a.add(problem(diagnose.BeingDeleted(name), about))
		return
	case claim == nil:
		p := problem(diagnose.Claim(a.snapshotOf(name, nil, pods)), about)
		p.Next = a.missingNext(name, p.Next)
		a.add(p)
		return
	case claim.Status.Phase != corev1.ClaimBound:
		p := problem(diagnose.Claim(a.snapshotOf(name, claim, pods)), about)
		if p.Reason == diagnose.ReasonVolumeReleased && isOwn(claim) && a.rebinds(a.volume(claim.Spec.VolumeName)) {
			p.Next = "the claims controller re-binds it while it runs: " + a.logs()
		}
		a.add(p)
		if claim.Spec.VolumeName == "" {
			return
		}
	}
	volume := a.volume(claim.Spec.VolumeName)
	if !anyRuns(pods) && !a.unread(drivers) {
		a.addFinding(diagnose.Driver(name, volume, a.driverNames()), about)
	}
	a.addFinding(diagnose.Reach(name, volume, a.Nodes, pods), about)
	if a.mountsLabels(volume) {
		a.addFinding(diagnose.SELinux(name, pods), about)
	}
	profile := a.profile(a.profiles[name])
	if profile != nil && profile.SingleNode() && claim.Status.Phase == corev1.ClaimBound {
		if note, _ := diagnose.MultiNode(profile, name, pods, a.Now, 0); note != "" {
			a.add(problem(diagnose.Finding{Reason: diagnose.ReasonSharedByNodes, Note: note, Next: diagnose.MultiNodeNext},
				about))
		}
	}
}

// missingNext is what to do about a claim that is missing. Otherwise is the advice of package
// diagnose, for a claim that this product does not create.
func (a *analysis) missingNext(name, otherwise string) string {
	profile := a.profile(a.profiles[name])
	switch {
	case profile == nil || !*profile.Claim.Create:
		return otherwise
	case profile.ClaimName(storage.Release{}, a.name) != name:
		return "create it: the profile would create another one, so it came with the rendered pods " +
			"(helm upgrade creates it again)"
	case a.selected == nil:
		return otherwise
	}
	return "the claims controller creates it while it runs: " + a.logs()
}

// logs is how to find out why the claims controller has not done something. It is a command with
// a placeholder for a namespace that could not be read.
func (a *analysis) logs() string {
	return fmt.Sprintf(
		"kubectl logs --namespace %s --selector %s=%s shows why it has not",
		cmp.Or(a.selectedNamespace(), "NAMESPACE"), kube.LabelName, kube.ProductName,
	)
}

// rebinds reports whether the volume has the labels of this very namespace. A namespace that was
// deleted and created again has another UID: its volumes need consent.
func (a *analysis) rebinds(v *corev1.PersistentVolume) bool {
	return v != nil && a.meta != nil && v.Labels[storage.LabelNamespace] == a.name &&
		v.Labels[storage.LabelNamespaceUID] == string(a.meta.UID)
}

// addFinding adds a finding of package diagnose, if there is one.
func (a *analysis) addFinding(f *diagnose.Finding, about string) {
	if f != nil {
		a.add(problem(*f, about))
	}
}

// addControllerEvents adds what the claims controller reported about the claim, and about its
// pods while they wait. It reports whether it added something. A bound claim needs nothing from
// the controller, so that Events of its pods are old then.
func (a *analysis) addControllerEvents(name string, claim *corev1.PersistentVolumeClaim) bool {
	before := len(a.namespace.Problems)
	if claim != nil {
		a.controllerEvents(claim.UID, name)
	}
	if claim == nil || claim.Status.Phase != corev1.ClaimBound {
		for _, pod := range a.used[name] {
			a.controllerEvents(pod.UID, name)
		}
	}
	return len(a.namespace.Problems) > before
}

// profile returns a profile of the configuration. It is nil for an unknown name and without a
// configuration.
func (a *analysis) profile(name string) *storage.Profile {
	if a.config == nil {
		return nil
	}
	return a.config.Profile(name)
}

// snapshotOf returns what package diagnose needs to find why a claim waits. Drivers stay nil
// where they could not be read, so that none is reported as missing.
func (a *analysis) snapshotOf(name string, claim *corev1.PersistentVolumeClaim, pods []corev1.Pod) diagnose.Snapshot {
	s := diagnose.Snapshot{
		Profile: a.profile(a.profiles[name]), Name: name, Namespace: a.name, Claim: claim, Pods: pods,
		VolumesUnread: a.unread(volumes), ClassesUnread: a.unread(classes), Nodes: a.Nodes,
	}
	if !a.unread(drivers) {
		s.Drivers = a.driverNames()
	}
	if claim == nil {
		return s
	}
	s.Own = isOwn(claim)
	s.Source = a.sourceOf(claim)
	s.Volume = a.volume(claim.Spec.VolumeName)
	isClass := func(c storagev1.StorageClass) bool { return c.Name == diagnose.ClassOf(claim) }
	if i := slices.IndexFunc(a.Classes, isClass); i >= 0 {
		s.Class = &a.Classes[i]
	}
	return s
}

// driverNames are the CSI drivers that are registered in the cluster, by name. An empty list
// means that none is.
func (a *analysis) driverNames() []string {
	names := make([]string, len(a.Drivers))
	for i := range a.Drivers {
		names[i] = a.Drivers[i].Name
	}
	return names
}

// mountsLabels reports whether nodes mount a volume with the SELinux label of its pod: its driver has
// seLinuxMount: true. Source: Kubernetes, storage/v1 CSIDriverSpec.seLinuxMount.
func (a *analysis) mountsLabels(volume *corev1.PersistentVolume) bool {
	return volume != nil && volume.Spec.CSI != nil && slices.ContainsFunc(a.Drivers, func(d storagev1.CSIDriver) bool {
		return d.Name == volume.Spec.CSI.Driver && d.Spec.SELinuxMount != nil && *d.Spec.SELinuxMount
	})
}

// podsOf copies pods into the form that package diagnose takes.
func podsOf(list []*corev1.Pod) []corev1.Pod {
	var pods []corev1.Pod
	for _, p := range list {
		pods = append(pods, *p)
	}
	return pods
}

// anyRuns reports whether a pod of the list runs. Its volume is mounted then, which proves that
// its driver works.
func anyRuns(pods []corev1.Pod) bool {
	return slices.ContainsFunc(pods, func(p corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning })
}

// released finds volumes with the data of deleted claims of the namespace, as far as these were a
// profile's. The volumes of other deleted claims, of which the cluster may have many, are not
// reported. It adds a row for each and a problem where people must act.
func (a *analysis) released() {
	byClaim := map[string][]corev1.PersistentVolume{}
	for i := range a.Volumes {
		v := &a.Volumes[i]
		if ref := v.Spec.ClaimRef; ref != nil && ref.Namespace == a.name && v.Status.Phase == corev1.VolumeReleased &&
			a.isProfileVolume(v) {
			byClaim[ref.Name] = append(byClaim[ref.Name], *v)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byClaim)) {
		a.releasedFor(name, byClaim[name])
	}
}

// isProfileVolume reports whether a profile created the volume, a claims controller labeled it, or
// pods use a claim of that name.
func (a *analysis) isProfileVolume(v *corev1.PersistentVolume) bool {
	return v.Labels[storage.LabelProfile] != "" || v.Labels[storage.LabelNamespaceUID] != "" ||
		a.isClaim(v.Spec.ClaimRef.Name) ||
		len(a.used[v.Spec.ClaimRef.Name]) > 0
}

// releasedFor reports the Released volumes of one claim, and a problem where they need an
// administrator. One volume that has the labels of this namespace is re-bound by the controller
// and is not a problem.
func (a *analysis) releasedFor(name string, all []corev1.PersistentVolume) {
	if a.meta == nil { // which namespace they belong to is unknown
		for i := range all {
			a.addReleased(name, &all[i], false)
		}
		return
	}
	uid, namespaceUID := types.UID(""), a.meta.UID
	claim := a.claim(name)
	if claim != nil {
		uid = claim.UID
	}
	held := diagnose.ReleasedFor(types.NamespacedName{Namespace: a.name, Name: name}, uid, namespaceUID, all)
	for i := range held.Volumes {
		a.addReleased(name, &held.Volumes[i], len(held.Volumes) == 1 && a.isMade(name))
	}
	for i := range held.Earlier {
		a.addReleased(name, &held.Earlier[i], false)
	}
	about := "PersistentVolumeClaim/" + name
	switch {
	case !a.isMade(name):
		if !a.names(claim, all) {
			a.add(problem(diagnose.ByHand(types.NamespacedName{Namespace: a.name, Name: name}, claim, newestFirst(held)), about))
		}
	case len(held.Volumes) > 1:
		a.add(problem(diagnose.Ambiguous(name, held.Volumes), about))
	case len(held.Volumes) == 1 || len(held.Earlier) == 0 || a.names(claim, held.Earlier):
		// it is re-bound without consent, or diagnose.Claim has reported it
	case claim != nil:
		a.add(problem(diagnose.EarlierNamespace(claim, held.Earlier), about))
	default:
		last := held.Earlier[0].Name
		a.add(found(
			diagnose.ReasonVolumeReleased,
			fmt.Sprintf(
				"PersistentVolume %s is Released: it has the data of a deleted claim %s, and lacks the labels of this namespace",
				last, name,
			),
			"To re-bind it in this namespace: "+diagnose.ConsentCommand(last, a.name), "PersistentVolume/"+last,
		))
	}
}

// isMade reports whether the claims controller of an installation creates a claim of that name here. Where the
// configuration is unknown, it may.
func (a *analysis) isMade(claim string) bool {
	return a.namespace.Installation != "" && (a.config == nil ||
		slices.ContainsFunc(a.config.Profiles, func(p storage.Profile) bool {
			return p.ClaimName(storage.Release{}, a.name) == claim && ptr.Deref(p.Claim.Create, true)
		}))
}

// newestFirst are all volumes that were found.
func newestFirst(held diagnose.Released) []corev1.PersistentVolume {
	all := slices.Concat(held.Volumes, held.Earlier)
	slices.SortStableFunc(all, func(a, b corev1.PersistentVolume) int {
		return b.CreationTimestamp.Compare(a.CreationTimestamp.Time)
	})
	return all
}

// names reports whether the claim names one of the volumes. Claim may be nil.
func (a *analysis) names(claim *corev1.PersistentVolumeClaim, all []corev1.PersistentVolume) bool {
	return claim != nil &&
		slices.ContainsFunc(all, func(v corev1.PersistentVolume) bool { return v.Name == claim.Spec.VolumeName })
}

// addReleased adds the row of one volume. Rebinds reports whether the controller re-binds it
// without consent.
func (a *analysis) addReleased(claim string, v *corev1.PersistentVolume, rebinds bool) {
	size := v.Spec.Capacity[corev1.ResourceStorage]
	a.namespace.Released = append(a.namespace.Released, Released{
		Volume: v.Name, Claim: claim, Size: size.String(), Rebinds: rebinds, ByHand: !a.isMade(claim),
	})
}
