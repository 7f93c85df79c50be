package result

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/inject"
)

func TestAtLeast(t *testing.T) {
	require.InDelta(t, 1, atLeast(0, 9), 1e-12)
	require.InDelta(t, 1.0/512, atLeast(9, 9), 1e-12)
	require.InDelta(t, 10.0/512, atLeast(8, 9), 1e-12)
	require.InDelta(t, 0.5, atLeast(3, 5), 1e-12)
}

// halves makes a duel of n blocks. A request takes a factor longer in the first half of the slices
// than in the second.
func halves(n int, latency, cpu func(block, side int) float64) (d Duel) {
	for i := range n {
		b := Block{Number: i + 1}
		for side := range b.Sides {
			half := Part{
				Requests: 100, Busy: time.Duration(1e8 * latency(i, side)), CPU: time.Duration(1e8 * cpu(i, side)),
			}
			b.Sides[side] = Side{
				Measurement: inject.Measurement{Requests: 200, Completed: 210, LatencySum: half.Busy + 1e8},
				ServerCPU:   &CPU{Used: half.CPU + 1e8, Elapsed: time.Second},
				Warmth:      Warmth{Load: 2 * time.Second}, FirstHalf: &half,
			}
		}
		d.Blocks = append(d.Blocks, b)
	}
	return d
}

// of returns a factor for one side, and 1 for the other.
func of(side int, factor float64) func(block, side int) float64 {
	return func(_, s int) float64 {
		if s == side {
			return factor
		}
		return 1
	}
}

func same(int, int) float64 { return 1 }

func TestStillFalls(t *testing.T) {
	d := halves(9, of(1, 1.12), same)
	require.Empty(t, d.stillFalls(0))
	require.Equal(t, "the latency of a request of the candidate fell by more than 10 % in 9 of 9 blocks, "+
		"from the first half of the slices to the second: it was not warm yet; "+
		"let each side warm up for longer, such as 6s (-warmup, or WARMUP of TestDuel)", d.stillFalls(1))
	require.True(t, d.Cold())
	require.Empty(t, d.Samples(0)[8].Doubt)
	require.Equal(t, d.stillFalls(1), d.Samples(1)[8].Doubt, "it is said once, with the last block")
	require.Empty(t, d.Samples(1)[7].Doubt)

	d = halves(9, same, of(0, 1.12))
	require.Contains(t, d.stillFalls(0), "the processor time of a request of the baseline fell")
	require.Empty(t, d.stillFalls(1))

	both := func(f float64) func(int, int) float64 { return func(int, int) float64 { return f } }
	d = halves(9, both(1.5), both(1.5))
	require.NotEmpty(t, d.stillFalls(0), "both alike")
	require.NotEmpty(t, d.stillFalls(1))

	for name, d := range map[string]Duel{
		"too few blocks":  halves(8, both(1.5), both(1.5)),
		"a small fall":    halves(24, both(1.09), both(1.09)),
		"it gets slower":  halves(24, both(0.5), both(0.5)),
		"not in a block":  halves(9, func(i, _ int) float64 { return []float64{1.5, 1}[i/8] }, same),
		"nothing":         {},
		"nothing happens": halves(24, both(0), both(0)),
	} {
		require.False(t, d.Cold(), name)
	}
	d = halves(9, both(1.5), both(1.5))
	for i := range d.Blocks {
		d.Blocks[i].Sides[0].FirstHalf = nil // as documents of older versions have it
	}
	require.Empty(t, d.stillFalls(0))
	require.NotEmpty(t, d.stillFalls(1))
	d.Blocks[4].Sides[0].Failures[inject.EOF] = 1
	require.Empty(t, d.stillFalls(1), "of a block in which requests failed nothing is known")
}

