// Package figure is what the tests on a real node tell of each disaster, and docs/reliability.md of all of them.
package figure

// Figure is one disaster, survived.
type Figure struct {
	// Disaster says what happened, in the words of the document.
	Disaster string `json:"disaster"`
	// Test is the one that shows it.
	Test string `json:"test"`
	// Bytes were written before, with checksums, and found again.
	Bytes int64 `json:"bytes"`
	// Lost are those that were not found. It is 0, or the test fails.
	Lost int64 `json:"lost"`
	// Seconds passed from the disaster until the next pod had read all of them.
	Seconds float64 `json:"seconds"`
}
