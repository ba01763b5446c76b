package admission

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"github.com/go-logr/logr"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
)

// Handler answers AdmissionReviews. Its fields are set before it serves and not changed afterwards.
type Handler struct {
	// Config returns the configuration in force. Required.
	Config func() *storage.Config
	// NamespaceLabels returns the labels of a namespace from memory, and false when it is not
	// known. It may wait for a namespace until the context ends. It is called only when some
	// profile has a namespaceSelector.
	NamespaceLabels func(ctx context.Context, namespace string) (map[string]string, bool)
	// Warnings returns warnings for the user of a profile in a namespace, from memory. Optional.
	Warnings func(namespace string, profile *storage.Profile) []string
	// Closing reports that the process is about to end: then every answer closes the connection,
	// and the client opens a new one, which leads it to another replica. Optional.
	Closing func() bool
	// BodyTimeout is how long a body may take to arrive. Default: 10 s.
	BodyTimeout time.Duration
	// Log gets what went wrong, never a pod's content.
	Log logr.Logger

	limiter logLimiter
}

var _ http.Handler = (*Handler)(nil)

// jsonType is the header's value, shared by all answers.
var jsonType = []string{"application/json"}

// ServeHTTP answers one review. As controller-runtime does, it answers with the status 200 whenever
// it answers a review, also one that it refuses: the API server reads the status of the review.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	buffer := buffers.get()
	defer buffers.put(buffer)
	b := &body{budget: inFlight, bytes: *buffer, connection: http.NewResponseController(w)}
	a := h.answer(r, b)
	b.budget.give(b.arrival)
	*buffer = b.bytes

	if a.closes || h.Closing != nil && h.Closing() {
		w.Header().Set("Connection", "close")
	}
	out := buffers.get()
	defer buffers.put(out)
	text, err := a.appendTo((*out)[:0])
	if err != nil {
		h.Log.Error(err, "cannot write the patch", "uid", a.uid)
		failed := answer{
			version: a.version, uid: a.uid, code: http.StatusInternalServerError, message: "the patch cannot be written",
		}
		text, _ = failed.appendTo((*out)[:0]) // without a patch nothing can fail
	}
	*out = text
	w.Header()["Content-Type"] = jsonType
	// Not every test's writer has a connection.
	_ = b.connection.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := w.Write(text); err != nil {
		h.Log.V(1).Info("the client went away", "uid", a.uid, "reason", err.Error())
	}
	observe(&a, time.Since(start))
}

// answer reads a request and decides. A panic becomes an answer under the review's uid.
func (h *Handler) answer(r *http.Request, b *body) (a answer) {
	defer func() {
		if p := recover(); p != nil {
			panics.Inc()
			h.Log.Error(fmt.Errorf("panic: %v", p), "panic in the webhook", "uid", a.uid, "stack", string(debug.Stack()))
			a = answer{version: a.version, uid: a.uid}
			a.refuse(http.StatusInternalServerError, "an error within the webhook; its log has the details")
		}
	}()
	code, err := b.read(r, cmp.Or(h.BodyTimeout, bodyTimeout))
	if err == nil {
		code, err = h.decide(r.Context(), b, inject.AdmissionPaths[r.URL.Path], &a)
	}
	if err != nil {
		a.closes = code == http.StatusServiceUnavailable
		a.refuse(code, err.Error())
		h.logRefusal(&a)
	}
	return a
}

// decide waits for its turn, reads a review and, when it is about the creation of a pod, decides.
// Its errors are about reviews that cannot be decided about, and come with their HTTP status code.
func (h *Handler) decide(ctx context.Context, b *body, by inject.SelectedBy, a *answer) (int, error) {
	place := decisions.of(b)
	if err := place.enter(ctx, b); err != nil {
		return http.StatusServiceUnavailable, err
	}
	defer place.leave()
	config, read := h.Config(), &review{}
	err := decode(b.bytes, needs{env: config.SetsEnv(), scheduling: config.Colocates()}, read)
	a.version, a.uid, read.request.selectedBy = read.apiVersion, read.request.uid, by
	pod := &read.request.object
	switch {
	case isOverLimit(err) && read.request.isSelected():
		a.reason = reasonOverLimit
		a.refuse(http.StatusForbidden, fmt.Sprintf("Pod/%s: %v%s", pod.title(), err, by.Explanation()))
		return http.StatusOK, nil
	case isOverLimit(err):
		a.reason = inject.ReasonNotSelected
		return http.StatusOK, nil
	case err != nil:
		return http.StatusBadRequest, err
	case ctx.Err() != nil:
		return http.StatusServiceUnavailable, ctx.Err()
	case read.request.createsPod():
		namespace, code, err := h.namespaceLabels(ctx, config, &read.request, place, b)
		if err != nil {
			return code, err
		}
		h.admit(config, &read.request, namespace, a)
	}
	return http.StatusOK, nil
}

// refuse makes the answer a refusal. The code is an HTTP status code for the client of the API
// server, and the message a sentence for people.
func (a *answer) refuse(code int, message string) { a.code, a.message = code, message }

// namespaceLabels returns the labels of the pod's namespace, where a profile needs them. A
// namespace of a moment ago is waited for, and other reviews are decided meanwhile.
func (h *Handler) namespaceLabels(
	ctx context.Context, config *storage.Config, r *request, place *turn, b *body,
) (map[string]string, int, error) {
	if !config.SelectsNamespaces() || !r.isSelected() { // no other pod waits for anything
		return nil, http.StatusOK, nil
	}
	place.leave()
	waiting, stop := untilEvicted(ctx, b)
	found, isKnown := h.NamespaceLabels(waiting, r.namespace)
	stop()
	if !isKnown {
		return nil, codeUnknownNamespace, fmt.Errorf(
			"the labels of the namespace %q are not known yet: try again", shortened(r.namespace, maxName),
		)
	}
	if err := place.enter(ctx, b); err != nil {
		return nil, http.StatusServiceUnavailable, err
	}
	return found, http.StatusOK, nil
}

// admit decides about a pod that is created.
func (h *Handler) admit(config *storage.Config, r *request, namespace map[string]string, a *answer) {
	result := inject.Patch(config, inject.Request{
		Namespace: r.namespace, NamespaceLabels: namespace, Admission: true, SelectedBy: r.selectedBy,
	}, r.object.Pod)
	decision := &result.Decisions[0]
	a.reason, a.profiles, a.warnings = decision.Reason, decision.Profiles, decision.Warnings
	if decision.Reason.Refuses() {
		a.refuse(http.StatusForbidden, fmt.Sprintf("Pod/%s: %s", r.object.title(), decision.Message))
		return
	}
	a.operations = result.Operations
	if h.Warnings == nil {
		return
	}
	var ofClaims []string // these first: a client may see the first ones only
	for _, name := range decision.Profiles {
		ofClaims = append(ofClaims, h.Warnings(r.namespace, config.Profile(name))...)
	}
	a.warnings = slices.Concat(ofClaims, a.warnings)
}

// isSelected reports whether the request is about a pod that is to get storage.
func (r *request) isSelected() bool {
	selection := inject.Request{SelectedBy: r.selectedBy}
	return selection.Selects(r.object.Labels)
}

// logRefusal logs why a request could not be decided about, shortly and not every time.
func (h *Handler) logRefusal(a *answer) {
	if h.limiter.allows() {
		h.Log.Info("bad request", "code", a.code, "reason", shortened(a.message, maxLogged), "uid", a.uid)
	}
}
