// Package cost measures in tests what work costs in relation to the size of its input, and makes
// input of a size. Its own tests hold the webhook and the post-renderer to what hostile input may cost.
package cost

import (
	"strconv"
	"strings"
)

// Fill joins items until the text has at least so many bytes.
func Fill(bytes int, separator string, item func(i int) string) string {
	var b strings.Builder
	for i := 0; b.Len() < bytes; i++ {
		if i > 0 {
			b.WriteString(separator)
		}
		b.WriteString(item(i))
	}
	return b.String()
}

// Numbered is an item with its position for every %d.
func Numbered(format string) func(i int) string {
	return func(i int) string { return strings.ReplaceAll(format, "%d", strconv.Itoa(i)) }
}

// Same is an item that does not depend on its position.
func Same(item string) func(i int) string { return func(int) string { return item } }
