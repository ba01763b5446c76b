package admission

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// review is what is read of an AdmissionReview of admission.k8s.io/v1 or v1beta1, which have the
// same fields.
type review struct {
	kind, apiVersion string
	hasRequest       bool
	request          request
}

// request is what is read of the request in a review.
type request struct {
	uid                               string
	group, kind                       string
	subResource, namespace, operation string
	object                            pod
	// selectedBy is not read: the path of the request has it.
	selectedBy inject.SelectedBy
}

// Versions of the review that can be answered.
// Source: Kubernetes, admission/v1 and admission/v1beta1.
const (
	reviewKind    = "AdmissionReview"
	versionV1     = "admission.k8s.io/v1"
	versionV1Beta = "admission.k8s.io/v1beta1"
)

// decode reads a review whose object is a pod. Where that fails it reads the head alone, so that
// the error can be answered under its uid, and an object that is not a pod passes.
func decode(body []byte, n needs, into *review) error {
	r := readers.get()
	defer readers.put(r)
	r.reset(body, n, false)
	err := r.review(into)
	switch {
	case err == nil:
	case isOverLimit(err) && into.request.isHeadRead():
		// The rest changes nothing, and it can be long.
	default:
		err = r.decodeHead(body, into, err)
	}
	switch {
	case isOverLimit(err):
		return err
	case err != nil:
		return fmt.Errorf("the review cannot be read: %w", withoutText(err))
	case into.kind != reviewKind || (into.apiVersion != versionV1 && into.apiVersion != versionV1Beta):
		return fmt.Errorf(
			"the body is a %q of %q, not an %s of %s or %s", shortened(into.kind, maxName),
			shortened(into.apiVersion, maxName), reviewKind, versionV1, versionV1Beta,
		)
	case !into.hasRequest || (into.request.uid == "" && into.request.operation == ""):
		return errors.New("the review has no request")
	case len(into.request.uid) > maxUID:
		into.request.uid = ""
		return fmt.Errorf("the review has a uid of more than %d bytes", maxUID)
	}
	return nil
}

// decodeHead reads the head of a review that could not be read as a whole, and returns the error
// that remains: none for an object that is not a pod.
func (r *reader) decodeHead(body []byte, into *review, failure error) error {
	head := review{}
	r.reset(body, needs{}, true)
	if err := r.review(&head); err != nil || !head.hasRequest {
		return failure
	}
	*into = head
	if !head.request.createsPod() {
		return nil
	}
	return failure
}

// review reads a whole body, and refuses anything behind the review.
func (r *reader) review(into *review) error {
	err := r.object(func(name []byte) error {
		switch string(name) {
		case "kind":
			return r.stringInto(&into.kind)
		case "apiVersion":
			return r.stringInto(&into.apiVersion)
		case "request":
			into.hasRequest = into.hasRequest || r.decoder.PeekKind() == '{'
			return r.request(&into.request)
		}
		return r.skip()
	})
	if err != nil {
		return err
	}
	switch _, err := r.decoder.ReadToken(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	return errors.New("a second value")
}

// request reads a request. Where only its head is read, the object may be of any kind, whose fields
// have types of their own: the reader is lenient within it.
func (r *reader) request(into *request) error {
	return r.object(func(name []byte) error {
		switch string(name) {
		case "uid":
			return r.stringInto(&into.uid)
		case "kind":
			return r.groupKind(into)
		case "subResource":
			return r.stringInto(&into.subResource)
		case "namespace":
			return r.stringInto(&into.namespace)
		case "operation":
			return r.stringInto(&into.operation)
		case "object":
			r.isLenient = r.onlyHead
			defer func() { r.isLenient = false }()
			return r.pod(&into.object)
		}
		return r.skip()
	})
}

// groupKind reads the kind of the object. Its version is not needed: a core/v1 Pod is the only one.
func (r *reader) groupKind(into *request) error {
	return r.object(func(name []byte) error {
		switch string(name) {
		case "group":
			return r.stringInto(&into.group)
		case "kind":
			return r.stringInto(&into.kind)
		}
		return r.skip()
	})
}

// withoutText keeps where and what of a decoder's error. Its own words could repeat a value of the
// pod, and other programs log answers.
func withoutText(err error) error {
	if wrong, ok := errors.AsType[mismatchError](err); ok {
		return mismatchError{jsontext.Pointer(shortened(string(wrong.pointer), maxName)), wrong.kind}
	}
	if wrong, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Errorf(
			"invalid JSON at byte %d, within %q", wrong.ByteOffset, shortened(string(wrong.JSONPointer), maxName),
		)
	}
	return errors.New("invalid JSON")
}

// createsPod reports whether a pod itself is created: neither another kind, nor a subresource such
// as binding or eviction, nor a change.
func (r *request) createsPod() bool {
	return r.operation == "CREATE" && r.subResource == "" && r.group == "" && r.kind == "Pod"
}

// isHeadRead reports whether a pod's creation and the pod's metadata have been read, as they stand
// in front of its spec in what an API server writes.
func (r *request) isHeadRead() bool { return r.createsPod() && r.object.hasMetadata }

// shortened cuts a text at a number of bytes, and not within a character.
func shortened(text string, length int) string {
	if len(text) <= length {
		return text
	}
	return strings.ToValidUTF8(text[:length], "") + "…"
}
