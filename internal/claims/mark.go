package claims

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// indexProfile is the name of the cache index of live pods by the profiles of their mark.
const indexProfile = "profile"

// liveProfiles are the profiles that a pod needs: none once it is being deleted. Pods in the cache have few of them, see
// [fewProfiles].
func liveProfiles(pod client.Object) []string {
	if pod.GetDeletionTimestamp() != nil {
		return nil
	}
	return inject.InjectedProfiles(pod.GetAnnotations())
}

// maxUnknown is how many names the cache keeps of a pod's injected annotation that are no profiles in force. The replica that
// wrote them may have read a newer file, and a profile that was removed is reported.
const maxUnknown = 4

// fewProfiles returns what the cache keeps of an injected annotation: the profiles in force, of which the administrator decides how
// many there are, and few other names. The author of a pod can write 256 KiB there.
func fewProfiles(config *storage.Config, annotation string) string {
	if config.Profile(annotation) != nil { // the usual pod
		return strings.Clone(annotation)
	}
	names := inject.InjectedProfiles(map[string]string{inject.AnnotationInjected: annotation})
	unknown := 0
	few := strings.Join(slices.DeleteFunc(names, func(name string) bool {
		if config.Profile(name) != nil {
			return false
		}
		unknown++
		return unknown > maxUnknown
	}), ",")
	return strings.Clone(few) // a part of the annotation would keep all of it in memory
}

// usesOf are the uses that a pod stands for.
func usesOf(pod *metav1.PartialObjectMetadata) []storage.ProfileRef {
	var uses []storage.ProfileRef
	for _, profile := range liveProfiles(pod) {
		uses = append(uses, storage.ProfileRef{Profile: profile, Namespace: pod.Namespace})
	}
	return uses
}
