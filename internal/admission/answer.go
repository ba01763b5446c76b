package admission

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
	"gomodules.xyz/jsonpatch/v2"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

// answer is the response to one review.
type answer struct {
	version string
	uid     string
	// code and message refuse the request; code is 0 when it is allowed.
	code    int
	message string
	// operations are the patch.
	operations []jsonpatch.Operation
	// reason and profiles are audit annotations; the API server puts the webhook's name in front of
	// their keys.
	reason   inject.Reason
	profiles []string
	// warnings are shown by kubectl.
	warnings []string
	// closes ends the connection after the answer.
	closes bool
}

// reasonsOf are the words that the API's Status has for the codes.
// Source: Kubernetes, meta/v1 StatusReason.
var reasonsOf = map[int]string{
	http.StatusBadRequest:            "BadRequest",
	http.StatusForbidden:             "Forbidden",
	http.StatusRequestEntityTooLarge: "RequestEntityTooLarge",
	http.StatusInternalServerError:   "InternalError",
	http.StatusServiceUnavailable:    "ServiceUnavailable",
	http.StatusTooManyRequests:       "TooManyRequests",
}

// patchOptions write the values as encoding/json would: core/v1 types rely on its omitempty.
var patchOptions = json.JoinOptions(jsonv1.OmitEmptyWithLegacySemantics(true), json.Deterministic(true))

// appendTo writes the answer as an AdmissionReview. Where the request was of a version that is not
// known, it is v1.
func (a *answer) appendTo(out []byte) ([]byte, error) {
	version := a.version
	if version != versionV1Beta {
		version = versionV1
	}
	out = append(out, `{"kind":"`+reviewKind+`","apiVersion":"`+version+`","response":{"uid":`...)
	out = appendText(out, a.uid)
	out = append(out, `,"allowed":`...)
	out = strconv.AppendBool(out, a.code == 0)
	if a.code != 0 {
		out = append(out, `,"status":{"metadata":{},"code":`...)
		out = strconv.AppendInt(out, int64(a.code), 10)
		out = append(out, `,"reason":"`+reasonsOf[a.code]+`","message":`...)
		out = append(appendText(out, shortened(a.message, maxMessage)), '}')
	}
	out, err := a.appendPatch(out)
	out = a.appendAudit(out)
	out = a.appendWarnings(out)
	return append(out, "}}\n"...), err
}

// appendPatch writes the operations in base64, as a []byte is in JSON. Without operations it writes
// nothing: an API server refuses a patchType without a patch.
// Source: Kubernetes, apiserver/pkg/admission/plugin/webhook/request/admissionreview.go.
func (a *answer) appendPatch(out []byte) ([]byte, error) {
	if len(a.operations) == 0 {
		return out, nil
	}
	w := patchWriters.get()
	defer patchWriters.put(w)
	if err := w.write(a.operations); err != nil {
		return out, err
	}
	out = append(out, `,"patchType":"JSONPatch","patch":"`...)
	return append(base64.StdEncoding.AppendEncode(out, bytes.TrimSpace(w.text.Bytes())), '"'), nil
}

// patchWriter writes operations as JSON. It is used again, because an encoder is large.
type patchWriter struct {
	text    bytes.Buffer
	encoder jsontext.Encoder
}

// write replaces the text by the operations. Injection only adds, so that each operation has a
// value. An error means a value that JSON cannot have, which is a fault of this program.
func (w *patchWriter) write(operations []jsonpatch.Operation) error {
	w.text.Reset()
	w.encoder.Reset(&w.text, patchOptions)
	if err := w.encoder.WriteToken(jsontext.BeginArray); err != nil {
		return err
	}
	for i := range operations {
		operation := &operations[i]
		for _, token := range [...]jsontext.Token{
			jsontext.BeginObject, jsontext.String("op"), jsontext.String(operation.Operation),
			jsontext.String("path"), jsontext.String(operation.Path), jsontext.String("value"),
		} {
			if err := w.encoder.WriteToken(token); err != nil {
				return err
			}
		}
		if err := json.MarshalEncode(&w.encoder, operation.Value); err != nil {
			return err
		}
		if err := w.encoder.WriteToken(jsontext.EndObject); err != nil {
			return err
		}
	}
	return w.encoder.WriteToken(jsontext.EndArray)
}

// appendAudit writes the reason and the profiles for the audit log of the API server. Both are plain
// ASCII, so that they need no escapes.
func (a *answer) appendAudit(out []byte) []byte {
	// In a second round everything is there already, and the API server refuses a reason that
	// contradicts the first one's.
	if a.reason == "" || a.reason == inject.ReasonAlreadyMounted {
		return out
	}
	out = append(out, `,"auditAnnotations":{"reason":"`...)
	out = append(append(out, a.reason...), '"')
	if len(a.profiles) > 0 {
		out = append(out, `,"profiles":"`...)
		for i, name := range a.profiles { // DNS labels
			if i > 0 {
				out = append(out, ',')
			}
			out = append(out, name...)
		}
		out = append(out, '"')
	}
	return append(out, '}')
}

// appendWarnings writes the first warnings that have maxWarnings bytes together, and behind them how
// many more there were.
func (a *answer) appendWarnings(out []byte) []byte {
	if len(a.warnings) == 0 {
		return out
	}
	out = append(out, `,"warnings":[`...)
	room := maxWarnings
	for i, warning := range a.warnings {
		text := shortened(warning, maxWarning)
		if room -= len(text); room < 0 {
			out = appendText(out, fmt.Sprintf("and %d more warnings", len(a.warnings)-i))
			break
		}
		out = appendText(out, text)
		if i < len(a.warnings)-1 {
			out = append(out, ',')
		}
	}
	return append(out, ']')
}

// appendText writes a JSON string. Its only error is about text that is no UTF-8, which it has
// replaced then.
func appendText(out []byte, text string) []byte {
	quoted, _ := jsontext.AppendQuote(out, text)
	return quoted
}
