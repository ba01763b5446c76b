package stream

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// component is what a chart's templates are rendered with: one process of the application and
// what belongs to it. Its fields are exported for the templates. Numbered objects use some of
// them only.
type component struct {
	// The first four are the same for every component of a stream.
	Chart, Version, Release, Namespace string
	// File is set by In.
	File string
	// Kind is the kind of the workload.
	Kind            string
	Component, Name string
	// Port serves the application, MetricsPort its metrics.
	Port, MetricsPort int
	Checksum          string
	// Init are the containers that run before the others.
	Init, Containers []container
	Secrets          []pair
	Settings         []string
	Dashboard        string
	Alerts           []alert
}

// container is what the templates need to write a container. A port of 0 has no line.
type container struct {
	Name, Image, PortName string
	Port                  int
	Env                   []pair
}

// In returns the component in the template of that file, which Helm names as the source.
func (c component) In(file string) component {
	c.File = file
	return c
}

// pair is an entry of a list of names and values: a variable or a key of a Secret.
type pair struct{ Name, Value string }

// alert is a rule of a PrometheusRule.
type alert struct {
	Name, Text, Metric string
	Threshold          int
}

// components are the processes of the application, one for every workload. Their number and kinds
// are those of the size, which has at most eight.
func (g *generator) components() []component {
	names := []string{"api", "worker", "scheduler", "ingest", "query", "index", "train", "migrate"}
	var parts []component
	for i, kind := range g.kinds() {
		parts = append(parts, g.component(kind, names[i]))
	}
	return parts
}

// kinds are the workloads' kinds, in Helm's order. Each kind is there as often as the size states.
func (g *generator) kinds() []string {
	return slices.Concat(slices.Repeat([]string{"Deployment"}, g.size.Deployments),
		slices.Repeat([]string{"StatefulSet"}, g.size.StatefulSets), slices.Repeat([]string{"Job"}, g.size.Jobs))
}

// component is one process: a main container, every second time one that exports metrics, every
// third time one that runs before. The random numbers decide which it has, the same ones at every
// run.
func (g *generator) component(kind, name string) component {
	part := g.named(name)
	part.Kind = kind
	part.Port = 8000 + g.random.IntN(999)
	part.MetricsPort = part.Port + 1000
	part.Checksum = g.hex(64)
	for range 3 {
		secret := pair{g.word() + "-" + g.word() + "-" + g.hex(4), base64.StdEncoding.EncodeToString([]byte(g.hex(32)))}
		part.Secrets = append(part.Secrets, secret)
	}
	for range g.size.Settings {
		part.Settings = append(part.Settings, g.word()+"_"+g.word()+" = "+g.word())
	}
	part.Containers = []container{g.container(name, "http", part.Port)}
	if g.random.IntN(2) == 0 {
		part.Containers = append(part.Containers, g.container("exporter", "metrics", part.MetricsPort))
	}
	if g.random.IntN(3) == 0 {
		part.Init = []container{g.container("prepare", "", 0)}
	}
	return part
}

// container makes a container with the variables of the size. PortName is empty for one without a
// port.
func (g *generator) container(name, portName string, port int) container {
	c := container{
		Name:     name,
		Image:    g.size.Chart + "/" + name + ":" + version + "-debian-12-r3",
		PortName: portName,
		Port:     port,
	}
	for i := range g.size.Env {
		variable := fmt.Sprintf("%s_%s_%d", strings.ToUpper(g.word()), strings.ToUpper(g.word()), i)
		c.Env = append(c.Env, pair{variable, g.word()})
	}
	return c
}

// numbered are objects that belong to no process. Their names end with a number, so that none is
// there twice. Name decides what the objects hold.
func (g *generator) numbered(name string, count int) []component {
	parts := make([]component, count)
	for i := range parts {
		parts[i] = g.named(fmt.Sprintf("%s-%d", name, i))
		switch name {
		case "dashboard":
			parts[i].Dashboard = g.dashboard()
		case "rules":
			parts[i].Alerts = g.alerts()
		}
	}
	return parts
}

// The version of the charts and of their images.
const version = "2.4.1"

// named is a component with the names and labels that every object of a chart has.
func (g *generator) named(name string) component {
	return component{
		Chart: g.size.Chart, Version: version, Release: Release, Namespace: Namespace,
		Component: name, Name: Release + "-" + g.size.Chart + "-" + name,
	}
}

// dashboard is one long line of JSON. Charts put the dashboards of Grafana into ConfigMaps like that.
func (g *generator) dashboard() string {
	panels := make([]string, 30)
	for i := range panels {
		panels[i] = fmt.Sprintf(
			`{"id":%d,"type":"timeseries","title":%q,"description":%q,"gridPos":{"h":7,"w":12,"x":0,"y":%d},`+
				`"targets":[{"expr":"sum(rate(%s_%s_total{cluster=\"$cluster\"}[5m])) by (pod)","legendFormat":"{{pod}}"}]}`,
			i, g.sentence(3), g.sentence(12), i*7, g.word(), g.word())
	}
	return `{"editable":false,"schemaVersion":39,"panels":[` + strings.Join(panels, ",") + `]}`
}

// alerts are the ten rules of one PrometheusRule.
func (g *generator) alerts() []alert {
	alerts := make([]alert, 10)
	for i := range alerts {
		alerts[i] = alert{
			Name: fmt.Sprintf("Alert%d", i), Text: g.sentence(10), Metric: g.word() + "_" + g.word(),
			Threshold: g.random.IntN(100),
		}
	}
	return alerts
}

// ofKind are the components whose workload is of that kind.
func ofKind(kind string, parts []component) []component {
	return slices.DeleteFunc(slices.Clone(parts), func(c component) bool { return c.Kind != kind })
}
