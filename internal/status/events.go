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

// webhookName is in what the API server says of the webhook. Source: charts/pipeline-storage, webhooks[].name.
const webhookName = "storage.pipeline-storage.io"

// fresh is how long an Event about an object that is not known otherwise counts.
const fresh = 10 * time.Minute

// latest returns the last Event of each object and reason in a namespace.
func (s *Snapshot) latest(namespace string) []corev1.Event {
	type key struct {
		uid    types.UID
		reason string
	}
	index := map[key]int{}
	var kept []corev1.Event
	for i := range s.Events {
		e := s.Events[i]
		if e.Namespace != namespace {
			continue
		}
		k := key{e.InvolvedObject.UID, e.Reason}
		if at, ok := index[k]; !ok {
			index[k] = len(kept)
			kept = append(kept, e)
		} else if timeOf(&e).After(timeOf(&kept[at])) {
			kept[at] = e
		}
	}
	return kept
}

// timeOf is when an Event was last seen: old and new clients write it in different fields.
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

// about finds the Event of an object.
func (l *look) about(uid types.UID, reason string) *corev1.Event {
	i := slices.IndexFunc(l.events, func(e corev1.Event) bool { return e.InvolvedObject.UID == uid && e.Reason == reason })
	if i < 0 || uid == "" {
		return nil
	}
	return &l.events[i]
}

// elsewhere are the words for a volume that another node has, of several versions. Source: Kubernetes,
// pkg/controller/volume/attachdetach/reconciler.
var elsewhere = []string{"Multi-Attach", "Waiting for detach"}

// volumeEvents tells what kept the volumes of a pod from its containers, while they do not run.
func (l *look) volumeEvents(pod *corev1.Pod) {
	if pod.Status.Phase == corev1.PodRunning {
		return
	}
	if e := l.about(pod.UID, "FailedAttachVolume"); e != nil {
		next := fmt.Sprintf("see what the driver says: kubectl describe pod %s --namespace %s", pod.Name, pod.Namespace)
		if slices.ContainsFunc(elsewhere, func(words string) bool { return strings.Contains(e.Message, words) }) {
			next = "end the pod that has the volume on the other node, or keep the pods on one node with colocate: true"
		}
		l.add(found(ReasonAttachFailed, "its volume cannot be attached to the node "+pod.Spec.NodeName+": "+e.Message, next, "Pod/"+pod.Name))
		return // mounting only waits for that
	}
	if e := l.about(pod.UID, "FailedMount"); e != nil {
		l.add(found(ReasonMountFailed, "the node "+pod.Spec.NodeName+" cannot mount its volumes: "+e.Message,
			"put right what the message names, on the node or in the storage", "Pod/"+pod.Name))
	}
}

// told are the reasons of the claims controller's Events that only it can know.
var told = []string{
	diagnose.ReasonProfileRefused, diagnose.ReasonCreateRefused, diagnose.ReasonExpandRefused, diagnose.ReasonClaimDiffers,
	diagnose.ReasonClassDiffers, diagnose.ReasonVolumeDiffers, diagnose.ReasonVolumeTaken,
}

// controllerEvents repeats what the claims controller said of an object.
func (l *look) controllerEvents(uid types.UID, claim string) {
	for _, reason := range told {
		e := l.about(uid, reason)
		if e == nil {
			continue
		}
		if strings.Contains(e.Message, "exceeded quota") {
			l.add(l.quota("the claim "+claim+" could not be made: "+e.Message, "give the profile a smaller claim.size", "PersistentVolumeClaim/"+claim))
			continue
		}
		l.add(problem(diagnose.Finding{Reason: reason, Note: e.Message}, "PersistentVolumeClaim/"+claim))
	}
}

func (l *look) quota(message, or, about string) Problem {
	return found(ReasonQuota, message, fmt.Sprintf("raise the quota (kubectl describe resourcequota --namespace %s shows it), or %s", l.name, or), about)
}

// notMade tells of labelled pods that nobody could create.
func (l *look) notMade() {
	for i := range l.events {
		e := &l.events[i]
		about := e.InvolvedObject.Kind + "/" + e.InvolvedObject.Name
		if e.Reason != "FailedCreate" || !l.concerns(e) {
			continue
		}
		switch {
		case strings.Contains(e.Message, "failed calling webhook"):
			l.add(webhookNotReady(l.homeOfSelected(), "its pods cannot be created: "+e.Message, about))
		case strings.Contains(e.Message, "denied the request"):
			l.add(found(ReasonPodsRefused, e.Message, "change what the message names in the pod template", about))
		case strings.Contains(e.Message, "exceeded quota"):
			l.add(l.quota("its pods cannot be created: "+e.Message, "ask for less in the pod template", about))
		default:
			l.add(found(ReasonPodsNotMade, "its pods cannot be created: "+e.Message, "change what the message names", about))
		}
	}
}

func (l *look) homeOfSelected() types.NamespacedName {
	if l.selected == nil {
		return types.NamespacedName{}
	}
	return homeOf(l.selected.webhook)
}

// concerns reports whether an Event is about a workload whose pods have the label and are still missing, or names our
// webhook and is not old.
func (l *look) concerns(e *corev1.Event) bool {
	for i := range l.Workloads {
		if w := &l.Workloads[i]; w.UID == e.InvolvedObject.UID {
			return w.Short && w.Template[kinds.Label] == kinds.LabelEnabled
		}
	}
	return strings.Contains(e.Message, webhookName) && l.Now.Sub(timeOf(e)) < fresh
}
