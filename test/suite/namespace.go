package suite

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Namespace creates a namespace with a unique name that begins with prefix and deletes it when the test
// ends. In a control plane with controllers it waits for the default ServiceAccount, without which no
// pod is admitted.
func Namespace(tb testing.TB, client kubernetes.Interface, prefix string, labels map[string]string) string {
	tb.Helper()
	made, err := client.CoreV1().Namespaces().Create(tb.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: prefix + "-", Labels: labels},
	}, metav1.CreateOptions{})
	if err != nil {
		tb.Fatalf("make a namespace: %v", err)
	}
	tb.Cleanup(func() {
		if err := client.CoreV1().Namespaces().
			Delete(context.WithoutCancel(tb.Context()), made.Name, metav1.DeleteOptions{}); err != nil {
			tb.Errorf("delete the namespace %s: %v", made.Name, err)
		}
	})
	if shared.dir != nil && !shared.options.Controllers {
		return made.Name
	}
	Eventually(tb, "the namespace "+made.Name+" should get its account", func(ctx context.Context) error {
		_, err := client.CoreV1().ServiceAccounts(made.Name).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
	return made.Name
}
