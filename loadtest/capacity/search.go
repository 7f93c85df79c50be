package capacity

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Plan says what a [Search] is to find, and in what time.
type Plan struct {
	MaxVUs  int     // no level has more
	Seconds float64 // real time for each level, with connecting and all else around its windows
	Limit   float64 // real time for everything; 0: as long as the levels take
	Spent   float64 // of the real time, before the search
	Seed    uint64  // of the order in which windows come
	// Goals are what a level has to keep to be accepted: each of the shares that its windows
	// measure has to be less than this.
	Goals []float64
	// Counted says which of these are shares of requests, of which a few say little; nil: none.
	Counted []bool
	// Bounded says that one of the goals bounds failures. Otherwise a level with a failure is not
	// accepted.
	Bounded bool
}

// Search looks for the capacity of a server. It measures levels in rounds: each puts one short
// window on every level that is still of interest, in an order that is drawn, so that whatever the
// machine does meanwhile does it to all of them. A caller measures a window at [Search.Next] and
// hands it to [Search.Add], until Next is 0.
//
//   - It doubles the VUs until two doublings in a row are shown not to give 5 % more than the best
//     level below both, and the second not 5 % more than the first: curves dip. Or until something
//     else ends it, see [StopReason].
//   - Where goals ended it, it halves the gap between the last level that keeps them and the first
//     that does not. Else it halves the gap below the knee, twice at most.
//   - Then it measures all levels in turns for the time that is left. There is as much time as
//     there are levels, times Plan.Seconds.
//
// What was found by then is in [Search.Estimate] at any time.
type Search struct {
	plan    Plan
	random  *rand.Rand
	levels  []*level // by VUs
	queue   []*level // of this round
	round   int
	seconds float64 // that have passed
	growing bool
	halved  int    // how many gaps between levels
	half    *level // what was put into the last one
	settled int    // rounds since it was known how far to double
	unshown int    // doublings in a row that may have given something, when there was no time to find out
	leader  *level // the best one of all, when that was last looked at
	below   *level // the best one below the last two doublings, when that was last looked at
	stop    StopReason
	detail  string
}

const (
	growth    = 1 + ClassicGrowth/100.0 // a doubling that is shown to give less than this is none to go on for
	kneeShare = 0.95                    // of the capacity: the knee gives as much
	plain     = 1.2                     // growth that two rounds suffice to see
	growShare = 0.5                     // of the time that may be spent before it is known how far to go

	fewestWindows = 2 // of a level, in its time, so that they can be put into rounds while it is not known how far to go
	fewestRounds  = 2
	unclearRounds = 4  // before a growth that is not plain is believed
	kneeRounds    = 6  // before a level says where to look for the knee
	kneeEvery     = 4  // rounds, to look for it again
	mostGoals     = 12 // gaps that are halved for goals
	goalGap       = 0.02
	mostUnshown   = 2 // times in a row that two doublings do not seem to give more, and there is no time to show it
)

// Halvings is how many levels a search puts between doublings, at most, to find the knee.
const Halvings = 2

// NewSearch begins a search at one VU.
func NewSearch(plan Plan) *Search {
	s := &Search{plan: plan, random: rand.New(rand.NewPCG(plan.Seed, 0)), growing: true, seconds: plan.Spent}
	s.insert(1)
	if plan.MaxVUs > 1 {
		s.insert(2)
	}
	return s
}

// Next returns the VUs of the window to measure next; 0: there is none, and [Search.Stop] says why.
func (s *Search) Next() int {
	if len(s.queue) == 0 {
		s.queue = s.next()
		s.random.Shuffle(len(s.queue), func(i, j int) { s.queue[i], s.queue[j] = s.queue[j], s.queue[i] })
		s.round++
	}
	if len(s.queue) == 0 {
		return 0
	}
	return s.queue[0].vus
}

// Add takes note of the window that Next had asked for.
func (s *Search) Add(w Window) {
	l := s.queue[0]
	s.queue = s.queue[1:]
	l.add(s.round, w)
	s.seconds += w.Seconds
	if !s.rejects(l) {
		return
	}
	s.end(RequestsFailed, fmt.Sprintf("%d requests failed at %d vus", l.failures, l.vus))
	s.queue = slices.DeleteFunc(s.queue, func(o *level) bool { return o.vus >= l.vus })
}

// Stop returns why no further doubling was measured, with the figures for people; empty: not known
// yet.
func (s *Search) Stop() (StopReason, string) { return s.stop, s.detail }

