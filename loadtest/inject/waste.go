package inject

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Waste makes a share of the requests count for nothing, from 0 to less than 1, from the next slice
// on. Each is made and answered as ever, and its time is in what the VUs spent. It is in no other
// number but that of answers of its kind. So a server that nobody changed gives exactly that share
// less throughput, and uses 1/(1-share) times the processor time for a request that counts.
// Latencies stay as they are.
//
// Which requests these are is drawn from seed: one of each 1/share. So how many there are differs
// from the share by one at most for each driver, however short slices are, and nothing that comes
// at regular times meets them more often than others. The requests that are timed are drawn apart
// from those that are not.
func (s *Session) Waste(share float64, seed uint64) error {
	if !(share >= 0 && share < 1) {
		return fmt.Errorf("a share of %v of the requests to count for nothing: want 0 or more, and less than 1", share)
	}
	for i, d := range s.drivers {
		d.counted().waste = newWaste(share, rand.New(rand.NewPCG(seed, uint64(i))))
	}
	return nil
}

// waste draws which of the requests that succeed count for nothing. The draw is made when a request
// has ended, and knows nothing of how long that took: so the time of those that count and of those
// that do not is the same on average. A nil waste draws none.
type waste struct {
	share         float64
	random        *rand.Rand
	timed, others strata
}

func newWaste(share float64, random *rand.Rand) *waste {
	if share == 0 {
		return nil
	}
	return &waste{share, random, strata{next: random.Float64()}, strata{next: random.Float64()}}
}

func (w *waste) draws(p phase) bool {
	switch {
	case w == nil:
		return false
	case p == timed:
		return w.timed.step(w.share, w.random)
	}
	return w.others.step(w.share, w.random)
}

// strata is a walk over points of which one is drawn in each unit of length.
type strata struct {
	at, next float64 // where the walk is, and the next point
	passed   int     // points
}

// step goes on, by less than 1, and reports whether that passes a point.
func (s *strata) step(length float64, random *rand.Rand) bool {
	s.at += length
	if s.at <= s.next {
		return false
	}
	s.passed++
	s.next = float64(s.passed) + random.Float64()
	return true
}

// succeed counts a request that succeeded at end, in the phase p of its VU, and reports whether it
// counts. A VU does not move on by one that does not: its slice ends with one that does, so that a
// slice is no shorter for the waste in it.
func (r *run) succeed(t *tally, p phase, end, latency time.Duration, body int64) (counts bool) {
	if t.waste.draws(p) {
		t.squander(r.counts(p, end), latency)
		return false
	}
	t.succeed(r.counts(p, end), latency, body)
	if r.leads(p) {
		t.lead(latency)
	}
	return true
}
