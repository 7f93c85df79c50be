//go:build load

package loadtest

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"rampart/loadtest/capacity"
	"rampart/loadtest/report"
)

// TestRamp finds the capacity of the server. It prints what the original printed, on standard output; what else there
// is to say goes to standard error. It fails when no level was accepted.
func TestRamp(t *testing.T) {
	startsAtOnce(t)
	ramp := Ramp{Experiment: lab.settings.durations(), MaxVUs: lab.settings.MaxVUs}
	ctx := lab.ctx
	if at, ok := deadline(t); ok {
		if left, budget := time.Until(at), ramp.Budget(); left < budget {
			t.Fatalf("a ramp to MAX_VUS=%d may take %v, but -timeout leaves %v: use -timeout=%v or more, or a smaller DURATION or MAX_VUS",
				ramp.MaxVUs, budget, left.Round(time.Second), (budget + 2*finishing + time.Minute).Round(time.Minute))
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, at, fmt.Errorf("-timeout is near"))
		defer cancel()
	}
	ramp.Experiment = experiment(t)
	files := newKeeper()
	ramp.OnLevel = func(r Result) {
		say(os.Stdout, report.Line(r.Levels[len(r.Levels)-1]))
		files.keep(r)
	}
	result, err := ramp.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	files.keep(result)
	say(os.Stderr, fmt.Sprintf("%sresults: %s", report.Summary(result), files.where()))
	conclude(result)
	switch {
	case result.Stop.Reason == capacity.Canceled:
		t.Errorf("canceled %s", result.Stop.Detail)
	case len(result.Accepted()) == 0:
		t.Errorf("no level was accepted: %s (%s)", result.Stop.Reason, result.Stop.Detail)
	}
}

// BenchmarkRamp reports capacity and knee of the server, from one ramp each time.
func BenchmarkRamp(b *testing.B) {
	startsAtOnce(b)
	ramp := Ramp{Experiment: experiment(b), MaxVUs: lab.settings.MaxVUs}
	files := newKeeper()
	ramp.OnLevel = func(r Result) { files.keep(r) }
	for b.Loop() {
		result, err := ramp.Run(lab.ctx)
		if err != nil {
			b.Fatal(err)
		}
		files.keep(result)
		if _, ok := result.Capacity(); !ok || result.Stop.Reason == capacity.Canceled {
			b.Fatalf("no capacity: %s (%s)", result.Stop.Reason, result.Stop.Detail)
		}
		for _, m := range report.RampMetrics(result) {
			b.ReportMetric(m.Value, m.Unit)
		}
	}
}
