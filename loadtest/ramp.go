package loadtest

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"rampart/loadtest/capacity"
	"rampart/loadtest/inject"
	"rampart/loadtest/result"
	"rampart/loadtest/slo"
)

// Rules that end a ramp.
const (
	// RuleClassic measures one level after the other, at 1, 2, 4, 8… virtual users, until one does
	// not give 5 % more than the one before: [capacity.Classic].
	RuleClassic = "classic"
	// RuleConfident measures levels in turns, in short windows, and says how sure it is:
	// [capacity.Search]. Only the built-in engine can do that.
	RuleConfident = "confident"
	// DefaultRule is what a ramp follows unless it is told otherwise. With another engine than the
	// built-in one that is RuleClassic.
	DefaultRule = RuleConfident
)

// Ramp finds how much a target can give: it measures levels at 1, 2, 4, 8… virtual users until its
// rule ends it. Only the target of the experiment has to be set. By default it follows
// RuleConfident, and what it finds is in [Result.Estimate], with intervals.
type Ramp struct {
	Experiment
	MaxVUs int     // no level has more; 0: DefaultMaxVUs
	Rule   string  // RuleClassic or RuleConfident; empty: DefaultRule
	SLO    slo.SLO // what a level has to keep to be accepted; nil: that no request fails
	Seed   uint64  // of the order in which a confident ramp measures; 0: drawn itself

	// OnLevel, if not nil, is called after each level with all that is known by then, the level
	// last. The levels of a confident ramp end together: then it is called for each.
	OnLevel func(Result)
	// OnRound, if not nil, is called now and then while a confident ramp goes on, with all that is
	// known by then. It must not keep what it is given.
	OnRound func(Result)
}

func (r Ramp) withDefaults() Ramp {
	switch {
	case r.Rule != "":
	case r.Engine != nil:
		r.Rule = RuleClassic
	default:
		r.Rule = DefaultRule
	}
	r.Experiment = r.Experiment.withDefaults()
	if r.MaxVUs == 0 {
		r.MaxVUs = DefaultMaxVUs
	}
	return r
}

// mostVUs is how many VUs the last level has if nothing but MaxVUs ends the ramp.
func (r Ramp) mostVUs() int { return 1 << (bits.Len(uint(r.withDefaults().MaxVUs)) - 1) }

// Budget is how long the ramp takes if nothing but MaxVUs ends it, apart from connecting and the
// last requests of each level.
func (r Ramp) Budget() time.Duration {
	r = r.withDefaults()
	levels := bits.Len(uint(r.MaxVUs))
	if r.Rule == RuleConfident {
		levels += capacity.Halvings
	}
	return time.Duration(levels) * r.duration()
}

// Run runs the ramp. The reason for its end is in the result, also when that is ctx: a ramp that
// was canceled, or for whose next level the deadline of ctx leaves no time, returns what it
// measured. The error says that the ramp could not be run, or not to its end; the result holds what
// was measured before.
func (r Ramp) Run(ctx context.Context) (Result, error) {
	another := r.Engine != nil
	r = r.withDefaults()
	switch {
	case r.MaxVUs < 1:
		return Result{}, fmt.Errorf("ramp to %d VUs: at least 1 is needed", r.MaxVUs)
	case r.Rule != RuleClassic && r.Rule != RuleConfident:
		return Result{}, fmt.Errorf("ramp by the rule %q: want %s or %s", r.Rule, RuleClassic, RuleConfident)
	case r.Rule == RuleConfident && another:
		return Result{}, errOnlyBuiltin
	}
	if !r.Start.IsZero() {
		return Result{}, errors.New("ramp with a start: only its first level could have it; use Experiment.Level")
	}
	if h, is := r.Target.(*inject.HTTP); is {
		if err := h.Fits(r.mostVUs()); err != nil {
			return Result{}, fmt.Errorf("ramp to %d VUs: %w", r.MaxVUs, err)
		}
	}
	if r.Rule == RuleConfident {
		return r.confident(ctx)
	}
	started := time.Now()
	result := Result{
		Kind:    result.KindRamp,
		Version: Version(),
		Started: started,
		Machine: thisMachine(),
		NextVUs: 1,
	}
	for result.NextVUs > 0 {
		vus := result.NextVUs
		if left, ok := timeLeft(ctx); ok && left < r.duration() {
			result.Stop = Stop{Reason: capacity.Deadline, Detail: fmt.Sprintf(
				"a level of %d vus takes %v, but only %v are left", vus, r.duration(), left.Round(time.Millisecond))}
			result.NextVUs = 0
			break
		}
		level, err := r.Level(ctx, vus)
		if err != nil {
			result.Stop, result.NextVUs = stopOf(ctx, vus, err), 0
			if level.Window > 0 {
				result.Levels = append(result.Levels, level)
			}
		} else {
			judge(&result, level, r.MaxVUs, r.SLO)
		}
		result.Elapsed = time.Since(started)
		if r.OnLevel != nil && (err == nil || level.Window > 0) {
			r.OnLevel(result)
		}
		if err != nil && ctx.Err() == nil {
			return result, err
		}
	}
	return result, nil
}

// judge adds a level to a ramp and lets the classic rule decide whether it is accepted, and what
// comes next. A level that does not keep the objectives is not accepted, and ends the ramp.
func judge(ramp *Result, level Level, maxVUs int, objectives slo.SLO) {
	var prev capacity.Level
	if n := len(ramp.Levels); n > 0 {
		prev = sizeOf(ramp.Levels[n-1])
	}
	this := sizeOf(level)
	if objectives.BoundsFailures() {
		this.Failures = 0
	}
	decision := capacity.Classic(prev, this, maxVUs)
	text := detail(decision.Stop, prev, level, maxVUs)
	if broken := objectives.Err(level.Measurement); broken != nil && decision.Stop != capacity.RequestsFailed {
		decision = capacity.Decision{Stop: capacity.SLO}
		text = fmt.Sprintf("at %d vus: %v", level.VUs, broken)
	}
	level.Accepted = decision.Accepted
	ramp.Levels = append(ramp.Levels, level)
	ramp.Stop = Stop{Reason: decision.Stop, Detail: text}
	ramp.NextVUs = decision.Next
}

// sizeOf is what the stop rule looks at.
func sizeOf(l Level) capacity.Level {
	return capacity.Level{VUs: l.VUs, Throughput: l.Throughput(), Failures: l.Failures.Total()}
}

func timeLeft(ctx context.Context) (time.Duration, bool) {
	deadline, ok := ctx.Deadline()
	return time.Until(deadline), ok
}

// stopOf is the stop of a ramp whose level was cut short, by ctx or by an error.
func stopOf(ctx context.Context, vus int, err error) Stop {
	reason := capacity.Canceled
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		reason = capacity.Deadline
	}
	return Stop{Reason: reason, Detail: fmt.Sprintf("in the level of %d vus: %v", vus, err)}
}

// detail says for people from what a stop reason follows.
func detail(reason capacity.StopReason, prev capacity.Level, level Level, maxVUs int) string {
	switch reason {
	case capacity.RequestsFailed:
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
