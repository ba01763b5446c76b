package app

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the table of flags into README.md anew")

// readme is where the table of flags stands, between flagsBegin and flagsEnd.
const (
	readme     = "../../../README.md"
	flagsBegin = "<!-- flags -->\n"
	flagsEnd   = "<!-- /flags -->"
)

// TestReadmeFlags keeps the table of flags in README.md as the flags are.
func TestReadmeFlags(t *testing.T) {
	text, err := os.ReadFile(readme)
	require.NoError(t, err, "README.md is to have a table of flags between %q and %q; go test ./cmd/postrender/app -update writes it", flagsBegin, flagsEnd)
	before, rest, hasBegin := bytes.Cut(text, []byte(flagsBegin))
	table, after, hasEnd := bytes.Cut(rest, []byte(flagsEnd))
	require.True(t, hasBegin && hasEnd, "README.md needs a line %q and behind it a line %q: go test ./cmd/postrender/app -update writes the table of flags between them",
		strings.TrimSpace(flagsBegin), flagsEnd)
	if *update {
		require.NoError(t, os.WriteFile(readme, slices.Concat(before, []byte(flagsBegin+flagTable()+flagsEnd), after), 0o644))
		return
	}
	assert.Equal(t, flagTable(), string(table), "go test ./cmd/postrender/app -update writes it")
}

// defaultInUsage is how the usage of a field flag tells its default: "(default VALUE)" or "(default: in words)".
var defaultInUsage = regexp.MustCompile(` \(default(:?) (.*)\)$`)

// flagTable writes the flags as Markdown, a table for each section.
func flagTable() string {
	sections, _ := new(Options).flags()
	var b strings.Builder
	for _, fs := range sections.order {
		fmt.Fprintf(&b, "\n**%s**\n\n| Flag | Default | Meaning |\n|---|---|---|\n", fs.Name())
		fs.VisitAll(func(f *pflag.Flag) {
			b.WriteString(flagRow(f))
		})
	}
	b.WriteString("\n")
	return b.String()
}

func flagRow(f *pflag.Flag) string {
	name, value, usage := "`--"+f.Name+"`", f.DefValue, f.Usage
	if f.Shorthand != "" {
		name = "`-" + f.Shorthand + "`, " + name
	}
	inWords := false
	if m := defaultInUsage.FindStringSubmatch(usage); m != nil {
		inWords, value, usage = m[1] != "", m[2], strings.TrimSuffix(usage, m[0])
	}
	switch {
	case slices.Contains([]string{"", "[]", "false", "0"}, value):
		value = ""
	case !inWords:
		value = "`" + value + "`"
	}
	return fmt.Sprintf("| %s | %s | %s |\n", name, value, strings.ReplaceAll(usage, "|", `\|`))
}
