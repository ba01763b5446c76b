// Package terminal draws what a terminal showed as an SVG picture, which GitHub shows in a document.
package terminal

import (
	"fmt"
	"html"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// Step is a command that was run, and what it printed. The output may have the colors of SGR.
type Step struct{ Command, Output string }

// Sizes of the picture: characters, and pixels.
const (
	columns    = 126
	fontSize   = 13
	charWidth  = 8 // of the usual monospaced fonts in that size, and a little more
	lineHeight = 18
	margin     = 16
	titleBar   = 30
)

// How fast a recording runs: about as people read. Lines of output come one by one, so that a long
// output is seen to scroll.
const (
	afterCommand = 900 * time.Millisecond
	perLine      = 45 * time.Millisecond
	afterOutput  = 2500 * time.Millisecond
)

// line is a line on the screen, and when it appears.
type line struct {
	text string
	at   time.Duration
}

// Picture draws steps as a screen that has a row for each line.
func Picture(title string, steps ...Step) []byte {
	lines, _ := play(steps)
	return draw(title, lines, len(lines), 0)
}

// Recording draws steps as they happen, on a screen of so many rows, which scrolls. Without
// animation, as in a print, it shows the last screen.
func Recording(title string, rows int, steps ...Step) []byte {
	lines, end := play(steps)
	return draw(title, lines, rows, end)
}

// play returns the lines of steps, and the time of the end.
func play(steps []Step) ([]line, time.Duration) {
	var lines []line
	var now time.Duration
	for _, step := range steps {
		lines = append(lines, line{"\x1b[1m$ " + step.Command + "\x1b[0m", now})
		now += afterCommand
		for text := range strings.Lines(step.Output) {
			for _, part := range wrapped(strings.TrimSuffix(text, "\n")) {
				lines = append(lines, line{part, now})
				now += perLine
			}
		}
		now += afterOutput
	}
	return lines, now
}

// sgr is the sequence that sets a color. The pictures need no other one.
var sgr = regexp.MustCompile("\x1b\\[([0-9;]*)m")

// wrapped breaks a line that is too long, as a terminal does. The color goes on in the next line.
func wrapped(text string) []string {
	var parts []string
	var part strings.Builder
	width, color := 0, ""
	for text != "" {
		if found := sgr.FindString(text); found != "" && strings.HasPrefix(text, found) {
			color = found
			part.WriteString(found)
			text = text[len(found):]
			continue
		}
		if width == columns {
			parts = append(parts, part.String())
			part.Reset()
			part.WriteString(color)
			width = 0
		}
		r, size := utf8.DecodeRuneInString(text)
		part.WriteRune(r)
		text = text[size:]
		width++
	}
	return append(parts, part.String())
}

// draw writes the picture. End is the length of the recording; 0: nothing moves.
func draw(title string, lines []line, rows int, end time.Duration) []byte {
	var b strings.Builder
	width := columns*charWidth + 2*margin
	height := titleBar + rows*lineHeight + margin
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img"`+
		` xml:space="preserve">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, "<title>%s</title>\n<style>\n%s%s</style>\n",
		html.EscapeString(title), style, motion(lines, rows, end))
	fmt.Fprintf(&b, `<rect width="%d" height="%d" rx="8" fill="#0d1117"/>`+"\n", width, height)
	for i, color := range []string{"#ff5f57", "#febc2e", "#28c840"} {
		fmt.Fprintf(&b, `<circle cx="%d" cy="15" r="5.5" fill="%s"/>`+"\n", 20+i*18, color)
	}
	fmt.Fprintf(&b, `<clipPath id="screen"><rect y="%d" width="%d" height="%d"/></clipPath>`+"\n",
		titleBar, width, rows*lineHeight+margin/2)
	b.WriteString(`<g clip-path="url(#screen)"><g class="scroll">` + "\n")
	for i, l := range lines {
		drawLine(&b, l, i, end > 0)
	}
	b.WriteString("</g></g>\n</svg>\n")
	return []byte(b.String())
}

// style is that of every picture: the colors of SGR by their numbers.
const style = `text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
text{fill:#c9d1d9}
.s1{font-weight:bold;fill:#f0f6fc}.s2{fill:#8b949e}
.s31{fill:#ff7b72}.s32{fill:#7ee787}.s33{fill:#e3b341}.s36{fill:#79c0ff}
`

// motion is the animation: a line appears at its time, and the screen scrolls when it is full. What
// is written without animation is the last screen.
func motion(lines []line, rows int, end time.Duration) string {
	last := max(0, len(lines)-rows) * lineHeight
	if end == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "@keyframes show{from{opacity:0}to{opacity:0}}\n@keyframes scroll{0%%{transform:none}\n")
	for i := rows; i < len(lines); i++ {
		fmt.Fprintf(&b, "%.3f%%{transform:translateY(-%dpx)}\n",
			100*lines[i].at.Seconds()/end.Seconds(), (i-rows+1)*lineHeight)
	}
	fmt.Fprintf(&b, "}\n.scroll{transform:translateY(-%dpx);animation:scroll %.2fs step-end}\n", last, end.Seconds())
	b.WriteString("@media (prefers-reduced-motion:reduce){.scroll,text{animation:none!important}}\n")
	return b.String()
}

// drawLine writes one line, with a tspan for each color.
func drawLine(b *strings.Builder, l line, row int, isMoving bool) {
	y := titleBar + row*lineHeight + fontSize
	fmt.Fprintf(b, `<text x="%d" y="%d"`, margin, y)
	if isMoving && l.at > 0 {
		fmt.Fprintf(b, ` style="animation:show %.2fs step-end"`, l.at.Seconds())
	}
	b.WriteString(">")
	class := ""
	for text := l.text; text != ""; {
		at := sgr.FindStringSubmatchIndex(text)
		end := len(text)
		if at != nil {
			end = at[0]
		}
		span(b, text[:end], class)
		if at == nil {
			break
		}
		if class = "s" + text[at[2]:at[3]]; class == "s" || class == "s0" {
			class = ""
		}
		text = text[at[1]:]
	}
	b.WriteString("</text>\n")
}

// span writes text of one color. Blanks do not break: not every program that draws SVG retains others.
func span(b *strings.Builder, text, class string) {
	text = strings.ReplaceAll(html.EscapeString(text), " ", "\u00a0")
	switch {
	case text == "":
	case class == "":
		b.WriteString(text)
	default:
		fmt.Fprintf(b, `<tspan class="%s">%s</tspan>`, class, text)
	}
}