// TestFallsByChance counts how often the guard doubts duels in which nothing falls, whichever of
// the usual looks they end with. Halves scatter; processor time a third as much as latency, as
// beside a neighbour.
func TestFallsByChance(t *testing.T) {
	const duels = 2000
	r := rand.New(rand.NewPCG(1, 2))
	for _, deviation := range []float64{0.01, 0.03, 0.1, 0.3} {
		doubted := 0
		for range duels {
			scatter := func(deviation float64) func(int, int) float64 {
				return func(int, int) float64 { return math.Exp(deviation * r.NormFloat64()) }
			}
			d := halves(24, scatter(deviation), scatter(deviation/3))
			for _, look := range []int{9, 12, 16, 24} {
				if at := (Duel{Blocks: d.Blocks[:look]}); at.Cold() {
					doubted++
					break
				}
			}
		}
		t.Logf("noise of %.0f %% from half to half: %d of %d duels in doubt", 100*deviation, doubted, duels)
		require.LessOrEqual(t, doubted, duels/100)
		if deviation <= 0.1 {
			require.LessOrEqual(t, doubted, duels/250)
		}
	}
}

func TestColdBlocks(t *testing.T) {
	d := halves(9, same, same)
	const cold = "the latency of a request fell by 12 % in the last 3.3s of load"
	for i := range 2 {
		d.Blocks[3*i].Sides[1].Warmth = Warmth{Load: 10 * time.Second, Cold: cold}
	}
	require.False(t, d.Cold())
	require.Equal(t, []string{"2 of 9 blocks began while a server was cold: too few to change a verdict"}, d.Notes(0))
	require.Empty(t, d.Notes(1))
	d.Blocks[7].Sides[0].Warmth = Warmth{Load: 10 * time.Second, Cold: cold}
	require.True(t, d.Cold())
	require.Empty(t, d.Notes(0))
	require.Equal(t, "3 of 9 blocks began while a server was cold: of the candidate in block 4, after a warm-up of 10s, "+
		"the latency of a request fell by 12 % in the last 3.3s of load; "+
		"let each side warm up for longer, such as 30s (-warmup, or WARMUP of TestDuel)", d.Samples(1)[3].Doubt)
	require.Contains(t, d.Samples(0)[7].Doubt, "of the baseline in block 8")
	require.Empty(t, d.Samples(1)[7].Doubt)
	d.Blocks[0].Sides[1].Strain.Busy = 0.95
	require.Contains(t, d.Samples(1)[0].Doubt, "the injector was busy")
	require.NotContains(t, d.Samples(1)[0].Doubt, "cold")
}

// TestSlowToBecomeWarmIsNoted holds that a candidate that takes longer to become warm cannot hide
// that: no sample has it.
func TestSlowToBecomeWarmIsNoted(t *testing.T) {
	after := func(n int, steady [2]time.Duration) Duel {
		d := halves(n, same, same)
		for i := range d.Blocks {
			for side := range d.Blocks[i].Sides {
				d.Blocks[i].Sides[side].Warmth.Steady = steady[side]
			}
		}
		return d
	}
	const s, ms = time.Second, time.Millisecond
	const note = "the candidate needed 4s of load to become warm, and the baseline "
	require.Equal(t, []string{note + "1.6s, 2.5 times as long: no verdict is about that"},
		after(4, [2]time.Duration{1600 * ms, 4 * s}).Notes(1))
	slow := after(9, [2]time.Duration{0, 4 * s})
	require.Equal(t, []string{note + "0s: no verdict is about that"}, slow.Notes(1))
	require.Empty(t, slow.Notes(0), "the verdict says it once")
	for i := range 5 {
		slow.Blocks[i].Sides[1].Warmth.Steady = 0
	}
	for name, d := range map[string]Duel{
		"in less than half of the blocks": slow,
		"few blocks":                      after(3, [2]time.Duration{0, s}),
		"hardly longer":                   after(9, [2]time.Duration{3 * s, 4 * s}),
		"by a moment":                     after(9, [2]time.Duration{40 * ms, 240 * ms}),
		"the baseline takes longer":       after(9, [2]time.Duration{4 * s, s}),
	} {
		require.Empty(t, strings.Join(d.Notes(1), "\n"), name)
	}
}
