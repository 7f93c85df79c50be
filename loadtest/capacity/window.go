package capacity

import "math"

// Window is what one short window of load at a level measured.
type Window struct {
	VUs        int
	Throughput float64 // successful requests per second
	Failures   uint64
	Seconds    float64 // real time that it took, with connecting and all else around the timed part
	Goals      []Share // one for each of Plan.Goals
}

// Share is a ratio that a goal bounds, such as slow requests of all requests. Shares of windows are
// added up before they are divided.
type Share struct{ Part, Whole float64 }

// level is what the windows of one level measured.
type level struct {
	vus      int
	rounds   []int // in which it has a window, ascending
	x        []float64
	goals    [][]Share // of each window
	sums     []Share   // of all
	failures uint64
	seconds  float64 // of all its windows
	last     float64 // of the last one
	growing  float64 // of those before it was known how far to double
}

func (l *level) add(round int, w Window) {
	l.rounds = append(l.rounds, round)
	l.x = append(l.x, w.Throughput)
	l.goals = append(l.goals, w.Goals)
	if l.sums == nil {
		l.sums = make([]Share, len(w.Goals))
	}
	for g, share := range w.Goals {
		l.sums[g].Part += share.Part
		l.sums[g].Whole += share.Whole
	}
	l.failures += w.Failures
	l.seconds += w.Seconds
	l.last = w.Seconds
}

// common returns the throughputs of a and b in the rounds in which both were measured.
func common(a, b *level) (x, y []float64) {
	for i, j := 0, 0; i < len(a.rounds) && j < len(b.rounds); {
		switch {
		case a.rounds[i] < b.rounds[j]:
			i++
		case a.rounds[i] > b.rounds[j]:
			j++
		default:
			x, y = append(x, a.x[i]), append(y, b.x[j])
			i, j = i+1, j+1
		}
	}
	return x, y
}

// means estimates the throughputs of levels as if all had been measured in the same rounds. What a
// level gives in a round is taken to be its own rate times what the machine gave in that round; the
// two are fitted to the sums of each level and of each round in turns, which for counts is the fit
// of highest likelihood (W. E. Deming and F. F. Stephan, "On a Least Squares Adjustment of a
// Sampled Frequency Table", Annals of Mathematical Statistics 11(4), 1940). Only ratios of what it
// returns mean something. The rounds from and up to, without to, count for nothing; a level without
// any other is 0.
func means(levels []*level, rounds, from, to int) []float64 {
	const most, near = 50, 1e-6
	rates, sums := make([]float64, len(levels)), make([]float64, len(levels))
	gave, of := make([]float64, rounds), make([]float64, rounds)
	for i, l := range levels {
		n := 0
		for k, r := range l.rounds {
			if r < from || r >= to {
				n++
				sums[i] += l.x[k]
				gave[r] += l.x[k]
			}
		}
		if n > 0 {
			rates[i] = sums[i] / float64(n)
		}
	}
	for range most {
		clear(of)
		for i, l := range levels {
			for _, r := range l.rounds {
				of[r] += rates[i]
			}
		}
		moved := 0.0
		for i, l := range levels {
			machine := 0.0
			for _, r := range l.rounds {
				if (r < from || r >= to) && of[r] > 0 {
					machine += gave[r] / of[r]
				}
			}
			if machine == 0 || rates[i] == 0 {
				continue
			}
			next := sums[i] / machine
			moved = max(moved, math.Abs(next/rates[i]-1))
			rates[i] = next
		}
		if moved < near {
			break
		}
	}
	return rates
}
