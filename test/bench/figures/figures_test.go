package figures

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestReturnsMedian(t *testing.T) {
	assert.InDelta(t, 3, Median([]float64{3}), 0)
	assert.InDelta(t, 2, Median([]float64{9, 1, 2}), 0)
	assert.InDelta(t, 2.5, Median([]float64{4, 1, 3, 2}), 0)
}

func TestMedianRetainsOrder(t *testing.T) {
	figures := []float64{9, 1, 2}
	Median(figures)
	assert.Equal(t, []float64{9, 1, 2}, figures)
}

func TestReturnsMedianAndRange(t *testing.T) {
	assert.Equal(t, Spread{Median: 2, Least: 1, Most: 9}, SpreadOf([]float64{9, 1, 2}))
}

func TestConvertsBytesToMebibytes(t *testing.T) {
	assert.InDelta(t, 1.5, Mebibytes(1_572_864), 0)
}

func TestFindsModelOfCPU(t *testing.T) {
	assert.Equal(t, "Fast CPU 9000", model("processor\t: 0\nmodel name\t: Fast CPU 9000\n"))
	assert.Equal(t, "unknown", model("processor : 0\n"))
}

func TestWritesMachineOnOneLine(t *testing.T) {
	assert.Equal(t, "go1.0, Linux 6.1, 2 x CPU", Machine{GoVersion: "go1.0", Kernel: "6.1", CPU: "2 x CPU"}.String())
}
