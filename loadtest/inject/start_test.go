package inject

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// slowly is a target whose VUs take a while to connect.
type slowly struct {
	connecting time.Duration
	begun      *[]time.Time // when they began to
}

func (s slowly) NewVU(time.Duration) VU { return &slow{slowly: s} }

type slow struct {
	slowly
	connected bool
}

func (s *slow) Connect(context.Context) Class {
	*s.begun = append(*s.begun, time.Now())
	time.Sleep(s.connecting)
	s.connected = true
	return OK
}
func (s *slow) Connected() bool      { return s.connected }
func (*slow) Do(time.Duration) Class { time.Sleep(10 * time.Millisecond); return OK }
func (*slow) Interrupt()             {}
func (*slow) Close()                 {}

// withFakeNap lets the clock of a bubble of synctest decide how long a nap is.
func withFakeNap(t *testing.T) {
	previous := nap
	nap = time.Sleep
	t.Cleanup(func() { nap = previous })
}

func TestStart(t *testing.T) {
	withFakeNap(t)
	for ahead, connects := range map[time.Duration]time.Duration{ // both from now
		time.Second:      0,
		30 * time.Minute: 30*time.Minute - 5*time.Second - 5*time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			now := time.Now()
			var begun []time.Time
			var edges []time.Duration
			m, err := Run(t.Context(), slowly{300 * time.Millisecond, &begun}, Load{
				VUs: 1, Warmup: 100 * time.Millisecond, Window: time.Second, Timeout: time.Second, Start: now.Add(ahead).Round(0),
				OnEdge: func() { edges = append(edges, time.Since(now)) },
			})
			require.NoError(t, err)
			require.Equal(t, []time.Time{now.Add(connects)}, begun)
			require.True(t, m.Started.Equal(now.Add(ahead)))
			require.Equal(t, []time.Duration{ahead + 100*time.Millisecond, ahead + 1100*time.Millisecond}, edges)
			require.EqualValues(t, 100, m.Requests)
		})
	}
}

func TestStartTooLate(t *testing.T) {
	withFakeNap(t)
	for want, ahead := range map[string]time.Duration{
		"by 1.2s: there was no time to connect; choose a later start, or compare the clocks": -1200 * time.Millisecond,
		"by 0s: there was no time to connect":                                                0,
		"by 200ms: it took that much longer to connect 1 VUs":                                100 * time.Millisecond,
		"by 0s: it took that much longer to connect 1 VUs":                                   300 * time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			var begun []time.Time
			m, err := Run(t.Context(), slowly{300 * time.Millisecond, &begun}, Load{
				VUs: 1, Window: time.Second, Timeout: time.Second, Start: time.Now().Add(ahead).Round(0),
				OnEdge: func() { t.Error("a window") },
			})
			var late *LateError
			require.ErrorAs(t, err, &late)
			require.ErrorContains(t, err, want)
			require.Zero(t, m.Window)
			require.Zero(t, m.Completed)
		})
	}
}

// TestInterruptBeforeStart interrupts a load that waits: before its VUs connect, and after.
func TestInterruptBeforeStart(t *testing.T) {
	withFakeNap(t)
	for _, ahead := range []time.Duration{time.Minute, 2 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			var begun []time.Time
			m, err := Run(ctx, slowly{300 * time.Millisecond, &begun},
				Load{VUs: 1, Window: time.Second, Timeout: time.Second, Start: began.Add(ahead).Round(0)})
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, time.Second, time.Since(began))
			require.Zero(t, m.Completed)
		})
	}
}

// TestStartForReal fires the gun of both ways to drive VUs. A machine that does something else may
// be late for it.
func TestStartForReal(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	u, err := url.Parse(server.URL)
	require.NoError(t, err)
	h, err := NewHTTP(HTTPConfig{URL: u})
	require.NoError(t, err)
	for name, target := range map[string]Target{
		"loop":       h,
		"goroutines": Func(func(context.Context) error { time.Sleep(time.Millisecond); return nil }),
	} {
		t.Run(name, func(t *testing.T) {
			best := time.Hour
			for range 5 {
				start := time.Now().Add(50 * time.Millisecond).Round(0)
				m, err := Run(t.Context(), target, Load{VUs: 4, Window: 20 * time.Millisecond, Timeout: time.Second, Start: start})
				require.NoError(t, err)
				require.Positive(t, m.Requests)
				skew := m.Started.Sub(start)
				require.GreaterOrEqual(t, skew, time.Duration(0), "never before the start")
				best = min(best, skew)
			}
			t.Logf("best skew of 5: %v", best)
			require.Less(t, best, time.Millisecond)
		})
	}
}
