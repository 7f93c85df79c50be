package gobench

import (
	"math"
	"time"
)

// Lengths of slices: of what package testing times in one measurement.
const (
	shortest = 5 * time.Millisecond
	longest  = 80 * time.Millisecond
	// collecting is how much a benchmark that allocates should allocate in a slice: three of the
	// smallest heaps that the collector lets grow. Package testing collects before each
	// measurement, so shorter slices would hold no collection and not what it costs.
	collecting = 12 << 20
	// longestCollecting bounds that. What allocates more slowly collects seldom enough for it to
	// cost little.
	longestCollecting = 50 * time.Millisecond
)

// probe is what some measurements of one length say of a benchmark.
type probe struct {
	iterations int
	each       float64       // ns of an iteration, the least of all measurements
	bytes      float64       // that an iteration allocates
	wall       time.Duration // of a measurement with all that package testing and the benchmark do around it
	cpu        float64       // processors used meanwhile
}

// length is that of the part that is timed.
func (p probe) length() time.Duration { return time.Duration(float64(p.iterations) * p.each) }

// collects is how long a slice is that holds some collections; 0: nothing is allocated.
func (p probe) collects() time.Duration {
	if p.bytes <= 0 {
		return 0
	}
	return time.Duration(min(collecting/p.bytes*p.each, float64(time.Hour)))
}

// falls is by how much the time of an iteration falls where more of them share something.
const falls = 0.95

// mostWall is how much longer a measurement may get at once, with what is not timed, and how much
// of it may grow with its iterations.
const mostWall = 500 * time.Millisecond

// lengthen returns how many iterations to try next, after a first one when benchmarks were listed
// and then probes of growing length; 0: it is known enough.
//
// A slice is five milliseconds, or one iteration where that is longer. It is longer where time for
// an iteration still falls with their number: then something is timed once for each measurement,
// such as set-up without ResetTimer, and a loss would look smaller than it is. It is also longer
// where the benchmark allocates, or where what is not timed takes more time than the slice. It is
// shorter where each iteration does much that is not timed.
func lengthen(listed probe, probes []probe) (iterations int) {
	const enough = 4 * shortest // for set-up that is timed to matter little, or to be what is measured
	last, before := listed, probe{}
	switch n := len(probes); n {
	case 0:
	case 1:
		last, before = probes[0], listed
	default:
		last, before = probes[n-1], probes[n-2]
	}
	length := last.length()
	if length >= longest {
		return 0
	}
	want := length
	switch n := len(probes); {
	case n == 0, length < shortest*7/10:
		want = max(want, shortest)
	default:
		want = max(want, min(longestCollecting, last.collects()), min(longest, (last.wall-length)/2))
		if n == 1 && length < enough || n > 1 && last.each < falls*before.each {
			want = max(want, 4*length) // to see whether it falls
		}
	}
	if float64(want) < 1.3*float64(length) {
		return 0
	}
	n := perSlice(last.each, min(want, longest))
	each := float64(last.wall) / float64(last.iterations) // all of it, where nothing else is known
	if last.iterations > before.iterations && before.iterations > 0 {
		each = float64(last.wall-before.wall) / float64(last.iterations-before.iterations)
	}
	if len(probes) > 0 && each*float64(last.iterations) > float64(mostWall)/2 {
		return 0
	}
	if each > 0 {
		n = min(n, last.iterations+max(last.iterations, int(min(float64(mostWall)/each, 1e9))))
	}
	if n <= last.iterations {
		return 0
	}
	return n
}

// chosen returns which of the probes is the one to measure with: the last that a longer one did not
// show to be as good.
func chosen(probes []probe) probe {
	c := probes[0]
	for _, p := range probes[1:] {
		length := c.length()
		if length >= shortest*7/10 && p.each >= falls*c.each && c.wall-length <= 2*length &&
			min(longestCollecting, c.collects()) <= length*3/2 {
			break
		}
		c = p
	}
	return c
}

// perSlice is how many iterations fill a slice.
func perSlice(each float64, slice time.Duration) int {
	return int(max(1, min(math.Round(float64(slice)/max(each, 0.01)), 1e9)))
}

// setting is how a benchmark is measured in a block.
type setting struct {
	iterations int
	warm       int // measurements of each side that count for nothing
	pairs      int
	serial     bool
}

// usualSide is for how long each side is measured in a block, if that makes some pairs.
const usualSide = 120 * time.Millisecond

// settle turns a probe into a setting, in which each side is measured for so long in a block. A
// first measurement of a process warms it up: caches, heap, and what else is made when it is needed
// first. Where a measurement takes long, it is warm by itself, and a block is one of each side.
func settle(p probe, side time.Duration) setting {
	s := setting{iterations: p.iterations, warm: 1, serial: p.cpu < parallel}
	length := max(p.length(), time.Microsecond)
	wall := max(p.wall, length)
	switch {
	case wall >= 4*side:
		s.warm, s.pairs = 0, 1
	default:
		s.pairs = int(max(1, min(side/length, 2*side/wall)))
	}
	return s
}

// parallel is how many processors a benchmark uses that gets all of them. The collector runs beside
// one that runs alone.
const parallel = 1.3
