package alternatives_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pipeline-storage/pipeline-storage/test/controlplane"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
	"github.com/pipeline-storage/pipeline-storage/test/process"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	// namespaceLabel is on all namespaces, because the webhook of PodDefaults serves no others.
	namespaceLabel, namespaceValue = "app.kubernetes.io/part-of", "kubeflow-profile"
	// counted is how many pods requests are counted for.
	counted = 20
	// absent is how long a claim must not appear to count as missing.
	absent = 5 * time.Second

	webhookCalls = "apiserver_admission_webhook_admission_duration_seconds_count"
)

// fact is a row of the table of facts.
type fact struct {
	key, title string
	see        func(t *testing.T, a alternative, r running) string
	// served is set for what only running servers show.
	served bool
}

// factRows are the rows, in their order.
var factRows = []fact{
	{
		key: "lines", title: "lines of YAML that you write once",
		see: countLines(func(a alternative) []string { return a.files }),
	},
	{
		key: "namespace", title: "more lines for each namespace",
		see: countLines(func(a alternative) []string { return a.perNamespace }),
	},
	{
		key: "application", title: "more lines for each application",
		see: countLines(func(a alternative) []string { return a.perApplication }),
	},
	{key: "objects", title: "objects in the cluster that it consists of", see: countObjects, served: true},
	{key: "servers", title: "Deployments that must run", see: countDeployments, served: true},
	{key: "certificates", title: "Secrets with a CA of its own", see: countCertificates, served: true},
	{key: "calls", title: "calls of a webhook for each pod", see: countCalls, served: true},
	{key: "requests", title: "requests of its servers to the API server for each pod", see: countRequests, served: true},
	{key: "outage", title: "a pod while no server of it answers", see: seeOutage, served: true},
	{key: "direct", title: "a pod that a program creates, without Helm and kustomize", see: seeDirect, served: true},
	{key: "sidecar", title: "a pod to which another policy adds a container", see: seeSidecar, served: true},
	{key: "unprepared", title: "a pod in a namespace that was not prepared", see: seeUnprepared},
	{key: "uninstalled", title: "the application is uninstalled and installed again", see: seeUninstalled},
	{key: "deleted", title: "the claim is deleted and created again", see: seeDeleted},
}

// facts returns what the rows find.
func (a alternative) facts(t *testing.T, r running) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, f := range factRows {
		if !f.served || !r.offline {
			all[f.key] = f.see(t, a, r)
		}
	}
	return all
}

// countLines counts the lines of files, without comments and empty ones.
func countLines(of func(a alternative) []string) func(*testing.T, alternative, running) string {
	return func(t *testing.T, a alternative, _ running) string {
		t.Helper()
		lines := 0
		for _, file := range of(a) {
			data, err := os.ReadFile(filepath.Join("testdata", file))
			require.NoError(t, err)
			for line := range strings.Lines(string(data)) {
				if line = strings.TrimSpace(line); line != "" && line != "---" && !strings.HasPrefix(line, "#") {
					lines++
				}
			}
		}
		return strconv.Itoa(lines)
	}
}

// countObjects counts the objects of its installation.
func countObjects(_ *testing.T, _ alternative, r running) string {
	total := 0
	for _, count := range r.objects {
		total += count
	}
	return strconv.Itoa(total)
}

func countDeployments(_ *testing.T, _ alternative, r running) string {
	return strconv.Itoa(r.objects["Deployment"])
}

func countCertificates(_ *testing.T, _ alternative, r running) string {
	return strconv.Itoa(r.certificates)
}

// namespace makes a namespace with what the alternative needs there.
func (a alternative) namespace(t *testing.T, r running) string {
	t.Helper()
	namespace := newNamespace(t)
	if r.prepare != nil {
		r.prepare(t, namespace)
		return namespace
	}
	for _, file := range a.perNamespace {
		apply(t, namespace, file)
	}
	return namespace
}

func newNamespace(t *testing.T) string {
	t.Helper()
	return suite.Namespace(t, suite.Kubernetes(t), "alternative", map[string]string{namespaceLabel: namespaceValue})
}

