//go:build load

package loadtest

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"rampart/loadtest/report"
	"rampart/loadtest/verdict"
)

// duel returns the duel of BASELINE and CANDIDATE, and skips where there are none.
func duel(tb testing.TB) (Duel, *Files) {
	tb.Helper()
	s := lab.settings
	if s.Baseline == nil || s.Candidate == nil {
		tb.Skip("BASELINE and CANDIDATE are not set: each is a command with {addr} in it, or a host:port")
	}
	startsAtOnce(tb)
	d := Duel{
		Baseline: *s.Baseline, Candidate: *s.Candidate,
		Request: s.http(s.Workload("localhost")),
		Timeout: s.RequestTimeout,
	}
	if s.Server != nil { // of which only what follows the host can be meant
		d.Request = s.http(s.Server)
	}
	if lab.terminal != nil {
		d.Progress = lab.terminal
	}
	files, err := NewFiles(s.Results, time.Now())
	if err != nil {
		tb.Fatal(err)
	}
	d.OnBlock = func(r DuelResult) {
		line := report.DuelLine(r)
		fmt.Fprintf(os.Stderr, "%s\n%s", line, report.DuelOutput(r))
		if swallowed() {
			lab.terminal.Println(line)
		}
		if err := files.WriteDuel(r); err != nil {
			tb.Error(err)
		}
	}
	return d, files
}

// TestDuel compares two servers and fails where the candidate is slower, or fails more often. Inconclusive is no failure, and is said.
func TestDuel(t *testing.T) {
	d, files := duel(t)
	ctx := lab.ctx
	if at, ok := deadline(t); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, at, fmt.Errorf("-timeout is near"))
		defer cancel()
	}
	result, err := d.Run(ctx)
	if err != nil {
		t.Errorf("%d blocks are in %s", len(result.Blocks), files.Dir())
		t.Fatal(err)
	}
	fmt.Fprintf(os.Stderr, "%s after %d blocks, seed %d; files: %s\n", result.Verdict, len(result.Blocks), result.Seed, files.Dir())
	if result.Verdict == verdict.Regressed {
		t.Errorf("the candidate is worse: %s; %s", report.DuelLine(result), result.Failures)
	}
}

// BenchmarkDuel writes the pair of files of a duel, and reports the median throughput of both sides.
func BenchmarkDuel(b *testing.B) {
	d, _ := duel(b)
	for b.Loop() {
		result, err := d.Run(lab.ctx)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(0, "ns/op")
		for side, name := range report.SideNames {
			var all []float64
			for _, block := range result.Blocks {
				all = append(all, block.Sides[side].Kept.Throughput(result.VUs))
			}
			slices.Sort(all)
			b.ReportMetric(all[len(all)/2], name+"-req/s")
		}
	}
}
