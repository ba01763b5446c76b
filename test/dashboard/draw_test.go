package dashboard

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
	"time"
)

// Sizes of the picture, in pixels. Grafana's grid has 24 columns.
const (
	cell    = 42
	row     = 24
	gap     = 6
	header  = 22
	legendH = 15
	columns = 24
)

var colors = []string{"#7ee787", "#79c0ff", "#e3b341", "#ff7b72", "#d2a8ff", "#ffa657", "#a5d6ff", "#f778ba"}

// draw draws the panels where Grafana has them.
func draw(panels []*panel) []byte {
	rows := 0
	for _, p := range panels {
		rows = max(rows, p.GridPos.Y+p.GridPos.H)
	}
	var b strings.Builder
	width, height := columns*cell+gap, rows*row+gap
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">`+"\n"+
		"<title>The dashboard of the chart, with a webhook under load</title>\n"+
		"<style>text{font:11px sans-serif;fill:#c9d1d9}.t{font-weight:bold}.n{font-size:26px;fill:#7ee787}</style>\n"+
		`<rect width="%d" height="%d" rx="8" fill="#0d1117"/>`+"\n", width, height, width, height, width, height)
	for _, p := range panels {
		drawPanel(&b, p)
	}
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

func drawPanel(b *strings.Builder, p *panel) {
	x, y := p.GridPos.X*cell+gap, p.GridPos.Y*row+gap
	w, h := p.GridPos.W*cell-gap, p.GridPos.H*row-gap
	fmt.Fprintf(b, `<g transform="translate(%d %d)"><rect width="%d" height="%d" rx="4" fill="#161b22"/>`+
		`<text class="t" x="8" y="15">%s</text>`+"\n", x, y, w, h, html.EscapeString(p.Title))
	slices.SortFunc(p.lines, func(a, b line) int { return strings.Compare(a.legend, b.legend) })
	if p.Type == "stat" {
		drawNumber(b, p, w, h)
	} else {
		drawLines(b, p, w, h)
	}
	b.WriteString("</g>\n")
}

// drawNumber draws the last value of a panel that has one number.
func drawNumber(b *strings.Builder, p *panel, w, h int) {
	if len(p.lines) == 0 || len(p.lines[0].points) == 0 {
		return
	}
	points := p.lines[0].points
	fmt.Fprintf(b, `<text class="n" x="%d" y="%d" text-anchor="middle">%s</text>`,
		w/2, h/2+header, amount(points[len(points)-1].value, p.FieldConfig.Defaults.Unit))
}

// drawLines draws the lines of a panel between zero and its largest value, with a legend below them.
func drawLines(b *strings.Builder, p *panel, w, h int) {
	top, begin, end := 0.0, math.Inf(1), math.Inf(-1)
	for _, l := range p.lines {
		for _, at := range l.points {
			if !math.IsNaN(at.value) && !math.IsInf(at.value, 0) {
				top = max(top, at.value)
			}
			begin, end = min(begin, at.at), max(end, at.at)
		}
	}
	legends := min(len(p.lines), 8)
	high := h - header - gap - (legends+1)/2*legendH
	fmt.Fprintf(b, `<text x="%d" y="15" text-anchor="end">%s</text>`, w-8, amount(top, p.FieldConfig.Defaults.Unit))
	for i, l := range p.lines[:legends] {
		color := colors[i%len(colors)]
		var path []string
		for _, at := range l.points {
			if math.IsNaN(at.value) || math.IsInf(at.value, 0) {
				continue
			}
			path = append(path, fmt.Sprintf("%.1f,%.1f",
				8+(at.at-begin)/max(end-begin, 1)*float64(w-16),
				float64(header+high)-at.value/cmp.Or(top, 1)*float64(high-4)))
		}
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="1.5" points="%s"/>`+"\n",
			color, strings.Join(path, " "))
		lx, ly := 8+i%2*w/2, header+high+(i/2+1)*legendH-2
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="9" height="3" fill="%s"/><text x="%d" y="%d">%s</text>`+"\n",
			lx, ly-5, color, lx+14, ly, html.EscapeString(l.legend))
	}
}

// amount is a value in the unit that Grafana shows.
func amount(value float64, unit string) string {
	switch unit {
	case "s":
		if d := time.Duration(value * float64(time.Second)); d > 48*time.Hour {
			return fmt.Sprintf("%.0f days", d.Hours()/24)
		}
		return fmt.Sprintf("%.2g ms", value*1000)
	case "bytes":
		return fmt.Sprintf("%.0f MiB", value/(1<<20))
	case "reqps":
		return fmt.Sprintf("%.3g/s", value)
	}
	return fmt.Sprintf("%.3g", value)
}