// kubectl runs it as an administrator. What it warns of must not be the claim: see [silent].
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	shell := suite.Shell{Programs: parts.Require(t, "kubectl"), Env: []string{"KUBECONFIG=" + suite.Plane(t).Kubeconfig}}
	return silent(t, shell.Exec(t.Context(), t, "kubectl", args...))
}

// silent returns the standard output of a command that has to succeed, and not to warn of the claim: a new, empty
// volume would not be a silence.
func silent(t *testing.T, result suite.Result) string {
	t.Helper()
	out := result.Must(t)
	assert.NotContains(t, result.Stderr, claimName)
	return out
}

// apply applies a file of testdata.
func apply(t *testing.T, namespace, file string) {
	t.Helper()
	kubectl(t, "apply", "--namespace", namespace, "--filename", filepath.Join("testdata", file))
}

// countCalls counts the calls of webhooks by the API server's own metric.
func countCalls(t *testing.T, a alternative, r running) string {
	t.Helper()
	namespace := a.namespace(t, r)
	before := calls(t)
	createPods(t, r, namespace)
	return perPod(calls(t) - before)
}

func createPods(t *testing.T, r running, namespace string) {
	t.Helper()
	for range counted {
		_, _, err := r.create(t, namespace, plain(t))
		require.NoError(t, err)
	}
}

func perPod(total float64) string { return fmt.Sprint(math.Round(total / counted)) }

func calls(t *testing.T) float64 {
	t.Helper()
	page, err := suite.Kubernetes(t).Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
	require.NoError(t, err)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(page))
	require.NoError(t, err)
	total, err := process.Metrics(families).Sum(webhookCalls)
	if err != nil {
		return 0 // none was ever called
	}
	return total
}

// countRequests counts the requests of the servers by the audit log. It leaves out what does not depend on pods:
// watches, and leases of leaders.
func countRequests(t *testing.T, a alternative, r running) string {
	t.Helper()
	if r.account == "" {
		return "0"
	}
	namespace := a.namespace(t, r)
	_, _, err := r.create(t, namespace, plain(t)) // what it does once for a namespace
	require.NoError(t, err)
	if r.makesClaim {
		boundVolume(t, namespace)
	}
	before := requests(t, r.account)
	require.NotZero(t, before, "%s does nothing", r.account)
	createPods(t, r, namespace)
	return perPod(requests(t, r.account) - before)
}

func requests(t *testing.T, account string) float64 {
	t.Helper()
	events, err := suite.Plane(t).Audit()
	require.NoError(t, err)
	total := 0.0
	for _, e := range events {
		if controlplane.Actor(e) == account && e.Verb != "watch" && (e.ObjectRef == nil || e.ObjectRef.Resource != "leases") {
			total++
		}
	}
	return total
}

// seeUnprepared creates a pod in a namespace for which nothing was done.
func seeUnprepared(t *testing.T, _ alternative, r running) string {
	t.Helper()
	namespace := newNamespace(t)
	if r.install != nil {
		r.install(t, namespace)
		boundVolume(t, namespace)
		return "storage, and its own claim"
	}
	outcome := r.outcome(t, namespace, plain(t))
	if outcome != "storage" {
		return outcome
	}
	if r.makesClaim {
		boundVolume(t, namespace)
		return "storage, and the claim is created"
	}
	requireNoClaim(t, namespace)
	return "it waits for a claim that is never created"
}

// requireNoClaim waits as long as a claim takes to be created, and fails the test when it is.
func requireNoClaim(t *testing.T, namespace string) {
	t.Helper()
	time.Sleep(absent)
	claims := suite.Kubernetes(t).CoreV1().PersistentVolumeClaims(namespace)
	_, err := claims.Get(t.Context(), claimName, metav1.GetOptions{})
	require.True(t, apierrors.IsNotFound(err), "%v", err)
}

