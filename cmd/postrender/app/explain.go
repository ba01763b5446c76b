package app

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/aymanbagabas/go-udiff"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/postrender"
)

// notYAML begins everything that is printed for people: no YAML document can begin with an at sign, so that a program that
// takes it for manifests fails instead of installing it.
const notYAML = "@ pipeline-storage: "

// explain prints the report as a table.
func explain(w io.Writer, report *postrender.Report) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%swhat would be done (no manifests)\n\n", notYAML)
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "DOCUMENT\tKIND\tNAME\tPOD\tREASON\tWHAT")
	for i := range report.Workloads {
		load := &report.Workloads[i]
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\n", load.Document, load.Kind, load.Name, orDash(load.Pod), load.Reason, what(load))
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
	warn(&out, report)
	return writeString(w, out.String())
}

// plans are the actions of a report as what would be done.
var plans = map[postrender.Action]string{
	postrender.Created: "would create",
	postrender.Present: "finds",
	postrender.Removed: "would take out of the stream",
	postrender.Left:    "leaves in the stream",
}

// what tells in one line what was added to a workload or removed from it, or why nothing was.
func what(load *postrender.Workload) string {
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
		case a.Label != "":
			parts = append(parts, "label "+a.Label)
		case a.Affinity != "":
			parts = append(parts, "affinity by "+a.Affinity)
		}
	}
	return strings.Join(parts, ", ")
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// diffContext is how many unchanged lines a diff shows around a change.
const diffContext = 3

// diff prints a unified diff, made from the edits themselves.
func diff(w io.Writer, out *postrender.Output, after string, color bool) error {
	if !out.Changed() {
		return writeString(w, notYAML+"no changes\n")
	}
	edits := make([]udiff.Edit, len(out.Edits()))
	for i, e := range out.Edits() {
		edits[i] = udiff.Edit{Start: e.Start, End: e.End, New: string(e.New)}
	}
	text, err := udiff.ToUnified("manifests", after, string(out.Stream()), edits, diffContext)
	if err != nil {
		return fmt.Errorf("diff: %w", err)
	}
	if color {
		text = colored(text)
	}
	return writeString(w, notYAML+"what would change (no manifests)\n"+text)
}

// lineColors are the terminal colours of a diff's lines, by how they begin. Headers come first.
var lineColors = []struct{ prefix, code string }{
	{"--- ", "\x1b[1m"}, {"+++ ", "\x1b[1m"}, {"@@", "\x1b[36m"}, {"+", "\x1b[32m"}, {"-", "\x1b[31m"},
}

func colored(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(colorLine(line))
	}
	return b.String()
}

func colorLine(line string) string {
	for _, c := range lineColors {
		if strings.HasPrefix(line, c.prefix) {
			return c.code + strings.TrimSuffix(line, "\n") + "\x1b[0m\n"
		}
	}
	return line
}
