//go:build linux

package prefork

import "time"

const (
	firstDelay = 100 * time.Millisecond
	maxDelay   = 30 * time.Second
	// healthy is how long a worker must have been ready for its death not to count as one in a row.
	// Time spent healthy resets the delay, not a count over the life of the master: a worker that dies
	// once a day is worth the first delay every day.
	healthy = 10 * time.Second
)

// delay is how long to wait before a worker is started again after so many failures in a row: 100
// ms, doubled for each further failure, up to 30 s, of which a random part of up to a half is taken
// off. r is that part's random number, in [0, 1). Without failures there is no delay.
//
// The usual full jitter (anything from 0 to the delay) was rejected: several draws near 0 in a row
// would let a worker that dies at once spin. Half is enough to keep workers that died together from
// starting together.
func delay(failures int, r float64) time.Duration {
	if failures <= 0 {
		return 0
	}
	d := maxDelay
	if n := failures - 1; n < 10 { // 100 ms × 2^9 is more than the maximum already
		d = min(d, firstDelay<<n)
	}
	return d - time.Duration(r*float64(d/2))
}
