package status

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pipeline-storage/pipeline-storage/internal/diagnose"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// webhookName is in what the API server reports about the webhook. Source:
// charts/pipeline-storage, webhooks[].name.
const webhookName = "storage.pipeline-storage.io"

// eventMaxAge is how long an Event about an object that was not read counts. Its cause may be
// over: such an object is not read again to check.
const eventMaxAge = 10 * time.Minute

// latest returns the last Event of each object and reason in a namespace. An object whose problem
// repeats has many Events; the last one has the current message. The order is that of the first
// Event of each.
func (s *Snapshot) latest(namespace string) []corev1.Event {
	type key struct {
		uid    types.UID
		reason string
	}
	index := map[key]int{}
	var last []corev1.Event
	for i := range s.Events {
		e := s.Events[i]
		if e.Namespace != namespace {
			continue
		}
		k := key{e.InvolvedObject.UID, e.Reason}
		if at, ok := index[k]; !ok {
			index[k] = len(last)
			last = append(last, e)
		} else if timeOf(&e).After(timeOf(&last[at])) {
			last[at] = e
		}
	}
	return last
}

// timeOf is when an Event was last seen: old and new clients write it in different fields.
// Source: k8s.io/api, core/v1 Event: lastTimestamp, series.lastObservedTime, eventTime.
func timeOf(e *corev1.Event) time.Time {
	at := e.LastTimestamp.Time
	if e.Series != nil && e.Series.LastObservedTime.After(at) {
		at = e.Series.LastObservedTime.Time
	}
	if e.EventTime.After(at) {
		at = e.EventTime.Time
	}
	return at
}

// about finds the Event of an object. It is nil without one, and for an object without a UID.
func (a *analysis) about(uid types.UID, reason string) *corev1.Event {
	i := slices.IndexFunc(a.events, func(e corev1.Event) bool { return e.InvolvedObject.UID == uid && e.Reason == reason })
	if i < 0 || uid == "" {
		return nil
	}
	return &a.events[i]
}

// otherNodeMessages are parts of the messages about a volume that another node has, of several
// versions. Source: Kubernetes, pkg/controller/volume/attachdetach/reconciler. A message with one
// of them has other advice: the driver works, and the node must release the volume.
var otherNodeMessages = []string{"Multi-Attach", "Waiting for detach"}

// volumeEvents adds what keeps the volumes of a pod from its containers, while they do not run.
// The reasons are those of the kubelet and of the attach-detach controller. Source: Kubernetes,
// pkg/kubelet/events/event.go.
func (a *analysis) volumeEvents(pod *corev1.Pod) {
	if pod.Status.Phase == corev1.PodRunning {
		return
	}
	if e := a.about(pod.UID, "FailedAttachVolume"); e != nil {
		next := fmt.Sprintf("see what the driver reports: kubectl describe pod %s --namespace %s", pod.Name, pod.Namespace)
		if slices.ContainsFunc(otherNodeMessages, func(words string) bool { return strings.Contains(e.Message, words) }) {
			next = "delete the pod that has the volume on the other node, or keep the pods on one node with colocate: true"
		}
		a.add(found(
			ReasonAttachFailed, "its volume cannot be attached to the node "+pod.Spec.NodeName+": "+e.Message, next,
			"Pod/"+pod.Name,
		))
		return // mounting only waits for that
	}
	if e := a.about(pod.UID, "FailedMount"); e != nil {
		a.add(found(ReasonMountFailed, "the node "+pod.Spec.NodeName+" cannot mount its volumes: "+e.Message,
			"mend what the message names, on the node or in the storage", "Pod/"+pod.Name))
	}
}

// controllerReasons are the reasons of Events that only the claims controller can find.
// Everything else that it reports is found from the snapshot here, and not repeated.
var controllerReasons = []string{
	diagnose.ReasonProfileRefused, diagnose.ReasonCreateRefused, diagnose.ReasonExpandRefused, diagnose.ReasonClaimDiffers,
	diagnose.ReasonClassDiffers, diagnose.ReasonVolumeDiffers, diagnose.ReasonVolumeTaken, diagnose.ReasonReduceRefused,
	diagnose.ReasonSourceDiffers,
}

