// Package reviews makes AdmissionReviews of pods, the same each time: what the API server sends
// when a controller creates a pod that requests storage. They are complete, with defaults, managed
// fields and projected tokens, because a webhook pays for every byte of them.
package reviews

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// Namespace is where the pods are created.
const Namespace = "team-pipelines"

// Size is one kind of pod.
type Size struct {
	// Name is the name in reports.
	Name string
	// Bytes is the length of its reviews, within five percent.
	Bytes int

	// The fields below are for the template.

	Containers, InitContainers int
	// Variables is the number of variables of each container.
	Variables int
	// Rich pods have what long charts give theirs: probes, ports, mounts, security contexts.
	Rich bool
}

// Sizes are the pods that are measured: a lone container, a job with sidecars, and what operators
// and sidecar injectors together can make of a pod.
func Sizes() []Size {
	return []Size{
		{Name: "small", Bytes: 3950, Containers: 1, Variables: 1},
		{Name: "medium", Bytes: 17889, Containers: 4, InitContainers: 1, Variables: 3, Rich: true},
		{Name: "large", Bytes: 71347, Containers: 17, InitContainers: 3, Variables: 6, Rich: true},
	}
}

// Review is one request.
type Review struct {
	// UID is the UID of the request, which the answer must repeat.
	UID string
	// Body is the AdmissionReview, as it is sent.
	Body []byte
	// Pod is the object in it, to which the answer's patch applies.
	Pod []byte
}

// Make returns count different reviews of pods of one size. Each has its own UID. All have the
// label that requests storage and no volume of pipeline-storage yet.
func (s Size) Make(count int) ([]Review, error) {
	made := make([]Review, 0, count)
	for number := range count {
		one, err := s.review(number)
		if err != nil {
			return nil, fmt.Errorf("make review %d of size %s: %w", number, s.Name, err)
		}
		made = append(made, one)
	}
	return made, nil
}

func (s Size) review(number int) (Review, error) {
	pod, err := s.pod(number)
	if err != nil {
		return Review{}, err
	}
	uid := uid("review", number)
	body, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request:  request(uid, pod),
	})
	if err != nil {
		return Review{}, fmt.Errorf("encode the review: %w", err)
	}
	return Review{UID: uid, Body: body, Pod: pod}, nil
}

// request is what the API server sends when the job controller creates a pod.
func request(uid string, pod []byte) *admissionv1.AdmissionRequest {
	isDryRun := false
	kind := metav1.GroupVersionKind{Version: "v1", Kind: "Pod"}
	resource := metav1.GroupVersionResource{Version: "v1", Resource: "pods"}
	return &admissionv1.AdmissionRequest{
		UID: types.UID(uid), Kind: kind, Resource: resource, RequestKind: &kind, RequestResource: &resource,
		Namespace: Namespace, Operation: admissionv1.Create,
		UserInfo: authenticationv1.UserInfo{
			Username: "system:serviceaccount:kube-system:job-controller",
			UID:      "5b1c0d9e-8a67-4c0e-9f52-2d7b7b0f1a34",
			Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"},
			Extra: map[string]authenticationv1.ExtraValue{
				"authentication.kubernetes.io/credential-id": {"JTI=0f6a3c52-6f0b-4b7f-9d55-1b9a2ce0a7d1"},
			},
		},
		Object: runtime.RawExtension{Raw: pod},
		DryRun: &isDryRun,
		Options: runtime.RawExtension{Raw: []byte(
			`{"kind":"CreateOptions","apiVersion":"meta.k8s.io/v1","fieldManager":"kube-controller-manager"}`)},
	}
}

// uid has the form of the API server's UIDs and is the same each time.
func uid(of string, number int) string {
	sum := fnv.New32a()
	_, _ = io.WriteString(sum, of) // never fails
	return fmt.Sprintf("%08x-7c1e-4d35-9a40-%012x", sum.Sum32(), 0x51f0a2b4c000+number)
}
