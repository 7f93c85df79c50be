package gobench

import (
	"cmp"
	"slices"
	"time"
)

// state is how far a benchmark is.
type state struct {
	blocks int
	each   time.Duration // that a block takes, as far as it is known
	over   bool          // it has a verdict, or there can be none
	need   int           // blocks that would decide it, as it looks now; 0: nobody knows
}

// nextLook is after how many blocks the next look is; 0: there is none.
func nextLook(looks []int, blocks int) int {
	i, at := slices.BinarySearch(looks, blocks)
	if at {
		i++
	}
	if i == len(looks) {
		return 0
	}
	return looks[i]
}

// cost is how long a benchmark takes until its next look.
func (s state) cost(looks []int) time.Duration {
	return time.Duration(nextLook(looks, s.blocks)-s.blocks) * s.each
}

// next chooses the benchmark that goes on to its next look: one that has had the fewest, in their
// order at first, then one that seems to need the least time; and only one that gets there in the
// time that is left, since a benchmark has no verdict between its looks. Negative: there is none.
func next(states []state, looks []int, left time.Duration) int {
	best := -1
	for i, s := range states {
		if s.over || nextLook(looks, s.blocks) == 0 || s.cost(looks) > left {
			continue
		}
		if best < 0 || compare(s, states[best]) < 0 {
			best = i
		}
	}
	return best
}

func compare(a, b state) int {
	left := func(s state) time.Duration {
		if s.blocks == 0 {
			return 0
		}
		const hopeless = 1000
		need := s.need
		if need == 0 {
			need = hopeless
		}
		return time.Duration(max(need-s.blocks, 1)) * s.each
	}
	return cmp.Or(cmp.Compare(a.blocks, b.blocks), cmp.Compare(left(a), left(b)))
}

// remaining is how long it may go on: until all have had their next look, or until the time is
// over.
func remaining(states []state, looks []int, left time.Duration) (d time.Duration) {
	for _, s := range states {
		if !s.over && nextLook(looks, s.blocks) > 0 {
			d += s.cost(looks)
		}
	}
	return max(min(d, left), 0)
}
