package loadtest

import (
	"errors"

	"rampart/loadtest/host"
	"rampart/loadtest/result"
)

// memoryLooks is how often the memory of the servers is looked at in a block, beside its beginning:
// often enough that a peak lasts from one to the next, and so seldom that it costs a block some
// hundredths of its time.
const memoryLooks = 5

// errLivesOn says why the memory of a server is not judged.
var errLivesOn = errors.New("it ran before the duel and goes on after it, so what it holds is not that of a block")

// holding watches the memory of a server in a block. The zero value of gauge: nobody can.
type holding struct {
	gauge host.Gauge
	seen  *result.Memory // nil: not known yet
	err   error
}

// look takes a reading. No load is on the servers meanwhile.
func (h *holding) look() {
	if h.err != nil {
		return
	}
	now, err := h.gauge()
	switch {
	case err != nil:
		h.seen, h.err = nil, err
	case h.seen == nil:
		h.seen = &result.Memory{Start: now, Peak: now, End: now}
	default:
		h.seen.End, h.seen.Peak = now, max(h.seen.Peak, now)
	}
}

// unknown says why nothing is known; empty: it is known.
func (h *holding) unknown() string {
	if h.err == nil {
		return ""
	}
	return h.err.Error()
}

// holdingsOf returns what watches both servers.
func holdingsOf(contests [2]contest) (all [2]holding) {
	for side, c := range contests {
		if all[side].gauge = c.memory; c.server == nil {
			all[side].err = errLivesOn
		}
	}
	return all
}

// memoryLookAfter reports whether to look at the memory after so many of n pairs of slices.
func memoryLookAfter(done, n int) bool { return done*memoryLooks/n > (done-1)*memoryLooks/n }
