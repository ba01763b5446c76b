package certificates

import (
	"fmt"

	v1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/internal/kube"
)

// groups are the two kinds that this package uses. corev1.AddToScheme would register dozens of
// types more.
var groups = []kube.Group{
	{
		Version: corev1.SchemeGroupVersion, Namespaced: []string{"Secret"},
		Register: func(s *runtime.Scheme) error {
			s.AddKnownTypes(corev1.SchemeGroupVersion, &corev1.Secret{}, &corev1.SecretList{})
			metav1.AddToGroupVersion(s, corev1.SchemeGroupVersion)
			return nil
		},
	},
	{
		Version: v1.SchemeGroupVersion, Cluster: []string{kube.KindWebhookConfiguration},
		Register: func(s *runtime.Scheme) error {
			s.AddKnownTypes(v1.SchemeGroupVersion, &v1.MutatingWebhookConfiguration{}, &v1.MutatingWebhookConfigurationList{})
			metav1.AddToGroupVersion(s, v1.SchemeGroupVersion)
			return nil
		},
	},
}

// NewClient returns a client for the two kinds that this package uses. It makes no discovery
// request and has no cache, so its first answer comes after one request, and it sets no rate limit.
func NewClient(config *rest.Config) (client.WithWatch, error) {
	unlimited := rest.CopyConfig(config)
	unlimited.QPS = -1
	options := client.Options{Scheme: kube.Scheme(groups...), Mapper: kube.Mapper(groups...)}
	c, err := client.NewWithWatch(unlimited, options)
	if err != nil {
		return nil, fmt.Errorf("make a client for certificates: %w", err)
	}
	return c, nil
}
