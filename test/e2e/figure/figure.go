// Package figure is what the tests on a real node report of each disaster, for the table of
// docs/reliability.md.
package figure

// Figure is one disaster, survived.
type Figure struct {
	// Disaster describes the event, in the words of the document.
	Disaster string `json:"disaster"`
	// Test is the one that shows it.
	Test string `json:"test"`
	// Bytes were written before, with checksums, and found again.
	Bytes int64 `json:"bytes"`
	// Lost are those that were not found. It is 0, or the test fails.
	Lost int64 `json:"lost"`
	// Seconds passed from the disaster until the next pod had read all bytes.
	Seconds float64 `json:"seconds"`
}
