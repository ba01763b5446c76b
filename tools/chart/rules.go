package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/yaml"
)

// ruleFile is a file of rules, as Prometheus reads it. Recording rules are not supported.
type ruleFile struct {
	Groups []struct {
		Name  string `json:"name"`
		Rules []rule `json:"rules"`
	} `json:"groups"`
}

type rule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         model.Duration    `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// testFile is a file of unit tests. Annotations of alerts are not compared.
type testFile struct {
	RuleFiles          []string       `json:"rule_files"`
	EvaluationInterval model.Duration `json:"evaluation_interval"`
	Tests              []ruleTest     `json:"tests"`
}

type ruleTest struct {
	Name        string         `json:"name"`
	Interval    model.Duration `json:"interval"`
	InputSeries []struct {
		Series string `json:"series"`
		Values string `json:"values"`
	} `json:"input_series"`
	AlertRuleTest []alertTest `json:"alert_rule_test"`
}

type alertTest struct {
	EvalTime  model.Duration `json:"eval_time"`
	AlertName string         `json:"alertname"`
	ExpAlerts []struct {
		ExpLabels map[string]string `json:"exp_labels"`
	} `json:"exp_alerts"`
}

// testRules runs every test of a file. The error has each alert that differs.
func testRules(file string, out io.Writer) error {
	var tests testFile
	if err := read(file, &tests); err != nil {
		return err
	}
	rules, err := readRules(filepath.Dir(file), tests.RuleFiles)
	if err != nil {
		return err
	}
	var problems []error
	count := 0
	for i := range tests.Tests {
		test := &tests.Tests[i]
		for _, problem := range test.run(rules, time.Duration(tests.EvaluationInterval)) {
			problems = append(problems, fmt.Errorf("%s: %w", test.Name, problem))
		}
		count += len(test.AlertRuleTest)
	}
	if len(problems) == 0 {
		fmt.Fprintf(out, "%d alerts of %d rules are as expected\n", count, len(rules))
	}
	return errors.Join(problems...)
}

// read reads a YAML file into content.
func read(file string, content any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := yaml.UnmarshalStrict(text, content); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// readRules returns the rules by the name of their alert.
func readRules(dir string, files []string) (map[string]rule, error) {
	rules := map[string]rule{}
	for _, file := range files {
		var content ruleFile
		if err := read(filepath.Join(dir, file), &content); err != nil {
			return nil, err
		}
		for _, group := range content.Groups {
			for _, r := range group.Rules {
				rules[r.Alert] = r
			}
		}
	}
	return rules, nil
}

// run returns an error for each alert that is not as expected.
func (t *ruleTest) run(rules map[string]rule, interval time.Duration) (problems []error) {
	data, err := t.load()
	if err != nil {
		return []error{err}
	}
	for _, expected := range t.AlertRuleTest {
		r, known := rules[expected.AlertName]
		if !known {
			problems = append(problems, fmt.Errorf("no rule has the alert %s", expected.AlertName))
			continue
		}
		got, err := r.firing(data, time.Duration(expected.EvalTime), interval)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", r.Alert, err))
			continue
		}
		if want := expected.labels(); !slices.Equal(want, got) {
			problems = append(problems, fmt.Errorf("%s at %s: expected %v, got %v", r.Alert, expected.EvalTime, want, got))
		}
	}
	return problems
}

// load returns the series of the test, whose samples are one interval apart and begin at 0.
func (t *ruleTest) load() (memory, error) {
	read := parser.NewParser(parser.Options{})
	var all memory
	for _, input := range t.InputSeries {
		metric, values, err := read.ParseSeriesDesc(input.Series + " " + input.Values)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", input.Series, input.Values, err)
		}
		s := series{labels: metric}
		for i, value := range values {
			if !value.Omitted {
				s.samples = append(s.samples,
					sample{milliseconds: time.Duration(t.Interval).Milliseconds() * int64(i), value: value.Value})
			}
		}
		all = append(all, s)
	}
	return all, nil
}

// labels are the expected alerts as text, sorted.
func (a *alertTest) labels() []string {
	var all []string
	for _, alert := range a.ExpAlerts {
		b := labels.NewBuilder(labels.FromMap(alert.ExpLabels))
		all = append(all, b.Set(labels.AlertName, a.AlertName).Labels().String())
	}
	slices.Sort(all)
	return all
}

// firing evaluates the rule from 0 to a time, once an interval, as Prometheus does, and returns the
// labels of the alerts that fire then, sorted.
func (r *rule) firing(data memory, at, interval time.Duration) ([]string, error) {
	engine := newEngine()
	defer engine.Close()
	since := map[string]time.Duration{}
	for now := time.Duration(0); now <= at; now += interval {
		active, err := r.active(engine, data, now)
		if err != nil {
			return nil, err
		}
		for alert := range since {
			if !slices.Contains(active, alert) {
				delete(since, alert)
			}
		}
		for _, alert := range active {
			if _, pending := since[alert]; !pending {
				since[alert] = now
			}
		}
	}
	last := at - at%interval
	var all []string
	for alert, begun := range since {
		if last-begun >= time.Duration(r.For) {
			all = append(all, alert)
		}
	}
	slices.Sort(all)
	return all, nil
}

// active returns the labels of the alerts whose expression has a value at a time.
func (r *rule) active(engine *promql.Engine, data memory, at time.Duration) ([]string, error) {
	query, err := engine.NewInstantQuery(context.Background(), data, nil, r.Expr, time.UnixMilli(at.Milliseconds()))
	if err != nil {
		return nil, err
	}
	defer query.Close()
	result := query.Exec(context.Background())
	vector, err := result.Vector()
	if err != nil {
		return nil, err
	}
	all := make([]string, len(vector))
	for i := range vector {
		all[i] = r.alert(vector[i].Metric).String()
	}
	return all, nil
}

// alert is a sample's labels with those of the rule, without the name of the metric.
func (r *rule) alert(metric labels.Labels) labels.Labels {
	b := labels.NewBuilder(metric).Del(model.MetricNameLabel).Set(labels.AlertName, r.Alert)
	for name, value := range r.Labels {
		if strings.Contains(value, "{{") {
			value = "(a template)"
		}
		b.Set(name, value)
	}
	return b.Labels()
}

// newEngine returns the engine that evaluates rules, with the lookback of a Prometheus server.
func newEngine() *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1_000_000, Timeout: time.Minute, LookbackDelta: 5 * time.Minute,
		EnableAtModifier: true, EnableNegativeOffset: true,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
		Parser:                   parser.NewParser(parser.Options{}),
	})
}
