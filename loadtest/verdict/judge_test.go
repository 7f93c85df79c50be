package verdict

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func TestJudge(t *testing.T) {
	const m = 0.03
	row := func(lower, upper, p float64) Row {
		return Row{Comparison: Comparison{Lower: lower, Upper: upper, P: p}, Margin: m}
	}
	var (
		same     = row(-0.01, 0.01, 0.5)
		slightly = row(0.005, 0.02, 0.0001)
		worse    = row(0.02, 0.05, 0.0001)
		barely   = row(0.001, 0.05, 0.04)
		better   = row(-0.2, -0.1, 1)
		noisy    = row(-0.05, 0.05, 0.5)
		few      = row(math.Inf(-1), math.Inf(1), 0.06)
		edge     = row(-0.01, m, 0.2)
	)
	stalls, slightlyStalls := same, slightly
	stalls.Together, slightlyStalls.Together = m, 2*m
	doubted := func(r Row) Row { r.Doubted = true; return r }
	for _, tt := range []struct {
		name string
		rows []Row
		want Verdict
		each []Verdict
	}{
		{"nothing", nil, Inconclusive, nil},
		{"the same", []Row{same}, Pass, []Verdict{Pass}},
		{"better", []Row{better}, Pass, []Verdict{Pass}},
		{"worse, within the margin", []Row{slightly}, Pass, []Verdict{Pass}},
		{"worse", []Row{worse}, Regressed, []Verdict{Regressed}},
		{"barely worse", []Row{barely}, Regressed, []Verdict{Regressed}},
		{"noise", []Row{noisy}, Inconclusive, []Verdict{Inconclusive}},
		{"too few", []Row{few}, Inconclusive, []Verdict{Inconclusive}},
		{"a bound at the margin is not below it", []Row{edge}, Inconclusive, []Verdict{Inconclusive}},
		{"a few outvoted pairs are worse", []Row{stalls}, Inconclusive, []Verdict{Inconclusive}},
		{"worse, within the margin, and a few pairs far more", []Row{slightlyStalls}, Inconclusive, []Verdict{Inconclusive}},
		{"all pass", []Row{same, better, slightly}, Pass, []Verdict{Pass, Pass, Pass}},
		{"one does not", []Row{same, noisy}, Inconclusive, []Verdict{Pass, Inconclusive}},
		{"one is worse", []Row{same, worse, noisy}, Regressed, []Verdict{Pass, Regressed, Inconclusive}},
		{"barely worse is chance among two", []Row{barely, same}, Inconclusive, []Verdict{Inconclusive, Pass}},
		{"barely worse is no chance once the other is known to be", []Row{barely, worse}, Regressed,
			[]Verdict{Regressed, Regressed}},
		{"a row that passes counts as one that was tested", []Row{barely, slightly}, Regressed, []Verdict{Regressed, Pass}},
		{"worse, in doubt", []Row{doubted(worse)}, Inconclusive, []Verdict{Inconclusive}},
		{"the same, in doubt", []Row{same, doubted(same)}, Inconclusive, []Verdict{Pass, Inconclusive}},
		{"worse beside a doubt", []Row{worse, doubted(same)}, Regressed, []Verdict{Regressed, Inconclusive}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, judgements := Rule{Alpha: 0.05}.Judge(tt.rows)
			require.Equal(t, tt.want, got)
			var each []Verdict
			for _, j := range judgements {
				each = append(each, j.Verdict)
			}
			require.Empty(t, cmp.Diff(tt.each, each))
		})
	}
}

// TestHolm has six values of p of which R 4.2.2 rejects four at 0.05: sorted, p.adjust(p, "holm")
// gives 0.003 0.022 0.042 0.042 0.074 0.074.
func TestHolm(t *testing.T) {
	ps := []float64{0.014, 0.0005, 0.0044, 0.037, 0.0105, 0.07}
	var rows []Row
	for _, p := range ps {
		rows = append(rows, Row{Comparison: Comparison{P: p, Upper: 1}, Margin: 0.03})
	}
	_, judgements := Rule{Alpha: 0.05}.Judge(rows)
	want := []Judgement{
		{Verdict: Regressed, Needed: 0.05 / 3}, {Verdict: Regressed, Needed: 0.05 / 6},
		{Verdict: Regressed, Needed: 0.05 / 5},
		{Verdict: Inconclusive, Needed: 0.05 / 2}, {Verdict: Regressed, Needed: 0.05 / 4},
		{Verdict: Inconclusive, Needed: 0.05 / 2},
	}
	require.Empty(t, cmp.Diff(want, judgements))
}

func TestEnough(t *testing.T) {
	for _, tt := range []struct {
		name                   string
		estimate, lower, upper float64
		want                   int
		ok                     bool
	}{
		{"passes with twice the width gone", 0, -0.06, 0.06, 40, true},
		{"nearer to regressed", 0.02, -0.02, 0.06, 40, true},
		{"wide", 0.015, -0.135, 0.165, 1000, true},
		{"no bounds", 0.01, math.Inf(-1), math.Inf(1), 0, false},
		{"no noise, at the margin", 0.03, 0.03, 0.03, 0, false},
		{"only among too many rows not worse", 0.04, 0.01, 0.07, 10, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := Row{Comparison: Comparison{Baseline: 10, Candidate: 12, Estimate: tt.estimate, Lower: tt.lower,
				Upper: tt.upper}, Margin: 0.03}
			got, ok := r.Enough()
			require.Equal(t, tt.ok, ok)
			require.InDelta(t, tt.want, got, 1, "rounded up")
		})
	}
}
