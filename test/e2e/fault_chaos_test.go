package e2e

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/pipeline-storage/pipeline-storage/pkg/inject/kinds"
	"github.com/pipeline-storage/pipeline-storage/pkg/inject/storage"
	"github.com/pipeline-storage/pipeline-storage/test/suite"
)

const (
	// steadyRate is how many labelled pods are created in a second.
	steadyRate = 4
	// stuckLimit is how long work may still take when nothing is killed any more. Before, one step
	// may need several of the killed parts at a time, for which no limit would be right.
	stuckLimit = 6 * time.Minute
	// mostAway is the longest time that a part of the control plane is down, without its start.
	mostAway = 8 * time.Second
	// everyLeader is the interval of kills that hit the leader: one of this many.
	everyLeader = 3

	checkpointBytes = "65536"
	writtenBytes    = "262144"
)

var chaosFor = flag.Duration("chaos", 10*time.Minute, "how long TestChaos kills")

// planeParts are killed at random, and revived in this order: one needs the ones before it.
var planeParts = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}

// TestChaos kills the webhook and the control plane at random, while pods are created, Jobs train,
// a program records, and claims are deleted by mistake. Refused requests are retried, as
// controllers do. No data is lost, no object gets stuck, and no labelled pod is admitted without
// its storage.
func TestChaos(t *testing.T) {
	requireFull(t)
	c := &chaos{t: t, client: loadClient(t), count: map[string]int{}, longest: map[string]time.Duration{}}
	stream := random(t)
	trainers := []string{newNamespace(t), newNamespace(t)}
	recorder, deletedClaims := newNamespace(t), newNamespace(t)
	c.namespaces = append(slices.Clone(trainers), recorder, deletedClaims)
	t.Cleanup(func() { reviveAll(t) })

	ctx, cancel := context.WithTimeout(t.Context(), *chaosFor)
	defer cancel()
	begun := time.Now()
	c.start("the control plane", func() error { return c.killPlane(ctx, stream(1)) })
	c.start("the webhook", func() error { return c.killWebhook(ctx, sharedInstallation(), stream(2)) })
	for _, namespace := range trainers {
		c.start("Jobs", func() error { return c.trainJobs(ctx, namespace) })
	}
	c.start("records", func() error { return c.recordThroughFaults(ctx, recorder, stream(3)) })
	c.start("mistakes", func() error { return c.deleteClaimsRepeatedly(ctx, deletedClaims) })
	c.start("newcomers", func() error { return c.createNamespaces(ctx, stream(4)) })
	c.steady(ctx)
	c.all.Wait()
	t.Logf("the last work ended %s after the last kill", (time.Since(begun) - *chaosFor).Round(time.Second))
	if t.Failed() {
		return
	}

	c.assertRecovered()
	_, restarts := sharedInstallation().changes(t)
	c.add("restarts of replicas", restarts)
	requests := sharedInstallation().assertNothingDeleted(t)
	c.add("deletions of claims and volumes by the installation", 0) // or the line above has failed the test
	c.add("requests of the webhook to the API server", sum(requests))
	c.logTable()
}

// chaos holds the faults and their outcome.
type chaos struct {
	t          *testing.T
	client     kubernetes.Interface
	namespaces []string
	all        sync.WaitGroup

	mutex    sync.Mutex
	count    map[string]int
	longest  map[string]time.Duration
	admitted time.Time
	// newNamespaces are namespaces that were created meanwhile, with the file that was written
	// there.
	newNamespaces map[string]file
}

func (c *chaos) start(what string, do func() error) {
	c.all.Go(func() {
		if err := do(); err != nil {
			c.t.Errorf("%s: %v", what, err)
		}
	})
}

func (c *chaos) add(what string, n int) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.count[what] += n
}

func (c *chaos) logDuration(what string, d time.Duration) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.longest[what] = max(c.longest[what], d)
}

// logTable writes the table of figures.
func (c *chaos) logTable() {
	var out strings.Builder
	fmt.Fprintf(&out, "chaos for %s\n", *chaosFor)
	for _, what := range slices.Sorted(maps.Keys(c.count)) {
		fmt.Fprintf(&out, "| %s | %d |\n", what, c.count[what])
	}
	for _, what := range slices.Sorted(maps.Keys(c.longest)) {
		fmt.Fprintf(&out, "| longest %s | %.1f s |\n", what, c.longest[what].Seconds())
	}
	fmt.Fprintln(&out, "| lost | 0 |") // or the test has failed
	c.t.Log(out.String())
}

