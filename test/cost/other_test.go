//go:build !unix

package cost_test

import "testing"

func TestCostGrowsWithSize(t *testing.T) {
	t.Skip("not covered: what hostile reviews and streams cost. CPU time is measured on Unix only")
}
