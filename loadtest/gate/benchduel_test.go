package gate

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

// benchmarkOf is a benchmark of so many blocks, whose candidate takes so many times as long, give
// or take some noise, and allocates so much.
func benchmarkOf(name string, blocks int, times, noise float64, allocs [2]float64) result.Benchmark {
	b := result.Benchmark{Package: "example.org/x", Name: name, Iterations: 1000, Pairs: 20}
	for i := range blocks {
		wobble := 1 + noise*math.Sin(float64(i+1)*7.3)
		block := result.BenchBlock{Number: i + 1, Took: 300 * time.Millisecond}
		for side, ns := range [2]float64{100 + float64(i), (100 + float64(i)) * times * wobble} {
			block.Sides[side] = []result.Metric{
				{Value: ns, Unit: "ns/op"}, {Value: 1000 / ns, Unit: "MB/s"}, {Value: 64, Unit: "B/op"},
				{Value: allocs[side], Unit: "allocs/op"},
			}
		}
		b.Blocks = append(b.Blocks, block)
	}
	return b
}

func benchDuel(benchmarks ...result.Benchmark) result.BenchDuel {
	return result.BenchDuel{
		Version: 1, Kind: result.KindBenchDuel, Started: time.Unix(1e9, 0), Baseline: "old", Candidate: "new", Seed: 5,
		Machine: result.Machine{OS: "linux", Arch: "amd64", CPU: "Example"},
		Plan:    result.BenchPlan{Looks: []int{9, 12, 16}, Alpha: 0.05}, Benchmarks: benchmarks,
	}
}

// rows are the verdicts by benchmark and unit.
func rows(r Report) map[string]verdict.Verdict {
	all := make(map[string]verdict.Verdict)
	for _, row := range r.Rows {
		all[row.Name()] = row.Verdict
	}
	return all
}

func TestJudgeBenchDuel(t *testing.T) {
	same := [2]float64{3, 3}
	calm := benchmarkOf("BenchmarkCalm", 9, 1, 0.004, same)
	for _, c := range []struct {
		name  string
		duel  result.BenchDuel
		exit  int
		rows  map[string]verdict.Verdict
		words string
	}{
		{"equals", benchDuel(calm), ExitPass,
			map[string]verdict.Verdict{"Calm ns/op": verdict.Pass, "Calm B/op": verdict.Pass, "Calm allocs/op": verdict.Pass},
			`power: a loss of about \d`},
		{"slower", benchDuel(calm, benchmarkOf("BenchmarkSlow", 9, 1.08, 0.004, same)), ExitRegressed,
			map[string]verdict.Verdict{
				"Calm ns/op": verdict.Pass, "Slow ns/op": verdict.Regressed, "Slow allocs/op": verdict.Pass,
			},
			`Slow ns/op by \+8\.\d\d% \(allowed \+3.00%\)`},
		{"one allocation more", benchDuel(benchmarkOf("BenchmarkCalm", 9, 1, 0.004, [2]float64{100, 101})), ExitRegressed,
			map[string]verdict.Verdict{"Calm ns/op": verdict.Pass, "Calm allocs/op": verdict.Regressed},
			`Calm allocs/op by \+1.00% \(allowed 0.00%\)`},
		{"one allocation where there was none", benchDuel(benchmarkOf("BenchmarkCalm", 9, 1, 0.004, [2]float64{0, 1})),
			ExitRegressed, map[string]verdict.Verdict{"Calm allocs/op": verdict.Regressed}, `Calm allocs/op by \+∞`},
		{"fewer allocations", benchDuel(benchmarkOf("BenchmarkCalm", 9, 1, 0.004, [2]float64{5, 0})), ExitPass,
			map[string]verdict.Verdict{"Calm allocs/op": verdict.Pass}, ""},
		{"noise", benchDuel(benchmarkOf("BenchmarkNoise", 9, 1, 0.2, same)), ExitInconclusive,
			map[string]verdict.Verdict{"Noise ns/op": verdict.Inconclusive}, `about \d+ would decide, some \d+`},
		{"between looks", benchDuel(benchmarkOf("BenchmarkSlow", 10, 1.5, 0.004, same)), ExitInconclusive,
			map[string]verdict.Verdict{"Slow ns/op": verdict.Inconclusive, "Slow allocs/op": verdict.Pass},
			"it ended after 10 blocks, between its looks"},
	} {
		r := JudgeBenchDuel(c.duel)
		require.Equal(t, c.exit, r.Exit, "%s: %s %v", c.name, r.Meaning, r.Problems)
		for row, want := range c.rows {
			require.Equal(t, want, rows(r)[row], "%s: %s", c.name, row)
		}
		var reasons []string
		for _, row := range r.Rows {
			reasons = append(reasons, row.Reason)
		}
		require.Regexp(t, c.words, fmt.Sprint(r.Meaning, r.Notes, reasons), c.name)
	}
}

