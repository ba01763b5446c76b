package status

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/internal/selection"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// pod reads one pod that an installation selects. It adds the row of the pod and its problems. Pods that
// have finished or are being deleted have a row, but use no claim. Any other pod adds nothing.
func (a *analysis) pod(pod *corev1.Pod) {
	by, ok := a.selectedBy(pod)
	if !ok {
		return
	}
	row := Pod{
		Name:       pod.Name,
		SelectedBy: string(by),
		Owner:      ownerOf(pod),
		Phase:      string(pod.Status.Phase),
		Node:       pod.Spec.NodeName,
		Claims:     []string{},
		Mounts:     []string{},
	}
	if pod.DeletionTimestamp != nil {
		row.Phase = "Terminating"
	}
	a.mounts(pod, &row)
	problem := a.judge(pod, &row)
	if problem != nil && !ended(pod) {
		a.add(*problem)
	}
	if problem != nil {
		row.Reason = problem.Reason
	}
	a.namespace.Pods = append(a.namespace.Pods, row)
	if ended(pod) || pod.DeletionTimestamp != nil {
		return
	}
	for _, claim := range row.Claims {
		a.used[claim] = append(a.used[claim], pod)
	}
	a.unknownProfiles(pod)
	a.volumeEvents(pod)
}

// ended reports whether the pod has finished: nothing can be done about its storage any more.
func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// mounts finds the volumes of profiles and where containers mount them: by their names, or by
// their claims. An ephemeral container is not read: nothing injects it.
func (a *analysis) mounts(pod *corev1.Pod, row *Pod) {
	claims := map[string]string{} // by volume
	for _, v := range pod.Spec.Volumes {
		if v.PersistentVolumeClaim != nil && (storage.IsVolumeName(v.Name) || a.isClaim(v.PersistentVolumeClaim.ClaimName)) {
			claims[v.Name] = v.PersistentVolumeClaim.ClaimName
		}
	}
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, m := range c.VolumeMounts {
			claim, ok := claims[m.Name]
			if !ok {
				continue
			}
			row.Mounts = append(row.Mounts, c.Name+":"+m.MountPath)
			if !slices.Contains(row.Claims, claim) {
				row.Claims = append(row.Claims, claim)
			}
		}
	}
}

// isClaim reports whether a claim of that name is one of a profile. It is found by its label, or
// by the name that the configuration gives it in this namespace.
func (a *analysis) isClaim(name string) bool {
	if claim := a.claim(name); claim != nil && claim.Labels[storage.LabelProfile] != "" {
		return true
	}
	return a.config != nil && slices.ContainsFunc(a.config.Profiles, func(p storage.Profile) bool {
		return p.ClaimName(storage.Release{}, a.name) == name
	})
}

// judge sets whether the pod has its storage, and returns what is wrong if it lacks some. It lets
// package inject decide about the pod as admission would decide today: a pod to which nothing
// would be added has its storage. The result is nil for a pod that has what it should have.
func (a *analysis) judge(pod *corev1.Pod, row *Pod) *Problem {
	row.Storage = StorageNotMounted
	if len(row.Mounts) > 0 {
		row.Storage = StorageMounted
	}
	about := "Pod/" + pod.Name
	if a.config == nil {
		return a.judgeWithoutConfig(pod, row, about)
	}
	request := inject.Request{
		Namespace: a.name, Admission: a.meta != nil, SelectedBy: inject.SelectedBy(row.SelectedBy),
	}
	if a.meta != nil {
		request.NamespaceLabels = a.meta.Labels
	}
	result := inject.Patch(a.config, request, kinds.FromPod(pod))
	d := &result.Decisions[0]
	for i, profile := range d.Profiles {
		a.profiles[d.Claims[i]] = profile
	}
	if row.Storage == StorageMounted && !ended(pod) {
		a.podProblems(pod, d.Problems)
	}
	switch {
	case d.Reason == inject.ReasonWindows && row.SelectedBy == "":
		row.Storage = StorageExcluded
		return new(forWindows(about))
	case d.Reason == inject.ReasonExcluded, d.Reason == inject.ReasonMirrorPod, d.Reason == inject.ReasonWindows:
		row.Storage, row.Reason = StorageExcluded, string(d.Reason)
		return nil
	case d.Reason == inject.ReasonAlreadyMounted:
		row.Storage = StorageMounted
		return nil
	case d.Reason.Refuses() && row.Storage == StorageMounted: // the configuration has changed since
		return nil
	case d.Reason.Refuses():
		return new(found(string(d.Reason), "it has no storage: "+d.Message, refusalNext(d.Reason), about))
	}
	return a.judgeContainers(pod, row, containersIn(d.Added))
}

