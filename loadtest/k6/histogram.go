package k6

import (
	"math"
	"strconv"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// quantiles are the shares of requests of which k6 is asked the latency: every tenth of a percent,
// and closer where a few slow requests make the curve steep.
var quantiles = func() []float64 {
	var q []float64
	for i := range 999 {
		q = append(q, float64(i+1)/1000)
	}
	for i := range 9 {
		q = append(q, (9990+float64(i+1))/10000)
	}
	for i := range 9 {
		q = append(q, (99990+float64(i+1))/100000)
	}
	return q
}()

// trendStats are the statistics of latency that k6 is asked for, by the names that k6 has for them.
func trendStats() []string {
	stats := []string{"count", "avg", "min", "max"}
	for _, q := range quantiles {
		stats = append(stats, percentile(q))
	}
	return stats
}

// percentile is k6's name for a quantile.
func percentile(q float64) string {
	return "p(" + strconv.FormatFloat(math.Round(q*1e5)/1e3, 'f', -1, 64) + ")"
}

// exact are the quantiles that the histogram gives as k6 does, because reports show them.
var exact = []float64{0.50, 0.95, 0.99}

// histogram rebuilds a histogram of latencies in microseconds, up to timeout, from k6's statistics
// in milliseconds. The number of requests, the lowest and the highest latency are exact; p50, p95
// and p99 are k6's (with so few requests that one of them is the fastest or the slowest request
// itself, that one wins). In between, requests are spread evenly between neighboring percentiles:
// the shape is interpolated there. k6 keeps no histogram that could be had instead, and to have
// each request written to a file would cost the processor time of another request.
func histogram(stats map[string]float64, timeout time.Duration) *hdrhistogram.Histogram {
	const significant = 3
	highest := max(timeout.Microseconds()+1, 2)
	h := hdrhistogram.New(1, highest, significant)
	n := int(stats["count"])
	if n == 0 {
		return h
	}
	pinned := make(map[int]float64)
	for _, q := range exact {
		pinned[rank(q, n)] = stats[percentile(q)]
	}
	pinned[0] = stats["min"]
	pinned[n-1] = stats["max"]

	// k6 says that the quantile q is at the place q × (n-1) of all latencies in order, counted from 0.
	left, leftValue := 0.0, stats["min"]
	i := 0
	for r := range n {
		right, rightValue := 1.0, stats["max"]
		for ; i < len(quantiles); i++ {
			if right, rightValue = quantiles[i], stats[percentile(quantiles[i])]; right*float64(n-1) >= float64(r) {
				break
			}
			left, leftValue = right, rightValue
			right, rightValue = 1, stats["max"]
		}
		v, ok := pinned[r]
		if !ok {
			share := (float64(r)/float64(n-1) - left) / (right - left)
			v = leftValue + share*(rightValue-leftValue)
		}
		us := min(max(int64(math.Round(v*1000)), 1), highest)
		// Cannot fail: the value is in the range of the histogram.
		_ = h.RecordValue(us)
	}
	return h
}

// rank is the place at which the histogram looks for a quantile of n values, counted from 0.
func rank(q float64, n int) int {
	return max(int(q*float64(n)+0.5), 1) - 1
}
