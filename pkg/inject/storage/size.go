package storage

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// minSize is the smallest size of a claim. No backend makes such volumes: what is smaller is a size
// without its unit.
var minSize = resource.MustParse("1Mi")

// checkSize refuses sizes that are not positive, and those below minSize with what was read and
// what was probably meant.
func checkSize(size resource.Quantity) error {
	if size.Sign() <= 0 {
		return errors.New("must be greater than zero")
	}
	if size.Cmp(minSize) >= 0 {
		return nil
	}
	text := size.String()
	number := text[:len(text)-len(strings.TrimLeft(text, "0123456789."))]
	if strings.HasSuffix(text, "m") { // such as 100m: a thousandth, where M is a million
		return fmt.Errorf("is %s thousandths of a byte: write the unit, such as %sMi or %sGi", number, number, number)
	}
	return fmt.Errorf("is %d bytes, and a claim has 1Mi at least: write the unit, such as %sGi", size.Value(), number)
}
