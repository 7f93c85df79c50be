package result

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Warmth is how a side was made warm before it was measured in a block.
type Warmth struct {
	Load   time.Duration // for how long it was loaded; 0: not known
	Steady time.Duration // after how much of that a request took nearly as little as at the end
	Cold   string        // what still fell at the end, so that it was measured while it was cold; empty: nothing
}

// Part is what a side did in the first half of its slices.
type Part struct {
	Requests uint64        // that were timed
	Busy     time.Duration // that VUs spent in them, and in connecting for them
	CPU      time.Duration // that the server used; 0: not known
}

// Cold reports whether a duel is in doubt because a side was measured while it was cold, which more
// blocks of the same kind do not mend.
func (d Duel) Cold() bool {
	return d.tooCold() || d.stillFalls(0) != "" || d.stillFalls(1) != ""
}

// coldShare is the share of blocks that may begin while a side is cold. A few blocks count for no
// more than any others, whatever they say, because verdicts are made of ranks.
const coldShare = 0.25

// coldBlocks is how many blocks began while a side was cold.
func (d Duel) coldBlocks() (n int) {
	for _, b := range d.Blocks {
		if b.Sides[0].Warmth.Cold != "" || b.Sides[1].Warmth.Cold != "" {
			n++
		}
	}
	return n
}

// tooCold reports whether that is too many.
func (d Duel) tooCold() bool { return float64(d.coldBlocks()) > coldShare*float64(len(d.Blocks)) }

// A duel is in doubt where, in so many of its blocks, a side takes so much longer in the first half
// of the slices than in the second that chance makes it of either series with a probability of at
// most fallChance (a sign test). With nine blocks, all have to.
//
// That is a guard for what the warm-up did not see: a fall that is slow, or begins late. It has to
// be rare where nothing falls, because a duel in doubt has no verdict. A limit of 3 % was rejected:
// equal Go servers fell by more than that in each of nine blocks.
const (
	fallShare  = 0.1
	fallChance = 0.002
)

// stillFalls says what of a side falls while it is measured; empty: nothing that is beyond chance.
func (d Duel) stillFalls(side int) string {
	for _, series := range []struct {
		name string
		of   func(Side, Part) (first, second float64) // for each request
	}{
		{"latency", func(s Side, p Part) (first, second float64) {
			rest := s.busy() - p.Busy
			return p.Busy.Seconds() / float64(p.Requests), rest.Seconds() / float64(s.Requests-p.Requests)
		}},
		{"processor time", func(s Side, p Part) (first, second float64) {
			if p.CPU == 0 || s.ServerCPU == nil {
				return 0, 0
			}
			rest := s.ServerCPU.Used - p.CPU
			return p.CPU.Seconds() / float64(p.Requests), rest.Seconds() / float64(s.Requests-p.Requests)
		}},
	} {
		n, falls := 0, 0
		for _, b := range d.Blocks {
			s := b.Sides[side]
			p := s.FirstHalf
			if p == nil || !b.Whole() || p.Requests == 0 || p.Requests >= s.Requests {
				continue
			}
			first, second := series.of(s, *p)
			if !(first > 0 && second > 0) {
				continue
			}
			n++
			if second < first*(1-fallShare) {
				falls++
			}
		}
		if n > 0 && atLeast(falls, n) <= fallChance {
			return fmt.Sprintf("the %s of a request of the %s fell by more than %.0f %% in %d of %d blocks, "+
				"from the first half of the slices to the second: it was not warm yet; %s",
				series.name, SideNames[side], 100*fallShare, falls, n, d.warmLonger(side))
		}
	}
	return ""
}

// atLeast is the chance that at least k of n coins show heads.
func atLeast(k, n int) float64 {
	sum := 0.0
	for i := k; i <= n; i++ {
		lnN, _ := math.Lgamma(float64(n + 1))
		lnI, _ := math.Lgamma(float64(i + 1))
		rest, _ := math.Lgamma(float64(n - i + 1))
		sum += math.Exp(lnN - lnI - rest - float64(n)*math.Ln2)
	}
	return sum
}

// warmLonger says what to do about a side that is cold.
func (d Duel) warmLonger(side int) string {
	longest := time.Duration(0)
	for _, b := range d.Blocks {
		longest = max(longest, b.Sides[side].Warmth.Load)
	}
	const factor = 3
	return fmt.Sprintf("let each side warm up for longer, such as %v (-warmup, or WARMUP of TestDuel)",
		max((factor*longest).Round(time.Second), time.Second))
}

// coldDoubts are why blocks of a side are not to be trusted, by their place among the blocks of the
// duel.
func (d Duel) coldDoubts(side int) map[int]string {
	doubts := make(map[int]string)
	for i, b := range d.Blocks {
		if w := b.Sides[side].Warmth; w.Cold != "" && d.tooCold() {
			doubts[i] = fmt.Sprintf("%d of %d blocks began while a server was cold: "+
				"of the %s in block %d, after a warm-up of %v, %s; %s",
				d.coldBlocks(), len(d.Blocks), SideNames[side], b.Number, rounded(w.Load), w.Cold, d.warmLonger(side))
		}
	}
	if falls := d.stillFalls(side); falls != "" && doubts[len(d.Blocks)-1] == "" {
		doubts[len(d.Blocks)-1] = falls
	}
	return doubts
}

// A candidate is noted to become warm slowly where, in the median of at least so many blocks, it
// takes so many times as long as the baseline, and so much longer.
const (
	warmBlocks = 4
	warmFactor = 1.5
	warmLater  = 250 * time.Millisecond
)

// warmNotes are what a verdict repeats of the warm-up of a side.
func (d Duel) warmNotes(side int) (notes []string) {
	if n := d.coldBlocks(); side == 0 && n > 0 && !d.tooCold() {
		notes = append(notes, fmt.Sprintf("%d of %d blocks began while a server was cold: too few to change a verdict",
			n, len(d.Blocks)))
	}
	var steady [2][]time.Duration
	for _, b := range d.Blocks {
		for side, s := range b.Sides {
			if s.Warmth.Load > 0 {
				steady[side] = append(steady[side], s.Warmth.Steady)
			}
		}
	}
	if side == 0 || min(len(steady[0]), len(steady[1])) < warmBlocks {
		return notes
	}
	var took [2]time.Duration
	for side, all := range steady {
		slices.Sort(all)
		took[side] = all[len(all)/2]
	}
	if took[1] > took[0]+warmLater && took[1].Seconds() > warmFactor*took[0].Seconds() {
		times := ""
		if took[0] > 0 {
			times = fmt.Sprintf(", %.2g times as long", took[1].Seconds()/took[0].Seconds())
		}
		notes = append(notes, fmt.Sprintf("the candidate needed %v of load to become warm, and the baseline %v%s: "+
			"no verdict is about that", rounded(took[1]), rounded(took[0]), times))
	}
	return notes
}