// Seconds is how long the search takes, as far as is known, and how much of that has passed.
func (s *Search) Seconds() (total, passed float64) { return s.budget(), s.seconds }

// Round is the number of the round that is being measured, from 1.
func (s *Search) Round() int { return s.round }

// end notes why there are no further doublings. A failure is news also when they were over: no
// level at or above one with failures is measured again, so another one is of fewer VUs.
func (s *Search) end(reason StopReason, detail string) {
	if s.growing || reason == RequestsFailed {
		s.stop, s.detail = reason, detail
	}
	if s.growing {
		for _, l := range s.levels {
			l.growing = l.seconds
		}
	}
	s.growing = false
}

func (s *Search) insert(vus int) *level {
	l := &level{vus: vus}
	s.levels = append(s.levels, l)
	slices.SortFunc(s.levels, func(a, b *level) int { return cmp.Compare(a.vus, b.vus) })
	return l
}

func (s *Search) budget() float64 {
	total := s.plan.Seconds * float64(len(s.levels))
	if s.plan.Limit > 0 {
		total = min(total, s.plan.Limit)
	}
	return total
}

// rejects reports whether failures keep a level from being accepted.
func (s *Search) rejects(l *level) bool { return l.failures > 0 && !s.plan.Bounded }

// sound returns the levels below the first with failures.
func (s *Search) sound() []*level {
	if i := slices.IndexFunc(s.levels, s.rejects); i >= 0 {
		return s.levels[:i]
	}
	return s.levels
}

// keeping returns the levels that may be accepted, as far as is known.
func (s *Search) keeping() []*level {
	var all []*level
	for _, l := range s.sound() {
		if len(l.x) > 0 && s.goals(l) < 0 {
			all = append(all, l)
		}
	}
	return all
}

// next returns the levels of the next round.
func (s *Search) next() []*level {
	if s.growing {
		if round := s.grow(); round != nil {
			return round
		}
	}
	round := s.settle()
	took := 0.0
	for _, l := range round {
		took += cmp.Or(l.last, s.levels[0].last)
	}
	if s.seconds+took > s.budget() && !s.unmeasured(round) {
		return nil
	}
	return round
}

// unmeasured reports whether a level of a round was not measured yet, which has to be if it is to
// be a level.
func (s *Search) unmeasured(round []*level) bool {
	return slices.ContainsFunc(round, func(l *level) bool { return len(l.x) == 0 })
}

// spent reports whether no more time should go into how far to double.
func (s *Search) spent() bool { return s.seconds >= growShare*s.budget() }

// grow returns the levels of the next round as long as it is not known how far to double.
func (s *Search) grow() []*level {
	top := s.levels[len(s.levels)-1]
	if len(top.x) == 0 {
		return s.ofInterest()
	}
	switch s.step(top) {
	case measure:
		return s.ofInterest()
	case broken:
		s.end(SLO, fmt.Sprintf("%d vus do not keep it", top.vus))
	case flat:
		s.end(Knee, s.flatness())
	case double:
		switch {
		case top.vus > s.plan.MaxVUs/2:
			s.end(MaxVUs, fmt.Sprintf("the next level would have more than %d vus", s.plan.MaxVUs))
		case s.plan.Limit > 0 && s.seconds+2*float64(fewestRounds)*top.last > growShare*s.plan.Limit:
			s.end(Deadline, fmt.Sprintf("no time is left to measure %d vus", 2*top.vus))
		default:
			s.insert(2 * top.vus)
			s.below = s.best(s.levels[:len(s.levels)-2])
			return s.ofInterest()
		}
	}
	return nil
}

// slow reports whether there is time for a few windows of a level only. Then each is measured once,
// and nothing can be shown.
func (s *Search) slow() bool {
	last := 0.0
	for _, l := range s.levels {
		last = cmp.Or(l.last, last)
	}
	return last*fewestWindows > s.plan.Seconds
}

// ofInterest returns the levels that say whether the VUs should be doubled: the last two doublings
// and the best below.
func (s *Search) ofInterest() []*level {
	n := len(s.levels)
	if s.slow() {
		return s.levels[n-1:]
	}
	round := slices.Clone(s.levels[max(n-2, 0):])
	if s.below != nil {
		round = append(round, s.below)
	}
	return round
}

// best returns the level that gives most, as if all had been measured in the same rounds; nil:
// there is none.
func (s *Search) best(levels []*level) *level {
	switch len(levels) {
	case 0:
		return nil
	case 1:
		return levels[0]
	}
	return levels[highest(means(levels, s.round+1, 0, 0))]
}

