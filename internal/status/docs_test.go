package status

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files and the table of docs/status.md")

const document = "../../docs/status.md"

var reasonRows = regexp.MustCompile(`(?s)(\| Reason \|[^\n]*\n\|---[^\n]*\n)(.*?)(\nThe Events of)`)

// TestTheDocumentHasEveryReason compares the table of docs/status.md with the code's.
func TestTheDocumentHasEveryReason(t *testing.T) {
	t.Parallel()

	var rows strings.Builder
	for _, r := range Reasons {
		fmt.Fprintf(&rows, "| `%s` | %s | %s |\n", r.Name, r.Means, r.Next)
	}
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	if *update {
		text = reasonRows.ReplaceAll(text, []byte("${1}"+strings.ReplaceAll(rows.String(), "$", "$$")+"${3}"))
		require.NoError(t, os.WriteFile(document, text, 0o644))
	}
	found := reasonRows.FindSubmatch(text)
	require.NotNil(t, found, "docs/status.md has a table of reasons")
	require.Equal(t, rows.String(), string(found[2]), "write it by go test ./internal/status -run Document -update")
}
