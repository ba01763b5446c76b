package cluster

import (
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// syncPeriod is how often volumes are synced without a change: a token may have to be renewed.
	syncPeriod   = 10 * time.Second
	retryPeriod  = 500 * time.Millisecond
	defaultGrace = 30 * time.Second
)

var (
	getOptions    = metav1.GetOptions{}
	createOptions = metav1.CreateOptions{}
)

// worker runs one pod, from its binding to a node until its removal.
type worker struct {
	kubelet *Kubelet
	pod     *corev1.Pod // as first seen: its specification does not change
	latest  atomic.Pointer[corev1.Pod]
	begun   metav1.Time

	address    netip.Addr
	sandbox    *sandbox
	volumes    volumes
	containers []*container
	reported   corev1.PodStatus

	woken    chan struct{} // there is something to report or do
	outdated atomic.Bool   // a ConfigMap or Secret has changed
	stopping atomic.Bool
	stop     chan struct{} // closed with stopping
	gone     chan struct{} // closed when the pod is no longer in the API
	done     chan struct{}
	vanish   sync.Once
}

func newWorker(k *Kubelet, pod *corev1.Pod) *worker {
	w := &worker{
		kubelet: k, pod: pod, begun: metav1.Now(),
		volumes: volumes{
			dir:     filepath.Join(k.dir, "pods", string(pod.UID), "volumes"),
			written: map[string]map[string]file{}, tokens: map[string]token{},
		},
		woken: make(chan struct{}, 1), stop: make(chan struct{}), gone: make(chan struct{}), done: make(chan struct{}),
	}
	w.latest.Store(pod)

	for i := range pod.Spec.InitContainers {
		w.add(&pod.Spec.InitContainers[i], true)
	}

	for i := range pod.Spec.Containers {
		w.add(&pod.Spec.Containers[i], false)
	}

	return w
}

func (w *worker) add(spec *corev1.Container, init bool) {
	c := &container{worker: w, spec: spec, init: init, image: w.kubelet.image(spec.Image)}
	c.state.Waiting = &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}

	if len(w.pod.Spec.InitContainers) > 0 && !init {
		c.state.Waiting.Reason = "PodInitializing"
	}

	w.containers = append(w.containers, c)
}

// real reports whether a container of the pod has a program.
func (w *worker) real() bool {
	for _, c := range w.containers {
		if c.image != nil {
			return true
		}
	}

	return false
}

func (w *worker) log(message string, args ...any) {
	w.kubelet.logger.Info(message, append([]any{"pod", w.pod.Namespace + "/" + w.pod.Name}, args...)...)
}

func (w *worker) wake() {
	select {
	case w.woken <- struct{}{}:
	default:
	}
}

// update handles a newer version of the pod.
func (w *worker) update(pod *corev1.Pod) {
	w.latest.Store(pod)

	if pod.DeletionTimestamp != nil {
		w.wake()
	}
}

// forget handles the removal of the pod from the API.
func (w *worker) forget() { w.vanish.Do(func() { close(w.gone) }) }

func (w *worker) rootOf(container string) string {
	return filepath.Join(w.kubelet.dir, "pods", string(w.pod.UID), "roots", container)
}

// run runs the pod until it is removed or ctx ends, and removes everything that it made.
func (w *worker) run(ctx context.Context) {
	defer close(w.done)

	ctx, cancel := context.WithCancel(ctx)

	var containers sync.WaitGroup

	defer func() {
		cancel() // ends the processes
		containers.Wait()
		w.clean()
	}()

	if phase := w.pod.Status.Phase; phase == corev1.PodSucceeded || phase == corev1.PodFailed {
		w.awaitDeletion(ctx)

		return
	}

	if !w.prepare(ctx) {
		w.remove(ctx)

		return
	}

	containers.Go(func() { w.startContainers(ctx, &containers) })
	w.follow(ctx)
}

