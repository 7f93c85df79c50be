//go:build !load

package loadtest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/capacity"
	"rampart/loadtest/result"
	"rampart/loadtest/slo"
)

func TestWindowLength(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct{ level, latency, connecting, want time.Duration }{
		{30 * time.Second, 50 * time.Microsecond, 0, 50 * ms},
		{30 * time.Second, 10 * ms, ms, 50 * ms},
		{30 * time.Second, 40 * ms, ms, 160 * ms},
		{30 * time.Second, ms, 100 * ms, 200 * ms},
		{30 * time.Second, 2 * time.Second, 0, 7500 * ms},
		{400 * ms, 0, 0, 10 * ms},
		{400 * ms, time.Second, 0, 100 * ms},
		{10 * ms, 0, 0, ms},
	} {
		require.Equal(t, tt.want, windowLength(tt.level, tt.latency, tt.connecting), "%+v", tt)
	}
}

// TestConfidentIsUnbiased has services from 0.05 ms to 2 s, whose capacity is known exactly:
// windows that are short against latency would show.
func TestConfidentIsUnbiased(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED by -short: a simulation of one goroutine at a time")
	}
	for _, tt := range []struct {
		slots   int
		service time.Duration
		window  time.Duration
	}{
		{1, 50 * time.Microsecond, 400 * time.Millisecond},
		{3, time.Millisecond, time.Second},
		{4, 20 * time.Millisecond, 2 * time.Second},
		{6, 300 * time.Millisecond, 30 * time.Second},
		{2, 2 * time.Second, 30 * time.Second},
	} {
		t.Run(fmt.Sprintf("%d×%v", tt.slots, tt.service), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				res, err := Ramp{Rule: RuleConfident, MaxVUs: 64, Experiment: Experiment{
					Target: Func(slots(tt.slots, tt.service)), Window: tt.window, Warmup: tt.window / 10,
				}}.Run(t.Context())
				require.NoError(t, err)
				require.Equal(t, capacity.Knee, res.Stop.Reason, res.Stop.Detail)
				want := float64(tt.slots) / tt.service.Seconds()
				require.InEpsilon(t, want, res.Estimate.Throughput, 0.01)
				require.LessOrEqual(t, res.Estimate.KneeLower, tt.slots)
				require.GreaterOrEqual(t, res.Estimate.KneeUpper, tt.slots)
				require.LessOrEqual(t, res.Estimate.KneeUpper, 2*tt.slots)
				for _, l := range res.Levels {
					require.InEpsilon(t, float64(min(l.VUs, tt.slots))/tt.service.Seconds(), l.Throughput(), 0.01, "%d vus", l.VUs)
					require.InEpsilon(t, tt.service*time.Duration(max(l.VUs, tt.slots))/time.Duration(tt.slots), l.Mean(), 0.01)
					require.NotEmpty(t, l.Rounds)
				}
				// The last round may be a little longer than the one before, and requests under way
				// are finished.
				classic := time.Duration(len(res.Levels)) * (tt.window + tt.window/10)
				require.LessOrEqual(t, time.Since(begun), classic+classic/10+16*tt.service)
			})
		})
	}
}