func sum(counts map[string]int) (total int) {
	for _, n := range counts {
		total += n
	}
	return total
}

// killPlane kills parts of the control plane, one or two at a time.
func (c *chaos) killPlane(ctx context.Context, r *rand.Rand) error {
	for pause(ctx, between(r, time.Second, 5*time.Second)) {
		chosen := []string{planeParts[r.IntN(len(planeParts))]}
		if other := planeParts[r.IntN(len(planeParts))]; r.IntN(4) == 0 && other != chosen[0] {
			chosen = append(chosen, other)
		}
		for _, part := range chosen {
			if err := shared.Plane.Kill(part); err != nil {
				return err
			}
			c.add("kills of "+part, 1)
		}
		time.Sleep(between(r, 0, mostAway))
		for _, part := range planeParts {
			if !slices.Contains(chosen, part) {
				continue
			}
			if err := shared.Plane.Revive(context.WithoutCancel(ctx), part); err != nil {
				return err
			}
		}
	}
	return nil
}

// reviveAll restores a whole control plane, also after a failure.
func reviveAll(t *testing.T) {
	t.Helper()
	for _, part := range planeParts {
		if err := shared.Plane.Revive(context.WithoutCancel(t.Context()), part); err != nil &&
			!strings.Contains(err.Error(), "it runs") {
			t.Error(err)
		}
	}
}

// killWebhook kills replicas, one or both.
func (c *chaos) killWebhook(ctx context.Context, victim *installation, r *rand.Rand) error {
	for i := 0; pause(ctx, between(r, 4*time.Second, 12*time.Second)); {
		pods, leader := victim.podsAndLeader(ctx)
		if len(pods) == 0 {
			continue
		}
		// Chosen also when no pod answers, so that the next choices stay the same.
		index, what := r.IntN(len(pods)), "kills of a replica"
		if both := r.IntN(6) == 0; both {
			what = "kills of all replicas"
		} else {
			leaderIndex := slices.IndexFunc(pods, func(p corev1.Pod) bool { return p.Name == leader })
			if i%everyLeader == 0 && leaderIndex >= 0 {
				index = leaderIndex
			}
			if index == leaderIndex {
				what = "kills of the replica that leads"
			}
			pods = pods[index : index+1]
		}
		killed := false
		for k := range pods {
			signaled, err := kill(&pods[k])
			if err != nil {
				return err
			}
			killed = killed || signaled
		}
		if killed {
			c.add(what, 1)
			i++
		}
	}
	return nil
}

// steady creates pods at an even rate, and counts.
func (c *chaos) steady(ctx context.Context) {
	c.admitted = time.Now()
	stats := suite.Load(ctx, steadyRate, func(ctx context.Context, i int) error {
		namespace := c.namespaces[i%len(c.namespaces)]
		pod, err := c.client.CoreV1().Pods(namespace).Create(ctx, idle(unique("idle")), metav1.CreateOptions{})
		switch {
		case err == nil:
			c.noteAdmission()
			if err := hasStorage(pod); err != nil {
				c.t.Error(err)
			}
		case isRefusal(err):
			c.add("pods refused, because no replica answered", 1)
		default:
			c.add("pods not requested, because the control plane was down", 1)
		}
		return err
	})
	c.add("pods not offered, because 256 requests were under way", stats.Missed)
	c.logDuration("time without an admission", time.Since(c.admitted)) // nothing since the last one
}

func (c *chaos) noteAdmission() {
	now := time.Now()
	c.add("pods admitted", 1)
	c.mutex.Lock()
	since := now.Sub(c.admitted)
	c.admitted = now
	c.mutex.Unlock()
	c.logDuration("time without an admission", since)
}

// work repeats one step until the chaos ends. The last one may still take its time.
func work(ctx context.Context, do func(ctx context.Context, i int) error) error {
	end, _ := ctx.Deadline()
	working, cancel := context.WithDeadline(context.WithoutCancel(ctx), end.Add(stuckLimit))
	defer cancel()
	for i := 0; ctx.Err() == nil; i++ {
		if err := do(working, i); err != nil {
			return err
		}
	}
	return nil
}

