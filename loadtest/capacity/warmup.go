package capacity

import (
	"math"
	"slices"
)

// Warmup decides when the two servers of a duel are warm: when neither the time nor the processor
// time of a request falls any more, of neither server. Both are loaded in turns meanwhile, and the
// end is one for both. It does not matter which of them is called the candidate, and nothing that
// is measured afterwards goes into it. The zero value is ready for use.
//
// What can go wrong is in Barrett, Bolz-Tereick, Killick, Mount and Tratt, "Virtual Machine Warmup
// Blows Hot and Cold" (OOPSLA 2017): some processes never become steady, some become slower, some
// go in cycles, and some become faster in a step, long after they looked steady. The first are
// given up after a time, and said to be cold. One that becomes slower is waited for until it has
// been so for as long as it was faster before, since a compiler at run time, too, makes its server
// slow now and then, just before it becomes fast. One that goes in cycles ends somewhere in them.
// The last cannot be told before it happens; only a longer least time helps.
//
// The test is one for a trend in the last two thirds of the warm-up, of each series: Mann's
// ("Nonparametric Tests Against Trend", Econometrica 13(3), 1945), which takes ranks, so that a
// burst of noise counts no more than any other step, and for its size the median of all slopes
// (Theil 1950; Sen, "Estimates of the Regression Coefficient Based on Kendall's Tau", JASA 63,
// 1968). A fall that has ended may still be in the two thirds: where the last third falls by
// little, and by much less than the third before it, it is over. So an exponential decay goes on
// until less is left of it than it has just fallen, if it has run for a good part of its time
// constant. Of one that has only just begun, the test sees a part in proportion to the time, and
// noise may hide that.
type Warmup struct {
	steps [2][]WarmStep // of the baseline and the candidate
	per   int           // so many added steps are one in steps
	open  int           // so many of these the last one has
	look  float64       // after so many seconds the next test is due
}

// WarmStep is what one server did in a step of a warm-up.
type WarmStep struct {
	Seconds  float64 // of load on it
	Requests float64 // that succeeded and were timed
	Busy     float64 // sum of their latencies, in seconds
	Served   float64 // all that succeeded
	CPU      float64 // processor time that the server spent on Served, in seconds; NaN: not known
}

func (s WarmStep) plus(t WarmStep) WarmStep {
	return WarmStep{
		s.Seconds + t.Seconds, s.Requests + t.Requests, s.Busy + t.Busy, s.Served + t.Served, s.CPU + t.CPU,
	}
}

const (
	// mostSteps is an even number of steps. When there are so many, each two become one. So steps
	// are long where the warm-up is, and their noise is small.
	mostSteps = 64
	// fewestSteps is how many steps a warm-up has at least before it is judged.
	fewestSteps = 4
	// tests are due each time that the warm-up is longer by this factor: each is a chance to end
	// too early.
	lookFactor = 1.15
	// A series falls where its fall in the last two thirds is at least so many standard deviations
	// of what chance makes of ranks, and at least such a share. The first is low, because a false
	// alarm costs one more test, and an end too early costs the verdict.
	fallDeviations, fallShare = 1, 0.02
	// Of a warm-up whose length somebody else has chosen, a fall has to be beyond doubt.
	certainDeviations, certainShare = 3, 0.05
	// It has ended where it is less than such a share in the last third, and less than such a part
	// of that in the last two. A decay that falls to a third and less from one third to the next,
	// as it does where these are longer than its time constant, has less left than half of the last
	// fall.
	endedShare, endedPart = 0.03, 0.25
	// So many steps of the last third have to show that: fewer do too often by chance.
	fewestEnded = 6
)

