//go:build load

package loadtest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"rampart/loadtest/report"
)

// TestLevel measures each level in VUS once, one after the other, at START_AT where that is set. It prints what TestRamp
// prints, and runs only where -run asks for it. Requests that fail are data and no reason for it to fail; it fails when a
// level could not be measured, and then there is no result.
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
	e, vus := lab.settings.durations(), lab.settings.VUs
	ctx := lab.ctx
	if at, ok := deadline(t); ok {
		budget := e.wait() + time.Duration(len(vus))*e.duration()
		if left := time.Until(at); left < budget {
			return fmt.Errorf("%d levels may take %v, but -timeout leaves %v: use -timeout=%v or more, a smaller DURATION or fewer VUS",
				len(vus), budget.Round(time.Second), left.Round(time.Second), (budget + 2*finishing + time.Minute).Round(time.Minute))
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
	result := Result{Kind: report.KindLevels, Version: version(), Started: time.Now(), Machine: thisMachine()}
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
	}
	canceled := lab.ctx.Err() != nil
	if err != nil && !canceled {
		return err
	}
	if len(result.Levels) > 0 {
		say(os.Stderr, fmt.Sprintf("%sresults: %s", report.Summary(result), files.where()))
		result.Settings, result.Target = lab.settings.List(), lab.target
		conclude(result)
	}
	return err
}
