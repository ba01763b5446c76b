package scale

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	// clients create pods at the same time.
	clients = 32
	// background is how long the idle requests of the replicas are counted.
	background = 20 * time.Second
	// claimsLimit is how long the claims may take from the first pod on. The API server, not the
	// webhook, should be the bottleneck.
	claimsLimit = 3 * time.Minute
)

// TestScale makes the pods and prints a table.
func TestScale(t *testing.T) {
	if !*enabled {
		t.Skip("not covered: the scale of docs/scale.md, which takes minutes. Run: go test ./test/scale -v -args -scale")
	}
	m := newMeasurement(t)
	m.idle = m.observe(t, "installed")
	m.listen(t)

	require.NoError(t, m.createAll(t, func(i int) (string, *corev1.Pod) { return m.bystanders, pod(i, nil) }))
	m.observe(t, fmt.Sprintf("and %d pods without the label", *pods))

	begun := time.Now()
	var creating errgroup.Group
	creating.Go(func() error {
		defer func() { m.createdIn = time.Since(begun) }()
		return m.createAll(t, func(i int) (string, *corev1.Pod) {
			return m.users[i%len(m.users)], pod(i, map[string]string{kinds.Label: kinds.LabelEnabled})
		})
	})
	m.awaitClaims(t, begun)
	require.NoError(t, creating.Wait())
	m.awaitNamespaceUIDs(t)
	m.loaded = m.observe(t, fmt.Sprintf("and %d labelled pods in %d namespaces", *pods, *namespaces))
	m.logTable(t)
}

// pod names a scheduler that does not exist: it stays as it was created.
func pod(i int, labels map[string]string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("pod-%d", i), Labels: labels},
		Spec: corev1.PodSpec{
			SchedulerName: "no-scheduler",
			Containers: []corev1.Container{{
				Name: "main", Image: "registry.example.com/team/pipeline:2026.10", Args: []string{"run", "--part", strconv.Itoa(i)},
				Env: []corev1.EnvVar{{Name: "PART", Value: strconv.Itoa(i)}, {Name: "DATA", Value: "/data"}},
			}},
		},
	}
}

// measurement is one run.
type measurement struct {
	webhook    *suite.Webhook
	client     kubernetes.Interface
	bystanders string
	users      []string

	observations []observation
	idle, loaded observation
	// perSecond is the request rate of all idle replicas.
	perSecond float64
	createdIn time.Duration
	// halfClaims is when half of the claims were bound, allClaims when all were, both since the
	// first pod.
	halfClaims, allClaims time.Duration
}

func newMeasurement(t *testing.T) *measurement {
	t.Helper()
	config := suite.RESTConfig(t)
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.QPS, config.Burst = float32(*rate), *rate
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	m := &measurement{client: client, bystanders: "bystanders"}
	m.webhook = suite.InstallWebhook(t.Context(), t, suite.Installation{
		Release: "ps", Namespace: "storage", Replicas: 2, Helm: []string{"--values=testdata/values.yaml"},
	})
	t.Cleanup(m.webhook.Stop)
	for i := range *namespaces {
		m.users = append(m.users, fmt.Sprintf("team-%d", i))
	}
	m.makeNamespaces(t, append([]string{m.bystanders}, m.users...))
	return m
}

// makeNamespaces creates namespaces and waits for what a pod needs of them.
func (m *measurement) makeNamespaces(t *testing.T, names []string) {
	t.Helper()
	err := each(t, len(names), func(ctx context.Context, i int) error {
		_, err := m.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: names[i]}},
			metav1.CreateOptions{})
		return err
	})
	require.NoError(t, err)
	suite.EventuallyWithin(t, 2*time.Minute, "every namespace should get its account", func(ctx context.Context) error {
		list, err := m.client.CoreV1().ServiceAccounts("").List(ctx,
			metav1.ListOptions{FieldSelector: "metadata.name=default"})
		if err == nil && len(list.Items) < len(names) {
			err = fmt.Errorf("%d of %d have one", len(list.Items), len(names))
		}
		return err
	})
}

// createAll creates the pods at the rate.
func (m *measurement) createAll(t *testing.T, newPod func(i int) (namespace string, pod *corev1.Pod)) error {
	t.Helper()
	return each(t, *pods, func(ctx context.Context, i int) error {
		namespace, pod := newPod(i)
		_, err := m.client.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{})
		return err
	})
}

// each calls do count times, several at once, and returns the first error.
func each(t *testing.T, count int, do func(ctx context.Context, i int) error) error {
	t.Helper()
	all, ctx := errgroup.WithContext(t.Context())
	all.SetLimit(clients)
	for i := range count {
		all.Go(func() error { return do(ctx, i) })
	}
	return all.Wait()
}

// awaitClaims waits until each namespace of users has a bound claim.
func (m *measurement) awaitClaims(t *testing.T, begun time.Time) {
	t.Helper()
	suite.EventuallyWithin(t, claimsLimit, "every namespace should get its claim", func(ctx context.Context) error {
		bound, err := m.boundClaims(ctx)
		if err != nil {
			return err
		}
		if m.halfClaims == 0 && bound >= len(m.users)/2 {
			m.halfClaims = time.Since(begun)
		}
		if bound < len(m.users) {
			return fmt.Errorf("%d of %d have one, %s after the first pod", bound, len(m.users),
				time.Since(begun).Round(time.Second))
		}
		return nil
	})
	m.allClaims = time.Since(begun)
}

