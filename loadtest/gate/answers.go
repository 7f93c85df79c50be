package gate

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"rampart/loadtest/inject"
	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

// The answers of both sides of a duel have to be alike. A wrong answer is a fast one: a page of
// errors that is called a success, a body that is cut short, nothing at all; always, in every
// hundredth answer, or only under load. So all answers of all blocks are counted, by status, type
// and encoding, by length, and where a duel is strict by content. Where they differ by more than
// one side differs from itself, that is no pass, nor is it a regression: somebody has to look.
//
// How much a side differs from itself is told by its blocks: some of its answers are in a block as
// they are in none of its other blocks. So many may be as none of the other side is. A side whose
// answers are all of one kind has none of these, and then a single answer of another kind is one
// too many.

// aspect is what answers are compared by.
type aspect struct {
	name string // what they should be of, all of them
	of   func(inject.Answers) inject.Census
	show func(inject.Seen) string
	// shares says that as many of them have to be of each.
	shares bool
}

var (
	byKind = aspect{
		"kind", func(a inject.Answers) inject.Census { return a.Kinds },
		func(s inject.Seen) string { return strconv.Quote(s.What) + example(s) }, true,
	}
	// The shares are those of the average, which is judged by itself.
	byLength = aspect{
		"length", func(a inject.Answers) inject.Census { return a.Lengths },
		func(s inject.Seen) string { return s.What + " bytes" + example(s) }, false,
	}
	byContent = aspect{
		"content", func(a inject.Answers) inject.Census { return a.Bodies },
		func(s inject.Seen) string { return strings.TrimPrefix(cmp.Or(example(s), ", hash "+s.What), ", ") }, true,
	}
)

func example(s inject.Seen) string {
	if s.Example == "" || s.Example == `""` {
		return ""
	}
	return ", such as " + s.Example
}

const mayBeMeant = "a wrong answer may be a fast one, so look at both, and say -answers none if they are meant to " +
	"differ"

// shareTogether is how much of all answers may be of a kind on one side and not on the other, so
// that a few blocks with other answers are not outvoted.
const shareTogether = 0.05

// Gaps are what forbids a pass of a duel and is in no row of its: answers that differ, and memory
// that grows with each request. Both of its files have them.
func Gaps(d result.Duel) (gaps []string) {
	gaps = answerGaps(d)
	if rule, ok := ruleOf(d.Plan); ok {
		if gap := growthGap(rule, d); gap != "" {
			gaps = append(gaps, gap)
		}
	}
	return gaps
}

// AnswersDiffer reports whether the answers of both sides of a duel differ.
func AnswersDiffer(d result.Duel) bool { return len(answerGaps(d)) > 0 }

// ruleOf is the rule by which a plan judges; ok is false where it can judge nothing.
func ruleOf(p result.Plan) (rule verdict.Rule, ok bool) {
	looks, err := looksAfter(p.Looks)
	return verdict.Rule{Alpha: p.Alpha, Looks: looks}, err == nil && p.Alpha > 0 && p.Alpha < 0.5
}

// answerGaps says how the answers of a duel differ.
func answerGaps(d result.Duel) (gaps []string) {
	known := slices.ContainsFunc(d.Blocks, func(b result.Block) bool {
		return b.Sides[0].Answers.Lengths.Total() > 0 || b.Sides[1].Answers.Lengths.Total() > 0
	})
	if d.Plan.AnyAnswer || !known {
		return d.Gaps()
	}
	rule, ok := ruleOf(d.Plan)
	if !ok {
		return nil
	}
	aspects := []aspect{byKind, byLength}
	if d.Plan.Strict {
		aspects = append(aspects, byContent)
	}
	for _, a := range aspects {
		if gap := a.compare(rule, d.Blocks); gap != "" {
			gaps = append(gaps, gap)
		}
	}
	return gaps
}

// tallied is what the answers of one side were.
type tallied struct {
	all    map[string]inject.Seen // of all blocks
	in     map[string]int         // in how many blocks
	blocks []map[string]uint64
	totals []uint64
	others []uint64
	total  uint64
	lost   uint64 // sum of others
}

func (a aspect) tally(blocks []result.Block, side int) tallied {
	t := tallied{all: make(map[string]inject.Seen), in: make(map[string]int)}
	for _, b := range blocks {
		census := a.of(b.Sides[side].Answers)
		here := make(map[string]uint64)
		for _, s := range census.Seen {
			if here[s.What] == 0 {
				t.in[s.What]++
			}
			here[s.What] += s.Answers
			sum := t.all[s.What]
			t.all[s.What] = inject.Seen{What: s.What, Answers: sum.Answers + s.Answers, Example: cmp.Or(sum.Example, s.Example)}
		}
		t.blocks, t.totals = append(t.blocks, here), append(t.totals, census.Total())
		t.others = append(t.others, census.Others)
		t.total += census.Total()
		t.lost += census.Others
	}
	return t
}

// strange are the counts of answers for which is holds, in each block.
func (t tallied) strange(is func(what string) bool) (counts []verdict.Count, sum verdict.Count) {
	for i, here := range t.blocks {
		c := verdict.Count{Succeeded: t.totals[i]}
		for what, n := range here {
			if is(what) {
				c.Failed, c.Succeeded = c.Failed+n, c.Succeeded-n
			}
		}
		counts = append(counts, c)
		sum.Succeeded, sum.Failed = sum.Succeeded+c.Succeeded, sum.Failed+c.Failed
	}
	return counts, sum
}

// own are the answers that are as none in any other block of this side.
func (t tallied) own() ([]verdict.Count, verdict.Count) {
	return t.strange(func(what string) bool { return t.in[what] == 1 && len(t.blocks) > 1 })
}

