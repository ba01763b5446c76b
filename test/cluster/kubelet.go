package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

const (
	readyPoll = 20 * time.Millisecond
	// A Job's pod is seen running before it has succeeded.
	defaultRun = 200 * time.Millisecond
)

// Image is the part of a container image that a pod needs: one static program.
type Image struct {
	// Program is the file on this machine, usually from Program.
	Program string
	// Entrypoint is its absolute path in the image. A container's command must name it by this
	// path.
	Entrypoint string
	// User and Group are the image's, for containers that name none. 0 is root.
	User, Group int64
}

// Outcome is the end of a container without a program in a pod that does not restart it always.
type Outcome struct {
	// Ends is false for a container that runs until its pod is deleted.
	Ends bool
	// After is how long the container runs.
	After time.Duration
	// Code is its exit code.
	Code int32
}

// Process is a running process of a pod.
type Process struct {
	Namespace, Pod, Container string
	// PID is the number by which this process and the pod's process see it.
	PID int
	// Address is the pod's.
	Address netip.Addr
	// Restarts is the number of processes of the container that ended before.
	Restarts int
	// LogFile has the output of all of them.
	LogFile string
}

// Log returns all that the container has written so far.
func (p Process) Log() string {
	text, err := os.ReadFile(p.LogFile)
	if err != nil {
		return fmt.Sprintf("there is no log of %s/%s: %v", p.Namespace, p.Pod, err)
	}

	return string(text)
}

// RSS returns the process's resident memory in bytes. Only Linux provides it.
func (p Process) RSS() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID))
	if err != nil {
		return 0, fmt.Errorf("read the memory of %s/%s: %w", p.Namespace, p.Pod, err)
	}

	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			const kibi = 1024

			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)

			return n * kibi, err
		}
	}

	return 0, fmt.Errorf("the process %d has ended", p.PID)
}

// Kubelet does for the simulated Nodes what a kubelet does. See the package documentation for its
// limits.
type Kubelet struct {
	client  kubernetes.Interface
	dir     string
	logs    string
	podHost string
	logger  *slog.Logger
	logTo   *os.File

	ctx    context.Context //nolint:containedctx // it is the life of the kubelet, and ends all pods
	cancel context.CancelFunc
	pods   sync.WaitGroup

	mutex   sync.Mutex
	nodes   map[string]bool
	images  map[string]Image
	decide  func(*corev1.Pod) Outcome
	workers map[types.UID]*worker
}

func newKubelet(client kubernetes.Interface, dir, logs, podHost string, nodes []string) (*Kubelet, error) {
	k := &Kubelet{
		client: client, dir: dir, logs: logs, podHost: podHost,
		nodes: map[string]bool{}, images: map[string]Image{}, workers: map[types.UID]*worker{},
	}
	for _, node := range nodes {
		k.nodes[node] = true
	}

	log, err := os.Create(filepath.Join(logs, "kubelet.log"))
	if err != nil {
		return nil, fmt.Errorf("make a log of the kubelet: %w", err)
	}

	k.logTo = log
	k.logger = slog.New(slog.NewTextHandler(log, nil))
	k.ctx, k.cancel = context.WithCancel(context.Background())

	return k, nil
}

// Register makes containers of the image run a real program. The image is named without a tag or
// digest.
func (k *Kubelet) Register(image string, program Image) {
	k.mutex.Lock()
	defer k.mutex.Unlock()

	k.images[repositoryOf(image)] = program
}

// Pretend decides the end of containers without a program, in pods that do not restart them always:
// those of Jobs. Without it, all succeed after a moment.
func (k *Kubelet) Pretend(decide func(pod *corev1.Pod) Outcome) {
	k.mutex.Lock()
	defer k.mutex.Unlock()

	k.decide = decide
}

// Processes returns the running processes of a namespace, or of all when it is empty, by pod and
// container.
func (k *Kubelet) Processes(namespace string) []Process {
	var all []Process

	for _, w := range k.list() {
		if namespace == "" || namespace == w.pod.Namespace {
			all = append(all, w.processes()...)
		}
	}

	slices.SortFunc(all, func(a, b Process) int {
		return strings.Compare(a.Namespace+"/"+a.Pod+"/"+a.Container, b.Namespace+"/"+b.Pod+"/"+b.Container)
	})

	return all
}

// Process returns the running process of a pod, the first one if it has several.
func (k *Kubelet) Process(namespace, pod string) (Process, error) {
	for _, p := range k.Processes(namespace) {
		if p.Pod == pod {
			return p, nil
		}
	}

	return Process{}, fmt.Errorf("no process of the pod %s/%s runs", namespace, pod)
}

// Kill ends all processes of a pod at once, as when memory runs out. They are started again as the
// pod's restart policy requires.
func (k *Kubelet) Kill(namespace, pod string) error {
	if _, err := k.Process(namespace, pod); err != nil {
		return err
	}

	for _, w := range k.list() {
		if w.pod.Namespace != namespace || w.pod.Name != pod {
			continue
		}

		for _, c := range w.containers {
			c.kill()
		}
	}

	return nil
}

