package inject

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"gomodules.xyz/jsonpatch/v2"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// takenPlace is a list that loses items or a map that loses keys, or a field that goes: one without a size.
type takenPlace struct {
	path  string
	size  int
	items []int
	keys  []string
}

// take notes that an item of a list goes.
func (r *removal) take(list string, item int) {
	if r.isTaken(list, item) {
		return
	}
	p := r.place(list)
	if p == nil {
		p = &takenPlace{path: list, size: len(r.list(list))}
		r.places = append(r.places, p)
	}
	p.items = append(p.items, item)
}

// takeField notes that a field goes. It reports false when another pod of the object has it, too.
func (r *removal) takeField(path string) bool {
	if r.place(path) != nil {
		return false
	}
	r.places = append(r.places, &takenPlace{path: path})
	return true
}

// takeKey notes that a key of a map goes. A map of which every key goes was missing or empty before, and goes whole; so does
// what holds nothing but that map. It reports false when the key goes already.
func (r *removal) takeKey(path string, size int, key string) bool {
	p := r.place(path)
	if p == nil {
		p = &takenPlace{path: path, size: size}
		r.places = append(r.places, p)
	}
	if slices.Contains(p.keys, key) {
		return false
	}
	p.keys = append(p.keys, key)
	return true
}

func (r *removal) isTaken(list string, item int) bool {
	p := r.place(list)
	return p != nil && slices.Contains(p.items, item)
}

func (r *removal) place(path string) *takenPlace {
	for _, p := range r.places {
		if p.path == path {
			return p
		}
	}
	return nil
}

// operations writes what goes as RFC 6902. The items of a list go from its end, so that the others keep their place; a list
// of which every item goes was missing or empty before, and goes whole.
func (r *removal) operations() []jsonpatch.Operation {
	var ops []jsonpatch.Operation
	for _, p := range r.places {
		if len(p.items)+len(p.keys) == p.size {
			ops = append(ops, jsonpatch.NewOperation("remove", r.whole(p), nil))
			continue
		}
		for _, key := range p.keys {
			ops = append(ops, jsonpatch.NewOperation("remove", string(jsontext.Pointer(p.path).AppendToken(key)), nil))
		}
		slices.Sort(p.items)
		for _, item := range slices.Backward(p.items) {
			ops = append(ops, jsonpatch.NewOperation("remove", p.path+"/"+strconv.Itoa(item), nil))
		}
	}
	return ops
}

// whole is the pointer of a place that goes whole: for labels, that of metadata which holds nothing else.
func (r *removal) whole(p *takenPlace) string {
	parent := p.path[:strings.LastIndexByte(p.path, '/')]
	if around, _ := r.lookup(parent).(map[string]any); len(p.keys) > 0 && len(around) == 1 {
		return parent
	}
	return p.path
}

func (r *removal) list(pointer string) []any {
	list, _ := r.lookup(pointer).([]any)
	return list
}

// lookup returns what is at a pointer of the document, or nil.
func (r *removal) lookup(pointer string) any {
	var value any = r.object.Content
	for token := range jsontext.Pointer(strings.TrimPrefix(pointer, r.object.Path)).Tokens() {
		switch at := value.(type) {
		case map[string]any:
			value = at[token]
		case []any:
			n, err := strconv.Atoi(token)
			if err != nil || n >= len(at) {
				return nil
			}
			value = at[n]
		default:
			return nil
		}
	}
	return value
}

// isJSON reports whether a decoded value is what a typed one is written as, or as the API server gives it back.
func isJSON(decoded, typed any) bool {
	text, err := json.Marshal(typed)
	if err != nil {
		return false
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var want any
	return decoder.Decode(&want) == nil && reflect.DeepEqual(withoutDefaults(decoded), want)
}

// withoutDefaults leaves out of an environment variable what the API server puts into it: the version of a field's object. It
// is the one default in all that injection writes. Source: Kubernetes, pkg/apis/core/v1/defaults.go SetDefaults_ObjectFieldSelector.
func withoutDefaults(decoded any) any {
	variable, _ := decoded.(map[string]any)
	source, _ := variable["valueFrom"].(map[string]any)
	field, _ := source["fieldRef"].(map[string]any)
	if kinds.StringOf(field["apiVersion"]) != "v1" {
		return decoded
	}
	variable, source, field = maps.Clone(variable), maps.Clone(source), maps.Clone(field)
	delete(field, "apiVersion")
	source["fieldRef"], variable["valueFrom"] = field, source
	return variable
}
