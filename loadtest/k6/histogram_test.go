package k6

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"
)

// sink computes what k6's Trend computes, from latencies in milliseconds.
func sink(ms []float64) map[string]float64 {
	ms = slices.Sorted(slices.Values(ms))
	n, sum := len(ms), 0.0
	for _, v := range ms {
		sum += v
	}
	stats := map[string]float64{"count": float64(n), "avg": sum / float64(n), "min": ms[0], "max": ms[n-1]}
	for _, q := range quantiles {
		place := q * float64(n-1)
		low, high := ms[int(math.Floor(place))], ms[int(math.Ceil(place))]
		stats[percentile(q)] = low + (high-low)*(place-math.Floor(place))
	}
	return stats
}

func TestPercentileNames(t *testing.T) {
	names := trendStats()
	require.Equal(t, []string{"count", "avg", "min", "max", "p(0.1)", "p(0.2)"}, names[:6])
	for _, name := range []string{"p(50)", "p(95)", "p(99)", "p(99.9)", "p(99.95)", "p(99.999)"} {
		require.Contains(t, names, name)
	}
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(names))), len(names))
	require.True(t, slices.IsSorted(quantiles))
}

// TestHistogram rebuilds histograms of random latencies of many shapes.
func TestHistogram(t *testing.T) {
	const timeout = 10 * time.Second
	shapes := map[string]func(r *rand.Rand) float64{
		"uniform":     func(r *rand.Rand) float64 { return 1 + 10*r.Float64() },
		"exponential": func(r *rand.Rand) float64 { return 0.05 + r.ExpFloat64() },
		"log-normal":  func(r *rand.Rand) float64 { return math.Exp(r.NormFloat64()) },
		"two humps":   func(r *rand.Rand) float64 { return []float64{0.2, 300}[r.IntN(2)] * (1 + r.Float64()/10) },
		"one value":   func(*rand.Rand) float64 { return 5 },
		"rare stalls": func(r *rand.Rand) float64 { return 1 + float64(r.IntN(300)/299)*5000*r.Float64() },
		"too fast":    func(r *rand.Rand) float64 { return r.Float64() / 1e4 },
		"too slow":    func(r *rand.Rand) float64 { return 9999 + 3*r.Float64() },
	}
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			r := rand.New(rand.NewPCG(seed, 0))
			for range 20 {
				n := 1 + int(math.Exp(r.Float64()*math.Log(5000)))
				ms := make([]float64, n)
				for i := range ms {
					ms[i] = shape(r)
				}
				stats := sink(ms)
				h := histogram(stats, timeout)
				require.EqualValues(t, n, h.TotalCount())
				if n < 200 {
					continue // p99 is one of the two slowest
				}
				// What one value becomes in a histogram is what it has to be here.
				as := func(ms float64) int64 {
					one := hdrhistogram.New(1, timeout.Microseconds()+1, 3)
					require.NoError(t, one.RecordValue(min(max(int64(math.Round(1000*ms)), 1), timeout.Microseconds()+1)))
					return one.Max()
				}
				require.Equal(t, as(stats["p(50)"]), h.ValueAtQuantile(50))
				require.Equal(t, as(stats["p(95)"]), h.ValueAtQuantile(95))
				require.Equal(t, as(stats["p(99)"]), h.ValueAtQuantile(99))
				require.Equal(t, as(stats["max"]), h.Max())
				// Elsewhere no latency is off by more than the place of a neighboring percentile.
				slices.Sort(ms)
				for _, q := range []float64{0.1, 0.25, 0.333, 0.75, 0.9, 0.999} {
					at, wide := q*float64(n), float64(n)/1000+2
					low, high := ms[max(0, int(at-wide))], ms[min(n-1, int(at+wide))]
					got := h.ValueAtQuantile(100 * q)
					require.GreaterOrEqual(t, got, as(low)-1-as(low)/1000, q)
					require.LessOrEqual(t, got, as(high)+1+as(high)/1000, q)
				}
			}
		})
	}
}

func TestHistogramOfNothing(t *testing.T) {
	require.Zero(t, histogram(nil, time.Second).TotalCount())
}
