package admission

import (
	"cmp"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/go-logr/logr"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// Handler answers AdmissionReviews. Its fields are set before it serves and not changed afterwards.
type Handler struct {
	// Config returns the configuration in force. Required.
	Config func() *inject.Config
	// NamespaceLabels returns the labels of a namespace from memory, and false when it is not known. It is asked only when
	// some profile has a namespaceSelector.
	NamespaceLabels func(namespace string) (map[string]string, bool)
	// Warnings returns what the user of a profile in a namespace should know, from memory. Optional.
	Warnings func(namespace string, profile *inject.Profile) []string
	// Closing reports that the process is about to end: then every answer asks the client to open a new connection, which
	// leads it to another replica. Optional.
	Closing func() bool
	// BodyTimeout is how long a body may take to arrive. Default: 10 s.
	BodyTimeout time.Duration
	// Log gets what went wrong, never a pod's content.
	Log logr.Logger
}

var _ http.Handler = (*Handler)(nil)

// jsonType is the header's value, shared by all answers.
var jsonType = []string{"application/json"}

// ServeHTTP answers one review. As controller-runtime does, it answers with the status 200 whenever it answers a review,
// also one that it refuses: the API server reads the status of the review.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	if h.Closing != nil && h.Closing() {
		w.Header().Set("Connection", "close")
	}
	body := buffers.get()
	defer buffers.put(body)
	a := h.answer(w, r, body)

	out := buffers.get()
	defer buffers.put(out)
	text, err := a.appendTo((*out)[:0])
	if err != nil {
		h.Log.Error(err, "cannot write the patch", "uid", a.uid)
		failed := answer{version: a.version, uid: a.uid, code: http.StatusInternalServerError, message: "the patch cannot be written"}
		text, _ = failed.appendTo((*out)[:0]) // without a patch nothing can fail
	}
	*out = text
	w.Header()["Content-Type"] = jsonType
	if _, err := w.Write(text); err != nil {
		h.Log.V(1).Info("the client went away", "uid", a.uid, "reason", err.Error())
	}
	observe(&a, time.Since(start))
}

// answer reads a request and decides. A panic becomes an answer under the review's uid.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, body *[]byte) (a answer) {
	defer func() {
		if p := recover(); p != nil {
			panics.Inc()
			h.Log.Error(fmt.Errorf("panic: %v", p), "panic in the webhook", "uid", a.uid, "stack", string(debug.Stack()))
			a = answer{version: a.version, uid: a.uid}
			a.refuse(http.StatusInternalServerError, "an error within the webhook; its log has the details")
		}
	}()
	if code, err := read(w, r, body, cmp.Or(h.BodyTimeout, bodyTimeout)); err != nil {
		h.Log.Info("bad request", "reason", err.Error())
		a.refuse(code, err.Error())
		return a
	}
	switch config := h.Config(); {
	case config.Colocates():
		judge[variables, asWritten](h, config, *body, &a)
	case config.SetsEnv():
		judge[variables, unread](h, config, *body, &a)
	default:
		judge[unread, unread](h, config, *body, &a)
	}
	return a
}

// judge reads a review and, when it is about the creation of a pod, decides.
func judge[E environment, A scheduling](h *Handler, config *inject.Config, body []byte, a *answer) {
	review, err := decode[E, A](body)
	a.version = review.APIVersion
	if review.Request != nil {
		a.uid = review.Request.UID
	}
	if err != nil {
		h.Log.Info("bad request", "reason", err.Error(), "uid", a.uid)
		a.refuse(http.StatusBadRequest, err.Error())
		return
	}
	if review.Request.createsPod() {
		admit(h, config, review.Request, a)
	}
}

func (a *answer) refuse(code int, message string) { a.code, a.message = code, message }

// admit decides about a pod that is created.
func admit[E environment, A scheduling](h *Handler, config *inject.Config, r *request[pod[E, A]], a *answer) {
	asked := inject.Request{Namespace: r.Namespace, Admission: true}
	if config.SelectsNamespaces() {
		labels, known := h.NamespaceLabels(r.Namespace)
		if !known {
			a.refuse(http.StatusInternalServerError, fmt.Sprintf("the labels of the namespace %q are not known yet: try again", r.Namespace))
			return
		}
		asked.NamespaceLabels = labels
	}
	result := config.Patch(asked, r.Object.view())
	decision := &result.Decisions[0]
	a.reason, a.profiles, a.warnings = decision.Reason, decision.Profiles, decision.Warnings
	if decision.Reason.Refuses() {
		a.refuse(http.StatusForbidden, fmt.Sprintf("Pod/%s: %s", r.Object.name(), decision.Message))
		return
	}
	a.operations = result.Operations
	if h.Warnings == nil {
		return
	}
	for _, name := range decision.Profiles {
		a.warnings = append(a.warnings, h.Warnings(r.Namespace, config.Profile(name))...)
	}
}
