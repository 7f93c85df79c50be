package gate_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/gate"
	"rampart/loadtest/inject"
	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

// TestRequireBetter holds what becomes of a duel whose candidate has to be better.
func TestRequireBetter(t *testing.T) {
	for _, tt := range []struct {
		name     string
		factor   float64
		scatter  float64
		blocks   int
		change   func(*result.Duel)
		want     verdict.Verdict
		improved bool
		says     string
	}{
		{"better", 0.95, 0.001, 8, nil, verdict.Pass, true, "It is better in Duel"},
		{"better, and nobody asked", 0.95, 0.001, 8, func(d *result.Duel) { d.Plan.Require = nil }, verdict.Pass, true, ""},
		{"a little worse", 1.01, 0.001, 8, nil, verdict.Regressed, false,
			"the candidate is shown not to be better, as -require-better asks, in Duel"},
		{"a little worse, and nobody asked", 1.01, 0.001, 8, func(d *result.Duel) { d.Plan.Require = nil }, verdict.Pass,
			false, ""},
		{"worse", 1.2, 0.001, 8, nil, verdict.Regressed, false, "the candidate is worse than the baseline in"},
		{"not shown", 0.999, 0.005, 8, nil, verdict.Inconclusive, false, "rows could be decided neither way"},
		{"noisy", 0.99, 0.3, 8, nil, verdict.Inconclusive, false, ""},
		{"between looks", 0.95, 0.001, 10, nil, verdict.Inconclusive, false, "between its looks"},
		{"in doubt", 1.01, 0.001, 8, func(d *result.Duel) { d.Blocks[0].Sides[0].Strain.Busy = 0.95 }, verdict.Inconclusive,
			false, ""},
		{"better, but it fails", 0.95, 0.001, 12, func(d *result.Duel) { d.Blocks[3].Sides[1].Failures[inject.EOF] = 1 },
			verdict.Inconclusive, true, "requests failed"},
		{"better, and another unit is not", 0.95, 0.001, 8, func(d *result.Duel) {
			d.Plan.Require = []string{"server-cpu-ns/op", "req/s"}
			for i := range d.Blocks {
				d.Blocks[i].Sides[1].ServerCPU.Used = d.Blocks[i].Sides[1].ServerCPU.Used * 107 / 100
			}
		}, verdict.Regressed, true, "server-cpu-ns/op"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := simulated(rand.New(rand.NewPCG(1, 2)), tt.blocks, tt.factor, tt.scatter)
			d.Plan.Require = []string{"req/s"}
			if tt.change != nil {
				tt.change(&d)
			}
			r := judgedThreeWays(t, d)
			require.Equal(t, tt.want, r.Verdict, r.Meaning)
			require.Contains(t, r.Meaning, tt.says)
			row := r.Rows[0]
			require.Equal(t, "req/s", row.Unit)
			require.Equal(t, tt.improved, row.Improved)
			require.Equal(t, len(d.Plan.Require) > 0, row.Required)
			require.Equal(t, tt.want == verdict.Regressed, r.Exit == gate.ExitRegressed)
		})
	}
}

// TestRequireBetterErrsRarely counts duels of equals that pass although they had to be better, and
// of better candidates that are refuted.
func TestRequireBetterErrsRarely(t *testing.T) {
	random := rand.New(rand.NewPCG(17, 18))
	const duels = 300
	passed, refuted := 0, 0
	for range duels {
		// Each duel is judged at its first look.
		equal, better := simulated(random, 8, 1, 0.01), simulated(random, 8, 0.995, 0.01)
		for _, d := range []*result.Duel{&equal, &better} {
			d.Plan.Require = []string{"req/s"}
		}
		if gate.JudgeDuel(equal).Rows[0].Improved {
			passed++
		}
		if r := gate.JudgeDuel(better); strings.Contains(r.Meaning, "shown not to be better") {
			refuted++
		}
	}
	t.Logf("of %d: %d passed, %d refuted", duels, passed, refuted)
	require.LessOrEqual(t, passed, duels*5/100)
	require.LessOrEqual(t, refuted, duels*5/100)
}

// judgeTexts judges two files.
func judgeTexts(t *testing.T, baseline, candidate string, o gate.Options) (gate.Report, error) {
	t.Helper()
	x, err := gate.Parse("old.txt", []byte(baseline))
	require.NoError(t, err)
	y, err := gate.Parse("new.txt", []byte(candidate))
	require.NoError(t, err)
	return gate.Judge(x, y, o)
}

// samples are eight results of one benchmark.
func samples(iterations int, unit string, values ...float64) string {
	var b strings.Builder
	for i := range 8 {
		fmt.Fprintf(&b, "BenchmarkX-2 %d %d ns/op %v %s\n", iterations+i*(iterations%2), 1000+i%3, values[i%len(values)],
			unit)
	}
	return b.String()
}

