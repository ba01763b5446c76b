package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	jsonpatch "github.com/evanphx/json-patch/v5"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/reviews"
)

// What a pod must have after the patch: the storage of a configuration with every default.
const (
	claimName = "pvc-data-pipeline"
	mountPath = "/data"
)

// cachedAnswers bounds how many different answers to one review are cached: a diff has its
// operations in any order.
const cachedAnswers = 1000

// checker checks every answer of one server to the reviews of one size. An answer that is byte for
// byte one that was good for the same review is good: the uid is among those bytes. So the patch is
// applied once for each different answer.
type checker struct {
	candidate candidate
	reviews   []reviews.Review

	mu   sync.RWMutex
	good []map[string]struct{}
}

func newChecker(c candidate, all []reviews.Review) *checker {
	k := &checker{candidate: c, reviews: all, good: make([]map[string]struct{}, len(all))}
	for i := range k.good {
		k.good[i] = map[string]struct{}{}
	}
	return k
}

// check returns what is wrong with the answer to one of the reviews.
func (k *checker) check(index, status int, body []byte) error {
	if status != http.StatusOK {
		return fmt.Errorf("%s answered with status %d: %.200s", k.candidate.name, status, body)
	}
	if k.known(index, body) {
		return nil
	}
	if err := k.verify(k.reviews[index], body); err != nil {
		return fmt.Errorf("%s answered wrongly: %w: %.200s", k.candidate.name, err, body)
	}
	k.cache(index, body)
	return nil
}

func (k *checker) known(index int, body []byte) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	_, found := k.good[index][string(body)]
	return found
}

func (k *checker) cache(index int, body []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.good[index]) < cachedAnswers {
		k.good[index][string(body)] = struct{}{}
	}
}

// answerBytes is the length of a good answer.
func (k *checker) answerBytes() int {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for body := range k.good[0] {
		return len(body)
	}
	return 0
}

// verify reads one answer in full.
func (k *checker) verify(sent reviews.Review, body []byte) error {
	if k.candidate.constant != "" {
		if string(body) != k.candidate.constant {
			return errors.New("it is not the constant")
		}
		return nil
	}
	response, err := decodeAnswer(body)
	if err != nil {
		return err
	}
	switch {
	case string(response.UID) != sent.UID:
		return fmt.Errorf("uid %q instead of %q", response.UID, sent.UID)
	case !response.Allowed:
		return errors.New("the pod is denied")
	case response.Result != nil && response.Result.Code != 0 && response.Result.Code != http.StatusOK:
		return fmt.Errorf("code %d", response.Result.Code)
	case !k.candidate.mutates && len(response.Patch) > 0:
		return errors.New("there is a patch")
	case !k.candidate.mutates:
		return nil
	case response.PatchType == nil || *response.PatchType != admissionv1.PatchTypeJSONPatch:
		return errors.New("the type of the patch is not JSONPatch")
	}
	return checkPatch(sent.Pod, response.Patch)
}

func decodeAnswer(body []byte) (*admissionv1.AdmissionResponse, error) {
	var review admissionv1.AdmissionReview
	if err := strict(body, &review); err != nil {
		return nil, fmt.Errorf("it is not an AdmissionReview: %w", err)
	}
	if review.Kind != "AdmissionReview" || review.APIVersion != admissionv1.SchemeGroupVersion.String() {
		return nil, fmt.Errorf("it is a %s of %s", review.Kind, review.APIVersion)
	}
	if review.Response == nil {
		return nil, errors.New("it has no response")
	}
	return review.Response, nil
}

// checkPatch returns an error unless the patch gives every container of the pod the claim and
// changes nothing else.
func checkPatch(pod, patch []byte) error {
	operations, err := jsonpatch.DecodePatch(patch)
	if err != nil {
		return fmt.Errorf("the patch cannot be read: %w", err)
	}
	patched, err := operations.Apply(pod)
	if err != nil {
		return fmt.Errorf("the patch does not apply: %w", err)
	}
	var before, after corev1.Pod
	if err := strict(pod, &before); err != nil {
		return fmt.Errorf("the pod: %w", err)
	}
	if err := strict(patched, &after); err != nil {
		return fmt.Errorf("the patched pod: %w", err)
	}
	if err := removeStorage(&after.Spec); err != nil {
		return err
	}
	delete(after.Annotations, inject.AnnotationInjected)
	if !equality.Semantic.DeepEqual(before, after) {
		return errors.New("the pod is changed beyond the volume, its mounts and the annotation")
	}
	return nil
}

// removeStorage removes the volume with the claim and its mounts, each of which must exist once.
func removeStorage(spec *corev1.PodSpec) error {
	isWebhook := func(v corev1.Volume) bool {
		return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claimName &&
			!v.PersistentVolumeClaim.ReadOnly
	}
	at := slices.IndexFunc(spec.Volumes, isWebhook)
	if at < 0 {
		return fmt.Errorf("no volume holds the claim %s", claimName)
	}
	wanted := corev1.VolumeMount{Name: spec.Volumes[at].Name, MountPath: mountPath}
	spec.Volumes = slices.Delete(spec.Volumes, at, at+1)
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			c := &list[i]
			at := slices.IndexFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool {
				return equality.Semantic.DeepEqual(m, wanted)
			})
			if at < 0 {
				return fmt.Errorf("container %q does not mount the claim at %s", c.Name, mountPath)
			}
			c.VolumeMounts = slices.Delete(c.VolumeMounts, at, at+1)
		}
	}
	return nil
}

// strict decodes and refuses fields that the type does not have.
func strict(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}