func TestConfidentResult(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED by -short: a simulation of one goroutine at a time")
	}
	synctest.Test(t, func(t *testing.T) {
		var reported, rounds []int
		res, err := Ramp{
			Rule: RuleConfident, Seed: 3,
			Experiment: Experiment{
				Target: Func(slots(8, 10*time.Millisecond)), Window: 2 * time.Second, Warmup: 200 * time.Millisecond,
			},
			OnLevel: func(r Result) { reported = append(reported, r.Levels[len(r.Levels)-1].VUs) },
			OnRound: func(r Result) { rounds = append(rounds, len(r.Levels)) },
		}.Run(t.Context())
		require.NoError(t, err)
		require.Equal(t, []int{1, 2, 4, 6, 7, 8, 16, 32}, reported)
		require.Greater(t, len(rounds), 3)
		require.IsNonDecreasing(t, rounds)
		require.Equal(t, uint64(3), res.Seed)

		best, ok := res.Capacity()
		require.True(t, ok)
		require.Equal(t, 8, best.VUs)
		require.InEpsilon(t, 800, res.CapacityThroughput(), 0.01)
		require.InEpsilon(t, 800, res.Estimate.Lower, 0.02)
		require.InEpsilon(t, 800, res.Estimate.Upper, 0.02)
		require.Equal(t, [3]int{8, 8, 8}, [3]int{res.Estimate.KneeLower, res.Estimate.Knee, res.Estimate.KneeUpper})
		accepted := res.Accepted()
		require.Equal(t, best.VUs, accepted[len(accepted)-1].VUs, "the last row of the CSV")
		for _, l := range res.Levels {
			require.InDelta(t, 1.4, l.Window.Seconds(), 0.8, "%d vus", l.VUs)
			require.Equal(t, int64(l.Requests), l.Latency.TotalCount())
			var requests, sampled uint64
			var timed time.Duration
			for _, r := range l.Rounds {
				requests += r.Requests
				timed += r.Length
			}
			for _, s := range l.Samples {
				sampled += s.Requests
			}
			require.Equal(t, l.Requests, requests)
			require.Equal(t, l.Requests, sampled)
			require.Equal(t, l.Window, timed)
			require.LessOrEqual(t, len(l.Samples), sampling)
			require.GreaterOrEqual(t, len(l.Samples), min(len(l.Rounds), sampling/2))
		}
	})
}

func TestConfidentStops(t *testing.T) {
	ten := 10 * time.Millisecond
	e := Experiment{Target: Func(slots(100, ten)), Window: time.Second, Warmup: 100 * time.Millisecond}
	t.Run("at failures, with what was measured below", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var now atomic.Int64
			serve := slots(100, ten)
			e := e
			e.Target = Func(func(ctx context.Context) error {
				defer now.Add(-1)
				if now.Add(1) > 4 {
					time.Sleep(ten)
					return errors.New("busy")
				}
				return serve(ctx)
			})
			res, err := Ramp{Rule: RuleConfident, Experiment: e}.Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, capacity.RequestsFailed, res.Stop.Reason)
			require.Len(t, res.Accepted(), 3)
			require.InEpsilon(t, 400, res.CapacityThroughput(), 0.01)
			_, ok := res.Knee()
			require.False(t, ok)
		})
	})
	t.Run("at the first level, when a request hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := e
			e.Target = Func(func(ctx context.Context) error {
				<-ctx.Done()
				return ctx.Err()
			})
			res, err := Ramp{Rule: RuleConfident, Experiment: e}.Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, capacity.RequestsFailed, res.Stop.Reason)
			require.Empty(t, res.Accepted())
			require.NotZero(t, res.Levels[0].Failures.ByName()["timeout"])
		})
	})
	t.Run("when canceled in any round", func(t *testing.T) {
		const ms = time.Millisecond
		for _, after := range []time.Duration{50 * ms, 400 * ms, 3000 * ms, 7000 * ms} {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(after+ten/2, func() { cancel(errors.New("interrupt")) })
				res, err := Ramp{Rule: RuleConfident, Experiment: e, MaxVUs: 64}.Run(ctx)
				require.NoError(t, err)
				require.Equal(t, capacity.Canceled, res.Stop.Reason)
				require.Contains(t, res.Stop.Detail, "interrupt")
				if after < 100*time.Millisecond {
					require.Empty(t, res.Levels, "in the warm-up")
					return
				}
				require.NotEmpty(t, res.Accepted())
				require.Positive(t, res.CapacityThroughput())
			})
		}
	})
	t.Run("when there is no time for the next level", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			e := e
			e.Target = Func(slots(10000, ten))
			res, err := Ramp{Rule: RuleConfident, Experiment: e}.Run(ctx)
			require.NoError(t, err)
			require.NoError(t, ctx.Err(), "found out before")
			require.Equal(t, capacity.Deadline, res.Stop.Reason, res.Stop.Detail)
			require.NotEmpty(t, res.Accepted())
		})
	})
	t.Run("at an objective, whose last level it finds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			objectives, err := slo.Parse("p99<55ms")
			require.NoError(t, err)
			e := e
			e.Target = Func(slots(10, ten))
			res, err := Ramp{Rule: RuleConfident, SLO: objectives, Experiment: e}.Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, capacity.SLO, res.Stop.Reason)
			require.InEpsilon(t, 1000, res.CapacityThroughput(), 0.01)
			e.Target = Func(slots(40, ten))
			objectives, err = slo.Parse("p99<15ms")
			require.NoError(t, err)
			res, err = Ramp{Rule: RuleConfident, SLO: objectives, Experiment: e}.Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, capacity.SLO, res.Stop.Reason)
			require.Regexp(t, `^at 4[0-9] vus: p99 \S+ms, wanted p99<15ms$`, res.Stop.Detail)
			require.InEpsilon(t, 4000, res.CapacityThroughput(), 0.01)
			require.Equal(t, 40, res.Estimate.VUs)
		})
	})
}

