// Package stream makes the manifests that the benchmark measures with: what `helm template` prints
// for three imaginary charts, always the same bytes. They have the shape of real Helm 3 output (the
// order that Helm installs in, a "# Source:" comment a document, block scalars that hold YAML of
// their own, empty values where a chart's condition was false) and nothing that needs permission to
// copy.
//
// No pod in them mounts /data and no volume is called pipeline-storage, so every workload can be
// given the claim.
package stream

import (
	"bytes"
	"embed"
	"fmt"
	"math/rand/v2"
	"text/template"
)

// Namespace and Release are where the streams were "installed".
const (
	Namespace = "pipelines"
	Release   = "rel"
)

// Size is one of the three charts. Its numbers are counts of objects, except where a comment has
// another unit.
type Size struct {
	Name  string
	Chart string

	// The workloads: each has one pod template.
	Deployments, StatefulSets, Jobs int

	// Env is the number of environment variables of each container.
	Env int
	// Settings is the number of lines in the ConfigMap of a component.
	Settings int
	// Dashboards is the number of ConfigMaps with one long line of JSON.
	Dashboards int
	// Rules is the number of PrometheusRules.
	Rules int
	// CRDs is the number of CustomResourceDefinitions; CRDBytes is the least size of one.
	CRDs, CRDBytes int
}

// Sizes are the three charts, smallest first: an application of two processes, one of eight, and
// an operator whose stream is mostly CustomResourceDefinitions. Tests hold their sizes in bytes
// to limits.
func Sizes() []Size {
	return []Size{
		{Name: "small", Chart: "tracker", Deployments: 2, Env: 4, Settings: 8},
		{Name: "medium", Chart: "vectors", Deployments: 5, StatefulSets: 2, Jobs: 1, Env: 40, Settings: 160, Rules: 4},
		{
			Name: "large", Chart: "monitoring", Deployments: 3, StatefulSets: 1, Jobs: 1, Env: 20, Settings: 80,
			Dashboards: 30, Rules: 30, CRDs: 10, CRDBytes: 400_000,
		},
	}
}

// Workloads is the number of documents that hold a pod.
func (s Size) Workloads() int { return s.Deployments + s.StatefulSets + s.Jobs }

// chart has a template for each kind, with the values of a component.
//
//go:embed chart/*.tmpl
var chart embed.FS

// Generate is the stream of one size, the same bytes at every call. The random numbers have a
// fixed seed for each size.
func Generate(size Size) ([]byte, error) {
	templates, err := template.ParseFS(chart, "chart/*.tmpl")
	if err != nil {
		return nil, err
	}
	g := generator{size: size, templates: templates, random: rand.New(rand.NewPCG(1, uint64(len(size.Name))))}
	return g.generate()
}

// generator holds what one stream is written with. Its methods must be called in a fixed order,
// because they share the random numbers.
type generator struct {
	size      Size
	templates *template.Template
	random    *rand.Rand
	out       bytes.Buffer
}

// generate writes kind after kind, in Helm's order of installation.
func (g *generator) generate() ([]byte, error) {
	parts := g.components()
	steps := []struct {
		kind  string
		parts []component
	}{
		{"NetworkPolicy", parts},
		{"PodDisruptionBudget", parts},
		{"ServiceAccount", parts},
		{"Secret", parts},
		{"ConfigMap", parts},
		{"Dashboard", g.numbered("dashboard", g.size.Dashboards)},
		{"CustomResourceDefinition", g.numbered("resource", g.size.CRDs)},
		{"Role", parts},
		{"RoleBinding", parts},
		{"Service", parts},
		{"Deployment", ofKind("Deployment", parts)},
		{"StatefulSet", ofKind("StatefulSet", parts)},
		{"Job", ofKind("Job", parts)},
		{"PrometheusRule", g.numbered("rules", g.size.Rules)},
	}
	for _, step := range steps {
		for _, part := range step.parts {
			if err := g.document(step.kind, part); err != nil {
				return nil, fmt.Errorf("%s %s: %w", step.kind, part.Name, err)
			}
		}
	}
	return g.out.Bytes(), nil
}

// document writes one object by the template of its kind. The schema of a
// CustomResourceDefinition is too deep for a template and is written by code.
func (g *generator) document(kind string, part component) error {
	if kind == "CustomResourceDefinition" {
		g.crd(part)
		return nil
	}
	return g.templates.ExecuteTemplate(&g.out, kind, part)
}
