package result

import (
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The tail of a duel is judged by how many requests of each side are slow, not by how slow the 99th
// percentile of a block is: a number of requests scatters like any count, while a percentile of a
// block lies wherever the machine's own pauses put it. In blocks of 2300 requests on two shared
// cores, whose machine compiled meanwhile, a block's ratio of slow requests scattered by 28 to 37
// %, as 20 of each side should (30 %), and the test for them needs to tell 1.5 times as many; that
// of 99th percentiles scattered by 15 to 37 %, and has to tell 1.1 times as long.

// slowFactor is how much longer than the 99th percentile a slow request takes. Where all requests
// take about the same time, a body that is slower by less than its margin would otherwise be all
// tail.
const slowFactor = 1.1

// slowAfter is the time after which a request is slow: a tenth more than the 99th percentile of
// that side of the blocks whose percentile is smaller. So it is the same for both sides, whichever
// is called the candidate, and a side of which more than a hundredth is slow does not raise it. 0:
// not known.
func slowAfter(blocks []Block) time.Duration {
	least := time.Duration(math.MaxInt64)
	for side := range SideNames {
		var all *hdrhistogram.Histogram
		for _, b := range blocks {
			switch h := b.Sides[side].Latency; {
			case h == nil:
				return 0
			case all == nil:
				all = hdrhistogram.Import(h.Export())
			default:
				all.Merge(h)
			}
		}
		if all == nil || all.TotalCount() == 0 {
			return 0
		}
		least = min(least, time.Duration(all.ValueAtQuantile(99))*time.Microsecond)
	}
	return time.Duration(slowFactor * float64(least))
}

// slowShares are the shares of requests that were slow.
func slowShares(blocks []Block) [][2]float64 {
	after := slowAfter(blocks)
	return each(func(s Side) float64 {
		if after == 0 || s.Requests == 0 {
			return math.NaN()
		}
		return float64(above(s.Latency, int64(after/time.Microsecond))) / float64(s.Requests)
	})(blocks)
}

// above counts what h has in the bins after that of a value. To list its bins, as the package does,
// would take a megabyte each time.
func above(h *hdrhistogram.Histogram, value int64) (n int64) {
	bin := hdrhistogram.New(h.LowestTrackableValue(), h.HighestTrackableValue(), int(h.SignificantFigures()))
	if bin.RecordValue(value) != nil { // beyond all
		return 0
	}
	after := false
	of := bin.Export().Counts
	for i, count := range h.Export().Counts {
		if after {
			n += count
		}
		after = after || of[i] > 0
	}
	return n
}
