package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/pipeline-storage/pipeline-storage/test/bench/figures"
)

// clientGC lets the client's small heap grow, so that it is seldom collected.
const clientGC = 400

// bench is one run: a launcher, and the reviews that are sent to its servers.
type bench struct {
	options  options
	launcher *launcher
}

// prepare divides the CPUs, builds the programs and starts the control plane. The caller must close
// what it returns.
func prepare(ctx context.Context, o options, dir string) (*bench, error) {
	l := &launcher{dir: dir, warmUp: o.warmUp}
	tlsDir := filepath.Join(dir, "tls")
	err := os.Mkdir(tlsDir, 0o700)
	if err != nil {
		return nil, fmt.Errorf("make a directory for certificates: %w", err)
	}
	if l.programs, err = buildAll(ctx, o, dir); err != nil { // on all CPUs
		return nil, err
	}
	if l.certificates, err = newCertificates(tlsDir, serviceDNS, serviceDNS+".cluster.local"); err != nil {
		return nil, err
	}
	if l.host, err = divide(); err != nil {
		return nil, err
	}
	runtime.GOMAXPROCS(l.host.clientCPUs())
	debug.SetGCPercent(clientGC)
	if o.measures(webhookName) {
		if l.cluster, err = startCluster(ctx, dir, l.certificates.ca); err != nil {
			return nil, err
		}
	}
	return &bench{options: o, launcher: l}, nil
}

// close ends the control plane. It fails if the control plane had ended before.
func (b *bench) close() error {
	if b.launcher.cluster == nil {
		return nil
	}
	if failure := b.launcher.cluster.stop(); failure != "" {
		return fmt.Errorf("the control plane: %s", failure)
	}
	return nil
}

// run measures everything.
func (b *bench) run(ctx context.Context) (*report, error) {
	r := &report{
		options: b.options, machine: figures.Describe(), isPinned: b.launcher.host.isPinned, loadBefore: figures.Load(),
		ready: map[string][]float64{}, idle: map[string]float64{}, loaded: map[string]float64{},
		programs: map[string]float64{},
	}
	var err error
	if r.experiments, err = experiments(ctx); err != nil {
		return nil, err
	}
	if err := b.measurePrograms(r); err != nil {
		return nil, err
	}
	if err := b.measureStarts(ctx, r); err != nil {
		return nil, err
	}
	if err := b.measureHTTP1(ctx, r); err != nil {
		return nil, fmt.Errorf("over HTTP/1.1: %w", err)
	}
	if b.options.http2Rounds > 0 {
		if err := b.measureHTTP2(ctx, r); err != nil {
			return nil, fmt.Errorf("over HTTP/2: %w", err)
		}
	}
	r.loadAfter = figures.Load()
	return r, nil
}

// measureStarts starts every server several times, in turns, and measures the time until it is
// ready.
func (b *bench) measureStarts(ctx context.Context, r *report) error {
	for range b.options.starts {
		for _, c := range b.options.candidates() {
			s, err := b.launcher.start(ctx, c, false)
			if err != nil {
				return err
			}
			r.ready[c.name] = append(r.ready[c.name], float64(s.ready.Microseconds())/1000)
			s.stop()
		}
	}
	return nil
}

// measureHTTP1 measures all figures of servers that run side by side, one server at a time.
func (b *bench) measureHTTP1(ctx context.Context, r *report) error {
	return b.serving(ctx, false, func(servers []*server) error {
		subjects, err := newSubjects(b.options)
		if err != nil {
			return err
		}
		if r.idle, err = measureIdle(ctx, servers, b.options.idle); err != nil {
			return err
		}
		if err := measureRounds(ctx, servers, subjects, b.options.rounds, b.options.duration); err != nil {
			return err
		}
		if err := measureLatencies(ctx, servers, subjects, b.options.duration); err != nil {
			return err
		}
		for _, s := range servers {
			if r.loaded[s.name], err = rss(s.pid()); err != nil {
				return err
			}
		}
		r.tables = append(r.tables, newTable("HTTP/1.1", b.options.rounds, subjects))
		return nil
	})
}

// measureHTTP2 measures only what a review costs each server.
func (b *bench) measureHTTP2(ctx context.Context, r *report) error {
	return b.serving(ctx, true, func(servers []*server) error {
		subjects, err := newSubjects(b.options)
		if err != nil {
			return err
		}
		if _, err := measureIdle(ctx, servers, time.Second); err != nil {
			return err
		}
		if err := measureRounds(ctx, servers, subjects, b.options.http2Rounds, b.options.duration); err != nil {
			return err
		}
		r.tables = append(r.tables, newTable("HTTP/2", b.options.http2Rounds, subjects))
		return nil
	})
}

// serving starts all servers, waits until the webhook is the leader, and stops them when the work
// is done.
func (b *bench) serving(ctx context.Context, http2 bool, work func([]*server) error) error {
	var servers []*server
	defer func() {
		for _, s := range slices.Backward(servers) {
			s.stop()
		}
	}()
	for _, c := range b.options.candidates() {
		s, err := b.launcher.start(ctx, c, http2)
		if err != nil {
			return err
		}
		servers = append(servers, s)
	}
	for _, s := range servers {
		if err := s.waitLeader(ctx); err != nil {
			return err
		}
	}
	return work(servers)
}

func newTable(protocol string, rounds int, subjects []*subject) table {
	t := table{protocol: protocol, rounds: rounds}
	for _, s := range subjects {
		t.sizes = append(t.sizes, s.sized)
	}
	return t
}