// podProblems adds what keeps a pod from using the storage that it has. A pod that runs has started.
func (a *analysis) podProblems(pod *corev1.Pod, problems []inject.Problem) {
	for i := range problems {
		if p := &problems[i]; pod.Status.Phase != corev1.PodRunning || !p.PreventsStart() {
			a.add(found(string(p.Reason), p.What, p.Next, "Pod/"+pod.Name))
		}
	}
}

// judgeContainers is judge for a pod in which some containers would get a mount. Lacking are the
// names of those containers.
func (a *analysis) judgeContainers(pod *corev1.Pod, row *Pod, lacking []string) *Problem {
	about := "Pod/" + pod.Name
	switch {
	case len(lacking) == 0:
		row.Storage = StorageMounted
		return nil
	case row.Storage == StorageMounted:
		row.Storage = StoragePartlyMounted
		return new(found(
			ReasonPartlyInjected,
			fmt.Sprintf("it lacks the storage in %s, which other containers have", strings.Join(lacking, ", ")),
			recreate(pod), about,
		))
	}
	return a.whyNot(pod, about)
}

// judgeWithoutConfig is judge where the configuration could not be read. Any mount of a claim
// then counts as the storage; containers that lack it cannot be found.
func (a *analysis) judgeWithoutConfig(pod *corev1.Pod, row *Pod, about string) *Problem {
	for _, profile := range inject.InjectedProfiles(pod.Annotations) {
		for _, claim := range row.Claims {
			a.profiles[claim] = profile
		}
	}
	switch {
	case row.Storage == StorageMounted:
		return nil
	case kinds.FromPod(pod).Windows:
		row.Storage = StorageExcluded
		return new(forWindows(about))
	}
	return a.whyNot(pod, about)
}

// forWindows is the problem of a labeled pod that runs on Windows nodes. Admission leaves it as it is.
func forWindows(about string) Problem {
	return found(
		string(inject.ReasonWindows), "the pod is for Windows, where the path of a mount means nothing",
		"remove the label "+kinds.Label+", or run it on Linux", about,
	)
}

// refusalNext is what to do about a pod that admission would refuse today, by the reason of the
// refusal.
func refusalNext(reason inject.Reason) string {
	if reason == inject.ReasonConflict {
		return "change that in the pod template, or give the pod another path with the annotation " +
			inject.AnnotationMountPath
	}
	return "change that in the pod template's annotations, or ask the administrator of the profiles"
}

// containersIn are the containers that would get a mount. Each name is returned once, in the
// order of the pod.
func containersIn(added []inject.Addition) []string {
	var names []string
	for _, a := range added {
		if a.MountPath != "" && !slices.Contains(names, a.Container) {
			names = append(names, a.Container)
		}
	}
	return names
}

// whyNot returns why a pod lacks what it would get today. The causes are tried from the most
// general one to the most special one. The last one is what remains when an installation selects
// the namespace and is older than the pod.
func (a *analysis) whyNot(pod *corev1.Pod, about string) *Problem {
	switch {
	case a.unread(namespaces), a.meta == nil, a.selected == nil && a.selectionsUnread():
		return new(found(ReasonNotInjected, "it has the label and no storage", recreate(pod), about))
	case len(a.installed) == 0:
		return new(found(
			ReasonWebhookMissing, "it has the label, and neither a webhook nor a policy is installed that could mount it",
			"install the chart, or render the manifests with the post-renderer; then "+recreate(pod), about,
		))
	case a.selected == nil:
		return new(a.notSelected(pod, about))
	case a.leftOut(pod) != nil:
		return new(found(
			ReasonPodNotSelected,
			fmt.Sprintf("the objectSelector of %s leaves the pod out (%s)", a.selected.selections[0],
				metav1.FormatLabelSelector(a.leftOut(pod).Pods)),
			"label the pods as the selector wants, or change objectSelector in the chart's values; then "+recreate(pod), about,
		))
	case pod.CreationTimestamp.Time.Before(a.selected.since(a.meta.Labels)):
		return new(found(
			ReasonBeforeWebhook, "it is older than "+words[a.selected.Mode].who+", so nothing mounted its storage",
			recreate(pod), about,
		))
	}
	return new(found(ReasonNotInjected, a.whyLate(pod), recreate(pod), about))
}

