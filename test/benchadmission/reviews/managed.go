package reviews

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/managedfields/managedfieldstest"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
)

// converter has the lists whose items are owned one by one.
var converter = applyconfigurations.NewTypeConverter(scheme.Scheme)

// managedFields are the pod's, as an API server writes them: all of it belongs to the controller that creates it.
func managedFields(pod *corev1.Pod) ([]metav1.ManagedFieldsEntry, error) {
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(pod)
	if err != nil {
		return nil, fmt.Errorf("decode the pod: %w", err)
	}
	delete(object, "status") // whoever creates a pod does not own it
	fields := managedfieldstest.NewTestFieldManager(converter, corev1.SchemeGroupVersion.WithKind("Pod"))
	if err := fields.Update(&unstructured.Unstructured{Object: object}, "kube-controller-manager"); err != nil {
		return nil, fmt.Errorf("make the managed fields: %w", err)
	}
	at := metav1.NewTime(time.Date(2026, time.October, 3, 2, 30, 0, 0, time.UTC))
	entries := fields.ManagedFields()
	entries[0].Time = &at
	return entries, nil
}
