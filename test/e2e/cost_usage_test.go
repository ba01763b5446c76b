package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/test/bench/figures"
	"github.com/pipeline-storage/pipeline-storage/test/process"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	// loadRate is in admissions a second.
	loadRate = 200
	// stageTime is how long each stage is measured, and how long replicas stay idle before the
	// first.
	stageTime = time.Minute
	// manyClaims is how many namespaces with a claim there are in the last stages.
	manyClaims = 1000
	// replicaMetricsPort is the metrics port of a replica.
	replicaMetricsPort = 8080
	admissionsTotal    = "pipeline_storage_admissions_total"
	handlerSeconds     = "pipeline_storage_admission_duration_seconds_sum"
	requestsTotal      = "rest_client_requests_total"
	groups             = "/sys/fs/cgroup"
)

// usageTable is what the replicas used, by stage.
type usageTable struct {
	Test    string       `json:"test"`
	Machine string       `json:"machine"`
	Stages  []stageUsage `json:"stages"`
}

// stageUsage is what one replica used in one stage.
type stageUsage struct {
	Stage   string `json:"stage"`
	Load    string `json:"loadBefore"`
	Replica int    `json:"replica"`
	// Millicores is the average CPU time per second, in millicores.
	Millicores float64 `json:"millicores"`
	// Resident is that of the process at the end of the stage, HighestResident the most that the
	// kernel saw in it; WorkingSet is the most of the container that was seen, which the kernel
	// limits and "kubectl top" shows. All in MiB.
	Resident        float64 `json:"residentMiB"`
	HighestResident float64 `json:"highestResidentMiB"`
	WorkingSet      float64 `json:"workingSetMiB"`
	// Admissions were answered by the replica, in Handler milliseconds each on average.
	Admissions int     `json:"admissions"`
	Handler    float64 `json:"handlerMs"`
	// Half and Most are how long the client waited, whichever replica answered, and Missed is what
	// was due and not sent.
	Half   float64 `json:"p50ms"`
	Most   float64 `json:"p99ms"`
	Missed int     `json:"missed"`
	// Requests are the replica's requests to the API server in the whole stage.
	Requests int `json:"requests"`
}

// TestCostOfWebhook measures memory and CPU time of both replicas: at rest, and while pods are
// admitted through the API server, by dry runs, which take the whole path and store nothing. Then
// it measures again with many namespaces and claims, first while a pod in each waits for a volume,
// which the claims controller reconciles each minute. The requests of the chart are set by it.
func TestCostOfWebhook(t *testing.T) {
	requireCost(t)
	u := &usageTable{Test: t.Name(), Machine: figures.Describe().String()}
	awaitOld(t)
	one := []string{servedNamespace(t)}
	u.rest(t, "at rest")
	u.load(t, fmt.Sprintf("%d a second", loadRate), one)
	u.rest(t, "at rest, after it")

	many := priceNamespaces(t, manyClaims)
	awaitClaimOf(t, many...)
	u.rest(t, fmt.Sprintf("%d pods wait", manyClaims))
	require.NoError(t, eachOf(len(many), func(i int) error { return deletePriced(t, many[i]) }))
	u.rest(t, fmt.Sprintf("at rest, %d claims", manyClaims))
	u.load(t, fmt.Sprintf("%d a second, %d claims", loadRate, manyClaims), many)
	u.logTable(t)
}

// awaitOld waits until every replica has been ready for a while: the cost of a start is not the
// cost of a replica.
func awaitOld(t *testing.T) {
	t.Helper()
	suite.EventuallyWithin(t, podLimit, "every replica should be ready for a while", func(context.Context) error {
		for _, pod := range replicas(t) {
			for _, condition := range pod.Status.Conditions {
				if condition.Type == corev1.PodReady && time.Since(condition.LastTransitionTime.Time) < stageTime {
					return fmt.Errorf("%s is ready since %s", pod.Name, condition.LastTransitionTime)
				}
			}
		}
		return nil
	})
}