// TestConfidentProgress: the time that is left gets less, and what is shown is taken away before
// the levels are told.
func TestConfidentProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shown progress
		var left []time.Duration
		_, err := Ramp{
			Rule: RuleConfident,
			Experiment: Experiment{
				Target: Func(slots(2, 10*time.Millisecond)), Window: 5 * time.Second, Progress: &shown,
			},
			OnRound: func(r Result) {
				left = append(left, r.Left)
				require.Positive(t, r.Estimate.Throughput)
			},
			OnLevel: func(r Result) {
				require.Zero(t, r.Left)
				require.True(t, shown.ended)
			},
		}.Run(t.Context())
		require.NoError(t, err)
		require.Greater(t, len(left), 4)
		require.LessOrEqual(t, left[len(left)-1], 3*time.Second)
		require.Less(t, left[len(left)-1], left[len(left)-2])
	})
}

type progress struct{ ended bool }

func (p *progress) Begin(int, time.Duration) {}
func (p *progress) End()                     { p.ended = true }

func TestConfidentRefuses(t *testing.T) {
	_, err := Ramp{Rule: RuleConfident, Experiment: Experiment{Engine: builtin{}}}.Run(t.Context())
	require.ErrorIs(t, err, errOnlyBuiltin)
	_, err = Ramp{Rule: "hopeful"}.Run(t.Context())
	require.ErrorContains(t, err, `ramp by the rule "hopeful": want classic or confident`)
}

// TestClassicKeepsObjectives: the classic rule knows objectives, too, and looks for nothing between
// levels.
func TestClassicKeepsObjectives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		objectives, err := slo.Parse("mean<15ms")
		require.NoError(t, err)
		res, err := Ramp{Rule: RuleClassic, SLO: objectives, Experiment: Experiment{
			Target: Func(slots(5, 10*time.Millisecond)), Window: 10 * time.Second,
		}}.Run(t.Context())
		require.NoError(t, err)
		require.Equal(t, Stop{Reason: capacity.SLO, Detail: "at 8 vus: mean 16ms, wanted mean<15ms"}, res.Stop)
		require.Len(t, res.Accepted(), 3)
	})
}

func TestConfidentDoubts(t *testing.T) {
	run := &confidentRun{result: Result{Stop: Stop{Reason: capacity.Knee}}}
	estimate := func(rounds int, half float64) result.Doubts {
		run.result.Estimate = &capacity.Estimate{VUs: 8, Throughput: 100, Rounds: rounds}
		if half > 0 {
			run.result.Estimate.Lower, run.result.Estimate.Upper = 100-half, 100+half
		}
		return run.doubts(limits{cpus: 2, machine: 2})
	}
	require.Empty(t, estimate(40, 20))
	require.Equal(t, DoubtUnsteady, estimate(40, 40)[0].Kind)
	require.Contains(t, estimate(40, 40)[0].Text, "another ramp may find 40 % more or less")
	require.Equal(t, DoubtUnsteady, estimate(2, 0)[0].Kind)
	require.Contains(t, estimate(2, 0)[0].Text, "time for 2 windows at 8 vus")
	run.machine.spent = &result.CPU{Used: 15 * time.Second, Elapsed: 10 * time.Second}
	run.injector.spent = &result.CPU{Used: 5 * time.Second, Elapsed: 10 * time.Second}
	run.apart = true
	require.Equal(t, DoubtShared, estimate(40, 20)[0].Kind)
	run.apart = false
	require.Empty(t, estimate(40, 20), "what the server uses is not known")
}