// Add adds a step of the baseline and of the candidate, which were loaded in turns.
func (w *Warmup) Add(sides [2]WarmStep) {
	if w.open == 0 && len(w.steps[0]) == mostSteps {
		for side := range w.steps {
			for i := range mostSteps / 2 {
				w.steps[side][i] = w.steps[side][2*i].plus(w.steps[side][2*i+1])
			}
			w.steps[side] = w.steps[side][:mostSteps/2]
		}
		w.per *= 2
	}
	for side, step := range sides {
		if last := len(w.steps[side]) - 1; w.open > 0 {
			w.steps[side][last] = w.steps[side][last].plus(step)
		} else {
			w.steps[side] = append(w.steps[side], step)
		}
	}
	w.per = max(w.per, 1)
	w.open = (w.open + 1) % w.per
}

// Seconds is for how long each of the servers was loaded, on average.
func (w *Warmup) Seconds() float64 {
	sum := 0.0
	for _, steps := range w.steps {
		for _, s := range steps {
			sum += s.Seconds
		}
	}
	return sum / 2
}

// Over reports whether the warm-up is over, because both servers were loaded for least seconds and
// neither falls any more nor has just risen, or because they were loaded for most seconds. It is to
// be asked after each step.
func (w *Warmup) Over(least, most float64) bool {
	switch t := w.Seconds(); {
	case t >= most:
		return true
	case t < least, t < w.look, w.open > 0, len(w.steps[0]) < fewestSteps:
		return false
	default:
		w.look = lookFactor * t
	}
	for side, s := range w.Sides(false) {
		if len(s.Falls) > 0 || risen(w.steps[side], false) || risen(w.steps[side], true) {
			return false
		}
	}
	return true
}

// Warmth is how warm a server has become.
type Warmth struct {
	Seconds float64 // for how long it was loaded
	Steady  float64 // after how many of these it was nearly as fast as in the end
	Falls   []Fall  // what still falls
}

// Fall is the fall of a series in the last third of a warm-up.
type Fall struct {
	CPU     bool    // it is the processor time of a request, and not its latency
	Share   float64 // by which it fell
	Seconds float64 // of load on the server, in which it fell
}

// Sides says how warm the servers are. certain: only falls are named that are beyond doubt.
func (w *Warmup) Sides(certain bool) (all [2]Warmth) {
	deviations, share := float64(fallDeviations), fallShare
	if certain {
		deviations, share = certainDeviations, certainShare
	}
	for side, steps := range w.steps {
		if w.open > 0 { // it is shorter than the others
			steps = steps[:len(steps)-1]
		}
		to := &all[side]
		for _, s := range w.steps[side] {
			to.Seconds += s.Seconds
		}
		twoThirds, third := lastParts(len(steps))
		seconds := 0.0
		for _, s := range steps[third:] {
			seconds += s.Seconds
		}
		for _, cpu := range []bool{false, true} {
			values := seriesOf(steps, cpu)
			to.Steady = max(to.Steady, steadyAfter(steps, values, third))
			fall, z := trend(values[twoThirds:])
			last, _ := trend(values[third:])
			ended := len(steps)-third >= fewestEnded && last < endedShare && last <= endedPart*fall
			if z >= deviations && fall >= share && !ended {
				to.Falls = append(to.Falls, Fall{cpu, last, seconds})
			}
		}
	}
	return all
}

// lastParts returns where the last two thirds and the last third of n steps begin. The first step
// meets a server that has never been asked, and is in neither; else there are four steps and three
// at least.
func lastParts(n int) (twoThirds, third int) {
	const fewOfTwo, fewOfOne = 4, 3
	first := min(n, 1)
	return max(first, min(n/3, n-fewOfTwo)), max(first, min(n-n/3, n-fewOfOne))
}

// seriesOf returns the logarithms of what a request took in each step; NaN: not known.
func seriesOf(steps []WarmStep, cpu bool) []float64 {
	values := make([]float64, len(steps))
	for i, s := range steps {
		x := s.Busy / s.Requests
		if cpu {
			x = s.CPU / s.Served
		}
		values[i] = math.NaN()
		if x > 0 && !math.IsInf(x, 0) {
			values[i] = math.Log(x)
		}
	}
	return values
}