func replicas(t *testing.T) []corev1.Pod {
	t.Helper()
	pods, err := shared.Client.CoreV1().Pods(releaseNamespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, pods.Items, 2, "the chart has two by default")
	return pods.Items
}

// rest measures without admissions.
func (u *usageTable) rest(t *testing.T, name string) {
	t.Helper()
	u.stage(t, name, func(ctx context.Context) suite.Stats {
		<-ctx.Done()
		return suite.Stats{}
	})
}

// load measures while labelled pods are created, as dry runs, in the namespaces in turn.
func (u *usageTable) load(t *testing.T, name string, namespaces []string) {
	t.Helper()
	client := ownConnection(t).CoreV1()
	u.stage(t, name, func(ctx context.Context) suite.Stats {
		return suite.Load(ctx, loadRate, func(ctx context.Context, i int) error {
			made, err := client.Pods(namespaces[i%len(namespaces)]).
				Create(ctx, pricePod(true), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			if err == nil && !isMounted(made) {
				err = fmt.Errorf("admitted without storage: %s", made.Namespace)
			}
			return err
		})
	})
}

// stage measures both replicas while do runs, which it does for stageTime.
func (u *usageTable) stage(t *testing.T, name string, do func(ctx context.Context) suite.Stats) {
	t.Helper()
	load := figures.Load()
	var all []*observed
	for _, pod := range replicas(t) {
		all = append(all, observe(t, pod))
	}

	ctx, cancel := context.WithTimeout(t.Context(), stageTime)
	defer cancel()
	done := make(chan suite.Stats, 1)
	go func() { done <- do(ctx) }()
	for ctx.Err() == nil {
		time.Sleep(time.Second)
		for _, o := range all {
			o.sampleWorkingSet(t)
		}
	}
	stats := <-done
	assert.Zero(t, stats.Failed, "%s: %v", name, stats.Errors)

	answered := 0
	for i, o := range all {
		s := o.ended(t)
		s.Stage, s.Load, s.Replica, s.Missed = name, load, i+1, stats.Missed
		s.Half, s.Most = milliseconds(stats.Quantile(.5)), milliseconds(stats.Quantile(.99))
		answered += s.Admissions
		u.Stages = append(u.Stages, s)
	}
	assert.GreaterOrEqual(t, answered, stats.Done, "every admission was answered by a replica")
	t.Logf("%s: %d answered, %d failed, %d not made", name, stats.Done, stats.Failed, stats.Missed)
}

// observed is a replica during a stage.
type observed struct {
	pod        corev1.Pod
	process    string
	pid        int
	memory     string // of the container's control group
	begun      time.Time
	before     process.Usage
	metrics    map[string]float64
	workingSet int64
}

func observe(t *testing.T, pod corev1.Pod) *observed {
	t.Helper()
	processes, err := shared.Node.Processes(pod.UID)
	require.NoError(t, err)
	require.Len(t, processes, 1)
	o := &observed{pod: pod, pid: processes[0].PID, process: fmt.Sprintf("/proc/%d", processes[0].PID)}
	o.memory = memoryGroup(t, o.process)
	// The highest memory is that of this stage: see proc(5), clear_refs.
	require.NoError(t, os.WriteFile(o.process+"/clear_refs", []byte("5"), 0))
	o.metrics = replicaMetrics(t, pod)
	o.before, err = process.UsageOf(o.pid)
	require.NoError(t, err)
	o.begun = time.Now()
	o.sampleWorkingSet(t)
	return o
}

// sampleWorkingSet records the working set if it is the largest so far.
func (o *observed) sampleWorkingSet(t *testing.T) {
	t.Helper()
	o.workingSet = max(o.workingSet, workingSet(t, o.memory))
}

// ended returns what the replica has used since.
func (o *observed) ended(t *testing.T) stageUsage {
	t.Helper()
	elapsed := time.Since(o.begun)
	now, err := process.UsageOf(o.pid)
	require.NoError(t, err)

	s := stageUsage{
		Millicores: 1000 * (now.CPU - o.before.CPU).Seconds() / elapsed.Seconds(),
		Resident:   figures.Mebibytes(float64(now.Resident)), HighestResident: figures.Mebibytes(float64(now.Peak)),
		WorkingSet: figures.Mebibytes(float64(o.workingSet)),
	}
	after := replicaMetrics(t, o.pod)
	if s.Admissions = int(after[admissionsTotal] - o.metrics[admissionsTotal]); s.Admissions > 0 {
		s.Handler = 1000 * (after[handlerSeconds] - o.metrics[handlerSeconds]) / float64(s.Admissions)
	}
	s.Requests = int(after[requestsTotal] - o.metrics[requestsTotal])
	return s
}

// memoryGroup is the directory of the control group that limits the memory of a process.
func memoryGroup(t *testing.T, process string) string {
	t.Helper()
	text, err := os.ReadFile(process + "/cgroup")
	require.NoError(t, err)
	unified := ""
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		require.Len(t, fields, 3)
		switch fields[1] {
		case "memory":
			return filepath.Join(groups, "memory", fields[2])
		case "":
			unified = filepath.Join(groups, fields[2])
		}
	}
	return unified
}

