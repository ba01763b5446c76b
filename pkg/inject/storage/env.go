package storage

import (
	"encoding/json"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pipeline-storage/pipeline-storage/internal/strictyaml"
)

// VariableNames are names of environment variables. A file has one of them as text, and several as
// a list.
type VariableNames []string

// errVariableNames is the error for a value of another type. It has no place, see
// [misreadVariables].
var errVariableNames = errors.New("expected the name of a variable, or a list of names")

// UnmarshalJSON reads a text or a list of texts. An empty text is no name.
func (n *VariableNames) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*n = nil
		if one != "" {
			*n = VariableNames{one}
		}
		return nil
	}
	if json.Unmarshal(text, (*[]string)(n)) != nil {
		return errVariableNames
	}
	return nil
}

// misreadVariables is errVariableNames with the place of the value, which is at a path of the
// document. It is nil where the value is a text or a list of texts.
func misreadVariables(document *strictyaml.Document, at string) error {
	for item, j := at+"[0]", 1; ; item, j = fmt.Sprintf("%s[%d]", at, j), j+1 {
		_, line, found := document.Value(item)
		if !found {
			break
		}
		if !document.IsText(item) {
			return fmt.Errorf("line %d: %s: %w", line, item, errVariableNames)
		}
	}
	if _, line, found := document.Value(at); found && !document.IsText(at) && !document.IsList(at) {
		return fmt.Errorf("line %d: %s: %w", line, at, errVariableNames)
	}
	return nil
}

// MarshalJSON writes a single name as text.
func (n VariableNames) MarshalJSON() ([]byte, error) {
	if len(n) == 1 {
		return json.Marshal(n[0])
	}
	return json.Marshal([]string(n))
}

// path is the field of one of the names.
func (n VariableNames) path(at *field.Path, i int) *field.Path {
	if len(n) == 1 { // a file may have it without a list
		return at
	}
	return at.Index(i)
}

// validate refuses names that cannot be those of variables, and those of mount.subPath.
func (n VariableNames) validate(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, name := range n {
		errs = append(errs, validateVariable(n.path(at, i), name)...)
	}
	return errs
}