// controllerEvents repeats what the claims controller reported about an object. A quota has its
// own reason, because people mend it in another place than what the reason suggests.
func (a *analysis) controllerEvents(uid types.UID, claim string) {
	for _, reason := range controllerReasons {
		e := a.about(uid, reason)
		if e == nil {
			continue
		}
		if strings.Contains(e.Message, "exceeded quota") {
			a.add(a.quota(
				"the claim "+claim+" could not be created: "+e.Message, "give the profile a smaller claim.size",
				"PersistentVolumeClaim/"+claim,
			))
			continue
		}
		a.add(problem(diagnose.Finding{Reason: reason, Note: e.Message}, "PersistentVolumeClaim/"+claim))
	}
}

// quota is the problem of a quota that is used up. Or is the alternative to a larger quota.
func (a *analysis) quota(message, or, about string) Problem {
	return found(
		ReasonQuota, message,
		fmt.Sprintf("raise the quota (kubectl describe resourcequota --namespace %s shows it), or %s", a.name, or),
		about,
	)
}

// notCreated adds labeled pods that could not be created. The pod does not exist, so that only
// the Event of its owner shows the problem. The texts that distinguish the causes are those of the
// API server. Source: apiserver, pkg/util/webhook/error.go,
// pkg/admission/plugin/webhook/errors/statuserror.go,
// pkg/admission/plugin/policy/generic/policy_dispatcher.go,
// pkg/admission/plugin/policy/validating/dispatcher.go,
// pkg/admission/plugin/resourcequota/controller.go.
func (a *analysis) notCreated() {
	for i := range a.events {
		e := &a.events[i]
		about := e.InvolvedObject.Kind + "/" + e.InvolvedObject.Name
		if e.Reason != "FailedCreate" || !a.concerns(e) {
			continue
		}
		switch {
		case strings.Contains(e.Message, "failed calling webhook"):
			a.add(webhookNotReady(a.selectedService(), "its pods cannot be created: "+e.Message, about))
		case strings.Contains(e.Message, "denied the request"), a.namesPolicy(e.Message):
			a.add(found(ReasonPodsRefused, e.Message, "change what the message names in the pod template", about))
		case strings.Contains(e.Message, "exceeded quota"):
			a.add(a.quota("its pods cannot be created: "+e.Message, "ask for less in the pod template", about))
		default:
			a.add(found(ReasonPodsNotCreated, "its pods cannot be created: "+e.Message, "change what the message names", about))
		}
	}
}

// selectedService is the Service of the webhook that selects the namespace, or the zero value
// without one.
func (a *analysis) selectedService() types.NamespacedName {
	if a.selected == nil {
		return types.NamespacedName{}
	}
	return a.selected.service
}

// selectedNamespace is where the installation is that selects the namespace, or empty without one.
func (a *analysis) selectedNamespace() string {
	if a.selected == nil {
		return ""
	}
	return a.selected.Namespace
}

// namesPolicy reports whether a message is the API server's about a policy of an installation.
func (a *analysis) namesPolicy(message string) bool {
	return strings.Contains(message, "denied request") && slices.ContainsFunc(a.Policies.names(), func(name string) bool {
		return strings.Contains(message, "olicy '"+name+"'")
	})
}

// concerns reports whether an Event is about a workload whose pods have the label and are still
// missing, or names the webhook or a policy and is not old.
func (a *analysis) concerns(e *corev1.Event) bool {
	for i := range a.Workloads {
		if w := &a.Workloads[i]; w.UID == e.InvolvedObject.UID {
			return w.Short && w.Template[kinds.Label] == kinds.LabelEnabled
		}
	}
	isAboutAdmission := strings.Contains(e.Message, webhookName) || a.namesPolicy(e.Message)
	return isAboutAdmission && a.Now.Sub(timeOf(e)) < eventMaxAge
}
