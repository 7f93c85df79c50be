package prove

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rampart/loadtest"
	"rampart/loadtest/gate"
	"rampart/loadtest/verdict"
)

// Throughput is the unit of which the losses are.
const Throughput = "req/s"

// ServerCPU is the other unit that a loss shows in.
const ServerCPU = "server-cpu-ns/op"

// Outcome is what a trial found.
type Outcome struct {
	Trial
	Verdict  verdict.Verdict
	Worse    []string `json:",omitempty"` // units that regressed
	Open     []string `json:",omitempty"` // units that neither regressed nor passed
	Judged   []string // units
	Estimate float64  // of the loss of throughput, a fraction
	Blocks   int
	Seconds  float64
	Values   map[string]Values // of each judged unit whose direction is known, and of throughput
}

// Values are those of both sides of a duel, by block: those of the baseline and of the candidate.
type Values [2][]float64

// NewOutcome is what a duel found that took so long. The error says that it did not measure
// throughput.
func NewOutcome(t Trial, d loadtest.DuelResult, took time.Duration) (Outcome, error) {
	o := Outcome{Trial: t, Verdict: d.Report.Verdict, Blocks: len(d.Blocks), Seconds: took.Seconds(),
		Values: make(map[string]Values)}
	once := func(to *[]string, unit string) { // each of several requests has a row
		if !slices.Contains(*to, unit) {
			*to = append(*to, unit)
		}
	}
	add := func(unit string, v verdict.Verdict) {
		switch v {
		case verdict.Pass:
		case verdict.Regressed:
			once(&o.Worse, unit)
		default:
			once(&o.Open, unit)
		}
	}
	keep := map[string]bool{Throughput: true}
	for _, row := range d.Report.Rows {
		add(row.Unit, row.Verdict)
		once(&o.Judged, row.Unit)
		keep[row.Unit] = row.Better != "same"
	}
	if f := d.Report.Failures; f != nil {
		add("failures", f.Verdict)
	}
	for _, f := range d.Report.RequestFailures {
		add("failures", f.Verdict)
	}
	for side := range 2 {
		for _, s := range d.Samples(side) {
			for _, m := range s.Metrics {
				if keep[m.Unit] {
					v := o.Values[m.Unit]
					v[side] = append(v[side], m.Value)
					o.Values[m.Unit] = v
				}
			}
		}
	}
	v := o.Values[Throughput]
	c, err := verdict.Rule{Alpha: 0.05}.Pairs(v[0], v[1], verdict.Higher)
	if err != nil {
		return o, fmt.Errorf("%s: no throughput was measured: %s", t, d.Report.Meaning)
	}
	o.Estimate = -verdict.Higher.Change(c.Estimate)
	return o, nil
}

// String says what is compared.
func (t Trial) String() string {
	switch {
	case t.Slower:
		return "the slower command"
	case t.Loss == 0:
		return "equals"
	}
	return fmt.Sprintf("%.4g %% less", 100*t.Loss)
}

// String says in a line what was found.
func (o Outcome) String() string {
	s := fmt.Sprintf("%s: %s", o.Trial, strings.ToLower(string(o.Verdict)))
	if len(o.Worse) > 0 {
		s += " by " + strings.Join(o.Worse, ", ")
	}
	if len(o.Open) > 0 {
		s += " (open: " + strings.Join(o.Open, ", ") + ")"
	}
	return fmt.Sprintf("%s, req/s %s, %s, %.0f s", s, change(o.Estimate), gate.Plural(o.Blocks, "block"), o.Seconds)
}
