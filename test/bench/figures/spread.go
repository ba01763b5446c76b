package figures

import "slices"

// Spread is the median and the range of one figure.
type Spread struct{ Median, Least, Most float64 }

// SpreadOf is the spread of figures, of which there must be at least one.
func SpreadOf(figures []float64) Spread {
	return Spread{Median: Median(figures), Least: slices.Min(figures), Most: slices.Max(figures)}
}

// Median is the middle of the figures, or halfway between the two in the middle. It leaves them in
// their order.
func Median(figures []float64) float64 {
	sorted := slices.Sorted(slices.Values(figures))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Mebibytes are bytes in units of 1,048,576.
func Mebibytes(bytes float64) float64 { return bytes / (1 << 20) }

// SpreadBy is the spread of one figure of the samples, of which there must be at least one.
func SpreadBy[T any](samples []T, figure func(T) float64) Spread {
	all := make([]float64, len(samples))
	for i, sample := range samples {
		all[i] = figure(sample)
	}
	return SpreadOf(all)
}
