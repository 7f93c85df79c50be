package loadtest

import "time"

// The rule of slices. A slice is as short as it can be, so that whatever else the machine does hits
// both sides, and still long enough that what is not timed, the first request of a VU and what it
// does while others are not through, is the smaller part.
const (
	shortestSlice     = time.Millisecond
	latenciesPerSlice = 3 // length of a slice in median latencies
	fewestPairs       = 10
)

// sliceLength is how long a slice should be on servers whose slower median latency is p50.
func sliceLength(p50 time.Duration) time.Duration { return max(shortestSlice, latenciesPerSlice*p50) }

// pairsFor is how many pairs of slices put load on each side for a time.
func pairsFor(side, slice time.Duration) int {
	return max(fewestPairs, int((side+slice-1)/slice))
}
