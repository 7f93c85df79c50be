//go:build !load

package loadtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/capacity"
	"rampart/loadtest/inject"
	"rampart/loadtest/report"
)

// slots is a server that serves so many requests at a time, each for the same time. In a bubble of
// synctest its capacity is known exactly: slots / service.
func slots(n int, service time.Duration) func(context.Context) error {
	free := make(chan struct{}, n)
	return func(ctx context.Context) error {
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		defer func() { <-free }()
		time.Sleep(service)
		return nil
	}
}

func TestRampFindsCapacityAndKnee(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED by -short: a simulation of one goroutine at a time")
	}
	for _, tt := range []struct {
		slots    int
		service  time.Duration
		capacity float64
		knee     int
		levels   int
	}{
		{1, 10 * time.Millisecond, 100, 1, 2},
		{2, 10 * time.Millisecond, 200, 2, 3},
		{4, 10 * time.Millisecond, 400, 4, 4},
		{5, 10 * time.Millisecond, 500, 8, 5}, // 4 VUs leave a slot idle, 8 do not
		{64, 50 * time.Millisecond, 1280, 64, 8},
	} {
		t.Run(fmt.Sprintf("slots=%d", tt.slots), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				result, err := Ramp{Rule: RuleClassic, Experiment: Experiment{
					Target: Func(slots(tt.slots, tt.service)),
					Window: 30 * time.Second,
					Warmup: 2 * time.Second,
				}}.Run(t.Context())
				require.NoError(t, err)
				require.Equal(t, capacity.Knee, result.Stop.Reason)
				require.Len(t, result.Levels, tt.levels)

				best, ok := result.Capacity()
				require.True(t, ok)
				require.Equal(t, tt.capacity, best.Throughput())
				knee, ok := result.Knee()
				require.True(t, ok)
				require.Equal(t, tt.knee, knee)

				for _, l := range result.Levels {
					require.Empty(t, l.Doubts)
					require.Zero(t, l.Failures.Total())
					want := tt.service * time.Duration(max(l.VUs, tt.slots)) / time.Duration(tt.slots)
					if l.VUs <= tt.slots || l.VUs%tt.slots == 0 {
						require.Equal(t, want, l.Mean())
						require.InEpsilon(t, want, l.Quantile(0.95), 1e-3)
					}
				}
				perLevel := 32*time.Second + 16*tt.service // what is under way when the window closes may finish
				require.LessOrEqual(t, time.Since(begun), time.Duration(tt.levels)*perLevel)
			})
		})
	}
}

func TestRampStops(t *testing.T) {
	ten := 10 * time.Millisecond
	t.Run("at MaxVUs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			result, err := Ramp{
				Rule: RuleClassic, Experiment: Experiment{Target: Func(slots(100, ten))}, MaxVUs: 6,
			}.Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, capacity.MaxVUs, result.Stop.Reason)
			require.Len(t, result.Accepted(), 3)
			_, ok := result.Knee()
			require.False(t, ok, "the knee was not reached")
		})
	})
	t.Run("at failures", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			serve := slots(100, ten)
			busy := make(chan struct{}, 3)
			result, err := Ramp{Rule: RuleClassic, Experiment: Experiment{Target: Func(func(ctx context.Context) error {
				select {
				case busy <- struct{}{}:
					defer func() { <-busy }()
					return serve(ctx)
				default:
					time.Sleep(ten)
					return errors.New("busy")
				}
			})}}.Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, capacity.RequestsFailed, result.Stop.Reason)
			require.Len(t, result.Levels, 3)
			require.Len(t, result.Accepted(), 2)
			require.Equal(t, map[string]uint64{"body": 3000}, result.Levels[2].Failures.ByName(), "one VU of four for 30 s")
		})
	})
	t.Run("when a request hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			result, err := Ramp{Rule: RuleClassic, Experiment: Experiment{Window: time.Second, Target: Func(
				func(ctx context.Context) error {
					<-ctx.Done()
					return ctx.Err()
				})}}.Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, capacity.RequestsFailed, result.Stop.Reason)
			require.Equal(t, map[string]uint64{"timeout": 1}, result.Levels[0].Failures.ByName())
		})
	})
	t.Run("before a level for which there is no time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
			defer cancel()
			result, err := Ramp{
				Rule: RuleClassic, Experiment: Experiment{Target: Func(slots(100, ten))},
			}.Run(ctx)
			require.NoError(t, err)
			require.Equal(t, capacity.Deadline, result.Stop.Reason)
			require.Len(t, result.Accepted(), 3)
			require.NoError(t, ctx.Err(), "found out before, not at the deadline")
		})
	})
	t.Run("when canceled, with what was measured", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(75*time.Second+ten/2, func() { cancel(errors.New("interrupt")) })
			var reported int
			result, err := Ramp{
				Rule:       RuleClassic,
				Experiment: Experiment{Target: Func(slots(100, ten))},
				OnLevel:    func(r Result) { reported = len(r.Levels) },
			}.Run(ctx)
			require.NoError(t, err)
			require.Equal(t, capacity.Canceled, result.Stop.Reason)
			require.Contains(t, result.Stop.Detail, "interrupt")
			require.Len(t, result.Accepted(), 2)
			require.Equal(t, 3, reported)
			partial := result.Levels[2]
			require.True(t, partial.Partial)
			require.InEpsilon(t, 15*time.Second, partial.Window, 0.001)
			require.InEpsilon(t, 400, partial.Throughput(), 0.001)
			require.Zero(t, partial.Failures.Total(), "what an interrupt breaks is no failure")
		})
	})
}

