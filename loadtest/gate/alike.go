package gate

import (
	"fmt"
	"math"

	"rampart/loadtest/verdict"
)

// How much longer or shorter answers may be on average.
const (
	alikeMargin   = 0.01 // by the interval of blocks
	alikeTogether = 0.05 // of all blocks together, so that a few with other answers are not outvoted
)

// alike judges whether the answers of both sides are equally long, on average, and returns the
// reason where they are not. A server that answers every request with a short page of errors, and
// calls that a success, is faster than one that works. That is no pass, nor is it a regression:
// somebody has to look.
func (j *judge) alike(row *Row, x, y []sample) (reason string) {
	row.Better, row.From, row.Allowed = "same", "name", alikeMargin
	p, err := j.Pairing.match(x, y)
	if err != nil {
		return err.Error()
	}
	compare := j.rule.Groups
	if p.paired {
		compare = j.rule.Pairs
	}
	c, err := compare(values(p.baseline), values(p.candidate), verdict.Lower)
	if err != nil {
		return err.Error()
	}
	row.Comparison, row.Paired = c, p.paired
	row.BaselineSamples, row.CandidateSamples = c.Baseline, c.Candidate
	row.Change = finite(verdict.Lower.Change(c.Estimate))
	if !math.IsInf(c.Lower, 0) {
		row.ChangeLowest, row.ChangeHighest = finite(verdict.Lower.Change(c.Lower)), finite(verdict.Lower.Change(c.Upper))
	}
	before, after := mean(p.baseline), mean(p.candidate)
	row.BaselineMedian, row.CandidateMedian = finite(rounded(before)), finite(rounded(after))
	row.Verdict = verdict.Pass
	margin := verdict.Lower.Margin(alikeMargin)
	if c.Lower >= margin || c.Upper <= -margin || math.Abs(c.Together) >= verdict.Lower.Margin(alikeTogether) {
		row.Verdict = verdict.Inconclusive
		return fmt.Sprintf("the answers differ: %.6g bytes on average, and %.6g of the candidate; a wrong answer "+
			"is a fast one, so look at both, and say -answers none if they are meant to differ", before, after)
	}
	return ""
}

func mean(samples []sample) (mean float64) {
	for _, s := range samples {
		mean += s.value / float64(len(samples))
	}
	return mean
}