// workingSet is the memory of a control group without the page cache that the kernel can drop, as
// kubelets count it.
func workingSet(t *testing.T, group string) int64 {
	t.Helper()
	usedFile, droppable := "memory.usage_in_bytes", "total_inactive_file"
	if _, err := os.Stat(filepath.Join(group, "memory.current")); err == nil {
		usedFile, droppable = "memory.current", "inactive_file"
	}
	used, err := os.ReadFile(filepath.Join(group, usedFile))
	require.NoError(t, err)
	total, err := strconv.ParseInt(strings.TrimSpace(string(used)), 10, 64)
	require.NoError(t, err)
	stat, err := os.ReadFile(filepath.Join(group, "memory.stat"))
	require.NoError(t, err)
	for line := range strings.Lines(string(stat)) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), " "); name == droppable {
			inactive, err := strconv.ParseInt(value, 10, 64)
			require.NoError(t, err)
			return max(0, total-inactive)
		}
	}
	require.Fail(t, "the kernel does not report "+droppable)
	return 0
}

// replicaMetrics sums the metrics of a replica, by name.
func replicaMetrics(t *testing.T, pod corev1.Pod) map[string]float64 {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		fmt.Sprintf("http://%s:%d/metrics", pod.Status.PodIP, replicaMetricsPort), http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)

	sums := map[string]float64{}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		end := strings.IndexAny(lines.Text(), "{ ")
		value, err := strconv.ParseFloat(lines.Text()[strings.LastIndexByte(lines.Text(), ' ')+1:], 64)
		if end > 0 && err == nil {
			sums[lines.Text()[:end]] += value
		}
	}
	require.NoError(t, lines.Err())
	require.Contains(t, sums, admissionsTotal)
	return sums
}

func (u *usageTable) logTable(t *testing.T) {
	t.Helper()
	var out strings.Builder
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table,
		"stage\treplica\tmillicores\tRSS MiB\thighest\tworking set MiB\tadmissions\trequests\thandler ms\tp50 ms\tp99 "+
			"ms\tnot made\tload before")
	for _, s := range u.Stages {
		fmt.Fprintf(table, "%s\t%d\t%.1f\t%.1f\t%.1f\t%.1f\t%d\t%d\t%.2f\t%.1f\t%.1f\t%d\t%s\n", s.Stage, s.Replica,
			s.Millicores, s.Resident,
			s.HighestResident, s.WorkingSet, s.Admissions, s.Requests, s.Handler, s.Half, s.Most, s.Missed, s.Load)
	}
	require.NoError(t, table.Flush())
	t.Logf("%s\n%s", u.Machine, &out)
	writeCost(t, u)
}