// create creates a labelled pod as a controller does, with retries. It fails if the pod has no
// storage.
func (c *chaos) create(ctx context.Context, namespace string, pod *corev1.Pod) error {
	return retry(ctx, "create the pod "+namespace+"/"+pod.Name, func(ctx context.Context) error {
		pods := c.client.CoreV1().Pods(namespace)
		made, err := pods.Create(ctx, pod, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) { // the answer to an earlier try was lost
			made, err = pods.Get(ctx, pod.Name, metav1.GetOptions{})
		}
		if err != nil {
			return err
		}
		if err := hasStorage(made); err != nil {
			c.t.Error(err)
		}
		return nil
	})
}

// await waits until a pod is as it should be.
func (c *chaos) await(ctx context.Context, namespace, name string, is func(*corev1.Pod) bool) error {
	return retry(ctx, "wait for the pod "+namespace+"/"+name, func(ctx context.Context) error {
		pod, err := c.client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		if err == nil && !is(pod) {
			err = fmt.Errorf("it is %s: %s", pod.Status.Phase, why(pod))
		}
		return err
	})
}

func hasEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// log returns a pod's log, once it is not empty.
func (c *chaos) log(ctx context.Context, namespace, name string) (text string, err error) {
	err = retry(ctx, "read the log of "+namespace+"/"+name, func(ctx context.Context) error {
		var err error
		if text, err = logOf(ctx, c.client, namespace, name); err == nil && text == "" {
			err = errors.New("it is empty")
		}
		return err
	})
	return text, err
}

// run runs a pod to its end and returns its log.
func (c *chaos) run(ctx context.Context, namespace string, pod *corev1.Pod) (string, error) {
	if err := c.create(ctx, namespace, pod); err != nil {
		return "", err
	}
	if err := c.await(ctx, namespace, pod.Name, hasEnded); err != nil {
		return "", err
	}
	text, err := c.log(ctx, namespace, pod.Name)
	if err == nil {
		err = c.await(ctx, namespace, pod.Name, func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodSucceeded })
	}
	return text, err
}

// remove deletes an object and returns when it no longer exists, or another one has its name.
func remove(ctx context.Context, what string, deleteObject func(context.Context) error,
	uid func(context.Context) (types.UID, error),
) error {
	var first types.UID
	return retry(ctx, "delete "+what, func(ctx context.Context) error {
		now, err := uid(ctx)
		if apierrors.IsNotFound(err) || err == nil && first != "" && now != first {
			return nil
		}
		if err != nil {
			return err
		}
		first = now
		if err := deleteObject(ctx); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		return errors.New("it is there")
	})
}

func (c *chaos) deletePod(ctx context.Context, namespace, name string) error {
	pods := c.client.CoreV1().Pods(namespace)
	return remove(ctx, "the pod "+namespace+"/"+name,
		func(ctx context.Context) error { return pods.Delete(ctx, name, metav1.DeleteOptions{}) },
		func(ctx context.Context) (types.UID, error) {
			pod, err := pods.Get(ctx, name, metav1.GetOptions{})
			return pod.GetUID(), err
		})
}

// trainJobs runs one Job after the other. Each resumes where the one before it ended.
func (c *chaos) trainJobs(ctx context.Context, namespace string) error {
	epoch := 0
	return work(ctx, func(ctx context.Context, i int) error {
		begun := time.Now()
		name := fmt.Sprintf("train-%d", i)
		if err := c.finishJob(ctx, namespace, name); err != nil {
			return err
		}
		c.logDuration("wait for a Job", time.Since(begun))
		next, err := c.trainedBy(ctx, namespace, name, epoch)
		if err != nil {
			return err
		}
		c.add("Jobs that resumed from the one before", 1)
		epoch = next
		return nil
	})
}

