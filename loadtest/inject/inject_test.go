package inject

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLoadRefuses(t *testing.T) {
	good := Load{VUs: 1, Window: time.Second, Timeout: time.Second}
	for want, change := range map[string]func(*Load){
		"0 VUs": func(l *Load) { l.VUs = 0 }, "window of 0s": func(l *Load) { l.Window = 0 },
		"warm-up of -1s": func(l *Load) { l.Warmup = -time.Second }, "timeout of 0s": func(l *Load) { l.Timeout = 0 },
	} {
		l := good
		change(&l)
		_, err := Run(t.Context(), Func(func(context.Context) error { return nil }), l)
		require.ErrorContains(t, err, want)
	}
}

// TestWindow counts requests of exactly 10 ms around the edges of a window.
func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started := time.Now()
		var edges []time.Duration
		m, err := Run(t.Context(), Func(func(context.Context) error { time.Sleep(10 * time.Millisecond); return nil }), Load{
			VUs: 3, Warmup: 100 * time.Millisecond, Window: time.Second, Timeout: time.Second,
			OnEdge: func() { edges = append(edges, time.Since(started)) },
		})
		require.NoError(t, err)
		require.Equal(t, []time.Duration{100 * time.Millisecond, 1100 * time.Millisecond}, edges)
		require.EqualValues(t, 300, m.Requests)
		require.EqualValues(t, 330, m.Completed, "3 VUs for 1.1 s")
		require.Equal(t, 3*time.Second, m.LatencySum)
		require.Equal(t, 10*time.Millisecond, m.Mean())
		require.Equal(t, 300.0, m.Throughput())
	})
}

// TestLateAnswer holds that an answer after the timeout is a failure, although it is a good answer.
func TestLateAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := Run(t.Context(), Func(func(context.Context) error { time.Sleep(150 * time.Millisecond); return nil }),
			Load{VUs: 1, Window: time.Second, Timeout: 100 * time.Millisecond})
		require.NoError(t, err)
		require.Zero(t, m.Requests)
		require.Equal(t, map[string]uint64{"timeout": 7}, m.Failures.ByName())
	})
}

func TestOneFailsOthersDoNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		m, err := Run(t.Context(), Func(func(context.Context) error {
			time.Sleep(10 * time.Millisecond)
			if n++; n%10 == 0 {
				return errors.New("every tenth")
			}
			return nil
		}), Load{VUs: 1, Window: time.Second, Timeout: time.Second})
		require.NoError(t, err)
		require.EqualValues(t, 10, m.Failures.Total())
		require.EqualValues(t, 90, m.Completed)
		require.EqualValues(t, m.Requests, m.Latency.TotalCount(), "failures have no latency")
	})
}

// interrupted is a target whose VU is interrupted while it connects, after a number of connections.
type interrupted struct {
	left   int
	cancel context.CancelFunc
}

func (i *interrupted) NewVU(time.Duration) VU { return i }
func (i *interrupted) Connect(context.Context) Class {
	if i.left--; i.left >= 0 {
		return OK
	}
	i.cancel()
	return Dial
}
func (*interrupted) Connected() bool        { return false }
func (*interrupted) Do(time.Duration) Class { return OK }
func (*interrupted) Interrupt()             {}
func (*interrupted) Close()                 {}

// TestInterruptWhileConnecting holds that a connection that an interrupt broke off is no failure,
// also where the VU hears of the interrupt before anybody else: before the gun, and between two
// requests.
func TestInterruptWhileConnecting(t *testing.T) {
	for _, connections := range []int{0, 5} {
		for range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			m, err := Run(ctx, &interrupted{left: connections, cancel: cancel},
				Load{VUs: 1, Window: time.Minute, Timeout: time.Minute})
			require.ErrorIs(t, err, context.Canceled)
			require.Zero(t, m.Failures.Total(), "%v", m.Failures.ByName())
		}
	}
}
