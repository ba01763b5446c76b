package inject

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// list returns the list at a pointer of the document, or nil where there is something else.
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

// isJSON reports whether a decoded value is what a typed one is written as, or as the API server
// gives it back.
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

// withoutDefaults leaves out of an environment variable what the API server puts into it: the
// version of a field's object. It is the one default in all that injection writes. Source:
// Kubernetes, pkg/apis/core/v1/defaults.go SetDefaults_ObjectFieldSelector.
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
