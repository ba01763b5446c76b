package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/pipeline-storage/pipeline-storage/test/benchadmission/servers/listen"
)

const (
	readyPoll  = 2 * time.Millisecond
	leaderPoll = 50 * time.Millisecond
)

// launcher starts servers.
type launcher struct {
	host         host
	programs     map[string]string // by the candidate's name
	certificates certificates
	cluster      *cluster // nil without the webhook
	dir          string   // for logs
	warmUp       time.Duration
	profiles     bool // the webhook serves them
	started      int
}

// server is a candidate that runs.
type server struct {
	*process
	candidate    candidate
	certificates certificates
	http2        bool
	warmUp       time.Duration
	ports        ports
	// ready is the time from its start to the first TLS handshake, and for the webhook to its
	// readiness too.
	ready time.Duration
	// idle is what it allocates without requests.
	idle idleness
}

// ports of 127.0.0.1 that a server listens on.
type ports struct{ reviews, metrics, health, profiles int }

func (s *server) address() string    { return join(s.ports.reviews) }
func (s *server) metricsURL() string { return "http://" + join(s.ports.metrics) + "/metrics" }
func (s *server) readyURL() string   { return "http://" + join(s.ports.health) + "/readyz" }

func join(port int) string { return net.JoinHostPort(listen.Host, strconv.Itoa(port)) }

// start starts one server and waits until it is ready.
func (l *launcher) start(ctx context.Context, c candidate, http2 bool) (*server, error) {
	free, err := freePorts()
	if err != nil {
		return nil, err
	}
	l.started++
	s := &server{candidate: c, certificates: l.certificates, http2: http2, warmUp: l.warmUp, ports: free}
	log := filepath.Join(l.dir, fmt.Sprintf("%s-%d.log", c.name, l.started))
	begun := time.Now()
	s.process, err = startProcess(l.host, c.name, l.programs[c.name], log, l.args(s))
	if err != nil {
		return nil, err
	}
	if err := s.waitReady(ctx); err != nil {
		s.stop()
		return nil, err
	}
	s.ready = time.Since(begun)
	return s, nil
}

// args are the flags of all servers, and those that only the webhook has.
func (l *launcher) args(s *server) []string {
	args := []string{
		"--port=" + strconv.Itoa(s.ports.reviews),
		"--certificate-dir=" + l.certificates.dir,
		"--metrics-bind-address=" + join(s.ports.metrics),
		"--http2=" + strconv.FormatBool(s.http2),
	}
	if s.candidate.name != webhookName {
		return args
	}
	args = append(args,
		"--health-probe-bind-address="+join(s.ports.health),
		// A lease of its own, so that it does not wait for that of its predecessor.
		"--leader-election-id=benchadmission-"+strconv.Itoa(l.started),
	)
	if l.profiles {
		args = append(args, "--pprof-bind-address="+join(s.ports.profiles))
	}
	return append(args, l.cluster.args()...)
}

// waitReady returns when the server has completed a handshake and, if it is the webhook, reports
// that it is ready.
func (s *server) waitReady(ctx context.Context) error {
	shaken := false
	return s.poll(ctx, readyPoll, func() error {
		if !shaken {
			if err := s.shakeHands(ctx); err != nil {
				return err
			}
			shaken = true
		}
		if s.candidate.name != webhookName {
			return nil
		}
		_, err := get(ctx, s.readyURL())
		return err
	})
}

func (s *server) shakeHands(ctx context.Context) error {
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: serverTimeout}, Config: s.certificates.client(s.http2)}
	connection, err := dialer.DialContext(ctx, "tcp", s.address())
	if err != nil {
		return err
	}
	return connection.Close()
}

// waitLeader returns when the webhook is the leader, so that its controller runs. The other servers
// have nothing to wait for.
func (s *server) waitLeader(ctx context.Context) error {
	if s.candidate.name != webhookName {
		return nil
	}
	return s.poll(ctx, leaderPoll, func() error {
		leads, err := metric(ctx, s.metricsURL(), "leader_election_master_status")
		if err == nil && leads != 1 {
			err = errors.New("it does not lead, so that its controller does not run")
		}
		return err
	})
}

// poll calls check until it returns nil, up to serverTimeout and while the server lives.
func (s *server) poll(ctx context.Context, every time.Duration, send func() error) error {
	ctx, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		err := send()
		if err == nil {
			return nil
		}
		select {
		case <-s.done:
			return s.exitError()
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready after %s: %w\n%s", s.candidate.name, serverTimeout, err, s.tail())
		case <-tick.C:
		}
	}
}

// freePorts are ports that were free a moment ago.
func freePorts() (ports, error) {
	var free [4]int
	for i := range free {
		listener, err := net.Listen("tcp", join(0))
		if err != nil {
			return ports{}, fmt.Errorf("find a free port: %w", err)
		}
		defer listener.Close() // all closed at the end, so that they differ
		address, ok := listener.Addr().(*net.TCPAddr)
		if !ok {
			return ports{}, fmt.Errorf("find a free port: %v is no TCP address", listener.Addr())
		}
		free[i] = address.Port
	}
	return ports{reviews: free[0], metrics: free[1], health: free[2], profiles: free[3]}, nil
}