func (c *chaos) finishJob(ctx context.Context, namespace, name string) error {
	pod := boxPod(name, "train", mountPath, checkpointBytes)
	jobs := c.client.BatchV1().Jobs(namespace)
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: batchv1.JobSpec{
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels}, Spec: pod.Spec},
	}}
	err := retry(ctx, "create the Job "+namespace+"/"+name, func(ctx context.Context) error {
		_, err := jobs.Create(ctx, job, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	return retry(ctx, "wait for the Job "+namespace+"/"+name, func(ctx context.Context) error {
		found, err := jobs.Get(ctx, name, metav1.GetOptions{})
		if err == nil && found.Status.CompletionTime == nil {
			err = fmt.Errorf("%d of its pods run, %d have failed: %+v", found.Status.Active, found.Status.Failed,
				found.Status.Conditions)
		}
		return err
	})
}

// trainedBy returns the epoch of a Job that has ended. A Job controller that was killed may have
// made a second pod, which resumes from the first one's epoch; none may begin from zero.
func (c *chaos) trainedBy(ctx context.Context, namespace, job string, epoch int) (next int, err error) {
	var pods []corev1.Pod
	if err := retry(ctx, "list the pods of the Job "+job, func(ctx context.Context) error {
		list, err := c.client.CoreV1().Pods(namespace).List(ctx,
			metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + job})
		if err == nil && len(list.Items) == 0 {
			err = errors.New("it does not exist")
		}
		pods = list.Items
		return err
	}); err != nil {
		return 0, err
	}
	c.add("Jobs that got a second pod", min(len(pods)-1, 1))
	for i := range pods {
		if err := hasStorage(&pods[i]); err != nil {
			return 0, err
		}
		if pods[i].Status.Phase != corev1.PodSucceeded {
			continue
		}
		text, err := c.log(ctx, namespace, pods[i].Name)
		if err != nil {
			return 0, err
		}
		reported := last[trained](c.t, text)
		if reported.From < epoch || reported.To != reported.From+1 ||
			len(pods) == 1 && (reported.From != epoch || len(reported.Broken) > 0) {
			return 0, fmt.Errorf("the Job %s/%s should resume from epoch %d: %s", namespace, job, epoch, text)
		}
		next = max(next, reported.To)
	}
	return next, nil
}

// recordThroughFaults has a program record, whose pod is deleted and recreated. Every record that
// was reported as written must be found again.
func (c *chaos) recordThroughFaults(ctx context.Context, namespace string, r *rand.Rand) error {
	reported := 0
	rounds := func(ctx context.Context, i int) error {
		name := fmt.Sprintf("recorder-%d", i)
		if err := c.create(ctx, namespace, boxPod(name, "append", mountPath+"/records", "200ms")); err != nil {
			return err
		}
		if err := c.await(ctx, namespace, name, func(p *corev1.Pod) bool { return isReady(p) || hasEnded(p) }); err != nil {
			return err
		}
		time.Sleep(between(r, 2*time.Second, 12*time.Second))
		text, err := c.log(ctx, namespace, name)
		if err != nil {
			return err
		}
		lines := every[recorded](c.t, text)
		if len(lines) < 2 || lines[0].Found < reported { // it ends at once when a record is wrong
			return fmt.Errorf("%d records were on disk, and then: %s", reported, text[:min(len(text), 500)])
		}
		reported = cmp.Or(lines[len(lines)-1].Sequence, reported)
		c.add("times that all records were verified", 1)
		return c.deletePod(ctx, namespace, name)
	}
	if err := work(ctx, rounds); err != nil {
		return err
	}
	// Once more when nothing is killed, so that the last records are verified too.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stuckLimit)
	defer cancel()
	before := reported
	c.add("records written", reported)
	if err := rounds(ctx, 1_000_000); err != nil {
		return err
	}
	c.add("records verified", before)
	return nil
}

// deleteClaimsRepeatedly writes, deletes the pod and the claim, and reads what all rounds have
// written.
func (c *chaos) deleteClaimsRepeatedly(ctx context.Context, namespace string) error {
	var written []file
	claims := c.client.CoreV1().PersistentVolumeClaims(namespace)
	return work(ctx, func(ctx context.Context, i int) error {
		writer, reader := fmt.Sprintf("writer-%d", i), fmt.Sprintf("reader-%d", i)
		text, err := c.run(ctx, namespace, boxPod(writer, "write", mountPath, fmt.Sprintf("round-%04d", i), writtenBytes))
		if err != nil {
			return err
		}
		written = append(written, last[file](c.t, text))
		if err := c.awaitNamespaceLabels(ctx, namespace); err != nil {
			return err
		}
		if err := c.deletePod(ctx, namespace, writer); err != nil {
			return err
		}
		if err := remove(ctx, "the claim of "+namespace,
			func(ctx context.Context) error { return claims.Delete(ctx, claim, metav1.DeleteOptions{}) },
			func(ctx context.Context) (types.UID, error) {
				found, err := claims.Get(ctx, claim, metav1.GetOptions{})
				return found.GetUID(), err
			}); err != nil {
			return err
		}
		begun := time.Now()
		text, err = c.run(ctx, namespace, boxPod(reader, "verify", mountPath))
		if err != nil {
			return fmt.Errorf("%w\n%s", err, text)
		}
		if found := last[verified](c.t, text); !slices.Equal(found.Files, written) {
			return fmt.Errorf("after a claim was deleted there should be %+v, and there is %s", written, text)
		}
		c.logDuration("wait for the data of a claim that was deleted", time.Since(begun))
		c.add("claims deleted by mistake, and their data found", 1)
		return c.deletePod(ctx, namespace, reader)
	})
}

// awaitNamespaceLabels waits until the volume has the labels of its namespace: a claim that is
// deleted within the second of its binding needs an administrator.
func (c *chaos) awaitNamespaceLabels(ctx context.Context, namespace string) error {
	return retry(ctx, "wait for the labels of the volume of "+namespace, func(ctx context.Context) error {
		list, err := c.client.CoreV1().PersistentVolumes().List(ctx,
			metav1.ListOptions{LabelSelector: storage.LabelNamespace + "=" + namespace})
		if err == nil && len(list.Items) != 1 {
			err = fmt.Errorf("%d volumes have them", len(list.Items))
		}
		return err
	})
}

// createNamespaces creates namespaces, and writes in each.
func (c *chaos) createNamespaces(ctx context.Context, r *rand.Rand) error {
	c.newNamespaces = map[string]file{}
	return work(ctx, func(ctx context.Context, _ int) error {
		begun := time.Now()
		name := unique("newcomer")
		if err := retry(ctx, "make the namespace "+name, func(ctx context.Context) error {
			_, err := c.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}},
				metav1.CreateOptions{})
			if apierrors.IsAlreadyExists(err) {
				return nil
			}
			return err
		}); err != nil {
			return err
		}
		c.t.Cleanup(func() {
			assert.NoError(c.t,
				shared.Client.CoreV1().Namespaces().Delete(context.WithoutCancel(c.t.Context()), name, metav1.DeleteOptions{}))
		})
		text, err := c.run(ctx, name, boxPod("writer", "write", mountPath, "first", writtenBytes))
		if err != nil {
			return err
		}
		c.newNamespaces[name] = last[file](c.t, text)
		c.logDuration("wait of a new namespace for its first data", time.Since(begun))
		c.add("new namespaces that wrote", 1)
		time.Sleep(between(r, 3*time.Second, 15*time.Second))
		return nil
	})
}

