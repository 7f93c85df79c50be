package gate

import (
	"fmt"
	"strings"
	"time"
)

// sample is a value of one benchmark and unit.
type sample struct {
	value      float64 // tidied
	block      block
	took       time.Duration // of the block; 0: nobody says it
	iterations int
	printed    float64 // in the unit as written
	factor     float64 // from there to value
	step       float64 // the worth of the last printed digit; 0: exact
	between    between // where value was before it was printed
}

func values(samples []sample) []float64 {
	v := make([]float64, len(samples))
	for i, s := range samples {
		v[i] = s.value
	}
	return v
}

// pairs is which samples of a benchmark belong together.
type pairs struct {
	paired              bool
	baseline, candidate []sample // where paired, in the same order
	why                 string   // they are or are not pairs
	left                []string // blocks that are in only one file
}

const (
	whyForced   = "because of -paired"
	whyOff      = "because of -unpaired"
	whyUnmarked = "the files do not say that samples were taken in turns"
	whyTwice    = "several samples of a benchmark are in one block"
	whyApart    = "the files have no block in common"
)

// match finds the pairs among samples. That there are as many on both sides says nothing: two runs
// one after the other have that, too.
func (p Pairing) match(baseline, candidate []sample) (pairs, error) {
	apart := pairs{baseline: baseline, candidate: candidate}
	switch p {
	case PairingForced:
		if len(baseline) != len(candidate) {
			return pairs{}, fmt.Errorf("-paired: %d and %d samples are not pairs", len(baseline), len(candidate))
		}
		for i, s := range baseline {
			if t := candidate[i]; s.block != t.block && s.block.number > 0 && t.block.number > 0 {
				return pairs{}, fmt.Errorf("-paired: sample %d is of block %d in the baseline and of block %d in the candidate",
					i+1, s.block.number, t.block.number)
			}
		}
		apart.paired, apart.why = true, whyForced
		return apart, nil
	case PairingOff:
		apart.why = whyOff
		return apart, nil
	}
	of := make(map[block]sample, len(candidate))
	in := make(map[block]bool, len(baseline))
	for _, s := range candidate {
		if _, twice := of[s.block]; twice && s.block.number > 0 {
			apart.why = whyTwice
		}
		of[s.block] = s
	}
	for _, s := range baseline {
		if in[s.block] && s.block.number > 0 {
			apart.why = whyTwice
		}
		in[s.block] = true
	}
	if _, unmarked := of[block{}]; unmarked || in[block{}] {
		apart.why = whyUnmarked
	}
	if apart.why != "" {
		return apart, nil
	}
	together := pairs{paired: true}
	var seeds []string
	seen := set{}
	var only [2][]int
	for _, s := range baseline {
		v, ok := of[s.block]
		if !ok {
			only[0] = append(only[0], s.block.number)
			continue
		}
		together.baseline, together.candidate = append(together.baseline, s), append(together.candidate, v)
		if seed := fmt.Sprint(s.block.seed); seen.add(seed) {
			seeds = append(seeds, seed)
		}
	}
	for _, s := range candidate {
		if !in[s.block] {
			only[1] = append(only[1], s.block.number)
		}
	}
	if len(together.baseline) == 0 {
		apart.why = whyApart
		return apart, nil
	}
	together.why = "by the blocks of the duel with seed " + strings.Join(seeds, ", ")
	for i, file := range []string{"baseline", "candidate"} {
		if n := len(only[i]); n > 0 {
			together.left = append(together.left, fmt.Sprintf("%s only in the %s", counted(n, "block", only[i][0]), file))
		}
	}
	return together, nil
}

// counted is "block 7" or "3 blocks (7 first)".
func counted(n int, what string, first int) string {
	if n == 1 {
		return fmt.Sprintf("%s %d is", what, first)
	}
	return fmt.Sprintf("%d %ss (%d first) are", n, what, first)
}
