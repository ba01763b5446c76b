package admission

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// reader reads the few fields of a review that matter, straight into what pkg/inject looks at. It
// counts what it reads and stops at a limit before it takes the memory: three bytes of a body can
// become a large struct. It passes over every other value as one text, which takes a third of the
// time of passing over its tokens.
//
// Names count with their case, null is as if it were absent, and of a repeated name the last value
// counts, as encoding/json has it for what an API server writes.
type reader struct {
	decoder jsontext.Decoder
	needs   needs
	// texts holds what is read, so that many short texts take one piece of memory.
	texts strings.Builder
	// allMounts are the mounts of all containers.
	allMounts []kinds.VolumeMount
	counts    [lastCounted]int
	// onlyHead reads of a pod its name and the opt-in label alone, whatever the rest is like.
	onlyHead bool
	// isLenient passes over values of a type that their field does not take.
	isLenient bool
}

// needs are the parts of a pod that most profiles need not, and that are the largest to read.
type needs struct{ env, scheduling bool }

// decodeOptions do not look for repeated names, which costs a third of the decoding: an API server
// writes its own objects, which have none, and applies the patch to them.
var decodeOptions = jsontext.AllowDuplicateNames(true)

// reset makes the reader ready for a body, which must not change until the reader is done. Texts and
// mounts get new memory, because the pod that was read before may still be in use.
func (r *reader) reset(body []byte, n needs, onlyHead bool) {
	r.decoder.Reset(bytes.NewBuffer(body), decodeOptions)
	r.texts, r.allMounts = strings.Builder{}, nil
	r.needs, r.onlyHead, r.isLenient, r.counts = n, onlyHead, false, [lastCounted]int{}
}

// mismatchError is a value of a type that its field does not take. It has no text of the value:
// other programs log answers.
type mismatchError struct {
	pointer jsontext.Pointer
	kind    jsontext.Kind
}

func (e mismatchError) Error() string {
	return fmt.Sprintf("%s: a JSON %s is not what belongs there", e.pointer, e.kind)
}

// mismatch reads the next value and returns the error that names its place.
func (r *reader) mismatch() error {
	kind := r.decoder.PeekKind()
	if err := r.skip(); err != nil || r.isLenient {
		return err
	}
	return mismatchError{r.decoder.StackPointer(), kind}
}

// skip passes over the next value, whatever it is. The value is checked to be JSON.
func (r *reader) skip() error {
	_, err := r.decoder.ReadValue()
	return err
}

// object calls field with every name of an object; field reads the value. The name lives until
// then.
func (r *reader) object(field func(name []byte) error) error {
	switch r.decoder.PeekKind() {
	case 'n':
		return r.skip()
	case '{':
	default:
		return r.mismatch()
	}
	if _, err := r.decoder.ReadToken(); err != nil {
		return err
	}
	for r.decoder.PeekKind() == '"' {
		name, err := r.name()
		if err != nil {
			return err
		}
		if err := field(name); err != nil {
			return err
		}
	}
	_, err := r.decoder.ReadToken()
	return err
}

// name reads the name of a field without the escapes of JSON. Nearly every name has none, and is
// then a part of the body, not a copy.
func (r *reader) name() ([]byte, error) {
	text, err := r.decoder.ReadValue()
	if err != nil {
		return nil, err
	}
	if bytes.IndexByte(text, '\\') < 0 {
		return text[1 : len(text)-1], nil
	}
	return jsontext.AppendUnquote(nil, text)
}

// list calls item at every item of a list; item reads it.
func (r *reader) list(item func() error) error {
	switch r.decoder.PeekKind() {
	case 'n':
		return r.skip()
	case '[':
	default:
		return r.mismatch()
	}
	if _, err := r.decoder.ReadToken(); err != nil {
		return err
	}
	for kind := r.decoder.PeekKind(); kind != ']' && kind != 0; kind = r.decoder.PeekKind() {
		if err := item(); err != nil {
			return err
		}
	}
	_, err := r.decoder.ReadToken()
	return err
}