// assertRecovered checks that everything is as it should be when nothing is killed any more.
func (c *chaos) assertRecovered() {
	t := c.t
	t.Helper()
	begun := time.Now()
	sharedInstallation().awaitServing(t, c.namespaces[0])
	for namespace, written := range c.newNamespaces {
		assert.Equal(t, []file{written},
			last[verified](t, runPod(t, namespace, boxPod("recovered", "verify", mountPath))).Files)
		c.add("bytes of new namespaces verified", int(written.Bytes))
	}
	for _, namespace := range c.namespaces {
		if phase, log := c.verifies(namespace); assert.Equal(t, corev1.PodSucceeded, phase, log) {
			continue
		}
	}
	for _, namespace := range append(slices.Collect(maps.Keys(c.newNamespaces)), c.namespaces...) {
		boundClaim(t, namespace, claim)
		c.count["claims bound"]++
		pods, err := c.client.CoreV1().Pods(namespace).List(t.Context(),
			metav1.ListOptions{LabelSelector: kinds.Label + "=" + kinds.LabelEnabled})
		require.NoError(t, err)
		for i := range pods.Items {
			pod := &pods.Items[i]
			require.NoError(t, hasStorage(pod))
			if pod.Spec.SchedulerName == noScheduler {
				c.count["admitted pods that were checked again"]++
				continue
			}
			assert.True(t, hasEnded(pod), "%s/%s is stuck: %s", namespace, pod.Name, why(pod))
		}
	}
	c.logDuration("wait until everything had recovered", time.Since(begun))
}

// verifies checks the bytes of a namespace, whichever program wrote them.
func (c *chaos) verifies(namespace string) (corev1.PodPhase, string) {
	pod := boxPod("recovered", "verify", mountPath)
	if namespace == c.namespaces[2] {
		return corev1.PodSucceeded, "" // recordThroughFaults has read all records after the last kill
	}
	phase, log := tryPod(c.t, namespace, pod)
	for _, f := range last[verified](c.t, log).Files {
		c.count["bytes of Jobs and of deleted claims verified"] += int(f.Bytes)
	}
	return phase, log
}
