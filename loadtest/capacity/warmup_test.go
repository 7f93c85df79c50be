package capacity

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a duel uses; see package loadtest.
const (
	stepSeconds  = 0.04
	leastSeconds = 0.19
	firstSeconds = 0.5 // of the first block
	mostSeconds  = 10
	coldFall     = 0.04
)

// warming is how long a request takes and how much processor time, after so many seconds of load,
// of each side.
type warming func(side int, seconds float64) (latency, cpu float64)

// both makes both sides the same.
func both(at func(seconds float64) float64) warming {
	return func(_ int, seconds float64) (latency, cpu float64) { return at(seconds), at(seconds) }
}

// decay falls exponentially, to 1.
func decay(amplitude, constant float64) func(float64) float64 {
	return func(t float64) float64 { return 1 + amplitude*math.Exp(-t/constant) }
}

// warmUp warms up until it is over.
func warmUp(at warming, noise func(side int) (latency, cpu float64), least, most float64) *Warmup {
	var w Warmup
	for seconds := 0.0; ; {
		var steps [2]WarmStep
		for side := range steps {
			latency, cpu := at(side, seconds+stepSeconds/2)
			x, y := noise(side)
			steps[side] = WarmStep{
				Seconds: stepSeconds, Requests: 100, Busy: 100 * latency * x, Served: 110, CPU: 110 * cpu * y,
			}
		}
		w.Add(steps)
		seconds += stepSeconds
		if w.Over(least, most) {
			return &w
		}
	}
}

func silence(int) (latency, cpu float64) { return 1, 1 }

// weathered is noise with a standard deviation from step to step. Most of it hits both sides, and
// processor time less than latency. Now and then a burst makes everything slower for some steps.
func weathered(r *rand.Rand, deviation float64) func(side int) (latency, cpu float64) {
	machine, burst := 1.0, 0
	return func(side int) (latency, cpu float64) {
		if side == 0 {
			machine = math.Exp(deviation * r.NormFloat64())
			if burst > 0 {
				burst--
			} else if r.IntN(50) == 0 {
				burst = 1 + r.IntN(5)
			}
		}
		latency = machine * math.Exp(deviation/3*r.NormFloat64())
		cpu = math.Pow(machine, 0.3) * math.Exp(deviation/3*r.NormFloat64())
		if burst > 0 {
			latency, cpu = latency*(1.5+r.Float64()), cpu*1.1
		}
		return latency, cpu
	}
}

func TestWarmupOver(t *testing.T) {
	nan := math.NaN()
	for name, tt := range map[string]struct {
		at         warming
		from, to   float64 // when it should be over
		falls      [2][]bool
		steadyFrom [2][2]float64
	}{
		"always the same": {at: both(func(float64) float64 { return 1 }), from: 0.2, to: 0.24},
		"the first step is slow": {at: both(func(t float64) float64 {
			if t < stepSeconds {
				return 3
			}
			return 1
		}), from: 0.2, to: 0.24},
		"in a step after a second": {at: both(func(t float64) float64 {
			if t < 1 { // it looks steady before
				return 3
			}
			return 1
		}), from: 0.2, to: 0.24},
		"falls for a second": {at: both(func(t float64) float64 { return max(1, 4-3*t) }), from: 1.2, to: 1.8,
			steadyFrom: [2][2]float64{{0.75, 1.1}, {0.75, 1.1}}},
		"falls for ever": {at: both(func(t float64) float64 { return 100 * math.Exp(-t/4) }), from: 10, to: 10.1,
			falls: [2][]bool{{false, true}, {false, true}}, steadyFrom: [2][2]float64{{2, 7}, {2, 7}}},
		"falls by next to nothing": {at: both(func(t float64) float64 { return 100 - 0.1*t }), from: 0.2, to: 0.24},
		"becomes slower":           {at: both(func(t float64) float64 { return 1 + t }), from: 0.2, to: 0.24},
		"one side falls for two seconds": {at: func(side int, t float64) (float64, float64) {
			if side == 0 {
				return 1, 1
			}
			return max(1, 5-2*t), max(1, 5-2*t)
		}, from: 2.3, to: 3.6, steadyFrom: [2][2]float64{{0, 0}, {1.6, 2.1}}},
		"only the processor time falls": {at: func(_ int, t float64) (float64, float64) {
			return 1, max(1, 4-3*t)
		}, from: 1.2, to: 1.8, steadyFrom: [2][2]float64{{0.75, 1.1}, {0.75, 1.1}}},
		"the processor time is not known": {at: func(_ int, t float64) (float64, float64) {
			return max(1, 4-3*t), nan
		}, from: 1.2, to: 1.8, steadyFrom: [2][2]float64{{0.75, 1.1}, {0.75, 1.1}}},
		"nothing is known": {at: func(int, float64) (float64, float64) { return nan, nan }, from: 0.2, to: 0.24},
	} {
		t.Run(name, func(t *testing.T) {
			w := warmUp(tt.at, silence, leastSeconds, mostSeconds)
			require.GreaterOrEqual(t, w.Seconds(), tt.from-1e-9)
			require.LessOrEqual(t, w.Seconds(), tt.to+1e-9)
			for side, s := range w.Sides(false) {
				var falls []bool
				for _, f := range s.Falls {
					falls = append(falls, f.CPU)
					require.InDelta(t, mostSeconds/3.0, f.Seconds, 0.4)
					require.InDelta(t, 1-math.Exp(-f.Seconds/4), f.Share, 0.05)
				}
				require.Equal(t, tt.falls[side], falls)
				require.GreaterOrEqual(t, s.Steady, tt.steadyFrom[side][0])
				require.LessOrEqual(t, s.Steady, tt.steadyFrom[side][1])
				require.InDelta(t, w.Seconds(), s.Seconds, 1e-9)
			}
		})
	}
}

