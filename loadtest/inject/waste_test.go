package inject

import (
	"context"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWaste holds that exactly the share of the timed requests counts for nothing, however short
// slices are, and that their time is that of the VUs.
func TestWaste(t *testing.T) {
	const vus, each = 3, 10 * time.Millisecond
	for _, share := range []float64{0, 0.03, 0.05, 0.1, 0.6} {
		for _, length := range []time.Duration{time.Millisecond, 35 * time.Millisecond, 200 * time.Millisecond} {
			synctest.Test(t, func(t *testing.T) {
				var made atomic.Int64
				s, err := Open(t.Context(), Func(func(context.Context) error {
					made.Add(1)
					time.Sleep(each)
					return nil
				}), vus, time.Second)
				require.NoError(t, err)
				defer s.Close()
				require.NoError(t, s.Waste(share, 7))
				var sum Slice
				for range 200 {
					slice, err := s.Slice(length)
					require.NoError(t, err)
					sum.Add(slice)
				}
				m := s.Take()
				timed := m.Requests + m.Wasted
				require.InDelta(t, share*float64(timed), m.Wasted, vus, "one for each driver")
				require.Equal(t, time.Duration(timed)*each, sum.Spent)
				require.Equal(t, time.Duration(m.Wasted)*each, m.WastedSum)
				require.Equal(t, each, m.Mean(), "latency is that of what counts")
				require.EqualValues(t, m.Requests, m.Latency.TotalCount())
				require.InEpsilon(t, vus/each.Seconds()*(1-share), sum.Throughput(vus), 2*vus/float64(timed)/(1-share)+1e-9)
				require.InDelta(t, (1-share)*float64(made.Load()), m.Completed, 2*vus+1, "of all that were made")
			})
		}
	}
}

// TestWasteOverConnections holds it for the drivers of real requests, by what the server counts.
func TestWasteOverConnections(t *testing.T) {
	for name, blocking := range map[string]bool{"event loop": false, "goroutines": true} {
		t.Run(name, func(t *testing.T) {
			var served atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				served.Add(1)
				io.WriteString(w, "hello")
			}))
			defer server.Close()
			h := target(t, server.URL)
			h.blocking = blocking
			const vus, share = 4, 0.2
			s, err := Open(t.Context(), h, vus, 5*time.Second)
			require.NoError(t, err)
			defer s.Close()
			require.NoError(t, s.Waste(share, 7))
			var sum Slice
			for range 50 {
				slice, err := s.Slice(2 * time.Millisecond)
				require.NoError(t, err)
				sum.Add(slice)
			}
			m := s.Take()
			require.Zero(t, m.Failures.Total())
			require.EqualValues(t, sum.Requests, m.Requests)
			require.InDelta(t, share*float64(m.Requests+m.Wasted), m.Wasted, vus)
			require.InDelta(t, (1-share)*float64(served.Load()), m.Completed, 2*vus+1)
			require.EqualValues(t, len("hello"), m.Bodies/int64(m.Completed))
			require.Equal(t, sum.Spent, m.LatencySum+m.WastedSum+m.ConnectSum)
		})
	}
}

// TestWasteIsDrawn holds that no place in a pattern is met more often than another, so that what
// comes at regular times, such as the first request of a slice, is met as often as all.
func TestWasteIsDrawn(t *testing.T) {
	const share, period, rounds = 0.05, 20, 20000
	random := rand.New(rand.NewPCG(1, 2))
	w := newWaste(share, random)
	var met [period]int
	for range rounds {
		for at := range period {
			if w.draws(timed) {
				met[at]++
			}
		}
	}
	// The number at a place has no more than the spread of independent draws.
	spread := math.Sqrt(rounds * share * (1 - share))
	for _, n := range met {
		require.InDelta(t, rounds*share, n, 5*spread)
	}
}

func TestWasteRefuses(t *testing.T) {
	s, err := Open(t.Context(), Func(func(context.Context) error { return nil }), 1, time.Second)
	require.NoError(t, err)
	defer s.Close()
	for _, share := range []float64{-0.1, 1, math.NaN()} {
		require.ErrorContains(t, s.Waste(share, 1), "want 0 or more, and less than 1")
	}
}