// boundVolume waits until the claim of the namespace is bound, and returns its volume.
func boundVolume(t *testing.T, namespace string) string {
	t.Helper()
	volume := ""
	suite.Eventually(t, "the claim should be bound", func(ctx context.Context) error {
		claim, err := suite.Kubernetes(t).CoreV1().PersistentVolumeClaims(namespace).Get(ctx, claimName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if volume = claim.Spec.VolumeName; claim.Status.Phase != corev1.ClaimBound || claim.DeletionTimestamp != nil {
			return errors.New("it is not bound")
		}
		return nil
	})
	return volume
}

// compareVolumes describes what an application finds that had its data in the volume before.
func compareVolumes(before, after string) string {
	if before == after {
		return "the same volume"
	}
	return "**silently** a new, empty volume"
}

// seeDeleted deletes the claim of a namespace and has it created again in the way of the alternative.
func seeDeleted(t *testing.T, a alternative, r running) string {
	t.Helper()
	namespace := newNamespace(t)
	create := func() {
		switch {
		case r.install != nil:
			r.install(t, namespace)
		case r.makesClaim:
			_, _, err := r.create(t, namespace, plain(t))
			require.NoError(t, err)
		default:
			for _, file := range a.perNamespace {
				apply(t, namespace, file)
			}
		}
	}
	create()
	before := boundVolume(t, namespace)
	kubectl(t, "delete", "persistentvolumeclaim", claimName, "--namespace", namespace)
	create()
	return compareVolumes(before, boundVolume(t, namespace))
}

// seeUninstalled installs an application, uninstalls it with what belongs to it, and installs it again.
func seeUninstalled(t *testing.T, a alternative, r running) string {
	t.Helper()
	namespace := a.namespace(t, r)
	client := suite.Kubernetes(t).AppsV1().Deployments(namespace)
	if r.install == nil {
		r.install = func(t *testing.T, _ string) {
			t.Helper()
			_, err := client.Create(t.Context(), deploymentOf(plain(t)), metav1.CreateOptions{})
			require.NoError(t, err)
		}
		r.uninstall = func(t *testing.T, namespace string) {
			t.Helper()
			kubectl(t, "delete", "deployment", "--all", "--namespace", namespace)
		}
	}
	r.install(t, namespace)
	before := boundVolume(t, namespace)
	r.uninstall(t, namespace)
	r.install(t, namespace)
	return compareVolumes(before, boundVolume(t, namespace))
}

// deploymentOf returns a workload with the pod as its template.
func deploymentOf(p *pod) *appsv1.Deployment {
	labels := maps.Clone(p.Labels)
	labels["app"] = p.Name
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Name: p.Name},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": p.Name}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: p.Annotations}, Spec: p.Spec,
			},
		},
	}
}

// seeOutage ends the servers and creates a pod.
func seeOutage(t *testing.T, a alternative, r running) string {
	t.Helper()
	if r.stop == nil {
		return "as always: it has none"
	}
	namespace := a.namespace(t, r)
	start := r.stop()
	outcome := r.outcome(t, namespace, plain(t))
	if strings.Contains(outcome, "failed calling webhook") {
		start()
		return "refused"
	}
	requireNoClaim(t, namespace)
	start()
	boundVolume(t, namespace)
	return outcome + ", and it waits: the claim is created when a server answers again"
}

// seeDirect creates a pod as programs do, which send it to the API server themselves.
func seeDirect(t *testing.T, a alternative, r running) string {
	t.Helper()
	return running{}.outcome(t, a.namespace(t, r), plain(t))
}

// seeSidecar creates a pod that gets a container by testdata/sidecar.yaml.
func seeSidecar(t *testing.T, a alternative, r running) string {
	t.Helper()
	namespace, wanted, outcome := a.namespace(t, r), plain(t), ""
	wanted.Labels["sidecar"] = "wanted"
	apply(t, namespace, "sidecar.yaml")
	defer kubectl(t, "delete", "--filename", filepath.Join("testdata", "sidecar.yaml"))
	suite.Eventually(t, "the pod should get a sidecar", func(context.Context) error {
		created, warnings, err := r.create(t, namespace, wanted)
		if err != nil {
			return err
		}
		if outcome = describe(findings(wanted, created), warnings); len(created.Spec.Containers) == 1 {
			return errors.New("it has none")
		}
		return nil
	})
	return outcome
}
