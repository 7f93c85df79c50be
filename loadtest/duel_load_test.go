//go:build load

package loadtest_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"rampart/loadtest"
	"rampart/loadtest/gate"
	"rampart/loadtest/lab"
	"rampart/loadtest/report"
	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

// duel returns the duel of BASELINE and CANDIDATE, and skips where there are none.
func duel(tb testing.TB) (loadtest.Duel, *lab.Files) {
	tb.Helper()
	s := shared.settings
	if s.Baseline == nil || s.Candidate == nil {
		tb.Skip("BASELINE and CANDIDATE are not set: each is a command with {addr} in it, or a host:port")
	}
	startsAtOnce(tb)
	if warning := lab.UnusedInDuel(os.Getenv); warning != "" {
		say(os.Stderr, "warning: "+warning)
	}
	d := loadtest.Duel{
		Baseline: *s.Baseline, Candidate: *s.Candidate,
		Request: s.HTTP(s.Workload("localhost")),
		Timeout: s.RequestTimeout, Warmup: s.DuelWarmup,
		SLO: s.SLO,
	}
	if s.Server != nil { // of which only what follows the host can be meant
		d.Request = s.HTTP(s.Server)
	}
	if shared.terminal != nil {
		d.Progress = shared.terminal
	}
	files, err := lab.NewFiles(s.Results, time.Now())
	if err != nil {
		tb.Fatal(err)
	}
	warnUnlinked(files)
	d.OnBlock = func(r loadtest.DuelResult) {
		line := report.DuelLine(r.Duel, r.Report)
		fmt.Fprintf(os.Stderr, "%s\n%s", line, report.DuelOutput(r.Duel))
		if swallowed() {
			shared.terminal.Println(line)
		}
		if err := files.WriteDuel(r.Duel, r.Report); err != nil {
			tb.Error(err)
		}
	}
	return d, files
}

// TestDuel compares two servers and fails where the candidate is slower, or fails more often.
// Inconclusive is no failure, and is said.
func TestDuel(t *testing.T) {
	d, files := duel(t)
	ctx := shared.ctx
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
	fmt.Fprint(os.Stderr, report.DuelAnswers(result.Duel, result.Report))
	fmt.Fprintf(
		os.Stderr,
		"%s after %d blocks, seed %d; files: %s\n",
		result.Report.Verdict,
		len(result.Blocks),
		result.Seed,
		files.Dir(),
	)
	switch result.Report.Verdict {
	case verdict.Regressed:
		t.Errorf("the candidate is worse: %s", result.Report.Meaning)
	case gate.Unjudged:
		t.Error(result.Report.Meaning)
	}
}

// BenchmarkDuel writes the pair of files of a duel, and reports the median throughput of both
// sides.
func BenchmarkDuel(b *testing.B) {
	d, _ := duel(b)
	for b.Loop() {
		found, err := d.Run(shared.ctx)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(0, "ns/op")
		for side, name := range result.SideNames {
			var all []float64
			for _, block := range found.Blocks {
				all = append(all, block.Sides[side].Throughput())
			}
			slices.Sort(all)
			b.ReportMetric(all[len(all)/2], name+"-req/s")
		}
	}
}