// follow reports each change and updates the volumes until the pod is to be deleted, which it does
// then.
func (w *worker) follow(ctx context.Context) {
	tick := time.NewTicker(syncPeriod)
	defer tick.Stop()

	if !w.real() {
		tick.Stop()
	}

	for {
		w.reportStatus(ctx)

		if w.latest.Load().DeletionTimestamp != nil {
			w.terminate(ctx)

			return
		}

		select {
		case <-w.woken:
		case <-tick.C:
			w.outdated.Store(true)
		case <-w.gone:
			return
		case <-ctx.Done():
			return
		}

		if w.real() && w.outdated.Swap(false) {
			if err := w.sync(ctx); err != nil {
				w.log("cannot refresh the volumes", "error", err)
			}
		}
	}
}

// prepare makes everything that must exist before the first container starts. It retries until it
// succeeds, and returns false when the pod was deleted before.
func (w *worker) prepare(ctx context.Context) bool {
	for {
		err := w.tryPrepare(ctx)
		if err == nil {
			return true
		}

		w.log("cannot start the pod yet", "error", err)

		for _, c := range w.containers {
			c.setWaiting("ContainerCreating", err.Error())
		}

		w.reportStatus(ctx)
		pause(ctx, retryPeriod, w.gone)

		select {
		case <-w.gone:
			return false
		case <-ctx.Done():
			return false
		default:
		}

		if w.latest.Load().DeletionTimestamp != nil {
			return false
		}
	}
}

func (w *worker) tryPrepare(ctx context.Context) (err error) {
	if w.pod.Spec.HostNetwork {
		w.address = gateway
	} else if !w.address.IsValid() {
		if w.address, err = addresses.allocate(); err != nil {
			return err
		}
	}

	if !w.real() {
		return nil
	}

	if !isolated {
		return errNoNamespaces
	}

	if w.sandbox == nil && !w.pod.Spec.HostNetwork {
		if w.sandbox, err = newSandbox(w.address); err != nil {
			return err
		}
	}

	for _, c := range w.containers {
		if err := os.MkdirAll(w.rootOf(c.spec.Name), dirMode); err != nil {
			return err
		}
	}

	return w.sync(ctx)
}

// startContainers starts the init containers one after the other, and then the others together.
func (w *worker) startContainers(ctx context.Context, group *sync.WaitGroup) {
	for _, c := range w.containers {
		switch {
		case w.stopping.Load() || ctx.Err() != nil:
			return
		case c.image == nil:
			w.pretend(c)
		case c.init && !c.sidecar():
			c.live(ctx)

			if ended := c.snapshot().State.Terminated; ended == nil || ended.ExitCode != 0 {
				return
			}
		default:
			group.Go(func() { c.live(ctx) })

			if c.init && !w.awaitStartup(ctx, c) {
				return
			}
		}
	}
}

// awaitStartup waits for a sidecar, because the containers after it may need it.
func (w *worker) awaitStartup(ctx context.Context, c *container) bool {
	for !*c.snapshot().Started {
		pause(ctx, readyPoll, w.stop)

		if ctx.Err() != nil || w.stopping.Load() {
			return false
		}
	}

	return true
}

// pretend simulates a container without a program: it runs, and ends if it should.
func (w *worker) pretend(c *container) {
	c.setRunning()

	if c.init && !c.sidecar() {
		c.setTerminated(0, 0)

		return
	}

	if c.restartable() {
		return
	}

	outcome := w.kubelet.outcome(w.pod)
	if !outcome.Ends {
		return
	}

	time.AfterFunc(outcome.After, func() {
		if !w.stopping.Load() {
			c.setTerminated(outcome.Code, 0)
		}
	})
}