// TestRampKeepsWhatWasMeasured: an error in the middle of a ramp lost the levels before it.
func TestRampKeepsWhatWasMeasured(t *testing.T) {
	for rule, want := range map[string]string{
		RuleClassic: "injection with 8 VUs cut short: a limit of the injector: dial: socket: too many open files; allow",
		// Which of the levels of a round comes to the limit first is drawn.
		RuleConfident: "a limit of the injector: dial: socket: too many open files; allow",
	} {
		t.Run(rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var now atomic.Int64
				serve := slots(100, 10*time.Millisecond)
				var reported []int
				result, err := Ramp{
					Rule: rule,
					Experiment: Experiment{Window: time.Second, Target: Func(func(ctx context.Context) error {
						defer now.Add(-1)
						if now.Add(1) > 4 {
							return &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)}
						}
						return serve(ctx)
					})},
					OnLevel: func(r Result) { reported = append(reported, r.Levels[len(r.Levels)-1].VUs) },
				}.Run(t.Context())
				var limit *inject.LimitError
				require.ErrorAs(t, err, &limit)
				require.ErrorContains(t, err, want)
				require.Equal(t, []int{1, 2, 4}, reported)
				require.Len(t, result.Accepted(), 3)
				require.Equal(t, capacity.Canceled, result.Stop.Reason)
				require.Contains(t, result.Stop.Detail, "in the level of 8 vus: ")
				require.Contains(t, result.Stop.Detail, "too many open files")
				_, ok := result.Knee()
				require.False(t, ok)
			})
		})
	}
}

func TestRampRefuses(t *testing.T) {
	_, err := Ramp{MaxVUs: -1}.Run(t.Context())
	require.ErrorContains(t, err, "at least 1")
	_, err = Ramp{Experiment: Experiment{Window: -time.Second, Target: Func(slots(1, 1))}}.Run(t.Context())
	require.ErrorContains(t, err, "longer than 0")
}

func TestBudget(t *testing.T) {
	e := Experiment{Window: 30 * time.Second, Warmup: 2 * time.Second}
	for maxVUs, levels := range map[int]time.Duration{0: 13, 1: 1, 7: 3, 8: 4, 4096: 13} {
		require.Equal(t, levels*32*time.Second, Ramp{Experiment: e, MaxVUs: maxVUs, Rule: RuleClassic}.Budget())
		require.Equal(t, (levels+capacity.Halvings)*32*time.Second, Ramp{Experiment: e, MaxVUs: maxVUs}.Budget())
		e := e
		e.Engine = builtin{}
		require.Equal(t, levels*32*time.Second, Ramp{Experiment: e, MaxVUs: maxVUs}.Budget(), "another engine has no windows")
	}
}

func TestFuncFailureClass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		level, err := Experiment{Window: time.Second, Target: Func(func(context.Context) error {
			time.Sleep(100 * time.Millisecond)
			return &inject.Failure{Class: inject.Status, Err: errors.New("teapot")}
		})}.Level(t.Context(), 2)
		require.NoError(t, err)
		require.Equal(t, map[string]uint64{"status": 20}, level.Failures.ByName())
		require.Zero(t, level.Requests)
	})
}

// TestRampHasARowForEachRequest holds that levels of a ramp, by each rule, say what each request
// did, in all windows together.
func TestRampHasARowForEachRequest(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			time.Sleep(2 * time.Millisecond)
		}
	}))
	defer server.Close()
	u, err := url.Parse(server.URL)
	require.NoError(t, err)
	config := inject.HTTPConfig{URL: u, Source: "targets.txt"}
	for _, path := range []string{"/fast", "/slow"} {
		config.Requests = append(config.Requests, inject.Request{URL: &url.URL{Path: path}})
	}
	for _, rule := range []string{RuleClassic, RuleConfident} {
		t.Run(rule, func(t *testing.T) {
			target, err := inject.NewHTTP(config)
			require.NoError(t, err)
			res, err := Ramp{
				Experiment: Experiment{Target: target, Window: 150 * time.Millisecond}, MaxVUs: 2, Rule: rule, Seed: 1,
			}.Run(t.Context())
			require.NoError(t, err)
			require.NotEmpty(t, res.Levels)
			for _, l := range res.Levels {
				require.Len(t, l.Asked, 2)
				fast, slow := l.Asked[0], l.Asked[1]
				require.Equal(t, "GET /slow", slow.Name)
				require.Equal(t, l.Requests, fast.Requests+slow.Requests)
				require.Equal(t, l.Completed, fast.Completed+slow.Completed)
				require.EqualValues(t, slow.Requests, slow.Latency.TotalCount())
				require.Greater(t, slow.Quantile(0.5), 1900*time.Microsecond)
				for _, s := range l.Samples {
					require.Nil(t, s.Asked)
				}
			}
			require.Contains(t, report.Summary(res), "  GET /slow\n")
		})
	}
}
