//go:build !load

package loadtest

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/inject"
	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

// becoming is how long a request takes after so much time.
type becoming func(since time.Duration) time.Duration

func constantly(d time.Duration) becoming { return func(time.Duration) time.Duration { return d } }

// falling takes from to at the beginning, and to from the time on.
func falling(from, to, until time.Duration) becoming {
	return func(since time.Duration) time.Duration {
		return max(to, from-time.Duration(float64(from-to)*since.Seconds()/until.Seconds()))
	}
}

// warmed warms two servers of simulated time up, and returns how warm they became and how long a
// request of the slower one took then.
func warmed(t *testing.T, d Duel, w warmingUp, sides [2]becoming) (warm [2]result.Warmth, p50 time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d.VUs = 1
		d = d.withDefaults()
		begun := time.Now()
		var sessions [2]*inject.Session
		for side, at := range sides {
			var used time.Duration
			var err error
			sessions[side], err = inject.Open(t.Context(), Func(func(context.Context) error {
				took := at(time.Since(begun))
				time.Sleep(took)
				used += took / 2
				if took > time.Minute {
					return errors.New("it fails")
				}
				return nil
			}), d.VUs, d.Timeout)
			require.NoError(t, err)
			defer sessions[side].Close()
			if side == 0 { // of the other one it is not known
				w.meters[side] = func() (time.Duration, error) { return used, nil }
			}
		}
		w.random, w.slice = rand.New(rand.NewPCG(1, 2)), shortestSlice
		if w.compiles == nil {
			w.compiles = func() bool { return false }
		}
		var err error
		warm, p50, err = d.warmUp(sessions, w)
		require.NoError(t, err)
	})
	return warm, p50
}

func TestWarmUpUntilSteady(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED by -short: a simulation of one goroutine at a time")
	}
	const ms, s, alike = time.Millisecond, time.Second, time.Millisecond
	steady, never := constantly(ms), falling(10*ms, 0, 25*s)
	const falls = "the latency of a request fell by "
	for name, tt := range map[string]struct {
		baseline, candidate becoming
		fixed               time.Duration
		steady              time.Duration // of a block before
		first, compiles     bool
		from, to            time.Duration // the load of the warm-up
		later               time.Duration // at least, until the candidate is steady
		p50                 time.Duration
		cold                string // of the candidate
	}{
		"first block": {baseline: steady, candidate: steady, first: true, from: 500 * ms, to: 560 * ms, p50: ms},
		"it compiles": {
			baseline: steady, candidate: steady, first: true, compiles: true, from: 3 * s, to: 3100 * ms, p50: ms,
		},
		"a later block":      {baseline: steady, candidate: steady, from: 200 * ms, to: 260 * ms, p50: ms},
		"it still compiles":  {baseline: steady, candidate: steady, compiles: true, from: 3 * s, to: 3100 * ms, p50: ms},
		"after a slow block": {baseline: steady, candidate: steady, steady: 2 * s, from: 2500 * ms, to: 2700 * ms, p50: ms},
		"the candidate falls": {
			baseline: steady, candidate: falling(10*ms, ms, 4*s), first: true, from: 2 * s, to: 5 * s, later: 1500 * ms, p50: ms,
		},
		"falls for ever": {
			baseline: steady, candidate: never, first: true, from: 10 * s, to: 10100 * ms, p50: 3 * ms, cold: falls,
		},
		"fixed": {baseline: steady, candidate: steady, fixed: s, from: s, to: 1100 * ms, p50: ms},
		"fixed, and it falls": {
			baseline: steady, candidate: falling(10*ms, ms, 10*s), fixed: 2 * s, from: 1900 * ms, to: 2200 * ms, later: 200 * ms,
			p50: 6700 * time.Microsecond, cold: falls,
		},
		"a moment":        {baseline: steady, candidate: steady, fixed: 1, first: true, from: 6 * ms, to: 9 * ms, p50: ms},
		"long requests":   {baseline: constantly(s), candidate: constantly(s), first: true, from: 8 * s, to: 8 * s, p50: s},
		"longer requests": {baseline: constantly(9 * s), candidate: constantly(9 * s), from: 54 * s, to: 54 * s, p50: 9 * s},
	} {
		t.Run(name, func(t *testing.T) {
			w := warmingUp{compiles: func() bool { return tt.compiles }}
			if !tt.first {
				w.blocks = []result.Block{{Sides: [2]result.Side{{}, {Warmth: result.Warmth{Steady: tt.steady}}}}}
			}
			warm, p50 := warmed(t, Duel{Warmup: tt.fixed}, w, [2]becoming{tt.baseline, tt.candidate})
			load := (warm[0].Load + warm[1].Load) / 2
			require.GreaterOrEqual(t, load, tt.from-alike)
			require.LessOrEqual(t, load, tt.to+alike)
			require.InEpsilon(t, tt.p50, p50, 0.1)
			require.Empty(t, warm[0].Cold)
			require.Zero(t, warm[0].Steady)
			require.GreaterOrEqual(t, warm[1].Steady, tt.later)
			require.Equal(t, tt.cold == "", warm[1].Cold == "")
			require.Contains(t, warm[1].Cold, tt.cold)
		})
	}
}

