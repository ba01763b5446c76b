package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/test/bench/figures"
	"github.com/pipeline-storage/pipeline-storage/test/latency"
	"github.com/pipeline-storage/pipeline-storage/test/process"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

var (
	costs     = flag.String("cost", "", "append the costs for docs/reliability.md to this `file`, one JSON object a line")
	creations = flag.Int("creations", 2000, "how many pods of each kind the tests of the price create")
)

const (
	// unserved is a namespace of every cluster that the chart excludes: its pods never reach the
	// webhook.
	unserved = "kube-public"
	// perRound is how many pods of each kind are created before all of them are deleted, so that
	// etcd does not grow.
	perRound = 25
	// costLabel is on every pod whose creation is timed.
	costLabel = "price"
	// twin is in the name of a kind that is equal to another, to show the noise between equals.
	twin = ", again"
)

// price is one run of timed creations.
type price struct {
	Test    string `json:"test"`
	Machine string `json:"machine"`
	// The load averages before and after.
	Before  string `json:"loadBefore"`
	After   string `json:"loadAfter"`
	Clients int    `json:"clients"`
	// Kinds and Differences are the results.
	Kinds       []quantiles  `json:"kinds"`
	Differences []difference `json:"differences"`

	blocks []block
	// containers, if not 0, is how many each pod has.
	containers int
	series     map[string]latency.Series
	// cpu is what the API server used for a pod, by round, of the blocks with one kind.
	cpu   map[string]latency.Series
	mutex sync.Mutex
}

// block is a part of each round. The blocks of a round, and the pods within one, are created in
// random order.
type block struct {
	// prepare, if not nil, is called before the block.
	prepare func(t *testing.T)
	kinds   []kind
}

// kind is one kind of pods.
type kind struct {
	name, namespace string
	labelled        bool
	// mounted is whether the pods must come with storage.
	mounted bool
}

type quantiles struct {
	Kind    string  `json:"kind"`
	Count   int     `json:"count"`
	Half    float64 `json:"p50ms"`
	Most    float64 `json:"p99ms"`
	Slowest float64 `json:"slowestMs"`
	// CPU is what the API server used for a pod, the median of the rounds; 0 where kinds are mixed.
	CPU float64 `json:"cpuMs"`
}

// difference is by how much one kind takes longer than another, in ms, with its 95 % interval.
type difference struct {
	What string  `json:"what"`
	Half float64 `json:"p50ms"`
	// HalfFrom and the others are the ends of the intervals.
	HalfFrom float64 `json:"p50from"`
	HalfTo   float64 `json:"p50to"`
	Most     float64 `json:"p99ms"`
	MostFrom float64 `json:"p99from"`
	MostTo   float64 `json:"p99to"`
}

// TestCostOfPodCreation times the creation of pods through the API server, with the webhook and
// without, in turns: in a namespace that it serves, where it sees the pods with the label, and in
// one that it does not. Each kind exists twice: the difference of the twins is noise.
func TestCostOfPodCreation(t *testing.T) {
	requireCost(t)
	for _, clients := range []int{1, manyClients} {
		t.Run(fmt.Sprintf("%d at once", clients), func(t *testing.T) {
			served := servedNamespace(t)
			p := &price{Clients: clients, blocks: []block{{kinds: []kind{
				{"labelled, served", served, true, true},
				{"labelled, served" + twin, served, true, true},
				{"labelled, not served", unserved, true, false},
				{"labelled, not served" + twin, unserved, true, false},
				{"no label, served", served, false, false},
				{"no label, served" + twin, served, false, false},
				{"no label, not served", unserved, false, false},
				{"no label, not served" + twin, unserved, false, false},
			}}}}
			p.measure(t)
			p.compare("labelled, served", "labelled, not served")
			p.compare("no label, served", "no label, not served")
			p.compareTwins()
			p.logTable(t)
		})
	}
}

