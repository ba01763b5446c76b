package cluster

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// status is what the kubelet reports about the pod.
func (w *worker) status() corev1.PodStatus {
	pod := w.latest.Load()

	status := corev1.PodStatus{
		Phase: w.phase(), StartTime: &w.begun, QOSClass: pod.Status.QOSClass,
		HostIP: gateway.String(), HostIPs: []corev1.HostIP{{IP: gateway.String()}},
	}

	if w.address.IsValid() {
		status.PodIP = w.address.String()
		status.PodIPs = []corev1.PodIP{{IP: w.address.String()}}
	}

	for _, c := range w.containers {
		if c.init {
			status.InitContainerStatuses = append(status.InitContainerStatuses, c.snapshot())
		} else {
			status.ContainerStatuses = append(status.ContainerStatuses, c.snapshot())
		}
	}

	status.Conditions = conditions(pod, status)

	return status
}

// phase is Succeeded or Failed only when no container will run again.
func (w *worker) phase() corev1.PodPhase {
	var (
		waiting, ended, failed int
		mains                  []*container
	)

	for _, c := range w.containers {
		state := c.snapshot().State

		if c.init && !c.sidecar() && state.Terminated != nil && state.Terminated.ExitCode != 0 &&
			!c.restartsAfter(exitUnknown) {
			return corev1.PodFailed
		}

		if c.init {
			continue
		}

		mains = append(mains, c)

		switch {
		case state.Terminated != nil && (w.stopping.Load() || !c.restartsAfter(state.Terminated.ExitCode)):
			ended++

			if state.Terminated.ExitCode != 0 {
				failed++
			}
		case state.Waiting != nil && c.snapshot().RestartCount == 0:
			waiting++
		}
	}

	switch {
	case waiting > 0:
		return corev1.PodPending
	case ended < len(mains):
		return corev1.PodRunning
	case failed > 0:
		return corev1.PodFailed
	default:
		return corev1.PodSucceeded
	}
}

// conditions returns those that the kubelet owns. An unchanged condition retains its transition
// time.
func conditions(pod *corev1.Pod, status corev1.PodStatus) []corev1.PodCondition {
	initialized := !slices.ContainsFunc(status.InitContainerStatuses, func(s corev1.ContainerStatus) bool {
		return !s.Ready && (s.Started == nil || !*s.Started)
	})
	ended := status.Phase == corev1.PodSucceeded || status.Phase == corev1.PodFailed
	ready := initialized && !ended && !slices.ContainsFunc(status.ContainerStatuses,
		func(s corev1.ContainerStatus) bool { return !s.Ready })

	reason := "ContainersNotReady"
	if status.Phase == corev1.PodSucceeded {
		reason = "PodCompleted"
	}

	return []corev1.PodCondition{
		condition(pod, corev1.PodScheduled, true, ""),
		condition(pod, corev1.PodReadyToStartContainers, !ended, ""),
		condition(pod, corev1.PodInitialized, initialized, reason),
		condition(pod, corev1.ContainersReady, ready, reason),
		condition(pod, corev1.PodReady, ready && gatesOpen(pod), reason),
	}
}

// gatesOpen reports whether all conditions for which the pod waits are set, which other components
// do.
func gatesOpen(pod *corev1.Pod) bool {
	for _, gate := range pod.Spec.ReadinessGates {
		open := slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == gate.ConditionType && c.Status == corev1.ConditionTrue
		})
		if !open {
			return false
		}
	}

	return true
}

func condition(pod *corev1.Pod, kind corev1.PodConditionType, is bool, reason string) corev1.PodCondition {
	c := corev1.PodCondition{Type: kind, Status: corev1.ConditionFalse, Reason: reason, LastTransitionTime: metav1.Now()}
	if is {
		c.Status, c.Reason = corev1.ConditionTrue, ""
	}

	for _, before := range pod.Status.Conditions {
		if before.Type == kind && before.Status == c.Status {
			c.LastTransitionTime = before.LastTransitionTime
		}
	}

	return c
}
