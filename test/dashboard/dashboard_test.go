// Package dashboard runs every query of the Grafana dashboard against a real Prometheus, which reads the
// replicas of a webhook under load, and draws what a person would see. It is for make dashboard: it needs a
// Prometheus, which compiles for minutes.
package dashboard

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
	"github.com/pipeline-storage/pipeline-storage/test/process"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	dashboard = "../../charts/pipeline-storage/files/dashboard.json"
	installed = "storage"
	// scrapeSeconds is how often Prometheus reads. A rate needs four readings: rateInterval.
	scrapeSeconds = 2
	rateInterval  = "10s"
	perSecond     = 60
)

var (
	picture = flag.String("picture", "", "draw the dashboard to this file")
	during  = flag.Duration("during", 2*time.Minute, "how long the load takes")
)

func TestMain(m *testing.M) { os.Exit(suite.Main(m, controlplane.Options{Controllers: true})) }

// panel is one of the dashboard's.
type panel struct {
	Title, Type string
	GridPos     struct{ H, W, X, Y int }
	FieldConfig struct{ Defaults struct{ Unit string } }
	Targets     []struct{ Expr, LegendFormat string }

	lines []line
}

// line is what a query returned, over time.
type line struct {
	legend string
	points []point
}

type point struct{ at, value float64 }

// quiet are panels that have no line while nothing is wrong.
var quiet = []string{"Errors of the claims controller", "Webhooks restored"}

// TestDashboardShowsWebhookUnderLoad: each panel has a line.
func TestDashboardShowsWebhookUnderLoad(t *testing.T) {
	ctx := t.Context()
	webhook := suite.InstallWebhook(ctx, t, suite.Installation{Release: "ps", Namespace: installed, Replicas: 2})
	t.Cleanup(webhook.Stop)
	prometheus := startPrometheus(t, webhook)

	begun := time.Now()
	loadCtx, cancel := context.WithTimeout(ctx, *during)
	defer cancel()
	stats := suite.Load(loadCtx, perSecond, creates(suite.Kubernetes(t)))
	require.Greater(t, stats.Done, perSecond, stats.Errors)

	for _, p := range panels(t) {
		for _, target := range p.Targets {
			p.lines = append(p.lines, query(t, prometheus, target.Expr, target.LegendFormat, begun, time.Now())...)
		}
		assert.True(t, len(p.lines) > 0 || slices.Contains(quiet, p.Title), "%s shows nothing", p.Title)
	}
	if *picture != "" {
		require.NoError(t, os.WriteFile(*picture, draw(panels(t)), 0o644))
	}
}

var read []*panel

// panels are those of the dashboard's file, read once.
func panels(t *testing.T) []*panel {
	t.Helper()
	if read != nil {
		return read
	}
	text, err := os.ReadFile(dashboard)
	require.NoError(t, err)
	var all struct{ Panels []*panel }
	require.NoError(t, json.Unmarshal(text, &all))
	require.NotEmpty(t, all.Panels)
	read = all.Panels
	return read
}

// creates creates pods as users do: most are mounted, some have the path already, some ask for a profile
// that is not there. Each hundredth stays and gets a claim in a namespace of its own.
func creates(client kubernetes.Interface) func(context.Context, int) error {
	return func(ctx context.Context, i int) error {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				GenerateName: "load-", Labels: map[string]string{"pipeline-storage": "enabled"},
			},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "example.com/main"}}},
		}
		namespace, options := "default", metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
		switch {
		case i%100 == 0:
			namespace, options = fmt.Sprintf("load-%d", i), metav1.CreateOptions{}
			if _, err := client.CoreV1().Namespaces().Create(ctx,
				&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, options); err != nil {
				return err
			}
		case i%7 == 0:
			pod.Spec.Volumes = []corev1.Volume{{Name: "own"}}
			pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "own", MountPath: "/data"}}
		case i%11 == 0:
			pod.Annotations = map[string]string{"pipeline-storage.io/profiles": "none-of-this-name"}
		case i%13 == 0:
			pod.Annotations = map[string]string{"pipeline-storage.io/inject": "false"}
		}
		_, err := client.CoreV1().Pods(namespace).Create(ctx, pod, options)
		if i%100 != 0 && (i%7 == 0 || i%11 == 0) {
			return nil // it is refused
		}
		return err
	}
}

// startPrometheus starts it with the replicas as targets, and returns its address.
func startPrometheus(t *testing.T, webhook *suite.Webhook) string {
	t.Helper()
	dir := t.TempDir()
	var config strings.Builder
	fmt.Fprintf(&config, "global: {scrape_interval: %ds}\nscrape_configs:\n- job_name: webhook\n  static_configs:\n",
		scrapeSeconds)
	for _, replica := range webhook.Replicas {
		fmt.Fprintf(&config, "  - {targets: [%q], labels: {namespace: %s, pod: %s}}\n",
			replica.Metrics, installed, replica.Pod)
	}
	file := filepath.Join(dir, "prometheus.yml")
	require.NoError(t, os.WriteFile(file, []byte(config.String()), 0o600))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	log := filepath.Join(dir, "prometheus.log")
	started, err := process.Start(process.Options{
		Program: parts.Require(t, "prometheus")["prometheus"], Log: log,
		Args: []string{
			"--config.file=" + file, "--storage.tsdb.path=" + filepath.Join(dir, "data"),
			"--web.listen-address=" + address,
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		started.Kill()
		if t.Failed() {
			t.Log(started.LogTail())
		}
	})
	require.Eventually(t, func() bool {
		response, err := http.Get("http://" + address + "/-/ready")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK
	}, time.Minute, time.Second/4)
	return address
}

// query runs a query of the dashboard over a time, with what Grafana puts in the place of its variables.
func query(t *testing.T, prometheus, expression, legend string, from, to time.Time) []line {
	t.Helper()
	expression = strings.NewReplacer("$namespace", installed, "$__rate_interval", rateInterval).Replace(expression)
	response, err := http.Get("http://" + prometheus + "/api/v1/query_range?" + url.Values{
		"query": {expression}, "step": {strconv.Itoa(scrapeSeconds)},
		"start": {strconv.FormatInt(from.Unix(), 10)}, "end": {strconv.FormatInt(to.Unix(), 10)},
	}.Encode())
	require.NoError(t, err)
	defer response.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Metric map[string]string
				Values [][2]any
			}
		}
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&answer))
	require.Equal(t, "success", answer.Status, "%s: %s", expression, answer.Error)
	var lines []line
	for _, result := range answer.Data.Result {
		l := line{legend: legend}
		for name, value := range result.Metric {
			l.legend = strings.ReplaceAll(l.legend, "{{"+name+"}}", value)
		}
		for _, pair := range result.Values {
			at, _ := pair[0].(float64)
			text, _ := pair[1].(string)
			value, err := strconv.ParseFloat(text, 64)
			require.NoError(t, err)
			l.points = append(l.points, point{at, value})
		}
		lines = append(lines, l)
	}
	return lines
}