func highest(x []float64) int {
	i := 0
	for j := range x {
		if x[j] > x[i] {
			i = j
		}
	}
	return i
}

// step is what to do about the last level.
type step uint8

const (
	measure step = iota // it is not known yet
	double
	flat
	broken
)

// step decides what to do about the last level. To look after each round would make a chance
// growth, or the chance of none, many times as likely; so it looks when there are half as many
// rounds again.
func (s *Search) step(top *level) step {
	n := len(s.levels)
	rounds := len(top.x)
	if !looks(rounds) && !s.spent() {
		return measure
	}
	switch kept := s.goals(top); {
	case kept > 0 && (rounds >= fewestRounds || s.spent()):
		if s.shown(top) || s.spent() {
			return broken
		}
		return measure
	case kept <= 0 && len(s.plan.Goals) > 0 && !s.shown(top) && !s.spent():
		return measure
	}
	if n < 2 {
		return double
	}
	last := s.levels[n-2]
	s.below = s.best(s.levels[:n-2])
	below := cmp.Or(s.below, last)
	toLast, toBelow := compare(top, last, decided), compare(top, below, decided)
	if s.slow() {
		toLast, toBelow = once(top, last), once(top, below)
	}
	switch {
	case rounds < fewestRounds && !s.slow():
		return measure
	case toLast.mean >= growth || toBelow.mean >= growth:
		plainly := max(toLast.mean, toBelow.mean) >= plain
		if plainly || rounds >= unclearRounds || s.spent() {
			s.unshown = 0
			return double
		}
		return measure
	case toLast.upper >= growth || toBelow.upper >= growth:
		return s.unclear()
	case n == 2:
		return double // one doubling is not two
	}
	switch before := compare(last, below, decided); {
	case before.upper < growth:
		return flat
	case before.mean < growth:
		return s.unclear()
	}
	return double
}

// unclear is what to do about a level that may have grown or not. When time is up, it goes on as if
// it had; but not for ever.
func (s *Search) unclear() step {
	if !s.spent() {
		return measure
	}
	most := mostUnshown
	if s.slow() {
		most--
	}
	if s.unshown++; s.unshown < most {
		return double
	}
	return flat
}

// looks reports whether to look after so many rounds: 2, 3, 4, 6, 9, 13, 19…
func looks(rounds int) bool {
	for n := fewestRounds; n <= rounds; n += max(n/2, 1) {
		if n == rounds {
			return true
		}
	}
	return rounds == 1
}

// flatness says for people how little the last two doublings gave.
func (s *Search) flatness() string {
	n := len(s.levels)
	below := cmp.Or(s.best(s.levels[:max(n-2, 0)]), s.levels[0])
	best := s.best(s.levels[max(n-2, 1):])
	grown := compare(best, below, decided)
	if s.unshown > 0 {
		return fmt.Sprintf("from %d vus to %d: throughput %+.1f %%, needed %+d %%; the time did not suffice to be sure",
			below.vus, best.vus, 100*(once(best, below).mean-1), ClassicGrowth)
	}
	return fmt.Sprintf("from %d vus to %d and %d: throughput %+.1f %%, at most %+.1f %%, needed %+d %%", below.vus,
		s.levels[n-2].vus, s.levels[n-1].vus, 100*(grown.mean-1), 100*(grown.upper-1), ClassicGrowth)
}

// settle returns the levels of the next round when it is known how far to double.
func (s *Search) settle() []*level {
	round := s.keeping()
	if len(s.plan.Goals) > 0 && s.stop == SLO {
		return s.approach(round)
	}
	if few := s.lacking(round); few != nil {
		return few
	}
	if vus := s.halve(); vus > 0 {
		round = append(round, s.between(vus))
	}
	return s.due(round)
}

// lacking returns the levels that may be the best and were not measured often enough to say so,
// with the best of the others; nil: there are none, or their windows take long.
func (s *Search) lacking(levels []*level) (few []*level) {
	seldom := func(l *level) bool { return len(l.x) < fewestAgain }
	if len(levels) < 2 || !slices.ContainsFunc(levels, seldom) || s.slow() {
		return nil
	}
	rates := means(levels, s.round+1, 0, 0)
	highest := slices.Max(rates)
	var other *level
	most := 0.0
	for i, l := range levels {
		switch {
		case seldom(l) && rates[i] >= kneeShare*highest:
			few = append(few, l)
		case rates[i] > most:
			other, most = l, rates[i]
		}
	}
	if few != nil && other != nil {
		few = append(few, other)
	}
	return few
}

