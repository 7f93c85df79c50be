package verdict

import (
	"fmt"
	"math"
)

// Count is how many requests succeeded and how many failed.
type Count struct{ Succeeded, Failed uint64 }

// Total is how many requests there were.
func (c Count) Total() uint64 { return c.Succeeded + c.Failed }

func (c Count) share() float64 { return float64(c.Failed) / float64(max(c.Total(), 1)) }

// FailureComparison is how the failures of two servers compare.
type FailureComparison struct {
	Blocks              int
	Baseline, Candidate Count // of all blocks
	// the probability to fail as much more often than the baseline, or more, where both fail alike
	P       float64
	Needed  float64 // how small P has to be for regressed
	Verdict Verdict
}

func (f FailureComparison) String() string {
	return fmt.Sprintf("%d of %d requests of the candidate failed, and %d of %d of the baseline", f.Candidate.Failed,
		f.Candidate.Total(),
		f.Baseline.Failed, f.Baseline.Total())
}

// CompareFailures compares how often requests failed, by counts of each block: baseline[i] and
// candidate[i] are of the same one. The verdict is pass where no request failed, regressed where
// more of the candidate's failed than chance explains, and else inconclusive: a server that fails
// is never shown to be good, only to be no worse. The chance of regressed where both fail alike is
// alpha at most, beside that of [Rule.Judge]; where no request fails there is none.
//
// Two exact one-sided tests have to say so, and P is the larger of theirs. Fisher's counts
// requests: of all that failed, those of the candidate are a hypergeometric number, given how many
// requests either made (Fisher, The logic of inductive inference, Journal of the Royal Statistical
// Society 98, 1935). It takes each request for a chance of its own, while failures come in bursts:
// one that lasts for a second would prove whatever side it hit to be worse. So the signed-rank test
// of [Rule.Pairs] counts blocks: it compares the shares that failed in each, whatever made them
// fail together.
func (r Rule) CompareFailures(baseline, candidate []Count) FailureComparison {
	f := FailureComparison{Blocks: len(baseline), P: 1, Needed: r.eachAlpha(r.Alpha), Verdict: Inconclusive}
	var shares [2][]float64
	for i := range baseline {
		f.Baseline.add(baseline[i])
		f.Candidate.add(candidate[i])
		shares[0] = append(shares[0], baseline[i].share())
		shares[1] = append(shares[1], candidate[i].share())
	}
	blocks, err := r.Pairs(shares[0], shares[1], Lower)
	if err != nil { // no block
		return f
	}
	f.P = max(blocks.P, Fisher(f.Baseline, f.Candidate))
	switch {
	case f.Baseline.Failed+f.Candidate.Failed == 0:
		f.Verdict = Pass
	case f.P <= f.Needed*rounding:
		f.Verdict = Regressed
	}
	return f
}

func (c *Count) add(d Count) {
	c.Succeeded += d.Succeeded
	c.Failed += d.Failed
}

// Fisher is the p-value of Fisher's exact test: the probability that, of as many failures, at least
// as many are the candidate's. Each probability is computed from that of its neighbour, beginning
// where they are highest, so that none has to be known.
func Fisher(baseline, candidate Count) float64 {
	n, m := float64(baseline.Total()), float64(candidate.Total())
	failed, got := float64(baseline.Failed+candidate.Failed), float64(candidate.Failed)
	least, most := max(0, failed-n), min(failed, m)
	mode := min(max(math.Floor((failed+1)*(m+1)/(n+m+2)), least), most)
	// up is the probability of i+1 divided by that of i.
	up := func(i float64) float64 { return (failed - i) * (m - i) / ((i + 1) * (n - failed + i + 1)) }
	var all, tail float64
	count := func(i, p float64) {
		all += p
		if i >= got {
			tail += p
		}
	}
	for i, p := mode, 1.0; i <= most && p > 0; i++ {
		count(i, p)
		p *= up(i)
	}
	for i, p := mode, 1.0; i > least && p > 0; i-- {
		p /= up(i - 1)
		count(i-1, p)
	}
	return min(tail/all, 1)
}
