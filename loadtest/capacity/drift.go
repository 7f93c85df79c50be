package capacity

import "math"

// again estimates the mean of x, which was measured one value after the other, and an interval that
// holds the mean of as many values measured right afterwards. So it holds the true mean as well,
// and whatever the machine does meanwhile is inside: its noise, its moods and its drift.
//
// Values that follow each other are no independent ones. As is done for the frequency of clocks,
// the mean square difference of neighbouring averages is taken over 1, 2, 4… values (D. W. Allan,
// "Statistics of Atomic Frequency Standards", Proceedings of the IEEE 54(2), 1966) and told apart
// into white noise, whose averages differ the less the longer they are, and flicker, whose averages
// always differ by as much. That tells how much two averages over all of x would differ. W. J.
// Riley, "Handbook of Frequency Stability Analysis" (NIST SP 1065, 2008) has the formulas. Noise
// that grows without end, a random walk, is not among the kinds: from one search to the next,
// machines do not walk away.
func again(x []float64) interval {
	n := len(x)
	mean := 0.0
	for _, v := range x {
		mean += v / float64(n)
	}
	if n < fewestAgain {
		return interval{mean, math.Inf(-1), math.Inf(1)}
	}
	variance, freedom := difference(x, mean)
	half := student(freedom, confidence) * math.Sqrt(variance)
	return interval{mean, max(mean-half, 0), mean + half}
}

const (
	fewestAgain = 3  // values of which an interval is made at all
	fewestDrift = 16 // values that show at three scales how their averages differ
	longRuns    = 5  // degrees of freedom of what only the longest averages show
)

// difference is the variance of the difference between the mean of x and that of as many values
// afterwards, with its degrees of freedom.
func difference(x []float64, mean float64) (variance, freedom float64) {
	n := float64(len(x))
	if len(x) < fewestDrift {
		for _, v := range x {
			variance += (v - mean) * (v - mean) / (n - 1)
		}
		return 2 * variance / n, n - 1
	}
	var scales, found, weights []float64
	for m := 1; 4*m <= len(x); m *= 2 {
		scales = append(scales, float64(m))
		found = append(found, neighbours(x, m))
		weights = append(weights, n/float64(m)-1)
	}
	parts := noises(scales, found, weights)
	white := parts[0] * whiteNoise(n)
	variance = white + parts[1]
	if variance == 0 {
		return 0, n - 1
	}
	freedom = min(n-1, longRuns*variance/max(variance-white, variance*longRuns/n))
	return variance, freedom
}

func whiteNoise(m float64) float64 { return 2 / m }

// neighbours is the mean square difference between the averages of m values and of the m values
// after them, wherever those begin.
func neighbours(x []float64, m int) float64 {
	sums := make([]float64, len(x)+1)
	for i, v := range x {
		sums[i+1] = sums[i] + v
	}
	total, n := 0.0, 0
	for i := 0; i+2*m <= len(x); i++ {
		d := (sums[i+2*m] - 2*sums[i+m] + sums[i]) / float64(m)
		total += d * d
		n++
	}
	return total / float64(n)
}

// noises fits white noise and flicker, neither of them negative, to differences at scales. What is
// found scatters in proportion to what is there, so weights are divided by the square of what the
// last fit gave.
func noises(scales, found, weights []float64) []float64 {
	rows := make([][]float64, len(scales))
	for i, m := range scales {
		rows[i] = []float64{whiteNoise(m), 1}
	}
	fitted := append([]float64(nil), found...)
	var parts []float64
	for range 10 {
		w := make([]float64, len(weights))
		for i := range w {
			if fitted[i] > 0 {
				w[i] = weights[i] / (fitted[i] * fitted[i])
			}
		}
		parts = nonNegative(rows, found, w)
		for i, row := range rows {
			fitted[i] = dot(row, parts)
		}
	}
	return parts
}
