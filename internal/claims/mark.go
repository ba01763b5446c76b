package claims

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// indexProfile is the name of the cache index of live pods by the profiles of their mark.
const indexProfile = "profile"

// liveProfiles are the profiles that a pod needs: none once it is being deleted.
func liveProfiles(pod client.Object) []string {
	if pod.GetDeletionTimestamp() != nil {
		return nil
	}
	return inject.Marked(pod.GetAnnotations())
}

// usesOf are the uses that a pod stands for.
func usesOf(pod *metav1.PartialObjectMetadata) []inject.Use {
	var uses []inject.Use
	for _, profile := range liveProfiles(pod) {
		uses = append(uses, inject.Use{Profile: profile, Namespace: pod.Namespace})
	}
	return uses
}
