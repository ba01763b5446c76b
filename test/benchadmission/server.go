package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pipeline-storage/pipeline-storage/test/process"
)

const (
	readyPoll  = 2 * time.Millisecond
	leaderPoll = 50 * time.Millisecond
	// serverTimeout is the limit for anything that should take milliseconds.
	serverTimeout = 20 * time.Second
	stopGrace     = 15 * time.Second
)

// server is a candidate that runs.
type server struct {
	*process.Process
	candidate
	// The addresses of reviews, metrics, readiness and profiles. Only the webhook has the last two.
	address, metrics, health, profiles string
	dialer                             dialer // for reviews
	// ready is the time from its start to the first TLS handshake, and for the webhook to its
	// readiness too.
	ready time.Duration
	// What it allocates without reviews: for one request for metrics, and in a second.
	perScrape, perSecond float64
}

// start starts one server and waits until it is ready.
func (b *bench) start(ctx context.Context, c candidate, http2 bool) (*server, error) {
	addresses, err := process.FreeAddresses(4)
	if err != nil {
		return nil, err
	}
	b.started++
	s := &server{candidate: c, address: addresses[0], metrics: addresses[1], health: addresses[2], profiles: addresses[3]}
	s.dialer = dialer{address: s.address, ca: b.ca, http2: http2}
	begun := time.Now()
	s.Process, err = process.Start(process.Options{
		Name: c.name, Program: b.programs[c.name], Args: b.args(s), Poll: readyPoll, Launch: b.host.launch,
		Log: filepath.Join(b.dir, fmt.Sprintf("%s-%d.log", c.name, b.started)),
		// One CPU to use, and nothing else, so that no GOGC of the caller is measured.
		Env: []string{"GOMAXPROCS=1", "HOME=" + os.TempDir()},
	})
	if err != nil {
		return nil, err
	}
	if err := s.waitReady(ctx); err != nil {
		s.Kill()
		return nil, err
	}
	s.ready = time.Since(begun)
	return s, nil
}

// args are the flags of all servers, and those that only the webhook has.
func (b *bench) args(s *server) []string {
	args := append([]string{
		"--port=" + s.address[strings.LastIndexByte(s.address, ':')+1:],
		"--certificate-dir=" + b.dir,
		"--metrics-bind-address=" + s.metrics,
		"--http2=" + strconv.FormatBool(s.dialer.http2),
	}, s.args...)
	if s.name != webhookName {
		return args
	}
	args = append(args,
		"--health-probe-bind-address="+s.health,
		// A lease of its own, so that it does not wait for that of its predecessor.
		"--leader-election-id=benchadmission-"+strconv.Itoa(b.started),
	)
	if b.options.profile != "" {
		args = append(args, "--pprof-bind-address="+s.profiles)
	}
	return append(args, b.cluster.args()...)
}

// waitReady returns when the server has completed a handshake and, if it is the webhook, reports
// that it is ready.
func (s *server) waitReady(ctx context.Context) error {
	hasShaken := false
	return s.wait(ctx, func(ctx context.Context) error {
		if !hasShaken {
			connection, err := s.dialer.dial(ctx)
			if err != nil {
				return err
			}
			_ = connection.Close()
			hasShaken = true
		}
		if s.name != webhookName {
			return nil
		}
		_, err := process.Get(ctx, "http://"+s.health+"/readyz")
		return err
	})
}

// waitLeader returns when the webhook is the leader, so that its controller runs. The other servers
// have nothing to wait for.
func (s *server) waitLeader(ctx context.Context) error {
	if s.name != webhookName {
		return nil
	}
	return s.wait(ctx, func(ctx context.Context) error {
		leads, err := s.metric(ctx, "leader_election_master_status")
		if err == nil && leads != 1 {
			time.Sleep(leaderPoll) // reading metrics costs the webhook something
			err = errors.New("it does not lead, so that its controller does not run")
		}
		return err
	})
}

func (s *server) wait(ctx context.Context, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	return s.WaitReady(ctx, check)
}

// explain adds to an error why the server has ended, if it has, and the end of its log.
func (s *server) explain(err error) error {
	if err == nil {
		return nil
	}
	if ended := s.ExitError(); ended != nil {
		return fmt.Errorf("%w; %w", err, ended)
	}
	return fmt.Errorf("%w\n%s", err, s.LogTail())
}

// metric reads a counter or gauge.
func (s *server) metric(ctx context.Context, name string) (float64, error) {
	metrics, err := process.ReadMetrics(ctx, s.metrics)
	if err != nil {
		return 0, err
	}
	return metrics.Sum(name)
}