// due returns the levels that have time left of their own since it is known how far to double, and
// the best one as long as there is any, because all others are compared with it. Windows of many
// VUs may take long; they are not to take the time of the others.
func (s *Search) due(levels []*level) []*level {
	if s.leader == nil || looks(len(s.leader.x)) {
		s.leader = s.best(known(levels))
	}
	return slices.DeleteFunc(levels, func(l *level) bool {
		return l != s.leader && l.seconds-l.growing+l.last > s.plan.Seconds
	})
}

// halve returns the VUs of a level between the knee and the level below; 0: none is wanted.
func (s *Search) halve() int {
	if s.stop != Knee || s.halved >= Halvings || s.plan.Limit > 0 && s.spent() {
		return 0
	}
	if s.settled++; s.settled%kneeEvery != 1 {
		return 0
	}
	levels := s.keeping()
	if len(levels) == 0 {
		return 0
	}
	at, lower, _ := knee(levels, s.best(levels))
	i := slices.IndexFunc(levels, func(l *level) bool { return l.vus == at })
	if i < 1 || len(levels[i-1].x) < kneeRounds || len(levels[i].x) < kneeRounds || levels[i-1].vus != lower-1 {
		return 0
	}
	below := lower - 1
	if gap := at - below; gap < 2 || gap*4 <= below {
		return 0
	}
	return (below + at) / 2
}

// approach returns the levels of the next round of a search for the last level that keeps the
// goals: it halves the gap above it until that is small.
func (s *Search) approach(keeping []*level) []*level {
	if len(keeping) == 0 {
		return nil
	}
	last := keeping[len(keeping)-1]
	i := slices.Index(s.levels, last) + 1
	if i == len(s.levels) { // the level that did not keep them had bad luck
		s.stop, s.detail, s.growing = "", "", true
		if round := s.grow(); round != nil {
			return round
		}
		return s.due(s.keeping())
	}
	first := s.levels[i]
	if s.half != nil && s.open(s.half) {
		return []*level{s.half, last}
	}
	if gap := first.vus - last.vus; gap < 2 || float64(gap) <= goalGap*float64(last.vus) || s.halved >= mostGoals ||
		s.plan.Limit > 0 && s.spent() {
		return s.due(append(keeping, first))
	}
	return []*level{s.between((last.vus + first.vus) / 2), last}
}

// between puts a level into a gap.
func (s *Search) between(vus int) *level {
	s.half = s.insert(vus)
	s.halved++
	return s.half
}

// open reports whether it should be measured further whether a level keeps the goals.
func (s *Search) open(l *level) bool {
	return len(l.x) < fewestRounds || !s.shown(l) && l.seconds < growShare*s.plan.Seconds
}

// goals says by how much a level breaks the goals, in parts of the limits, as far as is known;
// negative: it keeps them.
func (s *Search) goals(l *level) float64 {
	worst := -1.0
	for g, limit := range s.plan.Goals {
		if sum := l.sums[g]; sum.Whole > 0 {
			worst = max(worst, above(sum.Part/sum.Whole, limit))
		}
	}
	return worst
}

// above compares a share with its limit; one that is exactly the limit breaks it.
func above(share, limit float64) float64 {
	if share >= limit {
		return 1 + share - limit
	}
	return share/limit - 1
}

// shown reports whether it is certain that a level keeps all goals, or that it breaks one.
func (s *Search) shown(l *level) bool {
	all := true
	for g, limit := range s.plan.Goals {
		var part, whole []float64
		for _, goals := range l.goals {
			part, whole = append(part, goals[g].Part), append(whole, goals[g].Whole)
		}
		switch r := ratio(part, whole, decided); {
		case r.lower > limit && s.often(l.sums[g], g):
			return true
		case !(r.upper < limit):
			all = false
		}
	}
	return all
}

// often reports whether what breaks a goal happened often enough that it is no chance: a few
// windows may all have as many slow requests, and no scatter.
func (s *Search) often(sum Share, goal int) bool {
	if goal >= len(s.plan.Counted) || !s.plan.Counted[goal] {
		return true
	}
	return (sum.Part-rare*math.Sqrt(sum.Part))/sum.Whole > s.plan.Goals[goal]
}

// rare is how many standard deviations of a count are no chance; that of a Poisson distribution is
// the root of its mean.
const rare = 2.33