func TestBenchDuelSaysWhatIsMissing(t *testing.T) {
	d := benchDuel(benchmarkOf("BenchmarkCalm", 9, 1, 0.004, [2]float64{}))
	d.Missing, d.Notes = []string{"x BenchmarkGone is only\nin the baseline"}, []string{"x BenchmarkNew is new"}
	r := JudgeBenchDuel(d)
	require.Equal(t, ExitInconclusive, r.Exit)
	require.Equal(t, []string{"x BenchmarkGone is only in the baseline"}, r.Gaps)
	require.Contains(t, r.Notes, "x BenchmarkNew is new")
	d.Failed = []string{"x BenchmarkBad failed in the candidate: out of luck"}
	r = JudgeBenchDuel(d)
	require.Equal(t, ExitUnjudged, r.Exit)
	require.Equal(t, d.Failed, r.Problems)
	nothing := benchDuel()
	nothing.Missing = d.Missing
	require.Equal(t, ExitInconclusive, JudgeBenchDuel(nothing).Exit)
	require.Equal(t, ExitUnjudged, JudgeBenchDuel(benchDuel()).Exit)
}

// TestAllocationsMayBeAllowed holds that a margin that somebody says counts for exact counts, too.
func TestAllocationsMayBeAllowed(t *testing.T) {
	d := benchDuel(benchmarkOf("BenchmarkCalm", 9, 1, 0.004, [2]float64{100, 101}))
	d.Plan.Margins = map[string]float64{"allocs/op": 0.02}
	require.Equal(t, ExitPass, JudgeBenchDuel(d).Exit)
	require.NoError(t, CheckBenchDuel(d))
	d.Plan.Units = []string{"laps/op"}
	require.ErrorContains(t, CheckBenchDuel(d), "-unit laps/op: neither file has this unit")
}

// TestBenchDuelFilesAreJudgedAlike holds that files say the same as the duel that they are of, and
// that files which are not as they were written are not judged.
func TestBenchDuelFilesAreJudgedAlike(t *testing.T) {
	other := benchmarkOf("BenchmarkCalm", 12, 1, 0.05, [2]float64{3, 3})
	other.Package = "example.org/y"
	d := benchDuel(benchmarkOf("BenchmarkCalm", 9, 1, 0.004, [2]float64{3, 3}),
		benchmarkOf("BenchmarkSlow-2", 9, 1.1, 0.004, [2]float64{3, 4}), other)
	d.Better = map[string]string{"laps/op": "lower"}
	texts := [2]string{string(BenchDuelFile(d, 0)), string(BenchDuelFile(d, 1))}
	judge := func(baseline, candidate string) Report {
		x, err := Parse("old", []byte(baseline))
		require.NoError(t, err)
		y, err := Parse("new", []byte(candidate))
		require.NoError(t, err)
		r, err := Judge(x, y, Options{})
		require.NoError(t, err)
		return r
	}
	want := JudgeBenchDuel(d)
	require.Equal(t, ExitRegressed, want.Exit)
	require.Len(t, want.Rows, 9)
	require.Empty(t, cmp.Diff(want, judge(texts[0], texts[1]), cmpopts.EquateNaNs()))

	lines := strings.SplitAfter(texts[1], "\n")
	without := func(cut func(line string) bool) string {
		var b strings.Builder
		for _, l := range lines {
			if !cut(l) {
				b.WriteString(l)
			}
		}
		return b.String()
	}
	slow := 0
	for name, broken := range map[string]string{
		"cut": strings.Join(lines[:len(lines)-5], ""),
		"a result is missing": without(func(l string) bool {
			if strings.HasPrefix(l, "BenchmarkSlow") {
				slow++
			}
			return slow == 3 && strings.HasPrefix(l, "BenchmarkSlow")
		}),
		"no plan":                 without(func(l string) bool { return strings.HasPrefix(l, planPrefix) }),
		"edited":                  strings.Replace(texts[1], "looks=9,12,16", "looks=9,10,11", 1),
		"a mark is missing":       without(func(l string) bool { return strings.Contains(l, "block=3 ") }),
		"another program's lines": texts[1] + "BenchmarkMore\t10\t5 ns/op\n",
	} {
		require.Equal(t, ExitUnjudged, judge(texts[0], broken).Exit, name)
	}
	again := d
	again.Seed = 6
	require.Equal(t, ExitUnjudged, judge(texts[0], string(BenchDuelFile(again, 1))).Exit, "of another duel")
}
