package inject

import (
	"strconv"
	"strings"
	"unicode"
)

// printable returns a sentence with its control characters escaped. A pod's own mount path may have
// some, and an API server drops a warning with any.
// Source: Kubernetes, apimachinery pkg/util/net/http.go NewWarningHeader.
func printable(sentence string) string {
	if !strings.ContainsFunc(sentence, unicode.IsControl) {
		return sentence
	}
	var out strings.Builder
	for _, r := range sentence {
		if unicode.IsControl(r) {
			out.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}

// escape makes the message and the warnings of a decision printable.
func (d *Decision) escape() {
	d.Message = printable(d.Message)
	for i, warning := range d.Warnings {
		d.Warnings[i] = printable(warning)
	}
}