// TestCostOfInstallation times the creation of unlabelled pods, with the
// MutatingWebhookConfiguration and without it. Each of the two exists twice in each round.
func TestCostOfInstallation(t *testing.T) {
	requireCost(t)
	served := servedNamespace(t)
	c := removableConfiguration(t)
	kinds := func(suffix string) []kind {
		return []kind{
			{"no label, served" + suffix, served, false, false},
			{"no label, not served" + suffix, unserved, false, false},
			{"labelled, not served" + suffix, unserved, true, false},
		}
	}
	is := func(t *testing.T) { t.Helper(); c.apply(t, served) }
	isNot := func(t *testing.T) { t.Helper(); c.remove(t, served) }
	p := &price{Clients: 1, blocks: []block{
		{is, kinds("; installed")},
		{is, kinds("; installed" + twin)},
		{isNot, kinds("; not installed")},
		{isNot, kinds("; not installed" + twin)},
	}}
	p.measure(t)
	for _, k := range kinds("") {
		p.compare(k.name+"; installed", k.name+"; not installed")
	}
	p.compareTwins()
	p.logTable(t)
}

// TestCostOfPolicies times the creation of labelled pods that the webhook mounts, that the policies mount, and that
// nothing does, and the API server's CPU time for each. The policies have one profile.
func TestCostOfPolicies(t *testing.T) {
	requireCost(t)
	served := servedNamespace(t)
	ofPolicies := newInstallation(t, "price", "mode=policy", "claims=false").namespace(t)
	awaitMounted(t, ofPolicies, true)
	for _, containers := range []int{1, 10} {
		t.Run(fmt.Sprintf("%d containers", containers), func(t *testing.T) {
			p := &price{Clients: 1, containers: containers}
			for _, suffix := range []string{"", twin} {
				for _, k := range []kind{
					{"without us" + suffix, unserved, true, false},
					{"webhook" + suffix, served, true, true},
					{"policies" + suffix, ofPolicies, true, true},
				} {
					p.blocks = append(p.blocks, block{kinds: []kind{k}})
				}
			}
			p.measure(t)
			p.compare("webhook", "without us")
			p.compare("policies", "without us")
			p.compare("policies", "webhook")
			p.compareTwins()
			p.logTable(t)
		})
	}
}

// servedNamespace makes a namespace with its claim, as it is after its first pod.
func servedNamespace(t *testing.T) string {
	t.Helper()
	namespace := newNamespace(t)
	awaitClaimOf(t, namespace)
	return namespace
}

// measure creates the pods.
func (p *price) measure(t *testing.T) {
	t.Helper()
	p.Test, p.Machine, p.Before = t.Name(), figures.Describe().String(), figures.Load()
	clients := make([]kubernetes.Interface, p.Clients)
	for i := range clients {
		clients[i] = ownConnection(t)
	}

	p.round(t, clients) // the first round only warms up
	p.series, p.cpu = map[string]latency.Series{}, map[string]latency.Series{}
	for range (*creations + perRound - 1) / perRound {
		for _, b := range p.blocks {
			for _, k := range b.kinds {
				p.series[k.name] = append(p.series[k.name], nil)
			}
		}
		p.round(t, clients)
	}
	p.After = figures.Load()

	for _, b := range p.blocks {
		for _, k := range b.kinds {
			s := p.series[k.name]
			p.Kinds = append(p.Kinds, quantiles{
				k.name, s.Count(), milliseconds(s.Quantile(.5)), milliseconds(s.Quantile(.99)), milliseconds(s.Quantile(1)),
				milliseconds(p.cpu[k.name].Quantile(.5)),
			})
		}
	}
}

// ownConnection returns a client with a connection of its own.
func ownConnection(t *testing.T) kubernetes.Interface {
	t.Helper()
	config := rest.CopyConfig(shared.Config)
	config.WarningHandler = rest.NoWarnings{}
	config.UserAgent = t.Name()
	transport, err := rest.HTTPClientFor(config)
	require.NoError(t, err)
	client, err := kubernetes.NewForConfigAndClient(config, transport)
	require.NoError(t, err)
	return client
}

