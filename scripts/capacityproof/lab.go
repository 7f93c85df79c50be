package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"rampart/loadtest"
	"rampart/scripts/proof"
)

// outcome is what a ramp found.
type outcome struct {
	trial
	Capacity     float64 // requests per second; 0: there is none
	Lower, Upper float64 `json:",omitempty"`
	VUs          int
	Knee         int      `json:",omitempty"`
	KneeLower    int      `json:",omitempty"`
	KneeUpper    int      `json:",omitempty"`
	Stop         string   // reason
	Levels       []level  // by VUs
	Doubts       []string `json:",omitempty"` // kinds, of the ramp and its levels, each once
	Seconds      float64
}

type level struct {
	VUs        int
	Throughput float64
}

func (o outcome) String() string {
	text := fmt.Sprintf("%s: %.0f requests/s", o.trial, o.Capacity)
	if o.Upper > 0 {
		text += fmt.Sprintf(" (%.0f to %.0f)", o.Lower, o.Upper)
	}
	return fmt.Sprintf("%s at %d vus, knee %d, %s, %d levels, %.1f s %v", text, o.VUs, o.Knee, o.Stop, len(o.Levels),
		o.Seconds, o.Doubts)
}

// lab runs ramps.
type lab struct {
	dir string // for programs, which are built when they are needed first
}

// run runs one ramp on a server of its own.
func (l lab) run(ctx context.Context, t trial, window time.Duration) (o outcome, err error) {
	command, err := l.command(ctx, t.Server)
	if err != nil {
		return o, err
	}
	if t.Neighbour {
		n, failed := proof.StartNeighbour()
		if failed != nil {
			return o, failed
		}
		defer func() { err = errors.Join(err, n.Stop()) }()
	}
	server, err := loadtest.StartServer(ctx, command...)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	target, err := loadtest.HTTP("http://" + server.Addr + "/?it1=60000&it2=1")
	if err != nil {
		return o, err
	}
	begun := time.Now()
	result, err := loadtest.Ramp{
		Experiment: loadtest.Experiment{
			Target: target, Window: window, Warmup: time.Duration(float64(window) / warmups), ServerCPU: server.CPU,
		},
		Rule: t.Rule,
	}.Run(ctx)
	if err != nil {
		return o, err
	}
	o = found(t, result)
	o.Seconds = time.Since(begun).Seconds()
	return o, nil
}

// found is what a result tells.
func found(t trial, r loadtest.Result) outcome {
	o := outcome{trial: t, Capacity: r.CapacityThroughput(), Stop: string(r.Stop.Reason)}
	if best, ok := r.Capacity(); ok {
		o.VUs = best.VUs
	}
	o.Knee, _ = r.Knee()
	if e := r.Estimate; e != nil {
		o.Lower, o.Upper, o.KneeLower, o.KneeUpper = e.Lower, e.Upper, e.KneeLower, e.KneeUpper
	}
	seen := make(map[string]bool)
	doubt := func(kind string) {
		if !seen[kind] {
			seen[kind] = true
			o.Doubts = append(o.Doubts, kind)
		}
	}
	for _, d := range r.Doubts {
		doubt(d.Kind)
	}
	for _, l := range r.Levels {
		o.Levels = append(o.Levels, level{l.VUs, l.Throughput()})
		for _, d := range l.Doubts {
			doubt(d.Kind)
		}
	}
	return o
}

// command is how a server is started.
func (l lab) command(ctx context.Context, server string) ([]string, error) {
	if server == flask {
		return l.gunicorn()
	}
	path := filepath.Join(l.dir, "server")
	if _, err := os.Stat(path); err != nil {
		if path, err = loadtest.BuildServer(ctx, l.dir); err != nil {
			return nil, err
		}
	}
	return []string{path, "-addr", "127.0.0.1:0"}, nil
}

// flaskMissing says what the original's server lacks here; empty: nothing.
func flaskMissing() string {
	if _, err := exec.LookPath("gunicorn"); err != nil {
		return "gunicorn is not installed (Debian: gunicorn, python3-flask)"
	}
	return ""
}

// announce has gunicorn say where it listens as the bundled server does.
const announce = `import sys


def when_ready(server):
    host, port = server.LISTENERS[0].sock.getsockname()[:2]
    print(f'listening on {host}:{port}', file=sys.stderr, flush=True)
`

// gunicorn is the original's workload, with as many workers.
func (l lab) gunicorn() ([]string, error) {
	config := filepath.Join(l.dir, "gunicorn.conf.py")
	if err := os.WriteFile(config, []byte(announce), 0o666); err != nil {
		return nil, err
	}
	module, err := filepath.Abs(filepath.Join("scripts", "original"))
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(module, "app.py")); err != nil {
		return nil, fmt.Errorf("the workload: %w; run this at the root of the repository", err)
	}
	return []string{
		"gunicorn", "--config", config, "--chdir", module, "--bind", "127.0.0.1:0",
		"--workers", fmt.Sprint(2*runtime.NumCPU() + 1), "app:app",
	}, nil
}
