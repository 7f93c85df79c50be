package result

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"

	"rampart/loadtest/inject"
)

// requests is how many took how long.
type requests map[time.Duration]int64

// tailBlocks makes n blocks in which both sides do the same each time.
func tailBlocks(n int, baseline, candidate requests) []Block {
	blocks := make([]Block, n)
	for i := range blocks {
		for side, all := range []requests{baseline, candidate} {
			h := hdrhistogram.New(1, 10_000_000, 3)
			for took, count := range all {
				_ = h.RecordValues(took.Microseconds(), count)
			}
			blocks[i].Sides[side].Measurement = inject.Measurement{Requests: uint64(h.TotalCount()), Latency: h}
		}
	}
	return blocks
}

func TestSlowShares(t *testing.T) {
	const ms = time.Millisecond
	usual := requests{ms: 950, 2 * ms: 44, 5 * ms: 6} // the 99th percentile is 2 ms
	for _, tt := range []struct {
		name string
		side requests
		want [2]float64
	}{
		{"the same", usual, [2]float64{0.006, 0.006}},
		{"every 40th takes 30 ms more", requests{ms: 926, 2 * ms: 43, 5 * ms: 6, 31 * ms: 25}, [2]float64{0.006, 0.031}},
		{"every 200th", requests{ms: 945, 2 * ms: 44, 5 * ms: 6, 31 * ms: 5}, [2]float64{0.006, 0.011}},
		{"half of them", requests{ms: 500, 31 * ms: 500}, [2]float64{0.006, 0.5}},
		{"all a little longer", requests{ms * 21 / 20: 950, ms * 21 / 10: 44, 5 * ms: 6}, [2]float64{0.006, 0.006}},
		{"a tail that is a quarter longer", requests{ms: 950, ms * 5 / 2: 44, 5 * ms: 6}, [2]float64{0.006, 0.05}},
		{"faster, but with the same tail", requests{ms / 2: 950, 2 * ms: 44, 5 * ms: 6}, [2]float64{0.006, 0.006}},
		{"no tail", requests{ms: 1000}, [2]float64{0.05, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, v := range slowShares(tailBlocks(3, usual, tt.side)) {
				require.InDelta(t, tt.want[0], v[0], 1e-9)
				require.InDelta(t, tt.want[1], v[1], 1e-9)
			}
			for _, v := range slowShares(tailBlocks(3, tt.side, usual)) { // which one is called the candidate does not matter
				require.InDelta(t, tt.want[1], v[0], 1e-9)
				require.InDelta(t, tt.want[0], v[1], 1e-9)
			}
		})
	}
}

// TestSlowIsTheSameInAllBlocks holds that the percentile is that of all blocks: in one that was
// slow altogether, requests are slow.
func TestSlowIsTheSameInAllBlocks(t *testing.T) {
	const ms = time.Millisecond
	calm := tailBlocks(9, requests{ms: 1000}, requests{ms: 1000})
	slow := tailBlocks(1, requests{ms: 500, 9 * ms: 4}, requests{ms: 500, 9 * ms: 8})
	shares := slowShares(append(calm, slow...))
	require.Zero(t, shares[0])
	require.InDelta(t, 4.0/504, shares[9][0], 1e-9)
	require.InDelta(t, 8.0/508, shares[9][1], 1e-9)
	require.EqualValues(t, 1000, calm[0].Sides[0].Latency.TotalCount(), "what was measured is as it was")
}

// TestSlowIsUnknown: without latencies nothing is slow or quick.
func TestSlowIsUnknown(t *testing.T) {
	blocks := tailBlocks(2, requests{time.Millisecond: 10}, requests{time.Millisecond: 10})
	blocks[1].Sides[0].Latency = nil
	for _, v := range slowShares(blocks) {
		require.True(t, math.IsNaN(v[0]) && math.IsNaN(v[1]))
	}
	require.Empty(t, slowShares(nil))
}

// TestTailIsJudgedOfEnoughRequests holds what a plan has to say of tails.
func TestTailIsJudgedOfEnoughRequests(t *testing.T) {
	for _, n := range []int64{fewestForTail - 1, fewestForTail} {
		var p Plan
		p.Choose(nil, tailBlocks(1, requests{time.Millisecond: n}, requests{time.Millisecond: 2 * n})[0])
		require.Contains(t, p.Omitted, Omitted{"p99-ns", Weaker})
		if n < fewestForTail {
			require.Contains(t, p.Omitted, Omitted{"slow/op", Few})
		} else {
			require.Contains(t, p.Units, "slow/op")
		}
	}
	p := Plan{Margins: map[string]float64{"slow/op": 1, "p99-ns": 0.1}} // who says how much wants them judged
	p.Choose(nil, tailBlocks(1, requests{time.Millisecond: 5}, requests{time.Millisecond: 5})[0])
	require.Subset(t, p.Units, []string{"slow/op", "p99-ns"})
}

// TestAbove counts as one would from the list of all bins.
func TestAbove(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		h := hdrhistogram.New(1, 1000+random.Int64N(1e6), 3)
		for range 1000 {
			require.NoError(t, h.RecordValue(random.Int64N(h.HighestTrackableValue()+1)))
		}
		value := random.Int64N(2 * h.HighestTrackableValue())
		want := int64(0)
		for _, bar := range h.Distribution() {
			if bar.From > value {
				want += bar.Count
			}
		}
		require.Equal(t, want, above(h, value), "%d of %d", value, h.HighestTrackableValue())
	}
}