// round creates perRound pods of each kind and deletes them.
func (p *price) round(t *testing.T, clients []kubernetes.Interface) {
	t.Helper()
	for _, i := range rand.Perm(len(p.blocks)) {
		b := p.blocks[i]
		if b.prepare != nil {
			b.prepare(t)
		}
		due := make(chan kind, perRound*len(b.kinds))
		for _, i := range rand.Perm(cap(due)) {
			due <- b.kinds[i%len(b.kinds)]
		}
		close(due)
		before := serverUsage(t)
		p.work(t, clients, due)
		if name := b.kinds[0].name; len(b.kinds) == 1 && p.cpu != nil {
			p.cpu[name] = append(p.cpu[name], []time.Duration{(serverUsage(t) - before) / perRound})
		}
		p.sweep(t, b)
	}
}

// serverUsage is the CPU time that the API server has used.
func serverUsage(t *testing.T) time.Duration {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(filepath.Dir(shared.Plane.Kubeconfig), "kube-apiserver.pid"))
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	used, err := process.UsageOf(pid)
	require.NoError(t, err)
	return used.CPU
}

// work has all clients create the pods that are due, each one after another.
func (p *price) work(t *testing.T, clients []kubernetes.Interface, due <-chan kind) {
	t.Helper()
	var all errgroup.Group
	for _, client := range clients {
		all.Go(func() error {
			for k := range due {
				if err := p.create(t, client, k); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, all.Wait())
}

func (p *price) create(t *testing.T, client kubernetes.Interface, k kind) error {
	pod := pricePod(k.labelled)
	for i := 1; i < p.containers; i++ {
		more := pod.Spec.Containers[0]
		more.Name += strconv.Itoa(i)
		pod.Spec.Containers = append(pod.Spec.Containers, more)
	}
	begun := time.Now()
	made, err := client.CoreV1().Pods(k.namespace).Create(t.Context(), pod, metav1.CreateOptions{})
	elapsed := time.Since(begun)
	if err != nil {
		return fmt.Errorf("create a pod, %s: %w", k.name, err)
	}
	if isMounted(made) != k.mounted {
		return fmt.Errorf("a pod, %s: it must come with storage: %t", k.name, k.mounted)
	}

	p.mutex.Lock()
	defer p.mutex.Unlock()
	if s := p.series[k.name]; len(s) > 0 {
		s[len(s)-1] = append(s[len(s)-1], elapsed)
	}
	return nil
}

// pricePod is as small as small pods are. It names a scheduler that does not exist, so that no
// component but the webhook changes it.
func pricePod(labelled bool) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "priced-", Labels: map[string]string{costLabel: "timed"}},
		Spec: corev1.PodSpec{
			SchedulerName: "no-scheduler",
			Containers: []corev1.Container{{
				Name: "main", Image: "registry.example.com/team/pipeline:2026.10", Args: []string{"run", "--part", "1"},
				Env: []corev1.EnvVar{{Name: "PART", Value: "1"}, {Name: "DATA", Value: "/data"}},
			}},
		},
	}
	if labelled {
		pod.Labels[kinds.Label] = kinds.LabelEnabled
	}
	return pod
}

// isMounted reports whether the webhook has given storage to a pod.
func isMounted(pod *corev1.Pod) bool {
	for _, volume := range pod.Spec.Volumes {
		if volume.PersistentVolumeClaim != nil {
			return pod.Annotations[inject.AnnotationInjected] != ""
		}
	}
	return false
}

// sweep deletes the pods of a block. No node runs them, so they are deleted at once.
func (p *price) sweep(t *testing.T, b block) {
	t.Helper()
	swept := map[string]bool{}
	for _, k := range b.kinds {
		if swept[k.namespace] {
			continue
		}
		swept[k.namespace] = true
		require.NoError(t, deletePriced(t, k.namespace))
	}
}

