package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// probeClient sends requests as the kubelet does: each by a new connection, and without a check of
// the certificate.
var probeClient = &http.Client{
	Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the kubelet does the same
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// probe runs the container's probes until ctx ends: the startup probe first and alone.
func (c *container) probe(ctx context.Context) {
	if c.spec.StartupProbe != nil && !c.waitStartup(ctx) {
		return
	}

	var probes sync.WaitGroup

	if c.spec.LivenessProbe != nil {
		probes.Go(func() {
			c.watch(ctx, "liveness", c.spec.LivenessProbe, func(ok bool) (more bool) { return ok || c.fail(ctx, "liveness") })
		})
	}

	if c.spec.ReadinessProbe != nil {
		probes.Go(func() {
			c.watch(ctx, "readiness", c.spec.ReadinessProbe, func(ok bool) (more bool) {
				c.setReady(ok)

				return true
			})
		})
	}

	probes.Wait()
}

func (c *container) waitStartup(ctx context.Context) (passed bool) {
	c.watch(ctx, "startup", c.spec.StartupProbe, func(ok bool) (more bool) {
		passed = ok
		if !ok {
			return c.fail(ctx, "startup")
		}

		c.change(func() {
			c.startedUp = true
			c.ready = c.spec.ReadinessProbe == nil
		})

		return false
	})

	return passed
}

func (c *container) setReady(ready bool) {
	c.mutex.Lock()
	same := c.ready == ready
	c.mutex.Unlock()

	if !same {
		c.worker.log("readiness", "container", c.spec.Name, "ready", ready)
		c.change(func() { c.ready = ready })
	}
}

// fail ends a process whose probe failed. It returns false: no probe is left to run.
func (c *container) fail(ctx context.Context, kind string) (more bool) {
	if c.worker.stopping.Load() { // it ends already
		return true
	}

	c.worker.log("killed by its "+kind+" probe", "container", c.spec.Name)

	grace := time.Duration(0)
	if seconds := c.worker.pod.Spec.TerminationGracePeriodSeconds; seconds != nil {
		grace = time.Duration(*seconds) * time.Second
	}

	go c.terminate(context.WithoutCancel(ctx), grace) // not here: the end of the process waits for its probes

	return false
}

// watch probes at the probe's own times and reports each result that reaches its threshold, until
// no probe is left to run.
func (c *container) watch(ctx context.Context, kind string, p *corev1.Probe, report func(ok bool) (more bool)) {
	pause(ctx, seconds(p.InitialDelaySeconds, 0), nil)

	tick := time.NewTicker(seconds(p.PeriodSeconds, 10))
	defer tick.Stop()

	counts := map[bool]int32{}
	thresholds := map[bool]int32{true: max(p.SuccessThreshold, 1), false: max(p.FailureThreshold, 1)}

	for ctx.Err() == nil {
		err := c.attempt(ctx, p)
		ok := err == nil

		counts[ok]++
		counts[!ok] = 0

		if !ok && ctx.Err() == nil {
			c.worker.log(kind+" probe failed", "container", c.spec.Name, "error", err)
		}

		if ctx.Err() == nil && counts[ok] >= thresholds[ok] && !report(ok) {
			return
		}

		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

func seconds(n int32, otherwise time.Duration) time.Duration {
	if n > 0 {
		return time.Duration(n) * time.Second
	}

	return otherwise * time.Second
}

func (c *container) attempt(ctx context.Context, p *corev1.Probe) error {
	ctx, cancel := context.WithTimeout(ctx, seconds(p.TimeoutSeconds, 1))
	defer cancel()

	switch {
	case p.HTTPGet != nil:
		return c.getHTTP(ctx, p.HTTPGet)
	case p.TCPSocket != nil:
		address, err := c.endpoint(p.TCPSocket.Host, p.TCPSocket.Port)
		if err != nil {
			return err
		}

		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}

		return connection.Close()
	default:
		return errors.New("package cluster runs httpGet and tcpSocket probes only")
	}
}

func (c *container) getHTTP(ctx context.Context, get *corev1.HTTPGetAction) error {
	address, err := c.endpoint(get.Host, get.Port)
	if err != nil {
		return err
	}

	target, err := url.Parse(get.Path)
	if err != nil {
		return fmt.Errorf("read the path of a probe: %w", err)
	}

	target.Scheme, target.Host = strings.ToLower(string(get.Scheme)), address
	if target.Scheme == "" {
		target.Scheme = "http"
	}

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), http.NoBody)
	if err != nil {
		return err
	}

	request.Header.Set("User-Agent", "kube-probe/test")

	for _, header := range get.HTTPHeaders {
		request.Header.Add(header.Name, header.Value)
	}

	response, err := probeClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()

	const enough = 1024

	body, _ := io.ReadAll(io.LimitReader(response.Body, enough))
	if response.StatusCode < http.StatusOK || response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s: %s", response.Status, body)
	}

	return nil
}

// endpoint is the address of a probe: the pod's, unless the probe names another host.
func (c *container) endpoint(host string, port intstr.IntOrString) (string, error) {
	if host == "" {
		host = c.worker.address.String()
	}

	number := port.IntValue()

	if port.Type == intstr.String {
		for _, p := range c.spec.Ports {
			if p.Name == port.StrVal {
				number = int(p.ContainerPort)
			}
		}
	}

	if number <= 0 {
		return "", fmt.Errorf("the container has no port %s", &port)
	}

	return net.JoinHostPort(host, strconv.Itoa(number)), nil
}

// kill ends the process at once.
func (c *container) kill() {
	c.mutex.Lock()
	process := c.process
	c.mutex.Unlock()

	if process != nil {
		process.signal(syscall.SIGKILL)
	}
}
