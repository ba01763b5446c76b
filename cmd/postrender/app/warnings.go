package app

import (
	"fmt"
	"io"

	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// warn prints warnings, a line each. It is the one place that does: a flag that changes how warnings
// are printed is read here. Helm shows them on failure only; the report has them in any case.
func (o *Options) warn(w io.Writer, warnings []string) {
	for _, warning := range warnings {
		fmt.Fprintln(w, "warning:", warning)
	}
}

// warningsOf returns the warnings of a report as sentences. Those of workloads come first, in the
// order of the stream, and name the workload.
func warningsOf(report *postrender.Report) []string {
	var warnings []string
	for i := range report.Workloads {
		load := &report.Workloads[i]
		for _, warning := range load.Warnings {
			warnings = append(warnings, fmt.Sprintf("document %d %s/%s: %s", load.Document, load.Kind, load.Name, warning))
		}
	}
	return append(warnings, report.Warnings...)
}
