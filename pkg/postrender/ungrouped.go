package postrender

import (
	"fmt"
	"strings"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
)

// ungroupedMessage is the advice for an object that seems to hold a pod and has no API group. A row
// of the table would not help: every kind of Kubernetes' core group that holds pods has one. So
// apiVersion is missing or wrong, and kubectl and Helm refuse the object.
func (r *run) ungroupedMessage(object *kinds.Object) string {
	advice := "write its apiVersion"
	if groups := r.table.Groups(object.Kind); len(groups) > 0 {
		advice += ", which is of the group " + strings.Join(groups, " or ")
	}
	version := kinds.StringOf(object.Content["apiVersion"])
	if version == "" {
		return "it seems to hold a pod, but it has no apiVersion, without which kubectl and Helm refuse it: " + advice
	}
	return fmt.Sprintf("it seems to hold a pod, but apiVersion %q is of Kubernetes' core group, which has no kind %s: %s",
		version, object.Kind, advice)
}
