package admission

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
)

var update = flag.Bool("update", false, "write the table of docs/threat-model.md")

const document = "../../docs/threat-model.md"

var limitRows = regexp.MustCompile(`(?s)(<!-- limits -->\n\| What \|[^\n]*\n\|---[^\n]*\n)(.*?)(<!-- /limits -->)`)

// documented are the limits other than those of a pod. Each name is that of the code.
func documented() []struct{ name, what, limit, beyond string } {
	return []struct{ name, what, limit, beyond string }{
		{"MaxBody", "a body", size(MaxBody), "refused (413)"},
		{
			"maxBytesInFlight", "bytes of bodies at once", size(maxBytesInFlight),
			"the oldest body of the address with the most bytes goes (503)",
		},
		{
			"maxConnections", "connections", number(maxConnections),
			"an idle one, or else the oldest, of the address with the most is closed",
		},
		{"smallAtOnce", "small reviews decided at once, for each processor", number(smallAtOnce), "they wait"},
		{
			"largeReview", "a small review; of larger ones " + number(cap(decisions.large)) + " is decided at once",
			"below " + size(largeReview), "they wait",
		},
		{"bodyTimeout", "time for a body", bodyTimeout.String(), "refused (400), and the connection ends"},
		{"chunkTimeout", "time for the next " + size(chunk) + " of a body", chunkTimeout.String(), "the same"},
		{"headerTimeout", "time for a TLS handshake, and for a header", headerTimeout.String(), "the connection ends"},
		{"idleTimeout", "time between two requests", idleTimeout.String(), "the connection ends"},
		{"writeTimeout", "time to take an answer", writeTimeout.String(), "the connection ends"},
		{"maxHeader", "a header", size(maxHeader), "refused (431)"},
		{"maxUID", "the `uid` of a review", size(maxUID), "refused (400)"},
		{"maxName", "a name in a sentence", size(maxName), "shortened"},
		{"maxMessage", "a sentence of an answer", size(maxMessage), "shortened"},
		{"maxWarning", "a warning of an answer", size(maxWarning), "shortened"},
		{"maxWarnings", "the warnings of an answer", size(maxWarnings), "counted"},
		{"maxLogged", "a sentence of a log line; of bad requests one line a second", size(maxLogged), "shortened"},
		{"inject.MaxNames", "names in an annotation", number(inject.MaxNames), "refused (403)"},
	}
}

// number writes 10000 as 10,000.
func number(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", number(n/1000), n%1000)
}

func size(bytes int) string {
	switch {
	case bytes%(1<<20) == 0:
		return number(bytes>>20) + " MiB"
	case bytes%(1<<10) == 0:
		return number(bytes>>10) + " KiB"
	}
	return number(bytes) + " bytes"
}

// TestThreatModelHasTheLimits compares the table of docs/threat-model.md with the limits of the code.
func TestThreatModelHasTheLimits(t *testing.T) {
	var rows strings.Builder
	for _, l := range limits {
		limit := number(l.max)
		if strings.HasPrefix(l.what, "bytes of ") {
			limit = size(l.max)
		}
		fmt.Fprintf(&rows, "| %s of a pod | %s | refused (403) with the label, passed without | |\n", l.what, limit)
	}
	for _, d := range documented() {
		fmt.Fprintf(&rows, "| %s | %s | %s | `%s` |\n", d.what, d.limit, d.beyond, d.name)
	}
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	if *update {
		text = limitRows.ReplaceAll(text, []byte("${1}"+strings.ReplaceAll(rows.String(), "$", "$$")+"${3}"))
		require.NoError(t, os.WriteFile(document, text, 0o644))
	}
	found := limitRows.FindSubmatch(text)
	require.NotNil(t, found, "docs/threat-model.md has a table of limits")
	require.Equal(
		t, rows.String(), string(found[2]), "write it by go test ./internal/admission -run ThreatModel -update",
	)
}

// declared is a line that declares a limit in limits.go, lanes.go, connections.go or body.go.
var declared = regexp.MustCompile(
	`(?m)^(?:const)?\s+?\s*((?:max|Max)[A-Z]\w*|\w+Timeout|smallAtOnce|largeReview)\s+= `,
)

// TestThreatModelHasEveryLimit finds the limits in the source, so that a new one cannot be left out of the table.
func TestThreatModelHasEveryLimit(t *testing.T) {
	names := map[string]bool{}
	for _, d := range documented() {
		names[d.name] = true
	}
	found := 0
	for _, file := range []string{"limits.go", "lanes.go", "connections.go", "body.go", "handler.go"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, match := range declared.FindAllStringSubmatch(string(text), -1) {
			found++
			assert.True(t, names[match[1]], "%s of %s is in no row", match[1], file)
		}
	}
	assert.Equal(t, len(documented())-1, found, "inject.MaxNames is of another package")
}