// leftOut returns a rule for the namespace and the opt-in label that does not select a pod which has
// the label, or nil where any such rule of any installation selects it. A pod without the label has none.
func (a *analysis) leftOut(pod *corev1.Pod) *selection.Rule {
	if pod.Labels[kinds.Label] != kinds.LabelEnabled {
		return nil
	}
	var out *selection.Rule
	for i := range a.installed {
		for _, s := range a.installed[i].selections {
			for j := range s.Rules {
				r := &s.Rules[j]
				switch {
				case r.By != inject.SelectedByLabel || !r.MatchesNamespace(a.meta.Labels):
				case selection.Matches(r.Pods, pod.Labels):
					return nil
				case out == nil:
					out = r
				}
			}
		}
	}
	return out
}

// selectionsUnread reports whether there may be an installation that was not read.
func (a *analysis) selectionsUnread() bool {
	return a.unread(webhooks) || a.unread(policies) || a.unread(policyBindings)
}

// notSelected is the problem of a pod in a namespace that no installation selects. It names the first
// one, which may select nothing at all.
func (a *analysis) notSelected(pod *corev1.Pod, about string) Problem {
	first := &a.installed[0]
	i := slices.IndexFunc(first.selections, func(s *selection.Selection) bool { return len(s.Rules) > 0 })
	if i < 0 {
		return found(
			ReasonPolicyIncomplete, "it has the label, and the installation "+first.Name+" lacks what would mount it",
			"mend the installation, whose problems are named above; then "+recreate(pod), about,
		)
	}
	s := first.selections[i]
	return found(
		ReasonNotSelected,
		fmt.Sprintf("the namespaceSelector of %s leaves the namespace %s out (%s)", s, a.name, selectorOf(s.Rules)),
		a.notSelectedNext(pod), about,
	)
}

// notSelectedNext is what to do about a pod of a namespace that no installation selects.
func (a *analysis) notSelectedNext(pod *corev1.Pod) string {
	if a.excludes(inject.SelectedByLabel) {
		return "run the pod in another namespace: " + excludedByName
	}
	return "label the namespace as the selector wants, or change namespaceSelector in the chart's values; then " +
		recreate(pod)
}

// selectorOf writes the selector of the first rule that has one. It is in the form of kubectl's
// --selector.
func selectorOf(rules []selection.Rule) string {
	for i := range rules {
		if s := rules[i].Namespaces; s != nil {
			return metav1.FormatLabelSelector(s)
		}
	}
	return "none"
}

// unknownProfiles finds profiles that no longer exist. Such a pod keeps running with its mount.
func (a *analysis) unknownProfiles(pod *corev1.Pod) {
	if a.config == nil {
		return
	}
	for _, name := range inject.InjectedProfiles(pod.Annotations) {
		if a.config.Profile(name) == nil {
			a.add(problem(diagnose.UnknownProfile(name), "Pod/"+pod.Name))
		}
	}
}

// recreate is how a pod is recreated, by what created it. Those that kubectl can restart get a
// command; for the rest it is advice in words. A pod without a controller has no name to use,
// because its author must recreate it.
func recreate(pod *corev1.Pod) string {
	owner := ownerOf(pod)
	kind, name, _ := strings.Cut(owner, "/")
	switch kind {
	case "Deployment", "StatefulSet", "DaemonSet":
		return fmt.Sprintf("kubectl rollout restart %s/%s --namespace %s", strings.ToLower(kind), name, pod.Namespace)
	case "":
		return "recreate the pod"
	}
	return "recreate the " + owner
}

// ownerOf is KIND/NAME of what created a pod. A ReplicaSet's name is that of its Deployment with
// the hash of the pods' label. It is empty for a pod without a controller. Source: Kubernetes,
// pkg/controller/deployment/sync.go generateReplicaSetName.
func ownerOf(pod *corev1.Pod) string {
	owner := metav1.GetControllerOf(pod)
	if owner == nil {
		return ""
	}
	hash := "-" + pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey]
	if owner.Kind == "ReplicaSet" && hash != "-" && strings.HasSuffix(owner.Name, hash) {
		return "Deployment/" + strings.TrimSuffix(owner.Name, hash)
	}
	return owner.Kind + "/" + owner.Name
}
