package prove

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"

	"rampart/loadtest"
	"rampart/loadtest/gate"
	"rampart/loadtest/inject"
	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

// measured makes a duel whose candidate loses so much, of blocks with 800 requests of each side.
func measured(t *testing.T, blocks int, loss float64) loadtest.DuelResult {
	const each = 800 // too few for a tail
	random := rand.New(rand.NewPCG(1, 0))
	d := result.Duel{
		Started: time.Unix(1, 0), Baseline: "./a", Candidate: "./a", Target: "/", Seed: 7, VUs: 2,
		Machine: result.Machine{OS: "linux", Arch: "amd64", CPUs: 2},
		Plan:    result.Plan{Looks: loadtest.DefaultLooks(), Alpha: 0.05},
	}
	for number := 1; number <= blocks; number++ {
		b := result.Block{Number: number}
		for side := range b.Sides {
			took := 1000 + random.Int64N(9)
			requests, wasted := uint64(each), uint64(0)
			if side == 1 {
				wasted = uint64(each * loss)
				requests -= wasted
			}
			h := hdrhistogram.New(1, 1_000_000, 3)
			require.NoError(t, h.RecordValues(took, int64(requests)))
			used := time.Duration(each*took) * time.Microsecond
			b.Sides[side] = result.Side{
				Measurement: inject.Measurement{
					VUs: 2, Requests: requests, Completed: requests, Bodies: int64(requests), Latency: h,
					LatencySum: time.Duration(int64(requests)*took) * time.Microsecond, Wasted: wasted,
					WastedSum: time.Duration(int64(wasted)*took) * time.Microsecond,
				},
				ServerCPU: &result.CPU{Used: used, Elapsed: used},
			}
		}
		d.Blocks = append(d.Blocks, b)
	}
	if blocks > 0 {
		d.Plan.Choose(nil, d.Blocks[0])
	}
	return loadtest.DuelResult{Duel: d, Report: gate.JudgeDuel(d)}
}

// TestOutcome holds that a loss that was made is the one that is found, in the units in which it
// shows.
func TestOutcome(t *testing.T) {
	o, err := NewOutcome(Trial{}, measured(t, 9, 0), 14*time.Second)
	require.NoError(t, err)
	require.Equal(t, verdict.Pass, o.Verdict)
	require.Equal(t, []string{"req/s", "server-cpu-ns/op", "p50-ns", "body-B/op"}, o.Judged)
	require.Empty(t, o.Worse)
	require.Empty(t, o.Open)
	require.InDelta(t, 0, o.Estimate, 0.005)
	require.Equal(t, 9, o.Blocks)
	require.Equal(t, 14.0, o.Seconds)
	require.Len(t, o.Values, 3, "of the length of answers there is no better")
	for unit, v := range o.Values {
		require.Len(t, v[0], 9, unit)
		require.Len(t, v[1], 9, unit)
	}
	require.Equal(t, "equals: pass, req/s", o.String()[:19])

	o, err = NewOutcome(Trial{Loss: 0.05}, measured(t, 9, 0.05), 14*time.Second)
	require.NoError(t, err)
	require.Equal(t, verdict.Regressed, o.Verdict)
	require.Equal(t, []string{"req/s", "server-cpu-ns/op"}, o.Worse)
	require.InDelta(t, 0.05, o.Estimate, 0.005)
	require.Contains(t, o.String(), "5 % less: regressed by req/s, server-cpu-ns/op, req/s -")
}

func TestOutcomeWithoutBlocks(t *testing.T) {
	_, err := NewOutcome(Trial{}, measured(t, 0, 0), time.Second)
	require.ErrorContains(t, err, "no throughput was measured")
}
