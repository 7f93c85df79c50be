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
		s, err := Open(t.Context(), Func(func(context.Context) error { time.Sleep(10 * time.Millisecond); return nil }), 3, time.Second)
		require.NoError(t, err)
		defer s.Close()
		var sum Slice
		for _, length := range []time.Duration{time.Millisecond, 25 * time.Millisecond, 100 * time.Millisecond} {
			begun := time.Now()
			slice, err := s.Slice(length)
			require.NoError(t, err)
			each := (length + 9*time.Millisecond) / (10 * time.Millisecond) // every VU finishes its last request
			require.Equal(t, Slice{Requests: uint64(3 * each), Busy: 3 * each * 10 * time.Millisecond}, slice)
			require.Equal(t, each*10*time.Millisecond, time.Since(begun))
			sum.Add(slice)
			time.Sleep(time.Second) // rest
		}
		require.Equal(t, 300.0, sum.Throughput(3))
		m := s.Take()
		require.EqualValues(t, sum.Requests, m.Requests)
		require.Equal(t, 10*time.Millisecond, m.Mean())
		require.Zero(t, s.Take().Requests)
		slice, err := s.Slice(10 * time.Millisecond)
		require.NoError(t, err)
		require.EqualValues(t, 3, slice.Requests, "Take does not disturb what a slice counts")
	})
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
				require.Positive(t, slice.Busy)
				sum.Add(slice)
			}
			s.Close()
			require.Zero(t, sum.Failures)
			require.EqualValues(t, served.Load(), sum.Requests)
			require.EqualValues(t, 4, connections.Load(), "connections are kept between slices")
		})
	}
}

// TestSliceAfterTheServerClosed holds that a connection that the server ended while it was at rest is no failure.
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
	_, err := Open(t.Context(), Func(func(context.Context) error { return nil }), 0, time.Second)
	require.ErrorContains(t, err, "0 VUs")
}
