package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// A node waits ten seconds before the second restart, and longer each time. Tests cannot wait
	// that long.
	firstBackoff = time.Second
	lastBackoff  = 8 * time.Second
	// As on a node, a process that has run longer is considered healthy.
	healthyAfter = time.Minute
	// The least time that remains for a process after its preStop hook, as on a node.
	leastGrace = 2 * time.Second
)

// container is a container of a pod: a process, or a simulated one when image is nil.
type container struct {
	worker *worker
	spec   *corev1.Container
	init   bool
	image  *Image

	mutex     sync.Mutex
	process   *started
	state     corev1.ContainerState
	last      corev1.ContainerState
	restarts  int32
	ready     bool
	startedUp bool // its startup probe has passed
}

// snapshot is the container's part of the pod's status.
func (c *container) snapshot() corev1.ContainerStatus {
	c.mutex.Lock()
	defer c.mutex.Unlock()

	startedUp := c.startedUp

	return corev1.ContainerStatus{
		Name: c.spec.Name, State: c.state, LastTerminationState: c.last, Ready: c.ready, RestartCount: c.restarts,
		Image: c.spec.Image, ImageID: "test://" + c.spec.Image, Started: &startedUp,
		ContainerID: fmt.Sprintf("test://%s-%s-%d", c.worker.pod.UID, c.spec.Name, c.restarts),
	}
}

// change changes the state under the lock and has the worker report it.
func (c *container) change(change func()) {
	c.mutex.Lock()
	change()
	c.mutex.Unlock()
	c.worker.wake()
}

func (c *container) setWaiting(reason, message string) {
	c.change(func() {
		c.ready, c.startedUp = false, false
		c.state = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
	})
}

func (c *container) setRunning() {
	c.change(func() {
		c.state = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}

		if c.init && !c.sidecar() { // one of these counts as ready when it has ended
			return
		}

		c.startedUp = c.image == nil || c.spec.StartupProbe == nil
		c.ready = c.startedUp && (c.image == nil || c.spec.ReadinessProbe == nil)
	})
}

func (c *container) setTerminated(code, signal int32) {
	c.change(func() {
		ended := &corev1.ContainerStateTerminated{
			ExitCode: code, Signal: signal, Reason: "Completed", FinishedAt: metav1.Now(),
		}
		if code != 0 {
			ended.Reason = "Error"
		}

		if c.state.Running != nil {
			ended.StartedAt = c.state.Running.StartedAt
		}

		// Not ready, even for a moment: a completed init container is.
		c.ready, c.startedUp = c.init && code == 0, false
		c.state = corev1.ContainerState{Terminated: ended}
	})
}

// restartable is true for a container that runs until the pod ends.
func (c *container) restartable() bool {
	if c.init {
		return c.sidecar()
	}

	return c.worker.pod.Spec.RestartPolicy == corev1.RestartPolicyAlways
}

// sidecar is an init container that goes on beside the others.
func (c *container) sidecar() bool {
	return c.init && c.spec.RestartPolicy != nil && *c.spec.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// restartsAfter reports whether the container is started again after an exit with code.
func (c *container) restartsAfter(code int32) bool {
	return c.restartable() || code != 0 && c.worker.pod.Spec.RestartPolicy != corev1.RestartPolicyNever
}

// live runs the process, and restarts it as the restart policy requires, until ctx ends or the
// worker stops it.
func (c *container) live(ctx context.Context) {
	backoff := time.Duration(0)

	for ctx.Err() == nil && !c.worker.stopping.Load() {
		begun := time.Now()

		code := c.once(ctx)
		if c.worker.stopping.Load() || ctx.Err() != nil || !c.restartsAfter(code) {
			return
		}

		if time.Since(begun) > healthyAfter {
			backoff = 0
		}

		c.delayRestart(ctx, backoff)
		backoff = min(max(firstBackoff, 2*backoff), lastBackoff)
	}
}

// delayRestart counts the restart and waits before it.
func (c *container) delayRestart(ctx context.Context, backoff time.Duration) {
	c.change(func() {
		if c.state.Terminated != nil {
			c.last = c.state
			c.restarts++
		}

		if c.state.Terminated != nil && backoff > 0 {
			c.state = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{
				Reason: "CrashLoopBackOff", Message: fmt.Sprintf("back-off %s restarting failed container", backoff),
			}}
		}
	})
	// A process that could not be started has no exit code to report, but must not be retried
	// without a pause.
	pause(ctx, max(backoff, readyPoll), c.worker.stop)
}

// once runs the process once and returns its exit code.
func (c *container) once(ctx context.Context) (code int32) {
	process, err := c.start(ctx)
	if err != nil {
		c.worker.log("cannot start the container", "container", c.spec.Name, "error", err)
		c.setWaiting("CreateContainerError", err.Error())

		return exitUnknown
	}

	c.mutex.Lock()
	c.process = process
	c.mutex.Unlock()

	if c.worker.stopping.Load() { // which did not have the number of this process
		process.signal(syscall.SIGKILL)
	}

	c.setRunning()
	c.worker.log("started", "container", c.spec.Name, "pid", process.pid(), "address", c.worker.address)

	probing, done := context.WithCancel(ctx)

	var probes sync.WaitGroup

	probes.Go(func() { c.probe(probing) })

	select {
	case <-process.done:
	case <-ctx.Done():
		process.signal(syscall.SIGKILL)
	}

	code, signal := process.exit()

	done()
	probes.Wait() // a probe must report nothing after the end
	c.worker.log("ended", "container", c.spec.Name, "pid", process.pid(), "code", code, "signal", signal)
	c.setTerminated(code, signal)

	return code
}

