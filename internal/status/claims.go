package status

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/internal/kube"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// claim finds a claim of the namespace.
func (l *look) claim(name string) *corev1.PersistentVolumeClaim {
	i := slices.IndexFunc(l.Claims, func(c corev1.PersistentVolumeClaim) bool { return c.Namespace == l.name && c.Name == name })
	if i < 0 {
		return nil
	}
	return &l.Claims[i]
}

func (l *look) volume(name string) *corev1.PersistentVolume {
	i := slices.IndexFunc(l.Volumes, func(v corev1.PersistentVolume) bool { return v.Name == name })
	if i < 0 {
		return nil
	}
	return &l.Volumes[i]
}

// claims looks at those that pods use or that profiles made.
func (l *look) claims() {
	names := map[string]bool{}
	for name := range l.used {
		names[name] = true
	}
	for i := range l.Claims {
		if c := &l.Claims[i]; c.Namespace == l.name && c.Labels[storage.LabelProfile] != "" {
			names[c.Name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		claim := l.claim(name)
		if claim == nil && l.unread(claims) {
			continue
		}
		l.namespace.Claims = append(l.namespace.Claims, l.claimRow(name, claim))
		l.claimProblems(name, claim)
	}
}

func (l *look) claimRow(name string, claim *corev1.PersistentVolumeClaim) Claim {
	row := Claim{Name: name, Profile: l.profiles[name], Phase: "Missing", AccessModes: []string{}, Nodes: []string{}, Pods: len(l.used[name])}
	for _, pod := range l.used[name] {
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
	if volume := l.volume(claim.Spec.VolumeName); volume != nil {
		row.ReclaimPolicy = string(volume.Spec.PersistentVolumeReclaimPolicy)
	}
	switch {
	case isOwn(claim):
		row.MadeBy = "controller"
	case claim.Labels["app.kubernetes.io/managed-by"] == "Helm":
		row.MadeBy = "Helm"
	}
	return row
}

// isOwn reports whether a claims controller made the claim, of whatever installation.
func isOwn(claim *corev1.PersistentVolumeClaim) bool {
	made := claim.Labels[storage.LabelInstallation]
	return made != "" && diagnose.OwnedBy(made, claim)
}

// claimProblems says why pods wait for a claim, and what would keep the next ones from it.
func (l *look) claimProblems(name string, claim *corev1.PersistentVolumeClaim) {
	about := "PersistentVolumeClaim/" + name
	pods := podsOf(l.used[name])
	if l.said(name, claim) && claim == nil {
		return // the controller knows why it could not make the claim
	}
	if len(pods) == 0 && (claim == nil || claim.Status.Phase == corev1.ClaimPending) {
		return // with WaitForFirstConsumer this is as it should be
	}
	switch {
	case claim != nil && claim.DeletionTimestamp != nil:
		l.add(problem(diagnose.BeingDeleted(name), about))
		return
	case claim == nil:
		p := problem(diagnose.Claim(l.snapshotOf(name, nil, pods)), about)
		p.Next = l.missingNext(name, p.Next)
		l.add(p)
		return
	case claim.Status.Phase != corev1.ClaimBound:
		p := problem(diagnose.Claim(l.snapshotOf(name, claim, pods)), about)
		if p.Reason == diagnose.ReasonVolumeReleased && isOwn(claim) && l.returns(l.volume(claim.Spec.VolumeName)) {
			p.Next = "the claims controller gives it back while it runs: " + l.logs()
		}
		l.add(p)
		if claim.Spec.VolumeName == "" {
			return
		}
	}
	volume := l.volume(claim.Spec.VolumeName)
	if !anyRuns(pods) && !l.unread(drivers) {
		l.addFinding(diagnose.Driver(name, volume, l.driverNames()), about)
	}
	l.addFinding(diagnose.Reach(name, volume, l.Nodes, pods), about)
	if profile := l.profile(l.profiles[name]); profile != nil && profile.SingleNode() && claim.Status.Phase == corev1.ClaimBound {
		if note, _ := diagnose.MultiNode(profile, name, pods, l.Now, 0); note != "" {
			l.add(problem(diagnose.Finding{Reason: diagnose.ReasonSharedByNodes, Note: note, Next: diagnose.MultiNodeNext}, about))
		}
	}
}

// missingNext says who makes a claim that is missing.
func (l *look) missingNext(name, otherwise string) string {
	profile := l.profile(l.profiles[name])
	switch {
	case profile == nil || !*profile.Claim.Create:
		return otherwise
	case profile.Names(storage.Release{}, l.name).Claim != name:
		return "create it: the profile would make another one, so whoever rendered the pods made this one (helm upgrade makes it again)"
	case l.selected == nil:
		return otherwise
	}
	return "the claims controller makes it while it runs: " + l.logs()
}

// logs is how to find out why the claims controller has not done something.
func (l *look) logs() string {
	return fmt.Sprintf("kubectl logs --namespace %s --selector %s=%s tells why it has not", cmp.Or(l.homeOfSelected().Namespace, "NAMESPACE"), kube.LabelName, kube.ProductName)
}

// returns reports whether the volume has the labels of this very namespace.
func (l *look) returns(v *corev1.PersistentVolume) bool {
	return v != nil && l.home != nil && v.Labels[storage.LabelNamespace] == l.name && v.Labels[storage.LabelNamespaceUID] == string(l.home.UID)
}

func (l *look) addFinding(f *diagnose.Finding, about string) {
	if f != nil {
		l.add(problem(*f, about))
	}
}

// said adds what the claims controller told of the claim, and of its pods while they wait. It reports whether there was any.
func (l *look) said(name string, claim *corev1.PersistentVolumeClaim) bool {
	before := len(l.namespace.Problems)
	if claim != nil {
		l.controllerEvents(claim.UID, name)
	}
	if claim == nil || claim.Status.Phase != corev1.ClaimBound {
		for _, pod := range l.used[name] {
			l.controllerEvents(pod.UID, name)
		}
	}
	return len(l.namespace.Problems) > before
}

func (l *look) profile(name string) *storage.Profile {
	if l.config == nil {
		return nil
	}
	return l.config.Profile(name)
}

func (l *look) snapshotOf(name string, claim *corev1.PersistentVolumeClaim, pods []corev1.Pod) diagnose.Snapshot {
	s := diagnose.Snapshot{
		Profile: l.profile(l.profiles[name]), Name: name, Namespace: l.name, Claim: claim, Pods: pods,
		VolumesUnread: l.unread(volumes), ClassesUnread: l.unread(classes),
	}
	if !l.unread(drivers) {
		s.Drivers = l.driverNames()
	}
	if claim == nil {
		return s
	}
	s.Own = isOwn(claim)
	s.Volume = l.volume(claim.Spec.VolumeName)
	if i := slices.IndexFunc(l.Classes, func(c storagev1.StorageClass) bool { return c.Name == diagnose.ClassOf(claim) }); i >= 0 {
		s.Class = &l.Classes[i]
	}
	return s
}

func (l *look) driverNames() []string {
	names := make([]string, len(l.Drivers))
	for i := range l.Drivers {
		names[i] = l.Drivers[i].Name
	}
	return names
}

func podsOf(list []*corev1.Pod) []corev1.Pod {
	var pods []corev1.Pod
	for _, p := range list {
		pods = append(pods, *p)
	}
	return pods
}

func anyRuns(pods []corev1.Pod) bool {
	return slices.ContainsFunc(pods, func(p corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning })
}

// released looks for volumes that keep the data of claims of the namespace that are gone, as far as they were a profile's.
func (l *look) released() {
	byClaim := map[string][]corev1.PersistentVolume{}
	for i := range l.Volumes {
		v := &l.Volumes[i]
		if ref := v.Spec.ClaimRef; ref != nil && ref.Namespace == l.name && v.Status.Phase == corev1.VolumeReleased && l.wasOurs(v) {
			byClaim[ref.Name] = append(byClaim[ref.Name], *v)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byClaim)) {
		l.releasedFor(name, byClaim[name])
	}
}

// wasOurs reports whether a profile made the volume, or a claims controller marked it, or pods want a claim of that name.
func (l *look) wasOurs(v *corev1.PersistentVolume) bool {
	return v.Labels[storage.LabelProfile] != "" || v.Labels[storage.LabelNamespaceUID] != "" || l.isClaim(v.Spec.ClaimRef.Name) || len(l.used[v.Spec.ClaimRef.Name]) > 0
}

func (l *look) releasedFor(name string, all []corev1.PersistentVolume) {
	if l.home == nil { // whose they are cannot be told
		for i := range all {
			l.addReleased(name, &all[i], false)
		}
		return
	}
	uid, home := types.UID(""), l.home.UID
	claim := l.claim(name)
	if claim != nil {
		uid = claim.UID
	}
	held := diagnose.ReleasedFor(types.NamespacedName{Namespace: l.name, Name: name}, uid, home, all)
	for i := range held.Volumes {
		l.addReleased(name, &held.Volumes[i], len(held.Volumes) == 1)
	}
	for i := range held.Earlier {
		l.addReleased(name, &held.Earlier[i], false)
	}
	about := "PersistentVolumeClaim/" + name
	switch {
	case len(held.Volumes) > 1:
		l.add(problem(diagnose.Ambiguous(name, held.Volumes), about))
	case len(held.Volumes) == 1 || len(held.Earlier) == 0 || l.names(claim, held.Earlier):
		// it comes back by itself, or diagnose.Claim has said it
	case claim != nil:
		l.add(problem(diagnose.EarlierNamespace(types.NamespacedName{Namespace: l.name, Name: name}, held.Earlier), about))
	default:
		last := held.Earlier[0].Name
		l.add(found(diagnose.ReasonVolumeReleased, fmt.Sprintf("PersistentVolume %s is Released: it has the data of a claim %s that is gone, and is not marked as this namespace's", last, name),
			"To give it back to this namespace: "+diagnose.ConsentCommand(last, l.name), "PersistentVolume/"+last))
	}
}

// names reports whether the claim names one of the volumes.
func (l *look) names(claim *corev1.PersistentVolumeClaim, all []corev1.PersistentVolume) bool {
	return claim != nil && slices.ContainsFunc(all, func(v corev1.PersistentVolume) bool { return v.Name == claim.Spec.VolumeName })
}

func (l *look) addReleased(claim string, v *corev1.PersistentVolume, returns bool) {
	size := v.Spec.Capacity[corev1.ResourceStorage]
	l.namespace.Released = append(l.namespace.Released, Released{Volume: v.Name, Claim: claim, Size: size.String(), Returns: returns})
}