// terminate ends the containers in the time that the deletion allows, then the pod.
func (w *worker) terminate(ctx context.Context) {
	grace := defaultGrace
	if seconds := w.latest.Load().DeletionGracePeriodSeconds; seconds != nil {
		grace = time.Duration(*seconds) * time.Second
	}

	w.stopping.Store(true)
	close(w.stop)

	var ending sync.WaitGroup

	for _, c := range w.containers {
		if c.image == nil {
			c.setTerminated(0, 0)

			continue
		}

		ending.Go(func() { c.terminate(ctx, grace) })
	}

	ended := make(chan struct{})

	go func() {
		ending.Wait()
		close(ended)
	}()

	w.reportStatusUntil(ctx, ended)
	w.awaitTerminated(ctx)

	// So that a controller with a finalizer on the pod, as that of Jobs, sees how it ended.
	if w.real() || w.pod.Spec.RestartPolicy != corev1.RestartPolicyAlways {
		w.reportStatus(ctx)
	}

	w.remove(ctx)
}

// reportStatusUntil reports changes until ended is closed.
func (w *worker) reportStatusUntil(ctx context.Context, ended <-chan struct{}) {
	for {
		select {
		case <-ended:
			return
		case <-w.woken:
			if w.real() {
				w.reportStatus(ctx)
			}
		}
	}
}

// awaitTerminated waits until each container has recorded that its process has ended, which it does
// a moment later.
func (w *worker) awaitTerminated(ctx context.Context) {
	for _, c := range w.containers {
		for c.snapshot().State.Running != nil && ctx.Err() == nil {
			pause(ctx, time.Millisecond, w.gone)
		}
	}
}

func (w *worker) awaitDeletion(ctx context.Context) {
	for w.latest.Load().DeletionTimestamp == nil {
		select {
		case <-w.woken:
		case <-w.gone:
			return
		case <-ctx.Done():
			return
		}
	}

	w.remove(ctx)
}

// remove deletes the pod from the API at once, which only the kubelet may do.
func (w *worker) remove(ctx context.Context) {
	now := int64(0)
	options := metav1.DeleteOptions{
		GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &w.pod.UID},
	}

	w.retry(ctx, "delete the pod", func() error {
		return w.kubelet.client.CoreV1().Pods(w.pod.Namespace).Delete(ctx, w.pod.Name, options)
	})
}

// reportStatus writes the status if it differs from the last one.
func (w *worker) reportStatus(ctx context.Context) {
	status := w.status()
	if reflect.DeepEqual(without(status), without(w.reported)) {
		return
	}

	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": w.pod.UID}, "status": status})
	if err != nil {
		w.log("cannot write the status", "error", err)

		return
	}

	w.retry(ctx, "report the status", func() error {
		_, err := w.kubelet.client.CoreV1().Pods(w.pod.Namespace).Patch(ctx, w.pod.Name,
			types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")

		return err
	})

	w.reported = status
}

// without is a status without the times that change by themselves.
func without(status corev1.PodStatus) corev1.PodStatus {
	bare := *status.DeepCopy()
	for i := range bare.Conditions {
		bare.Conditions[i].LastTransitionTime = metav1.Time{}
	}

	return bare
}

// retry sends the request to the API server until it answers: it may be down for a while.
func (w *worker) retry(ctx context.Context, what string, request func() error) {
	for {
		err := request()
		if err == nil {
			return
		}

		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) || apierrors.IsInvalid(err) {
			// The pod does not exist, or another one has its name; the informer reports which.
			w.log("cannot "+what, "error", err)

			return
		}

		if ctx.Err() != nil {
			return
		}

		w.log("cannot "+what+" yet", "error", err)
		pause(ctx, retryPeriod, w.gone)

		select {
		case <-w.gone:
			return
		default:
		}
	}
}

// clean releases the address and the network, and removes the files.
func (w *worker) clean() {
	if err := w.sandbox.close(); err != nil {
		w.log("cannot remove the network of the pod", "error", err)
	}

	if w.address.IsValid() && w.address != gateway {
		addresses.release(w.address)
	}

	if err := os.RemoveAll(filepath.Join(w.kubelet.dir, "pods", string(w.pod.UID))); err != nil {
		w.log("cannot remove the files of the pod", "error", err)
	}
}
