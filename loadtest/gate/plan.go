package gate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

// planned finds out how the files want to be judged, and joins that with what the user says. What
// contradicts itself in the marks of a duel leaves nothing to be judged: who knows what else is
// missing.
func (j *judge) planned() {
	asked := j.Options
	if j.Alpha = asked.Alpha; j.Alpha == 0 {
		j.Alpha = DefaultAlpha
	}
	j.rule.Alpha = j.Alpha
	wrong := append(j.baseline.checkMarks(), j.candidate.checkMarks()...)
	wrong = append(wrong, j.countedTwice()...)
	x, y := j.baseline.plan(), j.candidate.plan()
	switch {
	case len(wrong) > 0:
	case x == nil && y == nil:
		if len(j.baseline.blocks) > 0 && len(j.candidate.blocks) > 0 && asked.Pairing == PairingFromFiles {
			j.note("the files do not say after which blocks the duel could end, as those of older versions do not: if there were several, each " +
				"look was another chance to err, and the error rates are higher than is said here")
		}
		return
	case x == nil || y == nil:
		without := j.baseline.path
		if x != nil {
			without = j.candidate.path
		}
		wrong = append(wrong, fmt.Sprintf("%s: no plan of a duel, as the other file has: the two are not of one duel, or this one was cut", without))
	case x.id != y.id:
		wrong = append(wrong, fmt.Sprintf("%s and %s are of two duels (seed %d, started %s, %s; seed %d, started %s, %s): judge both files of one",
			j.baseline.path, j.candidate.path, x.seed, x.started, Plural(x.blocks, "block"), y.seed, y.started, Plural(y.blocks, "block")))
	case j.baseline.side == result.SideNames[1] && j.candidate.side == result.SideNames[0]:
		wrong = append(wrong, fmt.Sprintf("%s is the candidate of the duel, and %s its baseline: the baseline is the first", j.baseline.path,
			j.candidate.path))
	case j.baseline.side != "" && j.baseline.side == j.candidate.side:
		wrong = append(wrong, fmt.Sprintf("%s and %s are both the %s of the duel: judge its baseline and its candidate", j.baseline.path,
			j.candidate.path, j.baseline.side))
	}
	var looks *verdict.Looks
	if len(wrong) == 0 {
		var err error
		if looks, err = looksAfter(x.Looks); err != nil {
			wrong = append(wrong, "the plan of the duel: "+err.Error())
		}
	}
	if len(wrong) > 0 {
		j.void = true
		for _, w := range wrong {
			j.problem("%s", w)
		}
		return
	}
	j.plan = x
	j.report.Looks = x.Looks
	if asked.Alpha == 0 {
		j.Alpha = x.Alpha
	} else if asked.Alpha != x.Alpha {
		j.note("-alpha %v counts here; the duel was planned with %v, by which it went on or ended", asked.Alpha, x.Alpha)
	}
	if asked.Units == nil {
		j.Units = x.Units
	} else if slices.Contains(x.Units, result.BodySize) { // whatever else is asked
		j.Units = append(slices.Clone(asked.Units), result.BodySize)
	}
	if asked.Units != nil && !sameUnits(j.Units, x.Units) {
		j.note("-unit %s counts here; the duel was planned for %s, by which it went on or ended", strings.Join(asked.Units, ","),
			strings.Join(x.Units, ","))
	}
	if asked.Require == nil {
		j.Require = x.Require
	} else if !sameUnits(asked.Require, x.Require) {
		j.note("-require-better %s counts here; the duel was planned with %s, by which it went on or ended", strings.Join(asked.Require, ","),
			cmp.Or(strings.Join(x.Require, ","), "none"))
	}
	j.Margins = make(map[string]float64)
	for unit, m := range x.Margins {
		j.Margins[Tidy(unit)] = m
	}
	for _, unit := range sortedKeys(asked.Margins) {
		before, ok := j.Margins[unit]
		if !ok {
			before, _ = verdict.UsualMargin(unit)
		}
		if m := asked.Margins[unit]; m != before {
			j.note("-margin %s=%v%% counts here; the duel was planned with %v%%, by which it went on or ended", j.name(unit), 100*m, 100*before)
		}
	}
	maps.Copy(j.Margins, asked.Margins)
	for _, unit := range sortedKeys(asked.Margins) {
		if asked.Units == nil && !sameUnits(append([]string{unit}, j.Units...), j.Units) {
			j.Units = append(slices.Clone(j.Units), unit)
			j.note("-margin %s: it is judged, too; the duel was planned without it", j.name(unit))
		}
	}
	if j.rule = (verdict.Rule{Alpha: j.Alpha, Looks: looks}); asked.Pairing == PairingOff {
		// The level of looks is that of pairs. What holds for any test is that so many looks err at
		// most so many times as often.
		j.rule = verdict.Rule{Alpha: j.Alpha / float64(len(x.Looks))}
	}
}

