//go:build load

package loadtest_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"rampart/loadtest"
	"rampart/loadtest/report"
	"rampart/loadtest/result"
)

// TestLevel measures each level in VUS once, one after the other, at START_AT where that is set. It
// prints what TestRamp prints, and runs only where -run asks for it. Requests that fail are data
// and no reason for it to fail, unless SLO bounds them. It fails when a level does not keep SLO,
// and when one could not be measured; then the result holds those before it.
func TestLevel(t *testing.T) {
	if flag.Lookup("test.run").Value.String() == "" {
		t.Skip("only where it is asked for: -run TestLevel")
	}
	// Standard output is for the result, so what went wrong is said on standard error.
	if err := runLevels(t); err != nil {
		say(os.Stderr, err.Error())
		t.FailNow()
	}
}

func runLevels(t *testing.T) error {
	e, vus := shared.settings.ExperimentWithoutTarget(), shared.settings.VUs
	if err := shared.settings.Fits("VUS", slices.Max(vus)); err != nil {
		return err
	}
	ctx := shared.ctx
	if at, ok := deadline(t); ok {
		budget := e.BudgetOf(len(vus))
		if left := time.Until(at); left < budget {
			return fmt.Errorf("%d levels may take %v, but -timeout leaves %v: use -timeout=%v or more, a smaller DURATION or "+
				"fewer VUS",
				len(vus), budget.Round(time.Second), left.Round(time.Second),
				(budget + 2*finishing + time.Minute).Round(time.Minute))
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, at, errors.New("-timeout is near"))
		defer cancel()
	}
	e, err := openExperiment()
	if err != nil {
		return err
	}
	files := newKeeper()
	result := loadtest.Result{
		Kind: result.KindLevels, Version: loadtest.Version(), Started: time.Now(), Machine: loadtest.ThisMachine(),
	}
	var broken []error
	for _, n := range vus {
		level, levelErr := e.Level(ctx, n)
		if err = levelErr; err == nil && level.Requests == 0 && level.Failures.Total() == 0 {
			err = fmt.Errorf("no request ended in the window of %v: use a longer DURATION", level.Window)
		}
		if level.Window > 0 {
			result.Levels = append(result.Levels, level)
			result.Elapsed = time.Since(result.Started)
			say(os.Stdout, report.Line(level))
			files.keep(result)
		}
		if err != nil {
			break
		}
		if err := shared.settings.SLO.Err(level.Measurement); err != nil {
			broken = append(broken, fmt.Errorf("SLO=%s is not kept at %d vus: %w", shared.settings.SLO, n, err))
		}
	}
	if len(result.Levels) > 0 {
		say(os.Stderr, fmt.Sprintf("%sresults: %s", report.Summary(result), files.where()))
		conclude(result)
	}
	return errors.Join(append([]error{err}, broken...)...)
}
