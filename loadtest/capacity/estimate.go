package capacity

// Estimate is what a [Search] has found.
type Estimate struct {
	// VUs is the level that gives most, and Throughput what it gives, in requests per second. That
	// is not simply the highest of all levels, which would be too much: of several that are alike,
	// that which had luck is the highest. The level is chosen from all rounds but those in which it
	// is then measured, in turns.
	VUs        int
	Throughput float64
	// Lower and Upper hold what another search right after this one finds, in 95 % of cases, and
	// the true value more often. The machine's noise and drift are inside. Both are 0 where there
	// were too few rounds to tell.
	Lower, Upper float64
	// Knee is the fewest VUs that are not shown to give less than 95 % of the capacity, of the
	// levels measured. It lies between KneeLower and KneeUpper: one more than the most VUs that are
	// shown to give less, and the fewest that are shown to give as much. All are 0 where the search
	// ended before it got there.
	Knee, KneeLower, KneeUpper int
	Accepted                   []int // VUs of the levels up to VUs that count, ascending
	Rounds                     int   // in which the capacity was measured
}

// folds is into how many parts the rounds are put, each of which is measured where the others say.
const folds = 8

// Estimate returns what was found so far; false: no level counts.
func (s *Search) Estimate() (Estimate, bool) {
	levels := s.keeping()
	if len(levels) == 0 {
		return Estimate{}, false
	}
	best := s.best(known(levels))
	e := Estimate{VUs: best.vus}
	x := s.capacity(known(levels))
	found := again(x)
	e.Throughput, e.Rounds = found.mean, len(x)
	if len(x) >= fewestAgain {
		e.Lower, e.Upper = found.lower, found.upper
	}
	for _, l := range levels {
		if l.vus <= best.vus {
			e.Accepted = append(e.Accepted, l.vus)
		}
	}
	at, lower, upper := knee(levels, best)
	if s.flattened(at) {
		e.Knee, e.KneeLower, e.KneeUpper = at, lower, upper
	}
	return e, true
}

// known returns the levels that were measured often enough to be called the best: one lucky window
// is not the capacity.
func known(levels []*level) []*level {
	most := 0
	for _, l := range levels {
		most = max(most, len(l.x))
	}
	var all []*level
	for _, l := range levels {
		if len(l.x) >= min(most, fewestRounds) {
			all = append(all, l)
		}
	}
	return all
}

// capacity returns the throughputs of the best level, round by round.
func (s *Search) capacity(levels []*level) []float64 {
	rounds := s.best(levels).rounds
	if len(rounds) < folds {
		return s.best(levels).x
	}
	var x []float64
	for k := range folds {
		from, to := rounds[k*len(rounds)/folds], rounds[(k+1)*len(rounds)/folds-1]+1
		best := levels[highest(means(levels, s.round+1, from, to))]
		for i, r := range best.rounds {
			if from <= r && r < to {
				x = append(x, best.x[i])
			}
		}
	}
	return x
}

// flattened reports whether the search came past the knee that was found: it ended there, or there
// are two doublings beyond it.
func (s *Search) flattened(knee int) bool {
	sound := s.sound()
	return s.stop == Knee || s.stop != SLO && len(sound) > 0 && sound[len(sound)-1].vus >= 4*knee
}

// knee finds the knee of levels of which one is the best.
func knee(levels []*level, best *level) (at, lower, upper int) {
	lower = 1
	of := shares(levels, best)
	for i, l := range levels {
		if l.vus > best.vus {
			break
		}
		share := of[i]
		switch {
		case share.upper < kneeShare:
			if at == 0 {
				lower = l.vus + 1
			}
			continue
		case at == 0:
			at = l.vus
		}
		if share.lower >= kneeShare {
			return at, lower, l.vus
		}
	}
	return at, lower, best.vus
}

// Interval returns bounds of the throughput of a level, as those of the capacity are; both are 0
// where there were too few rounds to tell.
func (s *Search) Interval(vus int) (lower, upper float64) {
	for _, l := range s.levels {
		if l.vus == vus && len(l.x) >= fewestAgain {
			found := again(l.x)
			return found.lower, found.upper
		}
	}
	return 0, 0
}