func (w *worker) processes() []Process {
	var running []Process

	for _, c := range w.containers {
		c.mutex.Lock()

		if c.process != nil && c.state.Running != nil {
			running = append(running, Process{
				Namespace: w.pod.Namespace, Pod: w.pod.Name, Container: c.spec.Name, PID: c.process.pid(),
				Address: w.address, Restarts: int(c.restarts), LogFile: c.logFile(),
			})
		}

		c.mutex.Unlock()
	}

	return running
}

func (k *Kubelet) list() []*worker {
	k.mutex.Lock()
	defer k.mutex.Unlock()

	all := make([]*worker, 0, len(k.workers))
	for _, w := range k.workers {
		all = append(all, w)
	}

	return all
}

func (k *Kubelet) image(name string) *Image {
	k.mutex.Lock()
	defer k.mutex.Unlock()

	if image, ok := k.images[repositoryOf(name)]; ok {
		return &image
	}

	return nil
}

func (k *Kubelet) outcome(pod *corev1.Pod) Outcome {
	k.mutex.Lock()
	decide := k.decide
	k.mutex.Unlock()

	if decide == nil {
		return Outcome{Ends: true, After: defaultRun}
	}

	return decide(pod)
}

// repositoryOf returns an image's name without its tag and digest.
func repositoryOf(image string) string {
	name, _, _ := strings.Cut(image, "@")
	if colon := strings.LastIndex(name, ":"); colon > strings.LastIndex(name, "/") {
		name = name[:colon]
	}

	return name
}

// start begins to watch and returns when all existing objects are read.
func (k *Kubelet) start(ctx context.Context) error {
	pods := informers.NewSharedInformerFactoryWithOptions(k.client, 0,
		informers.WithTweakListOptions(func(o *metav1.ListOptions) {
			o.FieldSelector = fields.OneTermNotEqualSelector("spec.nodeName", "").String()
		}))
	contents := informers.NewSharedInformerFactoryWithOptions(k.client, 0, informers.WithTransform(nameOnly))

	handlers := []struct {
		informer cache.SharedIndexInformer
		handler  cache.ResourceEventHandlerFuncs
	}{
		{pods.Core().V1().Pods().Informer(), cache.ResourceEventHandlerFuncs{
			AddFunc: k.see, UpdateFunc: func(_, now any) { k.see(now) }, DeleteFunc: k.forget,
		}},
		{contents.Core().V1().ConfigMaps().Informer(), k.contentHandler()},
		{contents.Core().V1().Secrets().Informer(), k.contentHandler()},
	}
	for _, h := range handlers {
		if _, err := h.informer.AddEventHandler(h.handler); err != nil {
			return fmt.Errorf("watch for the kubelet: %w", err)
		}
	}

	for _, factory := range []informers.SharedInformerFactory{pods, contents} {
		factory.Start(k.ctx.Done())

		for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
			if !synced {
				return fmt.Errorf("watch for the kubelet: cannot list %s: %w", kind, context.Cause(ctx))
			}
		}
	}

	return nil
}

// stop ends all pods and returns when nothing of them remains. The API is not updated.
func (k *Kubelet) stop() error {
	k.cancel()
	k.pods.Wait()

	return k.logTo.Close()
}

// see handles the current version of a pod.
func (k *Kubelet) see(object any) {
	pod, ok := object.(*corev1.Pod)
	if !ok || !k.nodes[pod.Spec.NodeName] {
		return
	}

	k.mutex.Lock()
	w, known := k.workers[pod.UID]
	k.mutex.Unlock()

	if known {
		w.update(pod)

		return
	}

	if k.ctx.Err() != nil {
		return
	}

	w = newWorker(k, pod)

	k.mutex.Lock()
	k.workers[pod.UID] = w
	k.mutex.Unlock()
	k.pods.Go(func() { w.run(k.ctx) })
}

// forget handles the removal of a pod from the API.
func (k *Kubelet) forget(object any) {
	if unknown, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = unknown.Obj
	}

	pod, ok := object.(*corev1.Pod)
	if !ok {
		return
	}

	k.mutex.Lock()
	w, known := k.workers[pod.UID]
	delete(k.workers, pod.UID)
	k.mutex.Unlock()

	if known {
		w.forget()
	}
}

// contentHandler has the pods of a namespace sync their volumes when something changes that may be
// in one.
func (k *Kubelet) contentHandler() cache.ResourceEventHandlerFuncs {
	changed := func(object any) {
		if unknown, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = unknown.Obj
		}

		namespaced, ok := object.(metav1.Object)
		if !ok {
			return
		}

		for _, w := range k.list() {
			if w.pod.Namespace == namespaced.GetNamespace() && w.real() {
				w.outdated.Store(true)
				w.wake()
			}
		}
	}

	return cache.ResourceEventHandlerFuncs{
		AddFunc: changed, UpdateFunc: func(_, now any) { changed(now) }, DeleteFunc: changed,
	}
}

// nameOnly reduces a ConfigMap or Secret to what shows that it has changed.
func nameOnly(object any) (any, error) {
	switch o := object.(type) {
	case *corev1.ConfigMap:
		o.Data, o.BinaryData, o.ManagedFields = nil, nil, nil
	case *corev1.Secret:
		o.Data, o.ManagedFields = nil, nil
	}

	return object, nil
}