// TestWarmupOfSlowServers holds that few steps decide where each takes seconds.
func TestWarmupOfSlowServers(t *testing.T) {
	step := WarmStep{Seconds: 3, Requests: 4, Busy: 4, Served: 4, CPU: 4}
	var w Warmup
	for n := 1; n <= 4; n++ {
		w.Add([2]WarmStep{step, step})
		require.Equal(t, n == 4, w.Over(leastSeconds, 20), n)
	}
	require.True(t, w.Over(leastSeconds, 12), "the limit")
}

// TestWarmupOfFixedLength holds that a fall is named only where it is beyond doubt.
func TestWarmupOfFixedLength(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	falling := 0
	for range 300 {
		w := warmUp(both(func(float64) float64 { return 1 }), weathered(r, 0.1), 2, 2)
		for _, s := range w.Sides(true) {
			falling += len(s.Falls)
		}
	}
	require.LessOrEqual(t, falling, 8, "of 1200 series")
	for range 100 {
		w := warmUp(both(decay(3, 2)), weathered(r, 0.1), 2, 2)
		for _, s := range w.Sides(true) {
			require.NotEmpty(t, s.Falls)
		}
	}
}

// TestWarmupIsOfBothSidesAlike holds that it does not matter which side is the candidate.
func TestWarmupIsOfBothSidesAlike(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(3, seed))
		var w, swapped Warmup
		amplitudes := [2]float64{3 * r.Float64(), 3 * r.Float64()}
		for n := range 200 {
			var steps [2]WarmStep
			for side, a := range amplitudes {
				x := decay(a, 0.5)(stepSeconds*float64(n)) * math.Exp(0.1*r.NormFloat64())
				steps[side] = WarmStep{Seconds: stepSeconds, Requests: 9, Busy: 9 * x, Served: 9, CPU: math.NaN()}
			}
			w.Add(steps)
			swapped.Add([2]WarmStep{steps[1], steps[0]})
			over := w.Over(leastSeconds, mostSeconds)
			require.Equal(t, over, swapped.Over(leastSeconds, mostSeconds))
			if over {
				break
			}
		}
		x, y := w.Sides(false), swapped.Sides(false)
		require.Equal(t, x[0], y[1])
		require.Equal(t, x[1], y[0])
	}
}

// TestWarmupKeepsItsSums holds that nothing is lost when steps become one.
func TestWarmupKeepsItsSums(t *testing.T) {
	var w Warmup
	for n := 1; n <= 1000; n++ {
		w.Add([2]WarmStep{{Seconds: 1, Requests: 2, Busy: 3, Served: 4, CPU: 5}, {Seconds: 3}})
		require.InDelta(t, 2*float64(n), w.Seconds(), 1e-6)
		require.LessOrEqual(t, len(w.steps[0]), mostSteps)
		var sum WarmStep
		for _, s := range w.steps[0] {
			sum = sum.plus(s)
		}
		require.Equal(t, WarmStep{float64(n), 2 * float64(n), 3 * float64(n), 4 * float64(n), 5 * float64(n)}, sum)
	}
}

// ended is what became of simulated warm-ups.
type ended struct {
	seconds []float64
	left    []float64 // by how much a request still falls from there on, as a share
	cold    int       // and said to be so
}

