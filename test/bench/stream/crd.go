package stream

import (
	"fmt"
	"strings"
)

// depth is how far the objects of a schema nest, as far as the pod templates inside an operator's
// resources do.  The parser of a post-renderer must walk all of them.
const depth = 9

// crd writes a CustomResourceDefinition as controller-gen does: two spaces of indent, list items
// not indented, every field described by a folded text or a block scalar. It adds fields until
// the size is reached.
func (g *generator) crd(part component) {
	plural := strings.ReplaceAll(part.Component, "-", "") + "s"
	fmt.Fprintf(&g.out, `---
# Source: %s/charts/crds/crds/%s.yaml
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  annotations:
    controller-gen.kubebuilder.io/version: v0.21.0
  name: %s.bench.example.com
spec:
  group: bench.example.com
  names:
    kind: %s
    plural: %s
  scope: Namespaced
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        properties:
          spec:
            properties:
`, part.Chart, plural, plural, strings.ToUpper(plural[:1])+plural[1:len(plural)-1], plural)
	end := g.out.Len() + g.size.CRDBytes
	for i := 0; g.out.Len() < end; i++ {
		g.property(fmt.Sprintf("%s%d", g.word(), i), 14, depth)
	}
	g.out.WriteString(`            type: object
        type: object
    served: true
    storage: true
    subresources:
      status: {}
`)
}

// property writes one field of a schema: an object of more fields, a list of them, or a plain
// value. Left is how many levels may follow below it. Four of ten are plain values, and all on
// the lowest level.
func (g *generator) property(name string, indent, left int) {
	g.line(indent, name+":")
	g.description(indent + 2)
	switch shape := g.random.IntN(10); {
	case left > 0 && shape < 4:
		g.properties(indent+2, left)
		g.line(indent+2, "type: object")
	case left > 0 && shape < 6:
		g.line(indent+2, "items:")
		g.properties(indent+4, left)
		g.line(indent+4, "type: object")
		g.line(indent+2, "type: array")
		g.line(indent+2, "x-kubernetes-list-type: atomic")
	case shape < 7:
		g.line(indent+2, "enum:")
		for i := range 3 {
			g.line(indent+2, fmt.Sprintf("- %s%d", g.word(), i))
		}
		g.line(indent+2, "type: string")
	case shape < 8:
		g.line(indent+2, `anyOf:`)
		g.line(indent+2, `- type: integer`)
		g.line(indent+2, `- type: string`)
		g.line(indent+2, `pattern: ^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE])?$`)
		g.line(indent+2, `x-kubernetes-int-or-string: true`)
	default:
		g.line(indent+2, "format: int32")
		g.line(indent+2, "type: integer")
	}
}

// properties writes two or three fields of an object, one level deeper.
func (g *generator) properties(indent, left int) {
	g.line(indent, "properties:")
	for i := range 2 + g.random.IntN(2) {
		g.property(fmt.Sprintf("%s%d", g.word(), i), indent+2, left-1)
	}
}

// description writes a block scalar of one to four lines. Real CustomResourceDefinitions describe
// every field.
func (g *generator) description(indent int) {
	g.line(indent, "description: |-")
	for range 1 + g.random.IntN(4) {
		g.line(indent+2, g.sentence(9)+".")
	}
}

// line writes a line behind so many spaces.
func (g *generator) line(indent int, text string) {
	g.out.WriteString(strings.Repeat(" ", indent))
	g.out.WriteString(text)
	g.out.WriteByte('\n')
}
