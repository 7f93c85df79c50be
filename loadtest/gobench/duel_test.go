package gobench

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/gate"
)

// sides returns a duel of this test binary with itself, where the candidate does something.
func sides(t *testing.T, baseline, candidate, bench string) Duel {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)
	side := func(does string) *Source {
		// A script, because both sides are in one environment.
		script := t.TempDir() + "/does.test"
		text := "#!/bin/sh\n" + standIn + "='on " + does + "' exec " + path + " \"$@\"\n"
		require.NoError(t, os.WriteFile(script, []byte(text), 0o777))
		return Prebuilt(script, t.TempDir())
	}
	return Duel{
		Suites:   []*Suite{{Package: "example.org/x", Sides: [2]*Source{side(baseline), side(candidate)}}},
		Baseline: "old", Candidate: "new", Bench: bench, Procs: []int{1}, Layouts: 1, Looks: []int{5}, Seed: 1,
		side: 20 * time.Millisecond,
	}
}

func (d Duel) runs(t *testing.T) Result {
	t.Helper()
	r, err := d.Run(t.Context())
	require.NoError(t, err)
	return r
}

func TestDuelFindsALoss(t *testing.T) {
	r := sides(t, "", "slow", "^BenchmarkSpin$").runs(t)
	require.Equal(t, gate.ExitRegressed, r.Report.Exit, r.Report.Meaning)
	require.Len(t, r.Benchmarks, 1)
	b := r.Benchmarks[0]
	require.Len(t, b.Blocks, 5)
	require.Equal(t, "BenchmarkSpin", b.Name)
	require.Equal(t, "example.org/x", b.Package)
	require.Positive(t, b.Pairs)
	for _, row := range r.Report.Rows {
		if row.Unit == "ns/op" {
			require.InDelta(t, 1, *row.Change, 0.4)
		} else {
			require.True(t, row.Exact, row.Unit)
		}
	}
}

// TestOneMoreAllocation holds that what can be counted needs no test.
func TestOneMoreAllocation(t *testing.T) {
	d := sides(t, "", "allocates", "^BenchmarkAlloc$")
	d.Looks, d.Units = []int{2}, []string{"allocs/op"}
	r := d.runs(t)
	require.Equal(t, gate.ExitRegressed, r.Report.Exit, r.Report.Meaning)
	require.True(t, r.Report.Rows[0].Exact)
	require.Equal(t, 1.0, *r.Report.Rows[0].Change)
}

// TestWhatIsSaid holds that what cannot be compared is named.
func TestWhatIsSaid(t *testing.T) {
	const timeout = 300 * time.Millisecond * slowness
	for _, c := range []struct {
		baseline, candidate, bench string
		exit                       int
		want                       string
	}{
		{"", "fails", "Spin|Fatal", gate.ExitUnjudged, "example.org/x BenchmarkFatal failed in the candidate: .*out of luck"},
		{"fails", "", "Spin|Fatal", 0, "example.org/x BenchmarkFatal failed in the baseline: nothing to compare it with"},
		{"", "panics", "Spin|Panic", gate.ExitUnjudged, "x BenchmarkPanic failed in the candidate: .*panic: lost"},
		{"", "hangs", "Spin|Hang", gate.ExitUnjudged,
			"BenchmarkHang failed in the candidate: it did not end within " + timeout.String()},
		{"", "lacks", "Spin|Only", gate.ExitInconclusive, "example.org/x BenchmarkOnly skips itself in the candidate"},
		{"lacks", "", "Spin|Only", 0, "example.org/x BenchmarkOnly skips itself in the baseline: nothing to compare"},
		{"", "", "Spin|Skip", 0, "example.org/x BenchmarkSkip skips itself on both sides: main_test.go:.* not today"},
		{"", "tires", "Spin|Fatal", gate.ExitUnjudged, "x BenchmarkFatal: block 1: the candidate: it failed: .*tired"},
	} {
		d := sides(t, c.baseline, c.candidate, c.bench)
		d.Looks, d.Timeout = []int{1}, timeout
		r := d.runs(t)
		all := fmt.Sprint(r.Report.Problems, r.Report.Gaps, r.Report.Notes)
		require.Regexp(t, c.want, all)
		if c.exit != 0 { // one block decides nothing else
			require.Equal(t, c.exit, r.Report.Exit, all)
		}
	}
}

// TestBinaryThatDoesNotWork holds that its own words are shown.
func TestBinaryThatDoesNotWork(t *testing.T) {
	_, err := sides(t, "", "breaks", ".").Run(t.Context())
	require.ErrorContains(t, err, "example.org/x: the candidate: it ended with exit status 3, and said:\nno database")
	_, err = sides(t, "", "", "Nowhere").Run(t.Context())
	require.ErrorContains(t, err, `no benchmark that both sides have matches "Nowhere" (-bench)`)
}

// TestAllKinds runs a block of all that there is.
func TestAllKinds(t *testing.T) {
	d := sides(t, "declares", "declares", "Loop|Sub|Long|Prepares")
	d.Looks, d.Procs = []int{1}, []int{2}
	r := d.runs(t)
	names := map[string]bool{}
	for _, b := range r.Benchmarks {
		names[b.Name] = true
		switch b.Name {
		case "BenchmarkLong-2":
			require.Equal(t, 1, b.Iterations)
			require.GreaterOrEqual(t, b.Pairs, 1)
		case "BenchmarkLoop-2":
			require.Equal(t, "lower", r.Better["laps/op"])
			require.Len(t, b.Blocks[0].Sides[0], 5)
		}
	}
	for _, name := range []string{
		"Sub/size=1-2", "Sub/a/b_c-2", "Sub/ends-2-2", "Prepares-2",
	} {
		require.True(t, names["Benchmark"+name], name)
	}
	require.Empty(t, r.Failed)
}

// TestInterrupted holds that what was measured is kept, and the rest is said.
func TestInterrupted(t *testing.T) {
	d := sides(t, "", "", "Spin|Loop")
	ctx, cancel := context.WithCancelCause(t.Context())
	d.OnLook = func(Look) { cancel(fmt.Errorf("enough")) }
	d.Looks = []int{2}
	r, err := d.Run(ctx)
	require.ErrorContains(t, err, "enough")
	require.Len(t, r.Benchmarks, 1)
	require.Len(t, r.Benchmarks[0].Blocks, 2)
	require.Contains(t, fmt.Sprint(r.Report.Gaps), "was not measured: interrupted", "%+v", r.Report)
}

func TestTimeIsOver(t *testing.T) {
	d := sides(t, "", "", "Spin|Loop")
	d.For = time.Nanosecond
	r := d.runs(t)
	require.Equal(t, gate.ExitInconclusive, r.Report.Exit)
	require.Regexp(t, `example.org/x BenchmarkSpin was not measured: the time was over \(-for 1ns\); it takes about \ds`,
		fmt.Sprint(r.Report.Gaps))
}
