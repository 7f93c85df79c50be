package main

import (
	"fmt"
	"strings"

	"rampart/loadtest/verdict"
)

// conclude makes the verdict of all rows, and says it in words.
func (j *judge) conclude() {
	r := &j.report
	family, judgements := j.rule.Judge(j.rows)
	counts := map[verdict.Verdict]int{}
	better := len(j.rows) > 0
	for i, judgement := range judgements {
		row := &r.Rows[j.at[i]]
		row.Verdict, row.PNeeded = judgement.Verdict, &judgement.Needed
		if row.Reason == "" && row.Verdict == verdict.Inconclusive {
			row.Reason = j.undecided(j.rows[i], judgement)
		}
		better = better && j.rows[i].Upper < -j.rows[i].Margin
	}
	var opposite []string
	for _, row := range r.Rows {
		counts[row.Verdict]++
		if row.Verdict == unjudged {
			j.problem("%s: %s", row.name(), row.Reason)
		}
		if row.Benchstat != nil && row.Benchstat.Says == contradicts {
			opposite = append(opposite, row.name())
		}
	}
	if better {
		j.note("every row is better by more than its margin: if that is a surprise, see whether the files are swapped (the baseline is the first)")
	}
	r.Pairing = j.describePairing()
	if len(opposite) > 0 {
		r.Problems = append([]string{fmt.Sprintf("benchstat says the opposite of %s", some(opposite))}, r.Problems...)
	}
	failing := r.Failures != nil && r.Failures.Verdict != verdict.Pass
	if len(r.Rows) == 0 && len(r.Problems) == 0 && !failing {
		j.problem("there is no benchmark and unit to be gated that both files have")
	}

	// What is proven counts more than what is missing, but for a proof that another contradicts.
	regressed := family == verdict.Regressed || j.failures.Verdict == verdict.Regressed
	switch {
	case len(opposite) > 0, len(r.Problems) > 0 && !regressed:
		r.Verdict, r.Exit = unjudged, exitUnjudged
		r.Meaning = "no verdict is possible: " + some(r.Problems)
		r.Advice = "This is no pass. Mend what is named, and run it again."
	case regressed:
		r.Verdict, r.Exit = verdict.Regressed, exitRegressed
		var worst []string
		for _, row := range r.Rows {
			if row.Verdict == verdict.Regressed {
				worst = append(worst, fmt.Sprintf("%s by %s (allowed %s)", row.name(), percent(row.Change), percent(&row.Allowed)))
			}
		}
		var how []string
		if j.failures.Verdict == verdict.Regressed {
			how = append(how, fmt.Sprintf("the candidate fails more often than the baseline: %s", j.failures))
			r.Advice = "Find out why."
		}
		if len(worst) > 0 {
			how = append(how, fmt.Sprintf("the candidate is worse than the baseline in %d of %d rows: %s", len(worst), len(r.Rows), some(worst)))
			r.Advice = "Find out why, or, if it is meant to be so, allow more with -margin."
		}
		r.Meaning = fmt.Sprintf("%s. Where nothing changed, this is said in %s of all cases at most%s.", strings.Join(how, ", and "),
			level(j.alpha), j.unlessWeather())
	case family == verdict.Pass && len(r.Gaps) == 0 && !failing:
		r.Verdict, r.Exit = verdict.Pass, exitPass
		r.Meaning = fmt.Sprintf("in %d of %[1]d rows the candidate is worse by less than allowed, if it is worse at all. Where it is worse by more, this is said in %s of all cases at most%s.",
			len(r.Rows), level(j.alpha), j.unlessWeather())
	default:
		r.Verdict, r.Exit = verdict.Inconclusive, exitInconclusive
		r.Advice = "This is no pass."
		var open []string
		if n := counts[verdict.Inconclusive]; n > 0 {
			open = append(open, fmt.Sprintf("%d of %d rows could be decided neither way", n, len(r.Rows)))
			r.Advice += " Measure again, longer, rather than adding to these samples: each further look at growing samples is another chance of a false alarm."
		}
		if failing {
			open = append(open, "requests failed: "+j.failures.String())
			r.Advice += " A server that fails is never shown to be good: make both serve every request."
		}
		if len(r.Gaps) > 0 {
			open = append(open, "something is missing: "+some(r.Gaps))
			r.Advice += " See that both files have the same benchmarks, or choose the units that matter with -unit."
		}
		r.Meaning = strings.Join(open, ", and ") + "."
	}
}

// undecided says why a row is inconclusive, and how many samples would have sufficed.
func (j *judge) undecided(row verdict.Row, judgement verdict.Judgement) string {
	n := min(row.Baseline, row.Candidate)
	what := "samples of each side"
	if row.Paired {
		what = "pairs"
	}
	if least := verdict.Least(row.Paired, j.rule.Needed(len(j.rows))); n < least {
		among := ""
		if len(j.rows) > 1 {
			among = fmt.Sprintf(" for a verdict among %d rows", len(j.rows))
		}
		return fmt.Sprintf("%d %s, at least %d needed%s: %d more", n, what, least, among, least-n)
	}
	enough, ok := row.Enough()
	switch {
	case row.Lower > 0:
		return fmt.Sprintf("it looks worse, but among %d rows one may by chance: p is %s and not %s or less", len(j.rows), probability(row.P),
			probability(judgement.Needed))
	case ok && enough <= 10*n:
		return fmt.Sprintf("too much noise for %d %s: about %d would decide", n, what, enough)
	}
	return fmt.Sprintf("too much noise for %d %s: more than ten times as many would be needed", n, what)
}

// describePairing says in one sentence which samples belong together.
func (j *judge) describePairing() string {
	paired, apart := 0, 0
	for _, row := range j.rows {
		if row.Paired {
			paired++
		} else {
			apart++
		}
	}
	why := strings.Join(j.whys, "; ")
	const weaker = "judged without pairs, by the weaker test: two runs one after the other also compare what else the machine did"
	switch {
	case paired+apart == 0:
		return "nothing was compared"
	case apart == 0:
		return "pairs, " + why
	case paired == 0:
		return "no pairs, " + why + "; " + weaker
	}
	return fmt.Sprintf("pairs in %d rows, in %d not (%s); these are %s", paired, apart, why, weaker)
}

// unlessWeather restricts what is said of error rates where samples are no pairs.
func (j *judge) unlessWeather() string {
	for _, row := range j.rows {
		if !row.Paired {
			return ", if the machine was the same for both files; else much more often"
		}
	}
	return ""
}

// some lists a few, and says how many more there are.
func some(all []string) string {
	const few = 3
	if len(all) <= few {
		return strings.Join(all, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(all[:few], "; "), len(all)-few)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
