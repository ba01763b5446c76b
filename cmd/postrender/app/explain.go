package app

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// notYAML begins everything that is printed for people: no YAML document can begin with an at
// sign, so that a program that takes it for manifests fails instead of installing it. Source:
// YAML 1.2, section 5.3, reserved indicators.
const notYAML = "@ pipeline-storage: "

// explain prints the report as a table. Below the table are the storage objects and the warnings.
// It writes all at once, so that an error of the table leaves no half of it.
func (o *Options) explain(w io.Writer, report *postrender.Report) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%swhat would be done (no manifests)\n\n", notYAML)
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "DOCUMENT\tKIND\tNAME\tPOD\tREASON\tWHAT")
	for i := range report.Workloads {
		load := &report.Workloads[i]
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\n", load.Document, load.Kind, load.Name,
			cmp.Or(load.Pod, "-"), load.Reason, summary(load))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(report.Objects) > 0 {
		out.WriteByte('\n')
	}
	for _, object := range report.Objects {
		fmt.Fprintf(&out, "%s %s/%s", plans[object.Action], object.Kind, object.Name)
		if object.Namespace != "" {
			fmt.Fprintf(&out, " in namespace %s", object.Namespace)
		}
		out.WriteByte('\n')
	}
	o.warn(&out, warningsOf(report))
	return writeString(w, out.String())
}

// plans are the actions of a report as what would be done. The verbs are conditional: --explain
// changes nothing.
var plans = map[postrender.Action]string{
	postrender.Created:  "would create",
	postrender.Present:  "finds",
	postrender.Removed:  "would remove",
	postrender.Retained: "retains",
}

// summary returns in one line what was added to a workload or removed from it, or why nothing
// was. The first case that has a field decides how an addition is printed.
func summary(load *postrender.Workload) string {
	if load.Reason != inject.ReasonInjected && load.Reason != inject.ReasonRemoved {
		return load.Message
	}
	var parts []string
	for _, a := range append(slices.Clip(load.Added), load.Removed...) {
		switch {
		case a.MountPath != "":
			parts = append(parts, a.Container+":"+a.MountPath)
		case a.Claim != "":
			parts = append(parts, "claim "+a.Claim)
		case a.Env != "":
			parts = append(parts, a.Container+":$"+a.Env)
		case a.FSGroup != nil:
			parts = append(parts, fmt.Sprintf("fsGroup %d", *a.FSGroup))
		case a.SELinuxChangePolicy != "":
			parts = append(parts, "seLinuxChangePolicy "+a.SELinuxChangePolicy)
		case a.Label != "":
			parts = append(parts, "label "+a.Label)
		case a.Affinity != "":
			parts = append(parts, "affinity by "+a.Affinity)
		}
	}
	return strings.Join(parts, ", ")
}
