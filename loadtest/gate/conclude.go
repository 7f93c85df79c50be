package gate

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"rampart/loadtest/verdict"
)

// conclude makes the verdict of all rows, and says it in words.
func (j *judge) conclude() {
	r := &j.report
	family, judgements := j.rule.Judge(j.rows)
	between := j.betweenLooks()
	if between {
		family = verdict.Inconclusive
		if r.Failures != nil && r.Failures.Verdict == verdict.Regressed {
			r.Failures.Verdict, r.Failures.Reason = verdict.Inconclusive, j.whyBetweenLooks()
			j.failures.Verdict = verdict.Inconclusive
		}
		for i := range r.RequestFailures {
			if f := &r.RequestFailures[i]; f.Verdict == verdict.Regressed {
				f.Verdict = verdict.Inconclusive
			}
		}
	}
	failingRequests := j.failingRequests()
	counts := map[verdict.Verdict]int{}
	noisy, coarse, doubted, ended := false, false, false, false // what keeps rows undecided
	better := len(j.rows) > 0
	for i, judgement := range judgements {
		row := &r.Rows[j.at[i]]
		row.Verdict, row.PNeeded = judgement.Verdict, &judgement.Needed
		if between && row.Verdict != verdict.Inconclusive {
			row.Verdict = verdict.Inconclusive
			row.Reason = cmp.Or(row.Reason, "between looks")
		}
		switch {
		case row.Verdict != verdict.Inconclusive:
		case j.ended[i]:
			ended = true
		case j.rows[i].Doubted:
			doubted = true
		case j.coarse[i]:
			coarse = true
		case row.Reason == "":
			noisy = true
			row.Reason = j.undecided(row.Unit, j.rows[i], judgement, j.each[i])
		}
		row.Improved = row.Verdict == verdict.Pass && j.rows[i].Upper < 0 && j.rows[i].Together < 0 &&
			(row.Benchstat == nil || row.Benchstat.Says != Contradicts)
		better = better && j.rows[i].Upper < -j.rows[i].Margin
	}
	notBetter, unshown := j.require(between)
	var opposite []string
	for _, row := range r.Rows {
		counts[row.Verdict]++
		if row.Exact && row.Verdict == verdict.Regressed {
			family = verdict.Regressed
		}
		if row.Exact && len(j.rows) == 0 && family != verdict.Regressed {
			family = verdict.Pass
		}
		better = better && !row.Exact
		if row.Verdict == Unjudged {
			j.problem("%s: %s", row.Name(), row.Reason)
		}
		if row.Benchstat != nil && row.Benchstat.Says == Contradicts {
			opposite = append(opposite, row.Name())
		}
	}
	if better {
		j.note("every row is better by more than its margin: if that is a surprise, see whether the files are swapped (the baseline is the first)")
	}
	if power := j.power(); power != "" {
		j.note("%s", power)
	}
	r.Pairing = j.describePairing()
	if len(opposite) > 0 {
		r.Problems = append([]string{fmt.Sprintf("benchstat says the opposite of %s", some(opposite))}, r.Problems...)
	}
	failing := r.Failures != nil && r.Failures.Verdict != verdict.Pass
	unmeasured := len(j.baseline.missing) > 0 // which says more than that there is nothing
	if len(r.Rows) == 0 && len(r.Problems) == 0 && !failing && !unmeasured {
		j.problem("there is no benchmark and unit to be gated that both files have")
	}

	// What is proven counts more than what is missing, but for a proof that another contradicts.
	broken, openLimits := j.brokenLimits()
	regressed := family == verdict.Regressed || j.failures.Verdict == verdict.Regressed || len(failingRequests) > 0 ||
		len(notBetter) > 0 || len(broken) > 0
	switch {
	case j.void, len(opposite) > 0, len(r.Problems) > 0 && !regressed:
		r.Verdict, r.Exit = Unjudged, ExitUnjudged
		r.Meaning = "no verdict is possible: " + some(r.Problems)
		r.Advice = "This is no pass. Mend what is named, and run it again."
	case regressed:
		r.Verdict, r.Exit = verdict.Regressed, ExitRegressed
		var worst []string
		for _, row := range r.Rows {
			if row.Verdict == verdict.Regressed && !slices.Contains(notBetter, row.Name()) {
				worst = append(worst, fmt.Sprintf("%s by %s (allowed %s)", row.Name(), Percent(row.Change), Percent(&row.Allowed)))
			}
		}
		var how []string
		if j.failures.Verdict == verdict.Regressed {
			how = append(how, fmt.Sprintf("the candidate fails more often than the baseline: %s", j.failures))
			r.Advice = "Find out why."
		}
		if len(failingRequests) > 0 {
			how = append(how, fmt.Sprintf("the candidate fails more often in %d of %d requests: %s",
				len(failingRequests), len(j.plan.Requests), some(failingRequests)))
			r.Advice = "Find out why."
		}
		if len(worst) > 0 {
			how = append(how, fmt.Sprintf("the candidate is worse than the baseline in %d of %d rows: %s", len(worst), len(r.Rows), some(worst)))
			r.Advice = "Find out why, or, if it is meant to be so, allow more with -margin."
		}
		said := "Where nothing changed"
		if len(how) == 0 {
			said = "Where it is otherwise"
			r.Advice = "Find out why, or ask for less."
		}
		if len(broken) > 0 {
			how = append(how, fmt.Sprintf("the candidate is shown not to keep %s", some(broken)))
		}
		if len(notBetter) > 0 {
			how = append(how, fmt.Sprintf("the candidate is shown not to be better, as -require-better asks, in %s", some(notBetter)))
		}
		r.Meaning = fmt.Sprintf("%s. %s, this is said in %s of all cases at most%s.", strings.Join(how, ", and "), said,
			chance(j.Alpha), j.unlessWeather())
	case family == verdict.Pass && counts[verdict.Inconclusive] == 0 && openLimits == 0 && len(r.Gaps) == 0 && !failing:
		r.Verdict, r.Exit = verdict.Pass, ExitPass
		r.Meaning = fmt.Sprintf("in %d of %[1]d rows the candidate is worse by less than allowed, if it is worse at all. Where it is worse by more, this is said in %s of all cases at most%s.",
			len(r.Rows), chance(j.Alpha), j.unlessWeather())
		if required := j.requiredRows(); len(required) > 0 {
			r.Meaning += fmt.Sprintf(" It is better in %s; where it is not, that is said as rarely.", some(required))
		}
		if len(r.Limits) > 0 {
			r.Meaning += fmt.Sprintf(" It keeps %s; where it does not, that is said as rarely.", j.plan.SLO)
		}
	default:
		r.Verdict, r.Exit = verdict.Inconclusive, ExitInconclusive
		r.Advice = "This is no pass."
		var open []string
		if between {
			open = append(open, j.whyBetweenLooks())
			r.Advice += " Run the duel again, to its end."
		}
		if n := counts[verdict.Inconclusive]; n > 0 {
			open = append(open, fmt.Sprintf("%d of %d rows could be decided neither way", n, len(r.Rows)))
		}
		if openLimits > 0 {
			open = append(open, fmt.Sprintf("%d of %d limits are shown neither to be kept nor to be broken", openLimits, len(r.Limits)))
			r.Advice += " A limit that is near needs more blocks, -blocks, or longer ones, -side."
		}
		if ended {
			r.Advice += " A benchmark that ended between its looks needs more time, -for."
		}
		if unshown {
			r.Advice += " What -require-better asks for needs more samples, or a greater improvement."
		}
		if noisy {
			r.Advice += " Measure again, longer, rather than adding to these samples: each further look at growing samples is another chance of a false alarm."
		}
		if coarse {
			r.Advice += " A row that is printed too coarsely needs more digits rather than more samples: it says how."
		}
		if doubted {
			r.Advice += " A row in doubt needs something else than more samples: it says what."
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
func (j *judge) undecided(unit string, row verdict.Row, judgement verdict.Judgement, each time.Duration) string {
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
	if judgement.Outvoted {
		return fmt.Sprintf("a few of %d %s are so much worse that all together are by a factor of %.3g: a server that stalls now and then "+
			"looks like this, and a machine that does; run it again, and see whether it is the same side", n, what, math.Exp(row.Together))
	}
	enough, ok := row.Enough()
	switch {
	case row.Margin == 0 && row.Lower <= 0:
		return "a margin of 0% leaves no room for noise, and these samples scatter: only what is shown to be better passes; " +
			"allow a little, such as with -margin " + unit + "=1%"
	case row.Lower > 0:
		return fmt.Sprintf("it looks worse, but among %d rows one may by chance: p is %s and not %s or less", len(j.rows), probability(row.P),
			probability(judgement.Needed))
	case ok && enough <= 10*n:
		return fmt.Sprintf("too much noise for %d %s: about %d would decide%s", n, what, enough, takes(enough, each))
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
	why := some(j.whys)
	for _, row := range j.report.Rows {
		if row.Exact && paired+apart == 0 {
			return "pairs, " + why
		}
	}
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

func Plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