// constant reports whether all answers are the same.
func (t tallied) constant() bool { return len(t.all) == 1 && t.lost == 0 }

// compare says how the answers of both sides differ, or why they cannot be compared; empty: they
// are alike.
func (a aspect) compare(rule verdict.Rule, blocks []result.Block) string {
	sides := [2]tallied{a.tally(blocks, 0), a.tally(blocks, 1)}
	if sides[0].total == 0 || sides[1].total == 0 {
		return "" // one of them failed, which is said elsewhere
	}
	common := 0
	for what := range sides[0].all {
		if _, both := sides[1].all[what]; both {
			common++
		}
	}
	level := rule.Needed(2 + 2*common)
	for _, side := range []int{1, 0} { // first what the candidate does that the baseline does not
		t, other := sides[side], sides[1-side]
		// What the other side had no room for may have been the same.
		of := func(what string) bool { return other.all[what].Answers == 0 && t.all[what].Answers > other.lost }
		counts, sum := t.strange(of)
		own, ownSum := other.own()
		switch {
		case sum.Failed == 0:
			continue
		case other.constant():
		case len(blocks) < 2:
			continue
		case ownSum.Failed == 0 && verdict.Fisher(ownSum, sum) > level:
			continue
		case ownSum.Failed > 0 && rule.CompareFailures(own, counts).P > level:
			continue
		}
		return fmt.Sprintf("answers of one %s: %d of %d answers of the %s are of a %[1]s of which the %[5]s has "+
			"none: %[6]s; those of the %[5]s: %[7]s; %[8]s", a.name, sum.Failed, t.total, result.SideNames[side],
			result.SideNames[1-side], a.list(t, of), a.list(other, nil), mayBeMeant)
	}
	if !a.shares {
		return ""
	}
	for side, t := range sides {
		_, own := t.own()
		if t.lost > 0 || 2*own.Failed > t.total {
			return fmt.Sprintf("answers of one %s: they cannot be compared, because those of the %s differ from one to "+
				"the next, %d of %d: %s; -answers length compares all but that, and -expect 'body~REGEXP' what must be in each",
				a.name, result.SideNames[side], own.Failed+t.lost, t.total, a.list(t, nil))
		}
	}
	for _, what := range slices.Sorted(maps.Keys(sides[0].all)) {
		if _, both := sides[1].all[what]; !both {
			continue
		}
		is := func(w string) bool { return w == what }
		x, before := sides[0].strange(is)
		y, after := sides[1].strange(is)
		was, now := share(before), share(after)
		p := min(rule.CompareFailures(x, y).P, rule.CompareFailures(y, x).P)
		if p <= level || math.Abs(now-was) > shareTogether {
			return fmt.Sprintf("answers of one %s in the same share: %.3g %% of the baseline's are %s, and %.3g %% of "+
				"the candidate's; all of the baseline's: %s; and of the candidate's: %s; %s", a.name, 100*was,
				a.show(sides[0].all[what]), 100*now, a.list(sides[0], nil), a.list(sides[1], nil), mayBeMeant)
		}
	}
	return ""
}

func share(c verdict.Count) float64 { return float64(c.Failed) / float64(c.Total()) }

// list lists what answers were, the most first; of all, or of those for which is holds.
func (a aspect) list(t tallied, is func(what string) bool) string {
	const few = 3
	var seen []inject.Seen
	for _, s := range t.all {
		if is == nil || is(s.What) {
			seen = append(seen, s)
		}
	}
	slices.SortFunc(seen, func(a, b inject.Seen) int {
		return cmp.Or(cmp.Compare(b.Answers, a.Answers), strings.Compare(a.What, b.What))
	})
	var all []string
	for _, s := range seen[:min(few, len(seen))] {
		all = append(all, fmt.Sprintf("%d × %s", s.Answers, a.show(s)))
	}
	if n := len(seen) - len(all); n > 0 {
		all = append(all, fmt.Sprintf("%d more", n))
	}
	return strings.Join(all, " and ")
}

// statusList is a list of answers by status, as marks have it.
func statusList(counts map[string]uint64) string {
	var all []string
	for _, status := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, fmt.Sprintf("%s:%d", status, counts[status]))
	}
	return strings.Join(all, ",")
}

// parseStatuses is the reverse of statusList.
func parseStatuses(s string) (map[string]uint64, error) {
	counts := make(map[string]uint64)
	for _, one := range list(s) {
		status, number, _ := strings.Cut(one, ":")
		n, err := strconv.ParseUint(number, 10, 64)
		if _, twice := counts[status]; twice || err != nil {
			return nil, fmt.Errorf("statuses=%s: want such as 200:1000,503:7", s)
		}
		counts[status] = n
	}
	if _, err := inject.AnswersByStatus(counts); err != nil || len(counts) == 0 {
		return nil, fmt.Errorf("statuses=%s: want such as 200:1000,503:7", s)
	}
	return counts, nil
}

// countStatuses adds up the answers by status of blocks that both files have.
func (j *judge) countStatuses() {
	row := StatusRow{Baseline: make(map[string]uint64), Candidate: make(map[string]uint64)}
	of := make(map[block]map[string]uint64)
	for _, b := range j.candidate.blocks {
		of[b.block] = b.statuses
	}
	for _, b := range j.baseline.blocks {
		if b.statuses == nil || of[b.block] == nil {
			continue
		}
		row.Blocks++
		for status, n := range b.statuses {
			row.Baseline[status] += n
		}
		for status, n := range of[b.block] {
			row.Candidate[status] += n
		}
	}
	if row.Blocks > 0 {
		j.report.Statuses = &row
	}
}
