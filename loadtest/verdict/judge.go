package verdict

import (
	"cmp"
	"math"
	"slices"
)

// Row is a unit with its margin, as it goes into a verdict.
type Row struct {
	Comparison
	Margin  float64 // the limit of d, see [Better.Margin]
	Doubted bool    // its samples are not to be trusted: whatever they say is inconclusive
}

// Judgement is what became of a row.
type Judgement struct {
	Verdict  Verdict
	Needed   float64 // how small P had to be for regressed, among so many rows
	Outvoted bool    // within the margin by its interval, but not with all samples taken together: then it is no pass
}

// Judge makes the verdict on each row, and on all of them.
//
//   - A row is pass where its upper bound is below its margin, and so is what samples say all
//     together. Ranks outvote what a few of them say, however much it is: of 24 pairs, four may be
//     a hundred times slower, and of ten samples two. A machine does that to either side; a server
//     that stalls now and then does it, too, and must not pass. All together pass where all rows
//     do: so many conditions at once need no correction, because a pass on all is wrong only where
//     the pass on the one that is worse is wrong (the intersection-union test; Berger,
//     Technometrics 24, 1982).
//   - A row is regressed where its lower bound is above 0, at the level that Holm's procedure
//     leaves it among all rows, and it does not pass (Holm, A simple sequentially rejective
//     multiple test procedure, Scandinavian Journal of Statistics 6, 1979; it needs no
//     independence). All together regressed where one row is: the chance that this happens where
//     nothing changed is alpha at most, however many rows there are.
//   - Everything else, and no row at all, is inconclusive.
func (r Rule) Judge(rows []Row) (Verdict, []Judgement) {
	judgements := make([]Judgement, len(rows))
	byP := make([]int, len(rows))
	for i := range byP {
		byP[i] = i
	}
	slices.SortStableFunc(byP, func(a, b int) int { return cmp.Compare(rows[a].P, rows[b].P) })

	worse := true // as long as all smaller P were small enough
	var needed float64
	passed, regressed := 0, 0
	for step, i := range byP {
		row := rows[i]
		if worse {
			needed = r.Needed(len(rows) - step)
			worse = row.P <= needed*rounding
		}
		j := Judgement{Verdict: Inconclusive, Needed: needed}
		switch {
		case row.Doubted:
		case row.Upper < row.Margin && row.Together >= row.Margin:
			j.Outvoted = true
		case row.Upper < row.Margin:
			j.Verdict = Pass
			passed++
		case worse:
			j.Verdict = Regressed
			regressed++
		}
		judgements[i] = j
	}
	switch {
	case regressed > 0:
		return Regressed, judgements
	case passed == len(rows) && passed > 0:
		return Pass, judgements
	}
	return Inconclusive, judgements
}

// Needed returns how small the smallest P must be for regressed among so many rows.
func (r Rule) Needed(rows int) float64 { return r.eachAlpha(r.Alpha / float64(rows)) }

// Enough estimates how many samples of each side would have decided an inconclusive row: as many as
// make the nearer of the two verdicts, if the next samples scatter like these and bounds come
// closer with the root of their number. It is at least the present number. ok is false where
// nothing can be said: no bounds yet, or no noise to be averaged.
//
// A number from noisy samples is noisy itself; it is there to tell a few more minutes from
// hopeless.
func (r Row) Enough() (samples int, ok bool) {
	n := float64(min(r.Baseline, r.Candidate))
	least := math.Inf(1)
	for _, goal := range []struct{ width, distance float64 }{
		{r.Upper - r.Estimate, r.Margin - r.Estimate}, // pass
		{r.Estimate - r.Lower, r.Estimate},            // regressed
	} {
		if goal.distance > 0 && goal.width > 0 && !math.IsInf(goal.width, 0) {
			least = min(least, n*max(1, goal.width/goal.distance*goal.width/goal.distance))
		}
	}
	if math.IsInf(least, 0) || least > math.MaxInt32 {
		return 0, false
	}
	return int(math.Ceil(least)), true
}