// TestWarmUpOfAServerThatFails holds that it ends where nothing succeeds.
func TestWarmUpOfAServerThatFails(t *testing.T) {
	d := Duel{Timeout: 3 * time.Minute}
	_, p50 := warmed(t, d, warmingUp{}, [2]becoming{constantly(2 * time.Minute), constantly(2 * time.Minute)})
	require.Zero(t, p50)
}

// TestWarmUpAfterOtherBlocks holds that one block that was slow to become warm, as beside a burst
// of noise, does not make all others slow.
func TestWarmUpAfterOtherBlocks(t *testing.T) {
	of := func(steady ...time.Duration) (blocks []result.Block) {
		for _, s := range steady {
			blocks = append(blocks, result.Block{Sides: [2]result.Side{1: {Warmth: result.Warmth{Steady: s}}}})
		}
		return blocks
	}
	const s = time.Second
	require.Equal(t, firstWarmup, leastAfter(nil))
	require.Equal(t, leastWarmup, leastAfter(of(0)))
	require.Equal(t, 2500*time.Millisecond, leastAfter(of(2*s)))
	require.Equal(t, leastWarmup, leastAfter(of(0, 2*s)))
	require.Equal(t, leastWarmup, leastAfter(of(0, 2*s, 0)))
	require.Equal(t, 2500*time.Millisecond, leastAfter(of(4*s, 2*s, 0)))
}

// TestDuelOfServersThatGetWarm holds that a server is measured when it is warm, and what becomes
// slower to be warm is noted. Without a warm-up until then, a request would take several times as
// long.
func TestDuelOfServersThatGetWarm(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	d := shortDuel(t, contender("none"), contender("warms"))
	d.Warmup, d.limit = 0, 800*time.Millisecond
	d.OnBlock = func(DuelResult) { cancel(enough) }
	result, err := d.Run(ctx)
	require.ErrorIs(t, err, enough)
	warmth := result.Blocks[0].Sides[1].Warmth
	require.Greater(t, warmth.Load, firstWarmup*9/10)
	// It gets warm by the clock, and so during less load where the machine is busy.
	baseline, candidate := result.Blocks[0].Sides[0], result.Blocks[0].Sides[1]
	require.Less(t, candidate.Quantile(0.5), 2*baseline.Quantile(0.5), "five times as much when it is cold")
	for _, s := range result.Blocks[0].Sides {
		require.NotNil(t, s.FirstHalf)
		require.InEpsilon(t, s.Requests, 2*s.FirstHalf.Requests, 0.5)
	}
}

// TestDuelOfServersThatStayCold holds that no verdict is made of servers that fall all the time,
// both alike, and that the duel ends with the first look.
func TestDuelOfServersThatStayCold(t *testing.T) {
	d := shortDuel(t, contender("cools"), contender("cools"))
	d.Warmup, d.limit, d.Looks = 0, 300*time.Millisecond, []int{2, 24}
	result, err := d.Run(t.Context())
	require.NoError(t, err)
	require.Len(t, result.Blocks, 2)
	require.Equal(t, verdict.Inconclusive, result.Report.Verdict, result.Report.Meaning)
	require.Regexp(t, "in doubt: . of 2 blocks began while a server was cold: .*-warmup", result.Report.Rows[0].Reason)
}

// cold is how many times as long a request takes of a server that has been asked for so long.
func cold(flaw string, since time.Duration) float64 {
	switch flaw {
	case "warms":
		return 1 + 4*math.Exp(-since.Seconds()/0.3)
	case "cools":
		return 40 * math.Exp(-3*since.Seconds())
	}
	return 1
}