func (e ended) quantiles(values []float64) string {
	slices.Sort(values)
	at := func(q float64) float64 { return values[int(q*float64(len(values)-1))] }
	return fmt.Sprintf("%.2f | %.2f", at(0.5), at(0.95))
}

func simulateWarmups(r *rand.Rand, n int, at func(float64) float64, deviation, least float64) (e ended) {
	for range n {
		w := warmUp(both(at), weathered(r, deviation), least, mostSeconds)
		seconds := w.Seconds()
		e.seconds = append(e.seconds, seconds)
		e.left = append(e.left, 1-at(1e6)/at(seconds))
		s := w.Sides(false)
		falls := slices.ContainsFunc(append(s[0].Falls, s[1].Falls...), func(f Fall) bool { return f.Share >= coldFall })
		if seconds >= mostSeconds-1e-9 && falls {
			e.cold++
		}
	}
	return e
}

// TestWarmupSimulations simulates warm-ups and keeps what became of them in a table.
func TestWarmupSimulations(t *testing.T) {
	flat, decays := 400, 4
	if *simulations {
		flat, decays = 5000, 200
	}
	r := rand.New(rand.NewPCG(5, 6))
	var table strings.Builder
	write := func(format string, args ...any) { fmt.Fprintf(&table, format, args...) }
	write("Made by `go test -run TestWarmupSimulations ./loadtest/capacity -simulations`. Both servers are alike.\n" +
		"Noise is from step to step of 40 ms; in one step of 50 a burst begins. A warm-up takes 10 s at most;\n" +
		"so many are said to be cold then.\n\n")
	write("%d warm-ups of servers that do not fall:\n\n", flat)
	write("| a request | noise | at least s | s, median | 95 %% | cold |\n|---|---:|---:|---:|---:|---:|\n")
	for _, least := range []float64{leastSeconds, firstSeconds} {
		for _, deviation := range []float64{0.01, 0.03, 0.1, 0.3} {
			e := simulateWarmups(r, flat, func(float64) float64 { return 1 }, deviation, least)
			write("| takes always the same | %.0f %% | %v | %s | %d |\n",
				100*deviation, least, e.quantiles(e.seconds), e.cold)
			require.LessOrEqual(t, e.cold, flat/1000, "noise of %v", deviation)
			require.LessOrEqual(t, average(e.seconds), 1.6*least, "noise of %v", deviation)
		}
	}
	for _, kind := range []struct {
		name string
		at   func(float64) float64
	}{
		{"takes longer, 10 % a second", func(t float64) float64 { return math.Exp(0.1 * t) }},
		{"cycles in 0.5 s, ±20 %", func(t float64) float64 { return 1 + 0.2*math.Sin(2*math.Pi*t/0.5) }},
		{"cycles in 3 s, ±20 %", func(t float64) float64 { return 1 + 0.2*math.Sin(2*math.Pi*t/3) }},
		{"cycles in 12 s, ±20 %", func(t float64) float64 { return 1 - 0.2*math.Sin(2*math.Pi*t/12) }},
	} {
		e := simulateWarmups(r, flat, kind.at, 0.03, leastSeconds)
		write("| %s | 3 %% | %v | %s | %d |\n", kind.name, leastSeconds, e.quantiles(e.seconds), e.cold)
		require.Zero(t, e.cold, kind.name)
	}
	write("\n%d of each decay, 1 + a·exp(−t/τ). What is left is how much a request falls from there on.\n\n", decays)
	write("| a | τ, s | noise | at least s | s, median | 95 %% | left, median | 95 %% | cold |\n%s|\n",
		strings.Repeat("|---:", 9))
	for _, least := range []float64{leastSeconds, firstSeconds, 3} {
		for _, amplitude := range []float64{0.3, 1, 14} {
			for _, constant := range []float64{0.2, 0.5, 1, 2, 5, 20} {
				for _, deviation := range []float64{0.01, 0.03, 0.1} {
					e := simulateWarmups(r, decays, decay(amplitude, constant), deviation, least)
					write("| %v | %v | %.0f %% | %v | %s | %s | %d |\n", amplitude, constant, 100*deviation, least,
						e.quantiles(e.seconds), e.quantiles(e.left), e.cold)
				}
			}
		}
	}
	path := filepath.Join("..", "..", "testdata", "capacity", "warmup.md")
	if *simulations {
		require.NoError(t, os.WriteFile(path, []byte(table.String()), 0o666))
	}
	t.Log(table.String())
}
