package gate_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/gate"
	"rampart/loadtest/inject"
	"rampart/loadtest/report"
	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

// TestLimits has candidates that keep a limit and such that do not, beside a baseline like them.
func TestLimits(t *testing.T) {
	slow := func(from, to int) func(*result.Duel) { // most requests of some blocks of the candidate take 50 ms
		return func(d *result.Duel) {
			for i := from; i < to; i++ {
				d.Blocks[i].Sides[1].FirstHalf = nil // of which it would not be true
				m := &d.Blocks[i].Sides[1].Measurement
				n := 3 * m.Latency.TotalCount()
				_ = m.Latency.RecordValues(50_000, n)
				m.Requests += uint64(n)
				m.LatencySum += time.Duration(n) * 50 * time.Millisecond
			}
			d.Plan.Units, d.Plan.Margins = []string{"req/s"}, map[string]float64{"req/s": 0.999}
		}
	}
	for _, tt := range []struct {
		name   string
		slo    string
		change func(*result.Duel)
		want   verdict.Verdict
		each   []verdict.Verdict
		says   string
	}{
		{"kept", "p99<200ms", nil, verdict.Pass, []verdict.Verdict{verdict.Pass}, "It keeps p99<200ms; where it does not"},
		{"all of several", "p50<200ms,mean<200ms,failed<1%", nil, verdict.Pass,
			[]verdict.Verdict{verdict.Pass, verdict.Pass, verdict.Pass}, ""},
		{"broken", "p50<5µs", nil, verdict.Regressed, []verdict.Verdict{verdict.Regressed},
			"the candidate is shown not to keep p50<5µs (it is "},
		{"one of two", "p99.9<200ms,mean<5µs", nil, verdict.Regressed, []verdict.Verdict{verdict.Pass, verdict.Regressed},
			"not to keep mean<5µs"},
		{"near", "mean<500µs", nil, verdict.Inconclusive, []verdict.Verdict{verdict.Inconclusive},
			"1 of 1 limits are shown neither to be kept nor to be broken"},
		{"a few blocks far above", "p50<10ms", slow(0, 1), verdict.Pass, []verdict.Verdict{verdict.Pass}, ""},
		{"a few blocks that decide", "mean<10ms", slow(0, 2), verdict.Inconclusive, []verdict.Verdict{verdict.Inconclusive},
			""},
		{"most blocks", "p50<10ms", slow(0, 12), verdict.Regressed, []verdict.Verdict{verdict.Regressed}, "p50<10ms"},
		{"in doubt", "p99<200ms", func(d *result.Duel) { d.Blocks[3].Sides[1].Strain.Busy = 0.95 }, verdict.Inconclusive,
			[]verdict.Verdict{verdict.Inconclusive}, ""},
		{"between looks", "p50<5µs", func(d *result.Duel) { d.Blocks = d.Blocks[:11] }, verdict.Inconclusive,
			[]verdict.Verdict{verdict.Inconclusive}, "between its looks"},
		{"failures", "failed<1%", func(d *result.Duel) {
			for i := range d.Blocks {
				for side := range d.Blocks[i].Sides {
					d.Blocks[i].Sides[side].Failures[inject.Status] = 20 * d.Blocks[i].Sides[side].Completed / 100
				}
			}
		}, verdict.Regressed, []verdict.Verdict{verdict.Regressed}, "not to keep failed<1% (it is 16.7%"},
		{"few failures are kept and no pass", "failed<50%", func(d *result.Duel) {
			for i := range d.Blocks {
				for side := range d.Blocks[i].Sides {
					d.Blocks[i].Sides[side].Failures[inject.Status] = 1
				}
			}
		}, verdict.Inconclusive, []verdict.Verdict{verdict.Pass}, "requests failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := simulated(rand.New(rand.NewPCG(1, 2)), 12, 1, 0.001)
			d.Plan.SLO = tt.slo
			if tt.change != nil {
				tt.change(&d)
			}
			r := judgedThreeWays(t, d)
			require.Equal(t, tt.want, r.Verdict, r.Meaning)
			require.Contains(t, r.Meaning, tt.says)
			var each []verdict.Verdict
			var b bytes.Buffer
			require.NoError(t, report.GateText(&b, r))
			for _, l := range r.Limits {
				each = append(each, l.Verdict)
				require.Equal(t, l.Verdict == verdict.Inconclusive, l.Reason != "", l.Reason)
				require.Regexp(t, fmt.Sprintf(`(?m)^candidate +%s .*<.* \d+ blocks +%s`, l.Objective, l.Verdict), b.String())
			}
			require.Equal(t, tt.each, each)
		})
	}
}

// TestMarksOfLimits holds that what was taken out of the marks, or changed, is missed.
func TestMarksOfLimits(t *testing.T) {
	d := simulated(rand.New(rand.NewPCG(1, 2)), 8, 1, 0.001)
	d.Plan.SLO = "p99<200ms,failed<1%"
	good := texts(t, d)
	for _, tt := range []struct{ old, new, says string }{
		{" slo=p99<200ms,failed<1%", "", "it was edited or cut"},
		{"p99<200ms", "p99<900ms", "it was edited or cut"},
		{",0:0:", ",0:0:0:", "want three numbers of each objective"},
		{",0:0:", ",-1:0:", "want three numbers of each objective"},
		{",0:0:", ",0:NaN:", "want three numbers of each objective"},
		{" slo=0.", " nothing=0.", "block 1 says nothing of slo=p99<200ms,failed<1%"},
	} {
		require.Contains(t, good[1], tt.old)
		x, err := gate.Parse("x.txt", []byte(good[0]))
		require.NoError(t, err)
		y, err := gate.Parse("y.txt", []byte(strings.ReplaceAll(good[1], tt.old, tt.new)))
		require.NoError(t, err)
		r, err := gate.Judge(x, y, gate.Options{})
		require.NoError(t, err)
		require.Equal(t, gate.Unjudged, r.Verdict)
		require.Contains(t, r.Meaning, tt.says)
	}
	d.Plan.SLO = "p99"
	r := gate.JudgeDuel(d)
	require.Equal(t, gate.Unjudged, r.Verdict)
	require.Contains(t, r.Meaning, "the plan of the duel: slo=p99: ")
}
