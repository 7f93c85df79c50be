package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"time"

	"golang.org/x/perf/benchmath"

	"rampart/loadtest"
	"rampart/loadtest/gate"
	"rampart/loadtest/inject"
	"rampart/loadtest/report"
	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
	"rampart/scripts/proof"
)

// iterations is the work of a request of the baseline.
const iterations = 60000

// costs is what more iterations cost in throughput, a fraction, with its interval.
type costs struct{ Loss, Low, High float64 }

func (c costs) String() string {
	return fmt.Sprintf("%.2f %% (%.2f to %.2f %%)", 100*c.Loss, 100*c.Low, 100*c.High)
}

// factor is how many iterations lose so much throughput. The time of a request is a constant and a
// part that grows with its iterations, so throughput is 1 / (1 + k·more), with k from the loss that
// was measured with a tenth more.
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

	Worse []string `json:",omitempty"` // units that regressed
	Open  []string `json:",omitempty"` // units that neither regressed nor passed
	Again string   `json:",omitempty"` // verdict on the two files of the duel
	Same  bool     `json:",omitempty"` // every word and number is the same for the files
}

func (o outcome) String() string {
	s := fmt.Sprintf("%s: %s", o.trial, o.Verdict)
	if len(o.Worse) > 0 {
		s += " by " + strings.Join(o.Worse, ", ")
	}
	if len(o.Open) > 0 {
		s += " (open: " + strings.Join(o.Open, ", ") + ")"
	}
	if o.Again != "" && (o.Again != o.Verdict || !o.Same) {
		s += ", its files judged otherwise (" + o.Again + ")"
	}
	return fmt.Sprintf("%s, %+.2f %% (%+.2f to %+.2f), %.0f s", s, -100*o.Estimate, -100*o.High, -100*o.Low, o.Seconds)
}

// newOutcome is what a duel found, and what its two files say again.
func newOutcome(d loadtest.DuelResult) (outcome, error) {
	o := outcome{Verdict: string(d.Report.Verdict), Blocks: len(d.Blocks)}
	add := func(unit string, v verdict.Verdict) {
		switch v {
		case verdict.Pass:
		case verdict.Regressed:
			o.Worse = append(o.Worse, unit)
		default:
			o.Open = append(o.Open, unit)
		}
	}
	measured := false
	for _, row := range d.Report.Rows {
		add(row.Unit, row.Verdict)
		if c := row.Comparison; row.Unit == "req/s" {
			o.Estimate, o.Low, o.High = loss(c.Estimate), loss(c.Lower), loss(c.Upper)
			measured = true
		}
	}
	if !measured {
		return o, fmt.Errorf("a duel without req/s: %s", d.Report.Meaning)
	}
	if f := d.Report.Failures; f != nil {
		add("failures", f.Verdict)
	}
	again, err := judgeFiles(d.Duel)
	o.Again, o.Same = string(again.Verdict), reflect.DeepEqual(again, d.Report)
	return o, err
}

// judgeFiles judges the two files of a duel.
func judgeFiles(d result.Duel) (gate.Report, error) {
	var sides [2]gate.Results
	for side, name := range [2]string{d.Baseline, d.Candidate} {
		var file bytes.Buffer
		if err := report.DuelBench(&file, d, side); err != nil {
			return gate.Report{}, err
		}
		var err error
		if sides[side], err = gate.Parse(name, file.Bytes()); err != nil {
			return gate.Report{}, err
		}
	}
	return gate.Judge(sides[0], sides[1], gate.Options{})
}

// lab runs trials.
type lab struct {
	servers map[kind]string // the programs
}

func request(n float64) *url.URL {
	return &url.URL{Scheme: "http", Path: "/", RawQuery: fmt.Sprintf("it1=%.0f&it2=1", n)}
}

// duel returns the duel of a server with n iterations for each request against a candidate with n
// times factor.
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
	row := result.Report.Rows[0].Comparison
	return costs{loss(row.Estimate), loss(row.Lower), loss(row.Upper)}, nil
}

// run runs one trial.
func (l lab) run(ctx context.Context, t trial, c costs) (o outcome, err error) {
	if t.Neighbour {
		var n proof.Neighbour
		if n, err = proof.StartNeighbour(); err != nil {
			return o, err
		}
		defer func() { err = errors.Join(err, n.Stop()) }()
	}
	begun := time.Now()
	if t.Usual {
		o, err = l.usual(ctx, c.factor(t.Loss))
	} else {
		var result loadtest.DuelResult
		if result, err = l.duel(t.Kind, iterations, c.factor(t.Loss)).Run(ctx); err == nil {
			o, err = newOutcome(result)
		}
	}
	o.trial, o.Seconds = t, time.Since(begun).Seconds()
	return o, err
}

// usual measures ten windows of the old server and then ten of the new one, as go test -count 10
// does, in the time that a duel of 8 blocks takes with all its starts.
func (l lab) usual(ctx context.Context, factor float64) (outcome, error) {
	const count, window = 10, 800 * time.Millisecond
	load := inject.Load{VUs: 2, Warmup: window / 10, Window: window, Timeout: time.Minute}
	var sides [2][]float64
	for side, work := range [2]float64{iterations, iterations * factor} {
		var err error
		if sides[side], err = l.windows(ctx, request(work), load, count); err != nil {
			return outcome{}, err
		}
	}
	old, new := benchmath.NewSample(sides[0], &benchmath.DefaultThresholds),
		benchmath.NewSample(sides[1], &benchmath.DefaultThresholds)
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

// windows measures the throughput of a fresh server so many times.
func (l lab) windows(ctx context.Context, u *url.URL, load inject.Load, count int) (all []float64, err error) {
	server, err := loadtest.StartServer(ctx, l.servers[same], "-addr", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	u.Host = server.Addr
	target, err := inject.NewHTTP(inject.HTTPConfig{URL: u})
	if err != nil {
		return nil, err
	}
	for range count {
		m, err := inject.Run(ctx, target, load)
		if err != nil {
			return nil, err
		}
		all = append(all, m.Throughput())
	}
	return all, nil
}
