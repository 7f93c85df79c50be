package inject

import (
	"context"
	"fmt"
	"math"
	"time"
)

// phase is where in a slice a VU is. What it ends in the timed part counts, and all of that is
// under full load: no VU is timed before its first request has ended, and none rests before the
// last one has been timed.
type phase uint8

const (
	leadIn  phase = iota // the first request: all VUs began theirs at once
	timed                // until the first request that ends when the length of the slice is over, and at least one
	leadOut              // as long as another VU is timed
)

// restAfter bounds the lead-out, as a multiple of the time until the first VU was through: where a
// request hangs, the others would make thousands in the meantime.
const restAfter = 10

// advance takes note that a request of a VU, or its attempt to connect, ended. A failure moves a VU
// on like a success, so that a slice ends where nothing succeeds.
func (r *run) advance(p *phase, now time.Duration) {
	switch {
	case !r.sliced || *p == leadOut:
	case *p == leadIn:
		*p = timed
	case now >= r.until:
		*p = leadOut
		if r.unfinished.Add(-1) == int64(r.load.VUs)-1 {
			r.rest.Store(int64(now + (restAfter-1)*(now-r.begun)))
		}
	}
}

// Slice is what one slice of load measured.
type Slice struct {
	Requests uint64 // that succeeded in the timed parts of all VUs
	Failures uint64 // at any time
	// Spent is the time in Requests, in connecting for them, and in what counts for nothing, summed
	// over all VUs.
	Spent time.Duration
}

// Throughput is the requests per second of so many VUs, of slices that were added up: by Little's
// law the number of VUs divided by the mean time of a request. It is 0 without requests.
//
// Each VU is timed from the end of a request to that of a later one, so Requests and Spent have the
// ratio of their means however short the slices are: where a VU stops depends on what was and not
// on what comes (Wald's equation).
func (s Slice) Throughput(vus int) float64 {
	if s.Spent <= 0 {
		return 0
	}
	return float64(vus) * float64(s.Requests) / s.Spent.Seconds()
}

// Add adds up slices.
func (s *Slice) Add(t Slice) {
	s.Requests += t.Requests
	s.Failures += t.Failures
	s.Spent += t.Spent
}

// Slice puts load on the target until every VU has been timed until length is over, and finishes
// what is under way then. Every VU makes two requests at least. The error wraps the cause of the
// end of the context that the session was opened with.
func (s *Session) Slice(length time.Duration) (Slice, error) {
	begun := s.run.now()
	s.run.begun, s.run.until = begun, begun+length
	s.run.round++
	s.run.unfinished.Store(int64(s.run.load.VUs))
	s.run.rest.Store(math.MaxInt64)
	for _, gun := range s.gun {
		gun <- struct{}{}
	}
	for range s.gun {
		<-s.played
	}
	if s.run.stopped.Load() {
		return Slice{}, fmt.Errorf("slice of load cut short: %w", context.Cause(s.ctx))
	}
	s.active += s.run.now() - begun
	now, last := s.counts(), s.last
	s.last = now
	return Slice{
		Requests: now.requests - last.requests,
		Failures: now.failures.Total() - last.failures.Total(),
		Spent:    now.latencies - last.latencies + now.connects - last.connects + now.wasting - last.wasting,
	}, nil
}
