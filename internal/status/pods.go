package status

import (
	"fmt"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// pod looks at one labelled pod.
func (l *look) pod(pod *corev1.Pod) {
	row := Pod{
		Name: pod.Name, Owner: ownerOf(pod), Phase: string(pod.Status.Phase), Node: pod.Spec.NodeName, Claims: []string{}, Mounts: []string{},
	}
	if pod.DeletionTimestamp != nil {
		row.Phase = "Terminating"
	}
	l.mounts(pod, &row)
	problem := l.judge(pod, &row)
	if problem != nil && !ended(pod) {
		l.add(*problem)
	}
	if problem != nil {
		row.Reason = problem.Reason
	}
	l.namespace.Pods = append(l.namespace.Pods, row)
	if ended(pod) || pod.DeletionTimestamp != nil {
		return
	}
	for _, claim := range row.Claims {
		l.used[claim] = append(l.used[claim], pod)
	}
	l.unknownProfiles(pod)
	l.volumeEvents(pod)
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// mounts finds the volumes of profiles and where containers mount them: by their names, or by their claims.
func (l *look) mounts(pod *corev1.Pod, row *Pod) {
	ours := map[string]string{} // claims by volume
	for _, v := range pod.Spec.Volumes {
		if v.PersistentVolumeClaim != nil && (storage.IsVolumeName(v.Name) || l.isClaim(v.PersistentVolumeClaim.ClaimName)) {
			ours[v.Name] = v.PersistentVolumeClaim.ClaimName
		}
	}
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, m := range c.VolumeMounts {
			claim, ok := ours[m.Name]
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

// isClaim reports whether a claim of that name is one of a profile.
func (l *look) isClaim(name string) bool {
	if claim := l.claim(name); claim != nil && claim.Labels[storage.LabelProfile] != "" {
		return true
	}
	return l.config != nil && slices.ContainsFunc(l.config.Profiles, func(p storage.Profile) bool {
		return p.Names(storage.Release{}, l.name).Claim == name
	})
}

// judge sets whether the pod has its storage, and returns what is wrong if it lacks some.
func (l *look) judge(pod *corev1.Pod, row *Pod) *Problem {
	row.Storage = NotMounted
	if len(row.Mounts) > 0 {
		row.Storage = Mounted
	}
	about := "Pod/" + pod.Name
	if l.config == nil {
		return l.judgeByLooks(pod, row, about)
	}
	request := inject.Request{Namespace: l.name, Admission: l.home != nil}
	if l.home != nil {
		request.NamespaceLabels = l.home.Labels
	}
	result := inject.Patch(l.config, request, kinds.FromPod(pod))
	d := &result.Decisions[0]
	for i, profile := range d.Profiles {
		l.profiles[d.Claims[i]] = profile
	}
	switch {
	case d.Reason == inject.ReasonWindows:
		row.Storage = Excluded
		return new(found(string(d.Reason), "the pod is for Windows, where the path of a mount means nothing", "take the label "+kinds.Label+" from it, or run it on Linux", about))
	case d.Reason == inject.ReasonExcluded, d.Reason == inject.ReasonMirrorPod:
		row.Storage, row.Reason = Excluded, string(d.Reason)
		return nil
	case d.Reason == inject.ReasonAlreadyMounted:
		row.Storage = Mounted
		return nil
	case d.Reason.Refuses() && row.Storage == Mounted: // the configuration has changed since
		return nil
	case d.Reason.Refuses():
		return new(found(string(d.Reason), "it has no storage: "+d.Message, refusalNext(d.Reason), about))
	}
	lacking := containersIn(d.Added)
	switch {
	case len(lacking) == 0:
		row.Storage = Mounted
		return nil
	case row.Storage == Mounted:
		row.Storage = PartlyMounted
		return new(found(ReasonPartlyInjected, fmt.Sprintf("it lacks the storage in %s, which other containers have", strings.Join(lacking, ", ")),
			anew(pod), about))
	}
	return l.whyNot(pod, about)
}

// judgeByLooks is judge where nobody could read the configuration.
func (l *look) judgeByLooks(pod *corev1.Pod, row *Pod, about string) *Problem {
	for _, profile := range inject.InjectedProfiles(pod.Annotations) {
		for _, claim := range row.Claims {
			l.profiles[claim] = profile
		}
	}
	switch {
	case row.Storage == Mounted:
		return nil
	case kinds.FromPod(pod).Windows:
		row.Storage = Excluded
		return new(found(string(inject.ReasonWindows), "the pod is for Windows, where the path of a mount means nothing", "take the label "+kinds.Label+" from it, or run it on Linux", about))
	}
	return l.whyNot(pod, about)
}

func refusalNext(reason inject.Reason) string {
	if reason == inject.ReasonConflict {
		return "change that in the pod template, or give the pod another path with the annotation " + inject.AnnotationMountPath
	}
	return "change that in the pod template's annotations, or ask the administrator of the profiles"
}

// containersIn are the containers that would get a mount.
func containersIn(added []inject.Addition) []string {
	var names []string
	for _, a := range added {
		if a.MountPath != "" && !slices.Contains(names, a.Container) {
			names = append(names, a.Container)
		}
	}
	return names
}

// whyNot says why a pod lacks what it would get today.
func (l *look) whyNot(pod *corev1.Pod, about string) *Problem {
	switch {
	case l.unread(webhooks), l.unread(namespaces), l.home == nil:
		return new(found(ReasonNotInjected, "it has the label and no storage", anew(pod), about))
	case len(l.Webhooks) == 0:
		return new(found(ReasonWebhookMissing, "it asks for storage, and no webhook is installed that could mount it",
			"install the chart, or render the manifests with the post-renderer; then "+anew(pod), about))
	case l.selected == nil:
		w := &l.Webhooks[0]
		return new(found(ReasonNotSelected, fmt.Sprintf("the namespaceSelector of MutatingWebhookConfiguration %s leaves the namespace %s out (%s)", w.Name, l.name, selectorOf(w.Webhooks)),
			"label the namespace as the selector wants, or change namespaceSelector in the chart's values; then "+anew(pod), about))
	case pod.CreationTimestamp.Time.Before(l.selected.since):
		return new(found(ReasonBeforeWebhook, "it is older than the webhook, so nothing mounted its storage", anew(pod), about))
	}
	message := "it has the label and no storage, although it would get it today: it was labelled after it was created, or created while the webhook was not called"
	return new(found(ReasonNotInjected, message, anew(pod), about))
}

// selectorOf writes the selector of the first webhook that has one.
func selectorOf(hooks []admissionregistrationv1.MutatingWebhook) string {
	for i := range hooks {
		if s := hooks[i].NamespaceSelector; s != nil {
			return metav1.FormatLabelSelector(s)
		}
	}
	return "none"
}

// unknownProfiles looks for profiles that are no more.
func (l *look) unknownProfiles(pod *corev1.Pod) {
	if l.config == nil {
		return
	}
	for _, name := range inject.InjectedProfiles(pod.Annotations) {
		if l.config.Profile(name) == nil {
			l.add(problem(diagnose.UnknownProfile(name), "Pod/"+pod.Name))
		}
	}
}

// anew is how a pod is made again, by what made it.
func anew(pod *corev1.Pod) string {
	owner := ownerOf(pod)
	kind, name, _ := strings.Cut(owner, "/")
	switch kind {
	case "Deployment", "StatefulSet", "DaemonSet":
		return fmt.Sprintf("kubectl rollout restart %s/%s --namespace %s", strings.ToLower(kind), name, pod.Namespace)
	case "":
		return "make the pod anew"
	}
	return "make the " + owner + " anew"
}

// ownerOf is KIND/NAME of what made a pod. A ReplicaSet's name is that of its Deployment with the hash of the pods' label.
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