// awaitNamespaceUIDs waits until each volume has the UID of its namespace, which is the
// controller's last step.
func (m *measurement) awaitNamespaceUIDs(t *testing.T) {
	t.Helper()
	suite.EventuallyWithin(t, claimsLimit, "every volume should have the UID of its namespace",
		func(ctx context.Context) error {
			volumes, err := m.client.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
			done := 0
			for i := range volumes.Items {
				if volumes.Items[i].Labels[storage.LabelNamespaceUID] != "" {
					done++
				}
			}
			if err == nil && done < len(m.users) {
				err = fmt.Errorf("%d of %d are", done, len(m.users))
			}
			return err
		})
}

func (m *measurement) boundClaims(ctx context.Context) (int, error) {
	claims, err := m.client.CoreV1().PersistentVolumeClaims("").List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return 0, err
	}
	bound := 0
	for i := range claims.Items {
		if claims.Items[i].Status.Phase == corev1.ClaimBound {
			bound++
		}
	}
	return bound, nil
}

// listen counts the requests of idle replicas: they renew the Lease and check the certificate.
func (m *measurement) listen(t *testing.T) {
	t.Helper()
	begun := time.Now()
	time.Sleep(background)
	now := m.read(t, "")
	m.perSecond = (now.requests() - m.idle.requests()) / time.Since(begun).Seconds()
	m.idle = now
}

func (m *measurement) observe(t *testing.T, name string) observation {
	t.Helper()
	var last observation
	suite.Eventually(t, "the replicas should be done", func(ctx context.Context) error {
		last = m.read(t, name)
		for _, r := range last.replicas {
			if queued, _ := r.Sum("workqueue_depth"); queued > 0 { // the metric appears with the first one
				return fmt.Errorf("%s has %v reconciliations queued", r.pod, queued)
			}
		}
		return ctx.Err()
	})
	m.observations = append(m.observations, last)
	return last
}

func (m *measurement) logTable(t *testing.T) {
	t.Helper()
	var text strings.Builder
	out := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	row := func(cells ...any) {
		fmt.Fprintln(out, strings.TrimSuffix(fmt.Sprintf(strings.Repeat("%v\t", len(cells)), cells...), "\t"))
	}
	row("memory in MiB", "replica", "resident", "heap in use")
	for _, o := range m.observations {
		for i, r := range o.replicas {
			heap, _ := r.Sum("go_gc_heap_live_bytes")
			row(o.name, i+1, mib(float64(r.resident)), mib(heap))
		}
	}
	admissions := m.grown("pipeline_storage_admission_duration_seconds_count")
	require.InDelta(t, *pods, admissions, 0, "no pod was admitted twice")
	calls := m.loaded.requests() - m.idle.requests() - m.perSecond*m.loaded.at.Sub(m.idle.at).Seconds()
	row()
	row("labelled pods created in", m.createdIn.Round(100*time.Millisecond),
		fmt.Sprintf("%.0f/s", float64(*pods)/m.createdIn.Seconds()))
	row("half of the claims bound", m.halfClaims.Round(100*time.Millisecond), "after the first pod")
	row("all claims bound", m.allClaims.Round(100*time.Millisecond), "after the first pod")
	row("admissions", admissions, m.mean("pipeline_storage_admission_duration_seconds"), "each in the handler")
	row("requests while nothing happens", fmt.Sprintf("%.2f/s", m.perSecond), "both replicas")
	row("requests for the claims", fmt.Sprintf("%.0f", calls),
		fmt.Sprintf("%.1f a namespace", calls/float64(len(m.users))))
	for _, method := range []string{"GET", "POST", "PATCH", "PUT"} {
		row("  of all: "+method, m.grown(requestsTotal, `method="`+method+`"`))
	}
	row("duration of a reconciliation", m.mean("controller_runtime_reconcile_time_seconds"),
		fmt.Sprintf("%.1f reconciliations a namespace",
			m.grown("controller_runtime_reconcile_time_seconds_count")/float64(len(m.users))))
	row("errors of the claims controller", m.loaded.sum("pipeline_storage_claims_errors_total"))
	row("load of the machine", loadAverage())
	require.NoError(t, out.Flush())
	t.Log("\n" + text.String())
}

// grown is by how much a counter is higher than in the idle state.
func (m *measurement) grown(name string, labels ...string) float64 {
	return m.loaded.sum(name, labels...) - m.idle.sum(name, labels...)
}

// mean is the mean of a histogram since then.
func (m *measurement) mean(name string) time.Duration {
	return time.Duration(m.grown(name+"_sum") / m.grown(name+"_count") * float64(time.Second)).Round(time.Microsecond)
}

func mib(bytes float64) string { return fmt.Sprintf("%.1f", bytes/(1<<20)) }

// loadAverage is the kernel's: how many tasks wanted to run in the last minutes. Empty where the
// kernel does not provide it.
func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	return strings.TrimSpace(string(text))
}
