package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// The table stands between these lines of the README.
const (
	tableStart = "<!-- values -->\n"
	tableEnd   = "<!-- /values -->\n"
)

// makeTables returns a table of values for each section. A section begins at the value whose
// comment names it, and ends at the next one.
func makeTables(values []*value) string {
	var text strings.Builder
	for _, v := range values {
		if v.section != "" {
			fmt.Fprintf(&text, "\n### %s\n\n| Value | Type | Default | Meaning |\n|---|---|---|---|\n", v.section)
		}
		writeRows(&text, v)
	}
	return text.String() + "\n"
}

// writeRows writes the row of a value, or of those below it after a row about all of them. A value
// that a definition describes has one row: its keys are in docs/configuration.md.
func writeRows(text *strings.Builder, v *value) {
	if len(v.children) == 0 || v.ref != "" {
		fmt.Fprintf(text, "| `%s` | %s | %s | %s |\n", v.path, v.typeName(), defaultText(v), escape(v.text))
	} else {
		fmt.Fprintf(text, "| `%s` | | | **%s** |\n", v.path, escape(v.text))
	}
	for _, child := range v.children {
		writeRows(text, child)
	}
}

// typeName is the type of a value for the table: a definition's name, or that of its schema.
func (v *value) typeName() string {
	if v.ref != "" {
		return typeOf(map[string]any{"$ref": v.ref})
	}
	return typeOf(v.schema)
}

// typeOf is the type of a schema, for people. A list of types, as a quantity has, is joined by
// "or". The schema was decoded from YAML, so its lists are []any.
func typeOf(schema map[string]any) string {
	if ref, ok := schema["$ref"].(string); ok {
		return ref[strings.LastIndex(ref, "/")+1:]
	}
	if enum, ok := schema["enum"].([]any); ok {
		return joined(enum, " or ", "`%v`")
	}
	if items, ok := schema["items"].(map[string]any); ok {
		return "list of " + typeOf(items)
	}
	if types, ok := schema["type"].([]any); ok {
		return joined(types, " or ", "%v")
	}
	return fmt.Sprint(schema["type"])
}

// joined writes all items in a format, with a separator between them. An empty text is written as a
// word. format has one verb, such as %v.
func joined(all []any, separator, format string) string {
	texts := make([]string, len(all))
	for i, one := range all {
		texts[i] = fmt.Sprintf(format, one)
		if one == "" {
			texts[i] = "empty"
		}
	}
	return strings.Join(texts, separator)
}

// defaultText is the default of a value for the table. A value with keys below it has none. Text
// stands without quotes, everything else as JSON, both as code. An empty text gives an empty cell.
func defaultText(v *value) string {
	if len(v.children) > 0 || v.defaultValue == "" {
		return ""
	}
	if text, ok := v.defaultValue.(string); ok {
		return "`" + text + "`"
	}
	asJSON, err := json.Marshal(v.defaultValue)
	if err != nil {
		return fmt.Sprint(v.defaultValue)
	}
	return "`" + string(asJSON) + "`"
}

// escape keeps a text in its cell of the table. Markdown would end the cell at the bar, also in
// code.
// Source: GitHub Flavored Markdown, 4.10 Tables.
func escape(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// makeReadme returns the text of a file with the tables between the two lines. The rest of the file
// is written by people and stays byte for byte. A file without the two lines is an error.
func makeReadme(file, tables string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	before, rest, found := bytes.Cut(text, []byte(tableStart))
	_, after, closed := bytes.Cut(rest, []byte(tableEnd))
	if !found || !closed {
		return nil, fmt.Errorf("%s: the table belongs between the lines %q and %q",
			file, strings.TrimSpace(tableStart), strings.TrimSpace(tableEnd))
	}
	return []byte(string(before) + tableStart + tables + tableEnd + string(after)), nil
}