func deletePriced(t *testing.T, namespace string) error {
	now := int64(0)
	return shared.Client.CoreV1().Pods(namespace).DeleteCollection(t.Context(),
		metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{LabelSelector: costLabel})
}

// compare compares two kinds, with their twins.
func (p *price) compare(one, other string) {
	both := func(name string) latency.Series { return p.series[name].Merge(p.series[name+twin]) }
	p.add(one+" − "+other, both(one), both(other))
	if cpu := p.cpu; len(cpu) > 0 {
		p.add("API server's CPU: "+one+" − "+other, cpu[one].Merge(cpu[one+twin]), cpu[other].Merge(cpu[other+twin]))
	}
}

// compareTwins compares what is equal.
func (p *price) compareTwins() {
	for _, k := range p.Kinds {
		if name, ok := strings.CutSuffix(k.Kind, twin); ok {
			p.add("noise: "+name, p.series[name], p.series[k.Kind])
			if cpu := p.cpu; len(cpu) > 0 {
				p.add("noise of the API server's CPU: "+name, cpu[name], cpu[k.Kind])
			}
		}
	}
}

func (p *price) add(what string, one, other latency.Series) {
	found := latency.Compare(one, other, .5, .99)
	half, most := found[0], found[1]
	p.Differences = append(p.Differences, difference{
		What: what,
		Half: milliseconds(half.Estimate), HalfFrom: milliseconds(half.Low), HalfTo: milliseconds(half.High),
		Most: milliseconds(most.Estimate), MostFrom: milliseconds(most.Low), MostTo: milliseconds(most.High),
	})
}

func (p *price) logTable(t *testing.T) {
	t.Helper()
	var out strings.Builder
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%s; clients: %d; load average %s before, %s after\n\n", p.Machine, p.Clients, p.Before, p.After)
	fmt.Fprintln(table, "pod\tcreated\tp50 ms\tp99 ms\tslowest ms\tAPI server's CPU ms")
	for _, k := range p.Kinds {
		fmt.Fprintf(table, "%s\t%d\t%.2f\t%.2f\t%.2f\t%.2f\n", k.Kind, k.Count, k.Half, k.Most, k.Slowest, k.CPU)
	}
	fmt.Fprintln(table, "\ndifference\tp50 ms\t95 %\tp99 ms\t95 %")
	for _, d := range p.Differences {
		fmt.Fprintf(table, "%s\t%+.2f\t%+.2f to %+.2f\t%+.2f\t%+.2f to %+.2f\n",
			d.What, d.Half, d.HalfFrom, d.HalfTo, d.Most, d.MostFrom, d.MostTo)
	}
	require.NoError(t, table.Flush())
	t.Logf("\n%s", &out)
	writeCost(t, p)
}

// writeCost appends a result to the file of the flag.
func writeCost(t *testing.T, result any) {
	t.Helper()
	if *costs == "" {
		return
	}
	line, err := json.Marshal(result)
	require.NoError(t, err)
	out, err := os.OpenFile(*costs, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	_, err = out.Write(append(line, '\n'))
	require.NoError(t, err)
	require.NoError(t, out.Close())
}

// milliseconds with as many digits as the clock resolves.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}

// awaitClaimOf creates a first labelled pod in a namespace and waits until its claim exists.
func awaitClaimOf(t *testing.T, namespaces ...string) {
	t.Helper()
	require.NoError(t, eachOf(len(namespaces), func(i int) error {
		pod := pricePod(true)
		pod.GenerateName = "first-"
		_, err := shared.Client.CoreV1().Pods(namespaces[i]).Create(t.Context(), pod, metav1.CreateOptions{})
		return err
	}))
	suite.EventuallyWithin(t, podLimit, "every namespace should get its claim", claimsAreIn(namespaces))
}