// TestRequireBetterOfFiles: two files may have to be better as well, in any unit that can be
// judged.
func TestRequireBetterOfFiles(t *testing.T) {
	old, less := samples(100, "B/op", 1000), samples(100, "B/op", 500)
	r, err := judgeTexts(t, old, less, gate.Options{Require: []string{"B/op"}})
	require.NoError(t, err)
	require.Equal(t, verdict.Pass, r.Verdict, r.Meaning)
	r, err = judgeTexts(t, old, old, gate.Options{Require: []string{"B/op"}, Units: []string{"ns/op"}})
	require.NoError(t, err)
	require.Equal(t, verdict.Regressed, r.Verdict, r.Meaning)
	require.Len(t, r.Rows, 2)
	_, err = judgeTexts(t, old, less, gate.Options{Require: []string{"req/s"}})
	require.EqualError(t, err, "-require-better req/s: neither file has this unit: want one of B/op, ns/op")
	_, err = judgeTexts(t, samples(100, "laps", 1), samples(100, "laps", 1), gate.Options{Require: []string{"laps"}})
	require.ErrorContains(t, err, "-require-better laps: nobody knows whether higher or lower is better")
	d := simulated(rand.New(rand.NewPCG(1, 2)), 8, 0.95, 0.001)
	sides := files(t, d)
	r, err = gate.Judge(sides[0], sides[1], gate.Options{Require: []string{"p99-ns"}})
	require.NoError(t, err)
	require.Len(t, r.Rows, 5, "it is judged, too")
	require.Contains(t, strings.Join(r.Notes, "\n"), "-require-better p99-ns counts here; the duel was planned with none")
}

// TestMarginOfNothing holds what a margin of 0 % allows: nothing, where all samples are the same,
// and no more than an improvement where they scatter.
func TestMarginOfNothing(t *testing.T) {
	for _, tt := range []struct {
		name, unit string
		iterations int
		old, new   []float64
		want       verdict.Verdict
		exact      bool
		says       string
	}{
		{"the same", "allocs/op", 100, []float64{9}, []float64{9}, verdict.Pass, true, ""},
		{"one more", "allocs/op", 100, []float64{9}, []float64{10}, verdict.Regressed, true,
			"allocs/op by +11.11% (allowed 0.00%)"},
		{"one less", "allocs/op", 100, []float64{9}, []float64{8}, verdict.Pass, true, ""},
		{"one more of other iterations", "allocs/op", 101, []float64{9}, []float64{10}, verdict.Inconclusive, false, ""},
		{"two more of other iterations", "allocs/op", 101, []float64{9}, []float64{11}, verdict.Regressed, true, "allocs/op"},
		{"none, and one", "allocs/op", 100, []float64{0}, []float64{1}, verdict.Regressed, true, "allocs/op"},
		{"none at all", "allocs/op", 100, []float64{0}, []float64{0}, verdict.Pass, true, ""},
		{"one more at times", "allocs/op", 100, []float64{9}, []float64{9, 10}, verdict.Inconclusive, false, ""},
		{"one less at times", "allocs/op", 100, []float64{10, 9}, []float64{8}, verdict.Pass, false, ""},
		{"more, and it scatters", "B/op", 100, []float64{900, 901, 902}, []float64{1000, 1001, 1002}, verdict.Regressed,
			false, "B/op"},
		{"a time that is the same", "x-ns/op", 100, []float64{9}, []float64{9}, verdict.Inconclusive, false, ""},
		{"a time that is longer", "x-ns/op", 100, []float64{9}, []float64{11}, verdict.Regressed, false, "x-ns/op"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := judgeTexts(t, samples(tt.iterations, tt.unit, tt.old...), samples(tt.iterations, tt.unit, tt.new...),
				gate.Options{Units: []string{tt.unit}, Margins: map[string]float64{gate.Tidy(tt.unit): 0}})
			require.NoError(t, err)
			require.Equal(t, tt.want, r.Verdict, r.Meaning)
			require.Len(t, r.Rows, 1)
			require.Equal(t, tt.exact, r.Rows[0].Exact)
			require.Contains(t, r.Meaning, tt.says)
			if tt.want == verdict.Inconclusive {
				require.NotEmpty(t, r.Rows[0].Reason)
			}
		})
	}
	d := simulated(rand.New(rand.NewPCG(1, 2)), 8, 0.999, 0.01)
	d.Plan.Margins = map[string]float64{"req/s": 0}
	r := judgedThreeWays(t, d)
	require.Equal(t, verdict.Inconclusive, r.Verdict)
	require.Contains(t, r.Rows[0].Reason, "a margin of 0% leaves no room for noise")
}

// TestNumbersTooSmallToRead holds that a number that lost its digits is no sample.
func TestNumbersTooSmallToRead(t *testing.T) {
	for number, small := range map[string]bool{
		"1e-320 ns/op": true, "4.9e-324 x": true, "1e-400 x": true, "0x1p-1050 x": true, "0x1p-1100 x": true,
		"1e-305 ns/op": true,
		"0 allocs/op":  false, "0.000e-400 x": false, "0x0p-5 x": false, "1e-300 x": false, "1e-290 ns/op": false,
		"-0 x": false,
	} {
		x, err := gate.Parse("x.txt", fmt.Appendf(nil, "BenchmarkX 100 %s 5 B/op\n", number))
		require.NoError(t, err)
		r, err := gate.Judge(x, x, gate.Options{Units: []string{"B/op"}})
		require.NoError(t, err)
		require.Equal(t, small, strings.Contains(strings.Join(r.Problems, "\n"), "is nearer to 0 than can be read"), number)
	}
}