// stringInto reads a string. Null leaves the text as it is, as encoding/json does.
func (r *reader) stringInto(into *string) error {
	switch r.decoder.PeekKind() {
	case 'n':
		return r.skip()
	case '"':
		text, err := r.decoder.ReadValue()
		if err == nil {
			*into = r.unquoted(text)
		}
		return err
	default:
		return r.mismatch()
	}
}

// unquoted is the text of the JSON string that was just read, and nothing for null.
func (r *reader) unquoted(text jsontext.Value) string {
	switch {
	case text.Kind() != '"':
		return ""
	case bytes.IndexByte(text, '\\') >= 0:
		plain, _ := jsontext.AppendUnquote(nil, text) // the decoder has judged it
		return string(plain)
	}
	return r.keep(text[1 : len(text)-1])
}

// textsAtOnce is how many bytes of texts are taken at once.
const textsAtOnce = 1 << 10

// keep copies a text out of the body, whose buffer the next request gets. Short texts share a piece
// of memory, which is taken again when it is full.
func (r *reader) keep(text []byte) string {
	if r.texts.Cap()-r.texts.Len() < len(text) {
		r.texts = strings.Builder{}
		r.texts.Grow(max(textsAtOnce, len(text)))
	}
	start := r.texts.Len()
	r.texts.Write(text)
	return r.texts.String()[start:]
}

// bool reads true or false. Null leaves the value as it is, as encoding/json does.
func (r *reader) bool(into *bool) error {
	switch r.decoder.PeekKind() {
	case 'n':
		return r.skip()
	case 't', 'f':
		token, err := r.decoder.ReadToken()
		if err == nil {
			*into = token.Bool()
		}
		return err
	default:
		return r.mismatch()
	}
}

// textMap reads labels or annotations. It counts their bytes as the API server does, without the
// escapes of JSON.
func (r *reader) textMap(into *map[string]string, what counted) error {
	*into = nil
	return r.object(func(name []byte) error {
		if err := r.count(what, len(name)); err != nil {
			return err
		}
		key := r.keep(name)
		if kind := r.decoder.PeekKind(); kind != '"' && kind != 'n' {
			return r.mismatch()
		}
		text, err := r.decoder.ReadValue()
		if err != nil {
			return err
		}
		value := r.unquoted(text)
		if err := r.count(what, len(value)); err != nil {
			return err
		}
		if *into == nil {
			*into = map[string]string{}
		}
		(*into)[key] = value
		return nil
	})
}

// value reads a value of any type, within a limit of its bytes.
func (r *reader) value(what counted) (any, error) {
	text, err := r.decoder.ReadValue()
	if err != nil {
		return nil, err
	}
	return r.decoded(text, what)
}

// decoded decodes a value that was just read, within a limit of its bytes.
func (r *reader) decoded(text jsontext.Value, what counted) (value any, err error) {
	if text.Kind() == 'n' {
		return nil, nil
	}
	if err := r.count(what, len(text)); err != nil {
		return nil, err
	}
	return value, json.Unmarshal(text, &value, decodeOptions)
}

// limitError is a pod that has more of something than it may.
type limitError struct{ what counted }

func (e limitError) Error() string {
	return fmt.Sprintf(
		"the pod has more than %d %s, which is the most that pipeline-storage reads: make it smaller, or remove the label",
		limits[e.what].max, limits[e.what].what,
	)
}

// count adds to what has been read and refuses more than the limit.
func (r *reader) count(what counted, n int) error {
	if r.counts[what] += n; r.counts[what] > limits[what].max {
		return limitError{what}
	}
	return nil
}

// isOverLimit reports whether an error is about a limit of this package, not about the JSON.
func isOverLimit(err error) bool {
	_, ok := errors.AsType[limitError](err)
	return ok
}
