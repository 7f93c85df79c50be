package verdict

import "math"

// Finds estimates the loss, a fraction of the baseline, that a comparison of so many samples with
// such a scatter would have found in 95 of 100 cases among so many rows. ok is false where the
// samples are too few to tell.
//
// The scatter is read from the interval, which is about as many standard errors wide as a normal
// distribution has at its level; the loss is as many more as the level of that many rows and the
// power ask for.
func (r Rule) Finds(c Comparison, rows int) (loss float64, ok bool) {
	if math.IsInf(c.Upper, 0) || math.IsInf(c.Lower, 0) || c.Alpha <= 0 {
		return 0, false
	}
	const missed = 0.05
	standardError := (c.Upper - c.Lower) / 2 / normalQuantile(c.Alpha)
	return math.Expm1(standardError * (normalQuantile(r.Needed(rows)) + normalQuantile(missed))), true
}

// normalQuantile is how many standard deviations above the mean a share p of a normal distribution
// begins.
func normalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(1-2*p) }
