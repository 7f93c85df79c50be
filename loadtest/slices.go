package loadtest

import (
	"cmp"
	"slices"
	"time"

	"rampart/loadtest/inject"
)

// The rule of slices. A slice is as short as it can be, so that whatever else the machine does hits both sides, and still long
// enough that what is not timed, the first request of a VU and what it does while others are not through, is the smaller part.
const (
	shortestSlice     = time.Millisecond
	latenciesPerSlice = 3 // length of a slice in median latencies
	fewestPairs       = 10
	stolenPairShare   = 0.1
)

// sliceLength is how long a slice should be on servers whose slower median latency is p50.
func sliceLength(p50 time.Duration) time.Duration { return max(shortestSlice, latenciesPerSlice*p50) }

// pairsFor is how many pairs of slices put load on each side for a time.
func pairsFor(side, slice time.Duration) int {
	return max(fewestPairs, int((side+slice-1)/slice))
}

// pair is two slices, one of each side, that were taken one right after the other.
type pair [2]inject.Slice

// keep drops the tenth of pairs in which requests took longest: the machine was busy with something else. Both slices of a
// pair go, whichever was hit, and what counts is the sum of their slowness, in which neither side weighs more. So where both
// sides are the same, none gains; and where they differ, both lose alike.
func keep(pairs []pair) []pair {
	kept := slices.Clone(pairs)
	var usual [2]float64
	for side := range usual {
		var all []float64
		for _, p := range pairs {
			all = append(all, perRequest(p[side]))
		}
		slices.Sort(all)
		usual[side] = all[len(all)/2]
	}
	slowness := func(p pair) float64 { return perRequest(p[0])/usual[0] + perRequest(p[1])/usual[1] }
	slices.SortStableFunc(kept, func(a, b pair) int { return cmp.Compare(slowness(a), slowness(b)) })
	return kept[:len(kept)-int(stolenPairShare*float64(len(kept)))]
}

func perRequest(s inject.Slice) float64 { return float64(s.Busy) / float64(max(s.Requests, 1)) }
