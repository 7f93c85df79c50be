package gate

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"rampart/loadtest/inject"
	"rampart/loadtest/result"
	"rampart/loadtest/slo"
	"rampart/loadtest/verdict"
)

// limitList is what a block was in each objective, as marks have it: its value, and the two numbers
// whose sums over all blocks say what it is in all together.
func limitList(limits []result.Limit) string {
	var all []string
	for _, l := range limits {
		all = append(all, exact(l.Value)+":"+exact(l.Part)+":"+exact(l.Whole))
	}
	return strings.Join(all, ",")
}

// parseLimits is the reverse of limitList.
func parseLimits(s string) (limits []result.Limit, err error) {
	for _, one := range list(s) {
		parts := strings.Split(one, ":")
		var numbers [3]float64
		for i := range numbers {
			if len(parts) == len(numbers) {
				numbers[i], err = strconv.ParseFloat(parts[i], 64)
			}
			if len(parts) != len(numbers) || err != nil || !(numbers[i] >= 0 && numbers[i] <= math.MaxFloat64) {
				return nil, fmt.Errorf("slo=%s: want three numbers of each objective, such as 0.012:3:1000", s)
			}
		}
		limits = append(limits, result.Limit{Value: numbers[0], Part: numbers[1], Whole: numbers[2]})
	}
	return limits, nil
}

// compareLimits judges what the candidate has to keep, whatever the baseline does. Blocks in which
// requests failed count as well.
func (j *judge) compareLimits() {
	if j.plan == nil || j.plan.SLO == "" {
		return
	}
	objectives, err := slo.Parse(j.plan.SLO)
	if err != nil { // of a duel that was made by hand
		j.problem("the plan of the duel: slo=%s: %v", j.plan.SLO, err)
		return
	}
	doubt, doubted := "", false
	if len(j.candidate.lines) > 0 {
		doubt, doubted = j.doubts[1].about(j.candidate.lines[0].name)
	}
	for i, o := range objectives {
		values, part, whole := limitsOf(j.candidate, i)
		before, _, _ := limitsOf(j.baseline, i)
		_, _, most := o.Share(inject.Measurement{}) // the part of the whole that it has to stay below
		c, err := j.rule.Below(values, o.Limit, whole > 0 && part/whole < most, len(objectives))
		if err != nil {
			j.gap("%s: %v", o, err)
			continue
		}
		base, _ := j.rule.Below(before, o.Limit, true, 1)
		row := LimitRow{
			Objective: o.String(), Limit: o.Limit, Blocks: c.Blocks,
			Baseline: base.Median, Candidate: c.Median, Lowest: finite(c.Lower), Highest: finite(c.Upper), Verdict: c.Verdict,
			Texts: [3]string{o.Text(base.Median), o.Text(c.Median), o.Text(c.Lower) + " to " + o.Text(c.Upper)},
		}
		switch {
		case j.betweenLooks():
			row.Verdict, row.Reason = verdict.Inconclusive, "between looks"
		case doubted:
			row.Verdict, row.Reason = verdict.Inconclusive, "in doubt: "+doubt
		case c.Outvoted:
			row.Reason = fmt.Sprintf("most blocks say one thing, and all together another: a few are so far from "+
				"the limit of %s that "+
				"they decide; run it again, longer", o)
		case c.Verdict == verdict.Inconclusive:
			row.Reason = fmt.Sprintf("%s may be on either side of the limit, or %s are too few to tell", o.Name,
				Plural(c.Blocks, "block"))
		}
		j.report.Limits = append(j.report.Limits, row)
	}
}

// limitsOf are the values of all blocks of a file in an objective, and the sums of their parts.
func limitsOf(r Results, objective int) (values []float64, part, whole float64) {
	for _, b := range r.blocks {
		if objective < len(b.limits) && b.limits[objective].Whole > 0 {
			l := b.limits[objective]
			values, part, whole = append(values, l.Value), part+l.Part, whole+l.Whole
		}
	}
	return values, part, whole
}

// brokenLimits says which limits the candidate is shown not to keep, and how many are open.
func (j *judge) brokenLimits() (broken []string, open int) {
	for _, l := range j.report.Limits {
		switch l.Verdict {
		case verdict.Regressed:
			broken = append(broken, fmt.Sprintf("%s (it is %s, %s)", l.Objective, l.Texts[1], l.Texts[2]))
		case verdict.Pass:
		default:
			open++
		}
	}
	return broken, open
}
