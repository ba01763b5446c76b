package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"

	jsonpatch "github.com/evanphx/json-patch/v5"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/test/bench/claim"
	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/reviews"
)

// What a pod must have after the patch: the storage of a configuration with every default.
const (
	claimName = "pvc-data-pipeline"
	mountPath = "/data"
)

// checker checks every answer of one server to the reviews of one size. An answer that is byte for
// byte one that was good for the same review is good: the uid is among those bytes. So the patch is
// applied once for each different answer.
type checker struct {
	candidate candidate
	reviews   []reviews.Review

	mutex  sync.RWMutex
	good   []map[string]bool // by the review
	length int               // of a good answer
}

// cachedAnswers bounds how many different answers to one review are cached: a diff has its
// operations in any order.
const cachedAnswers = 1000

func newChecker(c candidate, all []reviews.Review) *checker {
	k := &checker{candidate: c, reviews: all}
	for range all {
		k.good = append(k.good, map[string]bool{})
	}
	return k
}

// check returns what is wrong with the answer to one of the reviews.
func (k *checker) check(index, status int, body []byte) error {
	if status != http.StatusOK {
		return fmt.Errorf("%s answered with status %d: %.200s", k.candidate.name, status, body)
	}
	k.mutex.RLock()
	isKnown := k.good[index][string(body)]
	k.mutex.RUnlock()
	if isKnown {
		return nil
	}
	if err := k.verify(k.reviews[index], body); err != nil {
		return fmt.Errorf("%s answered wrongly: %w: %.200s", k.candidate.name, err, body)
	}
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if k.length = len(body); len(k.good[index]) < cachedAnswers {
		k.good[index][string(body)] = true
	}
	return nil
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
	if err := claim.Remove(&after.Spec, claimName, mountPath); err != nil {
		return err
	}
	delete(after.Annotations, inject.AnnotationInjected)
	if !equality.Semantic.DeepEqual(before, after) {
		return errors.New("the pod is changed beyond the volume, its mounts and the annotation")
	}
	return nil
}

// strict decodes and refuses fields that the type does not have.
func strict(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}
