package status

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// Style is how a status is printed for people.
type Style struct {
	// Color colors what is well and what is not. It must be off when the output is not a terminal,
	// such as a file.
	Color bool
	// Wide adds columns, and pods that finished with their storage.
	Wide bool
}

// JSON prints the status for programs. Its form is stable: see [APIVersion].
func JSON(w io.Writer, s *Status) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// YAML prints what [JSON] prints, as YAML.
func YAML(w io.Writer, s *Status) error {
	text, err := yaml.Marshal(s)
	if err != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	_, err = w.Write(text)
	return err
}

// Print prints the status for people: a table of pods and one of claims for each namespace, and
// below them what is wrong, each with a line about what to do next. It writes to w once, so that
// an error leaves nothing half printed. Without problems it ends with a sentence that states so.
func Print(w io.Writer, s *Status, style Style) error {
	p := &printer{style: style}
	for i := range s.Installations {
		p.installation(&s.Installations[i])
	}
	for i := range s.Namespaces {
		p.namespace(&s.Namespaces[i])
	}
	p.end(s)
	_, err := p.out.WriteTo(w)
	return err
}

// printer collects the output for people in memory.
type printer struct {
	out   bytes.Buffer
	style Style
}

// Colors of a terminal. Every one is as long as the others: the columns count them, too.
const (
	plain  = "\x1b[39m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	red    = "\x1b[31m"
	reset  = "\x1b[0m"
)

// colors of words about states.
var colors = map[string]string{
	string(StorageMounted): green, string(StoragePartlyMounted): yellow, string(StorageNotMounted): red,
	"Bound": green, "Pending": yellow, "Lost": red, "Missing": red, "Deleting": yellow, "Failed": red,
	problemWord: red, nextWord: yellow,
}

const (
	// The words that begin the lines of a problem. Scripts may search for them.
	problemWord = "PROBLEM:"
	nextWord    = "NEXT:"
)

// word colors a word. All words of a column get a color, so that the columns stay in line. Escape
// sequences count as characters for the tabwriter. Therefore a word without a color of its own
// gets the default color.
func (p *printer) word(text string) string {
	if !p.style.Color {
		return text
	}
	return cmp.Or(colors[text], plain) + text + reset
}

// installation prints one line about an installation, and its problems. What could not be read is left
// out of the line.
func (p *printer) installation(i *Installation) {
	fmt.Fprintf(&p.out, "%s %s", words[i.Mode].heading, i.Name)
	if i.Namespace != "" {
		fmt.Fprintf(&p.out, ", namespace %s", i.Namespace)
	}
	if i.Ready != nil {
		fmt.Fprintf(&p.out, ", %d ready", *i.Ready)
	}
	if len(i.Profiles) > 0 {
		fmt.Fprintf(&p.out, ", profiles %s", strings.Join(i.Profiles, ", "))
	}
	p.out.WriteByte('\n')
	p.problems(i.Problems)
	p.out.WriteByte('\n')
}

// namespace prints the tables of one namespace, each only if it has rows, and then its problems.
func (p *printer) namespace(n *Namespace) {
	fmt.Fprintf(&p.out, "NAMESPACE %s\n", n.Name)
	p.pods(n.Pods)
	p.claims(n.Claims)
	p.released(n.Released)
	p.problems(n.Problems)
	p.out.WriteByte('\n')
}

// table prints rows in columns, with an empty line before. The first row is the head. Blanks at
// the end of a line are removed, so that a narrow terminal does not wrap them.
func (p *printer) table(rows [][]string) {
	var text bytes.Buffer
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(table, "  "+strings.Join(row, "\t"))
	}
	_ = table.Flush() // into memory
	p.out.WriteByte('\n')
	for line := range strings.Lines(text.String()) {
		p.out.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
}

// head is the word of a heading beside a column of colored words, which is as wide as they are.
// Without color it is the text itself.
func (p *printer) head(text string) string {
	if !p.style.Color {
		return text
	}
	return plain + text + reset
}

// pods prints the table of pods. A namespace of batch jobs has thousands that finished with their
// storage: without --output wide these are one number.
func (p *printer) pods(pods []Pod) {
	selection := slices.ContainsFunc(pods, func(pod Pod) bool { return pod.SelectedBy != "" })
	rows, ended := [][]string{p.podHead(selection)}, 0
	for i := range pods {
		pod := &pods[i]
		if !p.style.Wide && pod.Storage == StorageMounted && isEndPhase(pod.Phase) {
			ended++
			continue
		}
		row := []string{pod.Name, p.word(string(pod.Storage)), cell(pod.Claims), pod.Phase, orDash(pod.Node)}
		if p.style.Wide {
			row = append(row, orDash(pod.Owner), cell(pod.Mounts))
		}
		if selection {
			row = append(row, cmp.Or(pod.SelectedBy, "label"))
		}
		rows = append(rows, append(row, pod.Reason))
	}
	if len(rows) > 1 {
		p.table(rows)
	}
	if ended > 0 {
		fmt.Fprintf(&p.out, "\n  %s finished, with storage mounted\n", countPods(ended))
	}
}

// isEndPhase reports whether the phase is that of a pod that has finished.
func isEndPhase(phase string) bool {
	return phase == string(corev1.PodSucceeded) || phase == string(corev1.PodFailed)
}

// countPods is a number of pods as the beginning of a sentence in the past.
func countPods(count int) string {
	if count == 1 {
		return "1 pod"
	}
	return fmt.Sprintf("%d pods", count)
}

// finishedWithout counts the pods that have finished without their storage. They are no problems, because nothing
// can be done for them, but whoever looks for missing data looks for them.
func finishedWithout(s *Status) int {
	count := 0
	for i := range s.Namespaces {
		for j := range s.Namespaces[i].Pods {
			if pod := &s.Namespaces[i].Pods[j]; pod.Storage == StorageNotMounted && isEndPhase(pod.Phase) {
				count++
			}
		}
	}
	return count
}

// podHead is the first row of the table of pods, with the columns of pods. What selects a pod is a column
// where it is not always the label.
func (p *printer) podHead(selection bool) []string {
	head := []string{"POD", p.head("STORAGE"), "CLAIM", "PHASE", "NODE"}
	if p.style.Wide {
		head = append(head, "OWNER", "MOUNTS")
	}
	if selection {
		head = append(head, "SELECTED BY")
	}
	return append(head, "REASON")
}

// claims prints the table of claims, with more columns for --output wide.
func (p *printer) claims(claims []Claim) {
	if len(claims) == 0 {
		return
	}
	head := []string{"CLAIM", p.head("PHASE"), "VOLUME", "SIZE", "ACCESS", "PODS", "NODES"}
	if p.style.Wide {
		head = append(head, "PROFILE", "CLASS", "RECLAIM", "CREATED BY")
	}
	rows := [][]string{head}
	for i := range claims {
		c := &claims[i]
		row := []string{
			c.Name, p.word(c.Phase), orDash(c.Volume), orDash(c.Size), cell(c.AccessModes), strconv.Itoa(c.Pods),
			cell(c.Nodes),
		}
		if p.style.Wide {
			row = append(row, orDash(c.Profile), orDash(c.StorageClass), orDash(c.ReclaimPolicy), orDash(c.CreatedBy))
		}
		rows = append(rows, row)
	}
	p.table(rows)
}

// released prints the table of Released volumes, and for each whether an administrator must
// consent.
func (p *printer) released(all []Released) {
	if len(all) == 0 {
		return
	}
	rows := [][]string{{"RELEASED VOLUME", "OF CLAIM", "SIZE", "RE-BOUND"}}
	for _, r := range all {
		rebound := "with your consent"
		switch {
		case r.Rebinds:
			rebound = "with the next pod"
		case r.ByHand:
			rebound = "by hand"
		}
		rows = append(rows, []string{r.Volume, r.Claim, orDash(r.Size), rebound})
	}
	p.table(rows)
}

// maxAbout is how many names a problem is printed with. JSON has all of them.
const maxAbout = 3

// problems prints two lines for each problem: what is wrong with which objects, and what to do
// next.
func (p *printer) problems(problems []Problem) {
	for i := range problems {
		about := problems[i].About
		who := strings.Join(about[:min(maxAbout, len(about))], ", ")
		if more := len(about) - maxAbout; more > 0 {
			who += fmt.Sprintf(" and %d more", more)
		}
		fmt.Fprintf(&p.out, "\n  %s %s: %s: %s\n", p.word(problemWord), problems[i].Reason, who, problems[i].Message)
		fmt.Fprintf(&p.out, "  %s %s\n", p.word(nextWord), problems[i].Next)
	}
}

// end prints what could not be read, and the number of problems. "Nothing is wrong" needs
// everything to be read.
func (p *printer) end(s *Status) {
	for _, what := range s.Unread {
		fmt.Fprintf(&p.out, "NOT READ: %s\n", what)
	}
	switch count, without := s.Problems(), finishedWithout(s); {
	case len(s.Namespaces) == 0 && count == 0:
		p.out.WriteString("No pod requests storage here, and no claim is a profile's.\n")
	case count == 0 && len(s.Unread) > 0:
		p.out.WriteString("Nothing is wrong in what could be read.\n")
	case count == 0 && without > 0:
		fmt.Fprintf(&p.out, "Nothing is wrong now, but %s finished without storage: the rows have the reason.\n",
			countPods(without))
	case count == 0:
		p.out.WriteString("Nothing is wrong.\n")
	case count == 1:
		p.out.WriteString("1 problem.\n")
	default:
		fmt.Fprintf(&p.out, "%d problems.\n", count)
	}
}

// cell writes a list in one cell.
func cell(list []string) string { return orDash(strings.Join(list, ",")) }

// orDash keeps columns aligned for people and for awk: no cell is empty.
func orDash(text string) string { return cmp.Or(text, "-") }
