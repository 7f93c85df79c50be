//go:build linux

package prefork

// load is what a worker must know of another (or of itself) to take turns.
type load struct {
	open uint64 // connections
	out  bool   // not to be counted on: it is not ready, leaves, or missed its turn
}

// yields reports whether worker self has to leave the connections in the queue to others.
//
// Connections go out one at a time, each to the worker with the fewest open, the lowest slot first
// among equals. self has a turn if one of the queued connections is its own by that rule. For one
// connection that is exactly one worker; for more, several workers may accept at the same time
// without asking each other. Until self is served, worker i before it gets as many connections as
// it has fewer than self, and one more on a tie that it wins; if those make up the queue, nothing
// is left for self.
//
// The loads must have been read before the length of the queue. A connection that another worker
// takes in between is then missing in the queue and not yet in the loads, and self yields once too
// often, which costs a look. The other way round it would be counted as still to come, and self
// would take a connection that belongs to a worker with fewer.
func yields(self int, loads []load, queued int) bool {
	mine, before := loads[self].open, 0
	for i, l := range loads {
		if i == self || l.out || l.open > mine {
			continue
		}
		before += int(mine - l.open)
		if i < self {
			before++
		}
	}
	return before >= queued
}

// first returns the worker whose turn is before all others', self aside, or -1 if nobody else takes
// part.
func first(self int, loads []load) int {
	at := -1
	for i, l := range loads {
		if i != self && !l.out && (at < 0 || l.open < loads[at].open) {
			at = i
		}
	}
	return at
}
