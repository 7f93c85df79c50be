package loadtest

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"rampart/loadtest/capacity"
	"rampart/loadtest/report"
)

// Ramp finds how much a target can give: it measures levels at 1, 2, 4, 8… virtual users until the classic stop rule
// ([capacity.Classic]) ends it. Only the target of the experiment has to be set.
type Ramp struct {
	Experiment
	MaxVUs int // no level has more; 0: DefaultMaxVUs

	// OnLevel, if not nil, is called after each level with all that is known by then, the level last.
	OnLevel func(Result)
}

func (r Ramp) withDefaults() Ramp {
	r.Experiment = r.Experiment.withDefaults()
	if r.MaxVUs == 0 {
		r.MaxVUs = DefaultMaxVUs
	}
	return r
}

// Budget is how long the ramp takes if nothing but MaxVUs ends it, apart from connecting and the last requests of each
// level.
func (r Ramp) Budget() time.Duration {
	r = r.withDefaults()
	return time.Duration(bits.Len(uint(r.MaxVUs))) * r.duration()
}

// Run runs the ramp. The reason for its end is in the result, also when that is ctx: a ramp that was canceled, or for
// whose next level the deadline of ctx leaves no time, returns what it measured. The error says that the ramp could not
// be run at all.
func (r Ramp) Run(ctx context.Context) (Result, error) {
	r = r.withDefaults()
	if r.MaxVUs < 1 {
		return Result{}, fmt.Errorf("ramp to %d VUs: at least 1 is needed", r.MaxVUs)
	}
	if !r.Start.IsZero() {
		return Result{}, errors.New("ramp with a start: only its first level could have it; use Experiment.Level")
	}
	started := time.Now()
	result := Result{
		Kind:    report.KindRamp,
		Version: version(),
		Started: started,
		Machine: thisMachine(),
	}
	var prev capacity.Level
	for vus := 1; result.Stop.Reason == ""; {
		if left, ok := timeLeft(ctx); ok && left < r.duration() {
			result.Stop = report.Stop{Reason: capacity.Deadline, Detail: fmt.Sprintf(
				"a level of %d vus takes %v, but only %v are left", vus, r.duration(), left.Round(time.Millisecond))}
			break
		}
		level, err := r.Level(ctx, vus)
		if err != nil {
			if ctx.Err() == nil {
				return result, err
			}
			result.Stop = stopOf(ctx, vus)
			if level.Window > 0 {
				result.Levels = append(result.Levels, level)
			}
		} else {
			this := capacity.Level{VUs: vus, Throughput: level.Throughput(), Failures: level.Failures.Total()}
			decision := capacity.Classic(prev, this, r.MaxVUs)
			level.Accepted = decision.Accepted
			result.Levels = append(result.Levels, level)
			result.Stop = report.Stop{Reason: decision.Stop, Detail: detail(decision.Stop, prev, level, r.MaxVUs)}
			prev, vus = this, decision.Next
		}
		result.Elapsed = time.Since(started)
		if r.OnLevel != nil && len(result.Levels) > 0 {
			r.OnLevel(result)
		}
	}
	return result, nil
}

func timeLeft(ctx context.Context) (time.Duration, bool) {
	deadline, ok := ctx.Deadline()
	return time.Until(deadline), ok
}

// stopOf is the stop of a ramp that ctx ended.
func stopOf(ctx context.Context, vus int) report.Stop {
	reason := capacity.Canceled
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		reason = capacity.Deadline
	}
	return report.Stop{Reason: reason, Detail: fmt.Sprintf("in the level of %d vus: %v", vus, context.Cause(ctx))}
}

// detail says for people from what a stop reason follows.
func detail(reason capacity.StopReason, prev capacity.Level, level Level, maxVUs int) string {
	switch reason {
	case capacity.Failures:
		return fmt.Sprintf("%d requests failed at %d vus", level.Failures.Total(), level.VUs)
	case capacity.MaxVUs:
		return fmt.Sprintf("the next level would have more than %d vus", maxVUs)
	case capacity.Knee:
		if level.Requests == 0 {
			return fmt.Sprintf("no request ended in the window of %v at %d vus", level.Window, level.VUs)
		}
		return fmt.Sprintf("from %d to %d vus: throughput %+.2f %%, needed %+d %%", prev.VUs, level.VUs,
			capacity.Growth(prev.Throughput, level.Throughput()), capacity.ClassicGrowth)
	}
	return ""
}
