package suite

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Namespace creates a namespace with a unique name that begins with prefix. It ends with the control plane that the
// tests share, because its deletion takes over a hundred requests; in another cluster it is deleted with the test. With
// controllers Namespace waits for the default ServiceAccount, without which no pod is admitted.
func Namespace(tb testing.TB, client kubernetes.Interface, prefix string, labels map[string]string) string {
	tb.Helper()
	namespaces := client.CoreV1().Namespaces()
	wanted := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: prefix + "-", Labels: labels}}
	made, err := namespaces.Create(tb.Context(), wanted, metav1.CreateOptions{})
	if err != nil {
		tb.Fatalf("make a namespace: %v", err)
	}
	if shared.dir == nil {
		tb.Cleanup(func() {
			if err := namespaces.Delete(context.WithoutCancel(tb.Context()), made.Name, metav1.DeleteOptions{}); err != nil {
				tb.Errorf("delete the namespace %s: %v", made.Name, err)
			}
		})
	} else if !shared.options.Controllers {
		return made.Name
	}
	Eventually(tb, "the namespace "+made.Name+" should get its account", func(ctx context.Context) error {
		_, err := client.CoreV1().ServiceAccounts(made.Name).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
	return made.Name
}
