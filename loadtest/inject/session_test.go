package inject

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSlices cuts load on a server whose requests take exactly 10 ms.
func TestSlices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(t.Context(), Func(func(context.Context) error { time.Sleep(10 * time.Millisecond); return nil }), 3,
			time.Second)
		require.NoError(t, err)
		defer s.Close()
		var sum Slice
		made := 0
		for length, each := range map[time.Duration]int{ // of which the first is not timed
			time.Millisecond:       2,
			25 * time.Millisecond:  3,
			100 * time.Millisecond: 10,
		} {
			begun := time.Now()
			slice, err := s.Slice(length)
			require.NoError(t, err)
			timed := each - 1
			require.Equal(t, Slice{Requests: uint64(3 * timed), Spent: time.Duration(3*timed) * 10 * time.Millisecond}, slice)
			// All end at once; who is through first has begun one more by then.
			require.InDelta(t, time.Duration(each)*10*time.Millisecond, time.Since(begun), float64(10*time.Millisecond))
			sum.Add(slice)
			made += 3 * each
			time.Sleep(time.Second) // rest
		}
		require.Equal(t, 300.0, sum.Throughput(3))
		m := s.Take()
		require.EqualValues(t, sum.Requests, m.Requests)
		require.InDelta(t, made, m.Completed, 3*2)
		require.Equal(t, 10*time.Millisecond, m.Mean())
		require.Zero(t, s.Take().Requests)
		slice, err := s.Slice(10 * time.Millisecond)
		require.NoError(t, err)
		require.EqualValues(t, 3, slice.Requests, "Take does not disturb what a slice counts")
	})
}

// TestSliceIsTimedUnderFullLoad holds that slices see the whole of a difference where VUs share a
// server, however short they are. Bug: the first request of a VU was timed, and met a server that
// had nothing else to do; and who was through last had it to himself, for as long as the others
// rested. So of 5 % more in a request a slice of 3 latencies saw 3 %.
func TestSliceIsTimedUnderFullLoad(t *testing.T) {
	for name, server := range map[string]func(time.Duration) func(context.Context) error{"one at a time": queue,
		"all at once": shared} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const vus = 3
				for _, work := range []time.Duration{10 * time.Millisecond, 10500 * time.Microsecond} {
					for _, length := range []time.Duration{time.Millisecond, 35 * time.Millisecond, 90 * time.Millisecond,
						100 * time.Millisecond} {
						s, err := Open(t.Context(), Func(server(work)), vus, time.Minute)
						require.NoError(t, err)
						var sum Slice
						for range 10 {
							slice, err := s.Slice(length)
							require.NoError(t, err)
							sum.Add(slice)
						}
						s.Close()
						require.InEpsilon(t, 1/work.Seconds(), sum.Throughput(vus), 0.001, "requests of %v in slices of %v", work, length)
					}
				}
			})
		})
	}
}

// TestSliceDoesNotWaitForOneThatHangs holds that VUs that are through do not go on for as long as
// another one hangs.
func TestSliceDoesNotWaitForOneThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var made atomic.Int64
		s, err := Open(t.Context(), Func(func(ctx context.Context) error {
			if made.Add(1) == 10 {
				<-ctx.Done()
				return ctx.Err()
			}
			time.Sleep(time.Millisecond)
			return nil
		}), 2, 10*time.Second)
		require.NoError(t, err)
		defer s.Close()
		begun := time.Now()
		slice, err := s.Slice(20 * time.Millisecond)
		require.NoError(t, err)
		require.EqualValues(t, 1, slice.Failures)
		require.InDelta(t, 20, slice.Requests, 10)
		require.GreaterOrEqual(t, time.Since(begun), 10*time.Second)
		require.InDelta(t, restAfter*20, made.Load(), 20)
	})
}

// queue is a server that does one request after the other, each of which takes so long.
func queue(work time.Duration) func(context.Context) error {
	turn := make(chan struct{}, 1)
	return func(context.Context) error {
		turn <- struct{}{}
		time.Sleep(work)
		<-turn
		return nil
	}
}

// shared is a server that does all requests at once, a little of each in turns, and would need so
// long for one alone.
func shared(work time.Duration) func(context.Context) error {
	step := queue(10 * time.Microsecond)
	return func(ctx context.Context) error {
		for done := time.Duration(0); done < work; done += 10 * time.Microsecond {
			if err := step(ctx); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestSlicesOverConnections(t *testing.T) {
	for name, blocking := range map[string]bool{"event loop": false, "goroutines": true} {
		t.Run(name, func(t *testing.T) {
			var served, connections atomic.Int64
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				served.Add(1)
				io.WriteString(w, "hello")
			}))
			server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
				if s == http.StateNew {
					connections.Add(1)
				}
			}
			server.Start()
			defer server.Close()
			h := target(t, server.URL)
			h.blocking = blocking
			s, err := Open(t.Context(), h, 4, 5*time.Second)
			require.NoError(t, err)
			var sum Slice
			for range 20 {
				slice, err := s.Slice(2 * time.Millisecond)
				require.NoError(t, err)
				require.GreaterOrEqual(t, slice.Requests, uint64(4))
				require.Positive(t, slice.Spent)
				sum.Add(slice)
			}
			defer s.Close()
			m := s.Take()
			require.Zero(t, sum.Failures)
			require.EqualValues(t, served.Load(), m.Completed)
			require.EqualValues(t, sum.Requests, m.Requests)
			require.GreaterOrEqual(t, m.Completed, m.Requests+20*4, "the first request of a VU in a slice is not timed")
			require.EqualValues(t, 4, connections.Load(), "connections are kept between slices")
		})
	}
}

// TestSliceAfterTheServerClosed holds that a connection that the server ended while it was at rest
// is no failure.
func TestSliceAfterTheServerClosed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	s, err := Open(t.Context(), target(t, server.URL), 4, 5*time.Second)
	require.NoError(t, err)
	defer s.Close()
	for range 3 {
		slice, err := s.Slice(5 * time.Millisecond)
		require.NoError(t, err)
		require.Zero(t, slice.Failures)
		require.Positive(t, slice.Requests)
		server.CloseClientConnections()
	}
}

func TestSessionIsCanceled(t *testing.T) {
	begun := make(chan struct{}, 8)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		<-r.Context().Done()
	}))
	defer server.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	s, err := Open(ctx, target(t, server.URL), 4, time.Minute)
	require.NoError(t, err)
	go func() {
		<-begun
		cancel(why)
	}()
	_, err = s.Slice(time.Minute)
	require.ErrorIs(t, err, why)
	s.Close()
	require.Zero(t, s.Take().Failures.Total(), "what an interrupt breaks is no failure")
}

func TestOpenRefuses(t *testing.T) {
	_, err := Open(t.Context(), nil, 1, time.Second)
	require.ErrorContains(t, err, "no target")
	_, err = Open(t.Context(), Func(func(context.Context) error { return nil }), 0, time.Second)
	require.ErrorContains(t, err, "0 VUs")
}
