package app

import (
	"fmt"
	"io"
	"slices"

	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// warn prints warnings, a line each. It is the one place that does: a flag that changes how warnings
// are printed is read here. Helm 3 shows them on failure only, and Helm 4 where [Run] passes them by
// it; the report has them in any case.
func (o *Options) warn(w io.Writer, warnings []string) {
	for _, warning := range warnings {
		fmt.Fprintln(w, "warning:", warning)
	}
}

// warningsOf returns the warnings of a report as sentences. Those of workloads come first, in the
// order of the stream, and name the workload. None is there twice.
func warningsOf(report *postrender.Report) []string {
	var warnings []string
	for i := range report.Workloads {
		load := &report.Workloads[i]
		for _, warning := range load.Warnings {
			warnings = append(warnings, load.Title()+": "+warning)
		}
	}
	return unique(append(warnings, report.Warnings...))
}

// unique returns a list without the texts that stand further in front already.
func unique(list []string) []string {
	seen := make(map[string]bool, len(list))
	return slices.DeleteFunc(list, func(text string) bool {
		isRepeated := seen[text]
		seen[text] = true
		return isRepeated
	})
}
