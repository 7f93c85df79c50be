package loadtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"rampart/loadtest/capacity"
	"rampart/loadtest/host"
	"rampart/loadtest/inject"
	"rampart/loadtest/result"
)

// The warm-up of a duel that has no length takes as long as the servers need: see
// [capacity.Warmup]. In the first block it takes longer than they need, because more time shows
// slower falls, and what it shows is good for all other blocks.
const (
	// WarmupLimit is how long such a warm-up takes at most on each side of a block.
	WarmupLimit = 10 * time.Second

	leastWarmup = 190 * time.Millisecond // five steps: fresh processes, page faults, connections
	firstWarmup = 500 * time.Millisecond // at least, in the first block
	leastOfCode = 3 * time.Second        // of servers that compile while they run: they get faster in steps
	// shareOfSteady is how much longer than it took in blocks before to be warm a warm-up takes at
	// least.
	shareOfSteady = 1.25

	// warmupStep is how long each side is loaded, about, between two readings of their processor
	// time.
	warmupStep = 40 * time.Millisecond
	// dearestReading is the longest that readings of both sides may take, some times in a row, as
	// they do where there are thousands of processes, or one that is just starting. Then latency
	// has to do, for so many steps.
	dearestReading, dearReadings, withoutReadings = warmupStep / 2, 3, 20

	// coldFall is by how much a request falls in the last third of the warm-up of a server that is
	// cold, at least.
	coldFall = 0.04

	fewestToWarm = 3 // pairs of slices, also where each of them takes seconds
)

// warmingUp is what a warm-up is about.
type warmingUp struct {
	random   *rand.Rand
	slice    time.Duration
	meters   [2]CPUMeter    // of the servers
	blocks   []result.Block // before this one
	compiles func() bool    // reports whether a server compiles while it runs
}

// warmUp takes turns until both sides are warm. It returns how warm they are, and the median
// latency of the slower one at the end.
func (d Duel) warmUp(sessions [2]*inject.Session, w warmingUp) (warm [2]result.Warmth, p50 time.Duration, err error) {
	var series capacity.Warmup
	var medians [2][]time.Duration
	cpu := stepMeter{meters: w.meters}
	cpu.read()
	step := warmupStep
	if d.Warmup > 0 {
		step = min(step, d.Warmup)
	}
	least, asked := leastAfter(w.blocks), false
	for begun, pairs := time.Now(), 0; ; {
		whole := true
		for since := time.Now(); time.Since(since) < 2*step; pairs++ {
			_, served, err := d.takeTurns(sessions, w.random, w.slice, 1)
			if err != nil {
				return warm, 0, err
			}
			whole = whole && served
		}
		used := cpu.read()
		var steps [2]capacity.WarmStep
		for side, s := range sessions {
			m := s.Take()
			steps[side] = capacity.WarmStep{
				Seconds:  m.Window.Seconds(),
				Requests: float64(m.Requests), Busy: (m.LatencySum + m.ConnectSum).Seconds(),
				Served: float64(m.Completed), CPU: used[side],
			}
			medians[side] = append(medians[side], m.Quantile(0.5))
		}
		series.Add(steps)
		if !asked && series.Seconds() >= least.Seconds() {
			if asked = true; w.compiles() {
				least = max(least, leastOfCode)
			}
		}
		over := series.Over(least.Seconds(), d.limit.Seconds())
		if d.Warmup > 0 {
			over = time.Since(begun) >= 2*d.Warmup
		}
		if pairs >= fewestToWarm && over || !whole && time.Since(begun) >= d.Timeout {
			break
		}
	}
	for side, s := range series.Sides(d.Warmup > 0) {
		warm[side] = result.Warmth{Load: seconds(s.Seconds), Steady: seconds(s.Steady), Cold: coldness(s.Falls)}
		p50 = max(p50, lastMedian(medians[side]))
	}
	return warm, p50, nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// leastAfter is how long a warm-up takes at least after other blocks.
func leastAfter(blocks []result.Block) time.Duration {
	if len(blocks) == 0 {
		return firstWarmup
	}
	var steady []time.Duration
	for _, b := range blocks {
		steady = append(steady, max(b.Sides[0].Warmth.Steady, b.Sides[1].Warmth.Steady))
	}
	slices.Sort(steady)
	middle := steady[(len(steady)-1)/2] // one that had bad luck decides nothing for the others
	return max(leastWarmup, time.Duration(shareOfSteady*float64(middle)))
}

// compiles reports whether a server compiles while it runs.
func compiles(contests [2]contest) bool {
	return slices.ContainsFunc(contests[:], func(c contest) bool {
		var launch host.Launch
		if c.server != nil {
			launch = c.server.launch
		}
		return host.MakesCode(c.target.Address(), launch)
	})
}

// coldness says what falls still; empty: nothing.
func coldness(falls []capacity.Fall) string {
	falls = slices.DeleteFunc(slices.Clone(falls), func(f capacity.Fall) bool { return f.Share < coldFall })
	if len(falls) == 0 {
		return ""
	}
	f := falls[len(falls)-1] // the processor time, which is less noisy
	what := "latency"
	if f.CPU {
		what = "processor time"
	}
	return fmt.Sprintf("the %s of a request fell by %.2g %% in the last %v of load", what, 100*f.Share,
		seconds(f.Seconds).Round(100*time.Millisecond))
}

// lastMedian is the median of the last quarter of medians: those before may be of a cold server.
func lastMedian(medians []time.Duration) time.Duration {
	last := slices.Clone(medians[len(medians)*3/4:])
	slices.Sort(last)
	return last[len(last)/2]
}

// stepMeter reads the processor time of both sides from step to step.
type stepMeter struct {
	meters [2]CPUMeter
	last   [2]time.Duration
	known  [2]bool
	dear   int // so many readings in a row took too long
	rest   int // so many steps are still to be done without one
}

// read returns what both sides have used since the last reading, in seconds; NaN: not known.
func (m *stepMeter) read() (used [2]float64) {
	m.rest--
	begun := time.Now()
	for side, meter := range m.meters {
		used[side] = math.NaN()
		if m.rest >= 0 || meter == nil {
			m.known[side] = false
			continue
		}
		now, err := meter()
		if err == nil && m.known[side] {
			used[side] = (now - m.last[side]).Seconds()
		}
		m.last[side], m.known[side] = now, err == nil
	}
	if time.Since(begun) <= dearestReading {
		m.dear = 0
	} else if m.dear++; m.dear >= dearReadings {
		m.dear, m.rest = 0, withoutReadings
	}
	return used
}