func sameUnits(a, b []string) bool {
	tidied := func(units []string) (all []string) {
		for _, u := range units {
			all = append(all, Tidy(u))
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	return slices.Equal(tidied(a), tidied(b))
}

// betweenLooks reports whether a duel has ended where no verdict was planned: somebody interrupted
// it, or a server died. Then there is none. The planned looks have spent all of alpha, so for one
// more there is nothing left; and who ends a duel when its lines on the terminal look right, or a
// server that dies when it is too slow, would choose the verdict.
func (j *judge) betweenLooks() bool {
	return j.plan != nil && j.plan.of == "" && !slices.Contains(j.plan.Looks, j.plan.blocks)
}

// whyBetweenLooks says it in words.
func (j *judge) whyBetweenLooks() string {
	return fmt.Sprintf("the duel ended after %s, between its looks (%s): all chances to err belong to these, so no verdict is possible here",
		Plural(j.plan.blocks, "block"), numbers(j.plan.Looks))
}

func numbers(all []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(all), " ", ", "), "[]")
}

// missingBlocks names what a duel should have and the files have not.
func (j *judge) missingBlocks() {
	if j.plan == nil || j.plan.of != "" {
		return
	}
	whole := 0
	for _, b := range j.baseline.blocks {
		if j.baseline.counts[b.block].Failed == 0 && j.candidate.counts[b.block].Failed == 0 {
			whole++
		}
	}
	for _, r := range []Results{j.baseline, j.candidate} {
		if n := whole - r.linesOf(""); n > 0 {
			j.gap("%s: %s without a result, though no request failed", r.path, Plural(n, "block"))
		}
		for _, request := range j.plan.Requests {
			if n := whole - r.linesOf(request.Name); n > 0 && request.Why == "" {
				j.gap("%s: %s without a result of %s, though no request failed", r.path, Plural(n, "block"), request.Name)
			}
		}
	}
	if j.asked.Units != nil || len(j.baseline.lines) == 0 || len(j.candidate.lines) == 0 {
		return
	}
	for _, unit := range j.plan.Units {
		if _, ok := j.shown[Tidy(unit)]; !ok {
			j.gap("%s: neither side could tell it", unit)
		}
	}
}

// whyOmitted says why the plan of a duel leaves a unit out.
func (p plan) whyOmitted(unit string) string {
	for _, o := range p.Omitted {
		if Tidy(o.Unit) != unit {
			continue
		}
		switch o.Why {
		case result.NotAsked:
			return "not in -unit"
		case result.Few:
			return "the duel does not judge it: its first block had too few requests for it; -side makes blocks longer"
		case result.Weaker:
			return "slow/op judges the tail, and needs fewer requests for it; -unit judges this, too"
		case result.Unknown:
			return "the duel does not judge it: its first block could not know it of both sides"
		}
		return "the duel does not judge it: " + string(o.Why)
	}
	return "the duel does not judge it"
}

// looksCache keeps the last plans of looks: a duel asks for the same after each block, and one
// takes a tenth of a second.
var looksCache struct {
	sync.Mutex
	all map[string]*verdict.Looks
}

// looksAfter plans looks.
func looksAfter(pairs []int) (*verdict.Looks, error) {
	looksCache.Lock()
	defer looksCache.Unlock()
	key := fmt.Sprint(pairs)
	if l, ok := looksCache.all[key]; ok {
		return l, nil
	}
	l, err := verdict.NewLooks(pairs...)
	if err != nil {
		return nil, err
	}
	const most = 8 // of some megabytes each
	if len(looksCache.all) >= most || looksCache.all == nil {
		looksCache.all = make(map[string]*verdict.Looks)
	}
	looksCache.all[key] = l
	return l, nil
}