// trend returns by which share the values of a series fall from its beginning to its end, of which
// they are the logarithms, and how many standard deviations that is of what chance makes of ranks.
// Both are 0 where there are fewer than three values, or where they rise.
func trend(values []float64) (share, deviations float64) {
	var slopes []float64
	n, falls := 0.0, 0.0
	for i, x := range values {
		if math.IsNaN(x) {
			continue
		}
		n++
		for j, y := range values[:i] {
			if math.IsNaN(y) {
				continue
			}
			slopes = append(slopes, (y-x)/float64(i-j))
			switch {
			case y > x:
				falls++
			case y < x:
				falls--
			}
		}
	}
	if n < 3 || falls <= 0 {
		return 0, 0
	}
	fall := median(slopes) * float64(len(values))
	// One is taken off for going from ranks to the normal distribution (Kendall).
	return max(1-math.Exp(-fall), 0), (falls - 1) / math.Sqrt(n*(n-1)*(2*n+5)/18)
}

const (
	// riseShare is by how much a request may take longer than it has taken before. What chance
	// makes of medians of noisy steps is allowed, too, in so many standard deviations.
	riseShare, riseDeviations = 0.05, 3
	// riseFactor is how many times as long as until the lowest level a warm-up waits for one that
	// has risen to fall again.
	riseFactor = 2
	// fewestAround is how many steps have a level at least: one may be a burst.
	fewestAround = 3
	// sigma is the standard deviation of a normal distribution, in median deviations.
	sigma = 1.4826
)

// risen reports whether a request takes longer than before, for so short a time that it may pass: a
// compiler at run time takes the processor from its server now and then, most of all just before
// its server becomes faster. What stays slower was faster for less than half of the time.
func risen(steps []WarmStep, cpu bool) bool {
	values := seriesOf(steps, cpu)
	if len(values) <= fewestAround {
		return false
	}
	var jumps []float64
	for i := range values[2:] {
		if jump := math.Abs(values[i+2] - values[i+1]); !math.IsNaN(jump) {
			jumps = append(jumps, jump)
		}
	}
	if len(jumps) == 0 {
		return false
	}
	around := max(fewestAround, len(values)/6)
	lowest, last := math.Inf(1), math.NaN()
	seconds, until := 0.0, 0.0
	for i, s := range steps {
		seconds += s.Seconds
		if i < around {
			continue
		}
		if level := numbers(values[i-around+1 : i+1]); len(level) > 0 {
			last = median(level)
			if last < lowest {
				lowest, until = last, seconds
			}
		}
	}
	// The difference of two medians, each with π/2 times the variance of a mean.
	noise := sigma * median(jumps) / math.Sqrt2 * math.Sqrt(math.Pi/float64(around))
	return last-lowest > max(math.Log1p(riseShare), riseDeviations*noise) && seconds < riseFactor*until
}

// nearly is by how much more a request may take than in the end where a server is called steady,
// and atMost where its noise is large.
const nearly, atMost = 0.2, 0.5

// steadyAfter returns the load after which a series stays near what it is in the last part, give or
// take its noise there.
func steadyAfter(steps []WarmStep, values []float64, last int) float64 {
	end := numbers(values[last:])
	if len(end) == 0 {
		return 0
	}
	level := median(end)
	var off []float64
	for _, x := range end {
		off = append(off, math.Abs(x-level))
	}
	limit := level + min(max(math.Log1p(nearly), 3*sigma*median(off)), math.Log1p(atMost))
	around := max(fewestAround, len(values)/8)
	seconds, steady := 0.0, 0.0
	for i := range last {
		seconds += steps[i].Seconds
		if near := numbers(values[i:min(i+around, len(values))]); len(near) > 0 && median(near) > limit {
			steady = seconds
		}
	}
	return steady
}

func numbers(values []float64) []float64 {
	return slices.DeleteFunc(slices.Clone(values), math.IsNaN)
}

// median is that of values, which are sorted by it. There must be one.
func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
