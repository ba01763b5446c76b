package chart_test

import (
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// eventAbout is an Event about an object of a kind, as the claims controller writes them.
func eventAbout(namespace, kind string) *eventsv1.Event {
	return &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "event-", Namespace: namespace},
		EventTime:  metav1.NowMicro(), Type: corev1.EventTypeNormal, Reason: "Created", Action: "ProvideStorage",
		ReportingController: "pipeline-storage-claims", ReportingInstance: "pipeline-storage-claims-pod", Note: "test",
		Regarding: corev1.ObjectReference{APIVersion: "v1", Kind: kind, Namespace: namespace, Name: "object"},
	}
}
