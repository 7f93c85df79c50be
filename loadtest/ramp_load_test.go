//go:build load

package loadtest_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"rampart/loadtest"
	"rampart/loadtest/capacity"
	"rampart/loadtest/lab"
	"rampart/loadtest/report"
)

// TestRamp finds the capacity of the server. It prints what the original printed, on standard
// output; what else there is to say goes to standard error. It fails when no level was accepted.
func TestRamp(t *testing.T) {
	startsAtOnce(t)
	ramp := shared.settings.RampWithoutTarget()
	fits(t, "MAX_VUS", ramp.MostVUs())
	ctx := shared.ctx
	if at, ok := deadline(t); ok {
		if left, budget := time.Until(at), ramp.Budget(); left < budget {
			t.Fatalf("a ramp to MAX_VUS=%d may take %v, but -timeout leaves %v: use -timeout=%v or more, or a smaller "+
				"DURATION or MAX_VUS",
				ramp.MaxVUs, budget, left.Round(time.Second), (budget + 2*finishing + time.Minute).Round(time.Minute))
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, at, fmt.Errorf("-timeout is near"))
		defer cancel()
	}
	ramp.Experiment = experiment(t)
	sayRule(ramp)
	files := newKeeper()
	ramp.OnLevel = func(r loadtest.Result) {
		say(os.Stdout, report.Line(r.Levels[len(r.Levels)-1]))
		if ramp.Rule == loadtest.RuleClassic { // else OnRound keeps them
			files.keep(r)
		}
	}
	ramp.OnRound = func(r loadtest.Result) {
		files.keep(r)
		shared.terminal.Show(report.Live(r))
	}
	result, err := ramp.Run(ctx)
	if err == nil || len(result.Levels) > 0 {
		files.keep(result)
		say(os.Stderr, fmt.Sprintf("%sresults: %s", report.Summary(result), files.where()))
		if shared.terminal != nil && len(result.Levels) > 1 {
			shared.terminal.Println(report.Plot(result, shared.terminal.Width()))
		}
		conclude(result)
	}
	switch {
	case err != nil:
		t.Error(err)
	case result.Stop.Reason == capacity.Canceled:
		t.Errorf("canceled %s", result.Stop.Detail)
	case len(result.Accepted()) == 0:
		t.Errorf("no level was accepted: %s (%s)", result.Stop.Reason, result.Stop.Detail)
	}
}

// sayRule says which rule ends a ramp where nobody asked for it and it is not the usual one, and
// why no level is told for a while.
func sayRule(ramp loadtest.Ramp) {
	switch only := lab.OnlyClassic(os.Getenv); {
	case only != "" && os.Getenv("STOP") == "":
		say(os.Stderr, "STOP=classic with "+only)
	case ramp.Rule == loadtest.RuleConfident && shared.terminal != nil:
		shared.terminal.Say("measuring levels in turns")
	case ramp.Rule == loadtest.RuleConfident:
		say(os.Stderr, fmt.Sprintf("levels are measured in turns, each for %v; their lines come at the end",
			ramp.Duration()))
	}
}

// BenchmarkRamp reports capacity and knee of the server, from one ramp each time.
func BenchmarkRamp(b *testing.B) {
	startsAtOnce(b)
	fits(b, "MAX_VUS", loadtest.Ramp{MaxVUs: shared.settings.MaxVUs}.MostVUs())
	ramp := shared.settings.RampWithoutTarget()
	ramp.Experiment = experiment(b)
	files := newKeeper()
	if ramp.Rule == loadtest.RuleClassic {
		ramp.OnLevel = files.keep
	}
	ramp.OnRound = files.keep
	for b.Loop() {
		result, err := ramp.Run(shared.ctx)
		if err == nil || len(result.Levels) > 0 {
			files.keep(result)
		}
		if err != nil {
			b.Fatal(err)
		}
		if _, ok := result.Capacity(); !ok || result.Stop.Reason == capacity.Canceled {
			b.Fatalf("no capacity: %s (%s)", result.Stop.Reason, result.Stop.Detail)
		}
		for _, m := range report.RampMetrics(result) {
			b.ReportMetric(m.Value, m.Unit)
		}
	}
}
