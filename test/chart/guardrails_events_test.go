package chart_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
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

func TestGuardrailsHoldEventsToWhatIsReported(t *testing.T) {
	t.Parallel()
	client, config := guarded(t, []storage.Profile{provisioned()})
	namespace := serve(t, config)
	name := clusterName("ps", config.namespace)
	own := func(change func(*eventsv1.Event)) *eventsv1.Event {
		event := eventAbout(config.namespace, "Pod")
		event.ReportingController = "pipeline-storage"
		change(event)
		return event
	}
	webhook := func(name string) *eventsv1.Event {
		event := eventAbout("default", "MutatingWebhookConfiguration")
		event.Regarding = corev1.ObjectReference{
			APIVersion: "admissionregistration.k8s.io/v1",
			Kind:       "MutatingWebhookConfiguration",
			Name:       name,
		}
		event.ReportingController = "pipeline-storage"
		return event
	}
	unmanaged := eventAbout(namespace, "Pod")
	unmanaged.ReportingController = "kubelet"
	for name, c := range map[string]struct {
		event    *eventsv1.Event
		admitted bool
	}{
		"a claim":                        {eventAbout(namespace, "PersistentVolumeClaim"), true},
		"a pod":                          {eventAbout(namespace, "Pod"), true},
		"the own webhook":                {webhook(name), true},
		"an own pod":                     {own(func(*eventsv1.Event) {}), true},
		"another controller's name":      {unmanaged, false},
		"a Secret":                       {eventAbout(namespace, "Secret"), false},
		"another webhook":                {webhook("of-another-installation"), false},
		"a pod in default":               {eventAbout("default", "Pod"), false},
		"a namespace that is not served": {eventAbout(newNamespace(t, nil), "Pod"), false},
		"an excluded namespace":          {eventAbout("kube-system", "Pod"), false},
		"a Secret of its own namespace":  {own(func(e *eventsv1.Event) { e.Regarding.Kind = "Secret" }), false},
	} {
		_, err := client.EventsV1().Events(c.event.Namespace).Create(t.Context(), c.event, dryRun)
		assert.Equal(t, c.admitted, err == nil, "%s: %v", name, err)
		assert.Equal(t, !c.admitted, denied(err), "%s: %v", name, err)
	}
}

// A patch counts an Event that happens again. It must not change one of a third party.
func TestGuardrailsLeaveEventsOfThirdPartiesAlone(t *testing.T) {
	t.Parallel()
	client, config := guarded(t, []storage.Profile{provisioned()})
	namespace := serve(t, config)
	patch := func(controller string) error {
		event := eventAbout(namespace, "Pod")
		event.ReportingController = controller
		event, err := suite.Kubernetes(t).EventsV1().Events(namespace).Create(t.Context(), event, metav1.CreateOptions{})
		require.NoError(t, err)
		_, err = client.EventsV1().Events(namespace).Patch(t.Context(), event.Name, types.MergePatchType,
			[]byte(
				`{"series":{"count":2,"lastObservedTime":"2026-01-01T00:00:00.000000Z"},`+
					`"reportingController":"pipeline-storage-claims"}`,
			), metav1.PatchOptions{})
		return err
	}
	require.NoError(t, patch("pipeline-storage-claims"))
	err := patch("kubelet")
	assert.True(t, denied(err) || err != nil && apierrors.IsInvalid(err), "%v", err)
}

// The election of the leader reports by Events of the older API.
func TestGuardrailsHoldEventsOfTheElection(t *testing.T) {
	t.Parallel()
	client, config := guarded(t, []storage.Profile{provisioned()})
	create := func(change func(*corev1.Event)) error {
		event := &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "event-", Namespace: config.namespace},
			InvolvedObject: corev1.ObjectReference{
				APIVersion: "coordination.k8s.io/v1",
				Kind:       "Lease",
				Namespace:  config.namespace,
				Name:       "ps-pipeline-storage",
			},
			Reason: "LeaderElection", Message: "became leader", Type: corev1.EventTypeNormal,
			Source: corev1.EventSource{Component: identity}, ReportingController: identity,
		}
		change(event)
		_, err := client.CoreV1().Events(config.namespace).Create(t.Context(), event, dryRun)
		return err
	}
	require.NoError(t, create(func(*corev1.Event) {}))
	for name, change := range map[string]func(*corev1.Event){
		"another Lease":    func(e *corev1.Event) { e.InvolvedObject.Name = "kube-scheduler" },
		"another kind":     func(e *corev1.Event) { e.InvolvedObject.Kind = "Secret" },
		"another reporter": func(e *corev1.Event) { e.ReportingController = "kubelet" },
		"no reporter":      func(e *corev1.Event) { e.ReportingController = "" },
	} {
		err := create(change)
		assert.True(t, denied(err), "%s: %v", name, err)
	}
}

// identity is how a replica names itself in the election.
const identity = "ps-pipeline-storage-6d4cf56db6-x2x9v_0b1a9c1e-5a43-4d6e-9c55-1f2f3a4b5c6d"
