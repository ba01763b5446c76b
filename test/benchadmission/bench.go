package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/pipeline-storage/pipeline-storage/test/bench/figures"
	"github.com/pipeline-storage/pipeline-storage/test/parts"
)

// clientGC lets the client's small heap grow, so that it is seldom collected.
const clientGC = 400

// bench starts servers, and measures them.
type bench struct {
	options  options
	host     host
	programs map[string]string // by the candidate's name
	cluster  *cluster          // nil without the webhook
	dir      string            // for programs, logs and the certificate
	ca       []byte            // in PEM
	started  int               // servers so far
}

// prepare divides the CPUs, builds the programs and starts the control plane. The caller must close
// what it returns.
func prepare(ctx context.Context, o options, dir string) (*bench, error) {
	b := &bench{options: o, dir: dir, programs: map[string]string{}}
	for _, c := range o.candidates() { // on all CPUs
		var err error
		if b.programs[c.name], err = b.program(ctx, c); err != nil {
			return nil, err
		}
	}
	var err error
	if b.ca, err = writeCertificate(dir); err != nil {
		return nil, err
	}
	if b.host, err = divide(); err != nil {
		return nil, err
	}
	runtime.GOMAXPROCS(b.host.clientCPUs())
	debug.SetGCPercent(clientGC)
	if o.Candidates.Has(webhookName) {
		if b.cluster, err = startCluster(ctx, dir); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// program builds the program of a candidate, or finds the one that a flag names. None is copied, which would
// change its memory: see figures.Copy.
func (b *bench) program(ctx context.Context, c candidate) (string, error) {
	if c.name != webhookName || b.options.webhook == "" {
		path := filepath.Join(b.dir, filepath.Base(c.pkg))
		return path, parts.Compile(ctx, c.pkg, path)
	}
	path, err := filepath.Abs(b.options.webhook)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		return "", fmt.Errorf("--webhook: %w", err)
	}
	return path, nil
}

// close ends the control plane. It fails if the control plane had ended before.
func (b *bench) close() error {
	if b.cluster == nil {
		return nil
	}
	return b.cluster.stop()
}

// run measures everything.
func (b *bench) run(ctx context.Context) (*report, error) {
	r := &report{
		options: b.options, machine: figures.Describe(), isPinned: b.host.isPinned, loadBefore: figures.Load(),
		servers: map[string]*serverFigures{},
	}
	var err error
	if r.experiments, err = experiments(ctx); err != nil {
		return nil, err
	}
	if err := b.measureStarts(ctx, r); err != nil {
		return nil, err
	}
	for _, protocol := range []struct {
		name    string
		isHTTP2 bool
		rounds  int
		idle    time.Duration
	}{{"HTTP/1.1", false, b.options.Rounds, b.options.idle}, {"HTTP/2", true, b.options.http2Rounds, time.Second}} {
		if protocol.rounds == 0 {
			continue
		}
		t := &table{protocol: protocol.name, rounds: protocol.rounds}
		r.tables = append(r.tables, t)
		if err := b.serving(ctx, protocol.isHTTP2, func(servers []*server) error {
			return b.measure(ctx, r, t, servers, protocol.idle)
		}); err != nil {
			return nil, fmt.Errorf("over %s: %w", protocol.name, err)
		}
	}
	r.loadAfter = figures.Load()
	return r, nil
}

// measureStarts starts every server several times, in turns, and measures the time until it is
// ready. It reads the sizes of the programs as well.
func (b *bench) measureStarts(ctx context.Context, r *report) error {
	for range b.options.starts {
		for _, c := range b.options.candidates() {
			s, err := b.start(ctx, c, false)
			if err != nil {
				return err
			}
			info, err := os.Stat(s.Program)
			if err := errors.Join(err, s.Stop(stopGrace)); err != nil {
				return err
			}
			if r.servers[c.name] == nil {
				r.servers[c.name] = &serverFigures{program: float64(info.Size())}
			}
			r.servers[c.name].ready = append(r.servers[c.name].ready, float64(s.ready.Microseconds())/1000)
		}
	}
	return nil
}

// measure measures servers that run side by side, one at a time. Latencies and memory are measured over HTTP/1.1
// only.
func (b *bench) measure(ctx context.Context, r *report, t *table, servers []*server, idle time.Duration) (err error) {
	if t.subjects, err = newSubjects(b.options); err != nil {
		return err
	}
	memory, err := measureIdle(ctx, servers, idle)
	if err != nil {
		return err
	}
	if err := measureRounds(ctx, servers, t, b.options); err != nil || t != r.tables[0] {
		return err
	}
	if err := measureLatencies(ctx, servers, t, b.options); err != nil {
		return err
	}
	for _, s := range servers {
		used, err := s.Usage()
		if err != nil {
			return s.explain(err)
		}
		r.servers[s.name].idle, r.servers[s.name].loaded = memory[s.name], float64(used.Resident)
	}
	return nil
}

// serving starts all servers, waits until the webhook is the leader, and stops them when the work
// is done.
func (b *bench) serving(ctx context.Context, http2 bool, work func([]*server) error) (err error) {
	var servers []*server
	defer func() {
		for _, s := range slices.Backward(servers) {
			err = errors.Join(err, s.Stop(stopGrace))
		}
	}()
	for _, c := range b.options.candidates() {
		s, err := b.start(ctx, c, http2)
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
