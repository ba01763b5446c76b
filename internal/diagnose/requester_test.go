package diagnose

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/internal/claimtest"
)

func TestSizeFields(t *testing.T) {
	t.Parallel()

	entry := func(manager, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, FieldsV1: metav1.NewFieldsV1(fields)}
	}
	status := entry("resizer", sizeField)
	status.Subresource = "status"
	type entries = []metav1.ManagedFieldsEntry
	for name, row := range map[string]struct {
		all entries
		exp []string
	}{
		"none":                        {nil, nil},
		"fields other than the size":  {entries{entry("a", `{"f:spec":{"f:volumeName":{}}}`)}, nil},
		"another resource":            {entries{entry("a", strings.Replace(sizeField, "storage", "cpu", 1))}, nil},
		"no fields":                   {entries{{Manager: "a"}}, nil},
		"fields that are not JSON":    {entries{entry("a", "{")}, nil},
		"fields of another form":      {entries{entry("a", `{"f:spec":[]}`)}, nil},
		"the size of the status":      {entries{status}, nil},
		"the size among other fields": {claimtest.Claim(claimtest.RequestedBy("a")).ManagedFields, []string{"a"}},
		"the size by two":             {entries{entry("a", sizeField), entry("b", sizeField)}, []string{"a", "b"}},
		"the size by many": {
			entries{entry("a", sizeField), entry("b", sizeField), entry("c", sizeField)},
			[]string{"a", "b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var managers []string
			for _, f := range SizeFields(row.all) {
				managers = append(managers, f.Manager)
				assert.JSONEq(t, sizeField, f.FieldsV1.GetRawString())
			}
			assert.Equal(t, row.exp, managers)
		})
	}
}