func (c *container) start(ctx context.Context) (*started, error) {
	env, err := c.worker.environment(ctx, c.spec)
	if err != nil {
		return nil, err
	}

	user, err := c.identity()
	if err != nil {
		return nil, err
	}

	mounts, err := c.mounts(env)
	if err != nil {
		return nil, err
	}

	l := launch{
		sandbox: c.worker.sandbox, root: c.worker.rootOf(c.spec.Name), program: c.image.Program,
		entrypoint: c.image.Entrypoint, mounts: mounts, env: list(env), dir: "/", hostname: c.worker.pod.Name,
		address: c.worker.address.String(), user: user, log: c.logFile(),
		argv: append([]string{c.image.Entrypoint}, expandAll(c.spec.Args, env)...),
	}
	if len(c.spec.Command) > 0 {
		l.argv = append(expandAll(c.spec.Command, env), expandAll(c.spec.Args, env)...)
	}

	if c.spec.WorkingDir != "" {
		l.dir = c.spec.WorkingDir
	}

	if s := c.spec.SecurityContext; s != nil {
		l.readOnlyRoot = isTrue(s.ReadOnlyRootFilesystem)
	}

	return l.start()
}

func (c *container) logFile() string {
	return filepath.Join(c.worker.kubelet.logs,
		c.worker.pod.Namespace+"_"+c.worker.pod.Name+"_"+c.spec.Name+".log")
}

// identity is who the container runs as: the pod's setting, or else the image's.
func (c *container) identity() (identity, error) {
	pod, own := c.worker.pod.Spec.SecurityContext, c.spec.SecurityContext
	if pod == nil {
		pod = &corev1.PodSecurityContext{}
	}

	if own == nil {
		own = &corev1.SecurityContext{}
	}

	who := identity{user: uint32(c.image.User), group: uint32(c.image.Group)}
	if user := userOf(c.worker.pod, c.spec); user != nil {
		who.user = uint32(*user)
	}

	for _, group := range []*int64{pod.RunAsGroup, own.RunAsGroup} {
		if group != nil {
			who.group = uint32(*group)
		}
	}

	for _, group := range pod.SupplementalGroups {
		who.groups = append(who.groups, uint32(group))
	}

	if pod.FSGroup != nil {
		who.groups = append(who.groups, uint32(*pod.FSGroup))
	}

	nonRoot := isTrue(pod.RunAsNonRoot)
	if own.RunAsNonRoot != nil {
		nonRoot = *own.RunAsNonRoot
	}

	if nonRoot && who.user == 0 {
		return who, errors.New("container has runAsNonRoot and image will run as root")
	}

	return who, nil
}

// mounts are the container's mounts of the pod's volumes, the outer ones first.
func (c *container) mounts(env map[string]string) ([]mount, error) {
	var all []mount

	for _, m := range c.spec.VolumeMounts {
		index := slices.IndexFunc(c.worker.pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name })
		if index < 0 {
			return nil, fmt.Errorf("the pod has no volume %s", m.Name)
		}

		path := m.SubPath
		if m.SubPathExpr != "" {
			path = expand(m.SubPathExpr, env)
		}

		source := filepath.Join(c.worker.volumeDir(&c.worker.pod.Spec.Volumes[index]), path)

		// A missing path inside of a volume becomes a directory.
		if _, err := os.Stat(source); errors.Is(err, os.ErrNotExist) {
			if err := makeShared(source); err != nil {
				return nil, fmt.Errorf("make the path %s of the volume %s: %w", path, m.Name, err)
			}
		}

		all = append(all, mount{source: source, target: m.MountPath, readOnly: m.ReadOnly})
	}

	slices.SortStableFunc(all, func(a, b mount) int { return strings.Compare(a.target, b.target) })

	return all, nil
}

// terminate ends the process as the kubelet does: preStop, TERM, and KILL when grace is over.
// Without grace it sends KILL at once, where a node waits a second or two. It returns when the
// process has ended.
func (c *container) terminate(ctx context.Context, grace time.Duration) {
	c.mutex.Lock()
	process := c.process
	c.mutex.Unlock()

	if process == nil {
		return
	}

	if grace <= 0 { // deleted by force
		process.signal(syscall.SIGKILL)
		<-process.done

		return
	}

	deadline := time.Now().Add(grace)

	if hook := c.spec.Lifecycle; hook != nil && hook.PreStop != nil {
		before, cancel := context.WithDeadline(ctx, deadline)
		if err := c.hook(before, hook.PreStop, process); err != nil {
			c.worker.log("the preStop hook failed", "container", c.spec.Name, "error", err)
		}

		cancel()
	}

	process.signal(syscall.SIGTERM)

	select {
	case <-process.done:
	case <-time.After(max(time.Until(deadline), leastGrace)):
		c.worker.log("the time to end is over", "container", c.spec.Name, "grace", grace)
	case <-c.worker.gone:
	case <-ctx.Done():
	}

	process.signal(syscall.SIGKILL)
	<-process.done
}

func (c *container) hook(ctx context.Context, hook *corev1.LifecycleHandler, process *started) error {
	switch {
	case hook.Sleep != nil:
		pause(ctx, time.Duration(hook.Sleep.Seconds)*time.Second, process.done)

		return nil
	case hook.HTTPGet != nil:
		return c.getHTTP(ctx, hook.HTTPGet)
	default:
		return errors.New("package cluster runs sleep and httpGet hooks only")
	}
}

// pause waits for a time, at most until ctx or stop ends.
func pause(ctx context.Context, d time.Duration, stop <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()

	select {
	case <-timer.C:
	case <-stop:
	case <-ctx.Done():
	}
}
