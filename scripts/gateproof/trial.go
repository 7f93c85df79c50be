package main

import (
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/perf/benchmath"

	"rampart/loadtest"
	"rampart/loadtest/inject"
	"rampart/loadtest/verdict"
)

// iterations is the work of a request of the baseline.
const iterations = 60000

// costs is what more iterations cost in throughput, a fraction, with its interval.
type costs struct{ Loss, Low, High float64 }

func (c costs) String() string {
	return fmt.Sprintf("%.2f %% (%.2f to %.2f %%)", 100*c.Loss, 100*c.Low, 100*c.High)
}

// factor is how many iterations lose so much throughput. The time of a request is a constant and a part that grows with its
// iterations, so throughput is 1 / (1 + k·more), with k from the loss that was measured with a tenth more.
func (c costs) factor(loss float64) float64 {
	k := (1/(1-c.Loss) - 1) / 0.1
	return 1 + (1/(1-loss)-1)/k
}

// outcome is what a comparison found.
type outcome struct {
	trial
	Verdict  string // of the gate; of the usual way: regressed or pass, by benchstat's rule
	Plain    string // of the usual way: regressed or pass, by a limit of 5 % on the change
	Estimate float64
	Low      float64 // interval of the change for the worse, a fraction of the baseline
	High     float64
	Blocks   int
	Seconds  float64
}

func (o outcome) String() string {
	return fmt.Sprintf("%s: %s, %+.2f %% (%+.2f to %+.2f), %.0f s", o.trial, o.Verdict, -100*o.Estimate, -100*o.High, -100*o.Low, o.Seconds)
}

// lab runs trials.
type lab struct {
	servers map[kind]string // the programs
}

func request(n float64) *url.URL {
	return &url.URL{Scheme: "http", Path: "/", RawQuery: fmt.Sprintf("it1=%.0f&it2=1", n)}
}

// duel returns the duel of a server with n iterations for each request against a candidate with n times factor.
func (l lab) duel(k kind, n, factor float64) loadtest.Duel {
	const flags = " -addr {addr}"
	return loadtest.Duel{
		Baseline:  loadtest.Contender{Command: "exec " + l.servers[same] + flags},
		Candidate: loadtest.Contender{Command: "exec " + l.servers[k] + flags, URI: request(n * factor).RequestURI()},
		Request:   inject.HTTPConfig{URL: request(n)},
	}
}

// loss is how much less throughput d, the change for the worse of a verdict, is.
func loss(d float64) float64 { return -verdict.Higher.Change(d) }

// costs measures what so many times the iterations cost.
func (l lab) costs(ctx context.Context, blocks int, factor float64) (costs, error) {
	d := l.duel(same, iterations, factor)
	d.Looks = []int{blocks}
	result, err := d.Run(ctx)
	if err != nil {
		return costs{}, err
	}
	row := result.Rows[0]
	return costs{loss(row.Estimate), loss(row.Row.Lower), loss(row.Upper)}, nil
}

// run runs one trial.
func (l lab) run(ctx context.Context, t trial, c costs) (o outcome, err error) {
	if t.Neighbour {
		stop, err := neighbour()
		if err != nil {
			return o, err
		}
		defer stop()
	}
	begun := time.Now()
	if t.Usual {
		o, err = l.usual(ctx, c.factor(t.Loss))
	} else {
		var result loadtest.DuelResult
		if result, err = l.duel(t.Kind, iterations, c.factor(t.Loss)).Run(ctx); err == nil {
			row := result.Rows[0]
			o = outcome{
				Verdict: string(result.Verdict), Blocks: len(result.Blocks),
				Estimate: loss(row.Estimate), Low: loss(row.Row.Lower), High: loss(row.Upper),
			}
		}
	}
	o.trial, o.Seconds = t, time.Since(begun).Seconds()
	return o, err
}

// neighbour starts a process that burns CPU for a tenth of a second, rests for as long, and so on.
func neighbour() (stop func(), err error) {
	cmd := exec.Command("sh", "-c", "while :; do timeout 0.1 sh -c 'while :; do :; done'; sleep 0.1; done")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("neighbour: %w", err)
	}
	return func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	}, nil
}

// usual measures ten windows of the old server and then ten of the new one, as go test -count 10 does, in the time that a duel
// of 8 blocks takes with all its starts.
func (l lab) usual(ctx context.Context, factor float64) (outcome, error) {
	const count, window = 10, 800 * time.Millisecond
	var sides [2][]float64
	for side := range sides {
		work := float64(iterations)
		if side == 1 {
			work *= factor
		}
		server, err := loadtest.StartServer(ctx, l.servers[same], "-addr", "127.0.0.1:0")
		if err != nil {
			return outcome{}, err
		}
		u := request(work)
		u.Host = server.Addr
		target, err := inject.NewHTTP(inject.HTTPConfig{URL: u})
		if err != nil {
			return outcome{}, err
		}
		for range count {
			m, err := inject.Run(ctx, target, inject.Load{VUs: 2, Warmup: window / 10, Window: window, Timeout: time.Minute})
			if err != nil {
				return outcome{}, err
			}
			sides[side] = append(sides[side], m.Throughput())
		}
		if err := server.Stop(); err != nil {
			return outcome{}, err
		}
	}
	old, new := benchmath.NewSample(sides[0], &benchmath.DefaultThresholds), benchmath.NewSample(sides[1], &benchmath.DefaultThresholds)
	before, after := benchmath.AssumeNothing.Summary(old, 0.95).Center, benchmath.AssumeNothing.Summary(new, 0.95).Center
	loss := 1 - after/before
	o := outcome{Verdict: "pass", Plain: "pass", Estimate: loss, Low: loss, High: loss}
	if comparison := benchmath.AssumeNothing.Compare(old, new); comparison.P < comparison.Alpha && loss > 0 {
		o.Verdict = "regressed"
	}
	if loss > 0.05 {
		o.Plain = "regressed"
	}
	return o, nil
}
