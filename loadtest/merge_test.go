package loadtest

import (
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"

	"rampart/loadtest/capacity"
	"rampart/loadtest/inject"
	"rampart/loadtest/result"
)

// merged makes the result of a level that clients measured for a second, of which each had so many
// requests.
func merged(t *testing.T, started time.Time, vus int, requests ...uint64) Result {
	t.Helper()
	var clients []Result
	for i, n := range requests {
		h := hdrhistogram.New(1, 1000, 3)
		require.NoError(t, h.RecordValues(10, int64(n)))
		share := vus / len(requests)
		if i < vus%len(requests) {
			share++
		}
		clients = append(clients, Result{
			Kind: result.KindLevels, Started: started, Elapsed: 2 * time.Second, Target: "http://192.0.2.1/",
			Levels: []Level{{Measurement: inject.Measurement{
				VUs: share, Started: started.Add(time.Duration(i)), Window: time.Second, Requests: n, Completed: n, Latency: h,
			}}},
		})
	}
	r, err := result.MergeClients(clients)
	require.NoError(t, err)
	return r
}

// TestContinueRamp adds level by level, and comes to what the stop rule says of sums.
func TestContinueRamp(t *testing.T) {
	at := time.Unix(1_764_000_000, 0)
	var ramp Result
	var err error
	for i, tt := range []struct {
		requests []uint64
		next     int
	}{{[]uint64{100}, 2}, {[]uint64{100, 100}, 4}, {[]uint64{150, 50}, 0}} {
		level := merged(t, at.Add(time.Duration(i)*time.Minute), 1<<i, tt.requests...)
		ramp, err = continueRamp(ramp, level, 64, nil)
		require.NoError(t, err)
		require.Equal(t, result.KindRamp, ramp.Kind)
		require.Len(t, ramp.Levels, i+1)
		require.Equal(t, tt.next, ramp.NextVUs)
	}
	require.Equal(t, Stop{Reason: capacity.Knee, Detail: "from 2 to 4 vus: throughput +0.00 %, needed +5 %"}, ramp.Stop)
	require.Len(t, ramp.Accepted(), 2)
	best, ok := ramp.Capacity()
	require.True(t, ok)
	require.Equal(t, 200.0, best.Throughput())
	require.Equal(t, at, ramp.Started)
	require.Equal(t, 2*time.Minute+2*time.Second, ramp.Elapsed)

	_, err = continueRamp(ramp, merged(t, at.Add(time.Hour), 8, 100), 64, nil)
	require.ErrorContains(t, err, "it has ended: knee (from 2 to 4 vus")
}

func TestContinueRampStops(t *testing.T) {
	at := time.Unix(1_764_000_000, 0)
	for reason, change := range map[capacity.StopReason]func(*Level){
		capacity.MaxVUs:         func(*Level) {},
		capacity.RequestsFailed: func(l *Level) { l.Failures[inject.Dial] = 1 },
		capacity.Canceled:       func(l *Level) { l.Partial = true },
	} {
		level := merged(t, at, 1, 100)
		change(&level.Levels[0])
		ramp, err := continueRamp(Result{}, level, 1, nil)
		require.NoError(t, err)
		require.Equal(t, reason, ramp.Stop.Reason)
		require.Zero(t, ramp.NextVUs)
		require.Equal(t, reason == capacity.MaxVUs, ramp.Levels[0].Accepted)
	}
}

// TestContinueRampRefuses has levels that are not the next of the ramp, which stays as it was.
func TestContinueRampRefuses(t *testing.T) {
	at := time.Unix(1_764_000_000, 0)
	first, err := continueRamp(Result{}, merged(t, at, 1, 100), 64, nil)
	require.NoError(t, err)
	for want, level := range map[string]Result{
		"a level of 1 vus cannot be the next of the ramp: want 2": merged(t, at.Add(time.Minute), 1, 100),
		"a level of 4 vus cannot be the next of the ramp: want 2": merged(t, at.Add(time.Minute), 4, 100, 100),
		"when that of 1 vus had not ended":                        merged(t, at.Add(time.Second/2), 2, 100, 100),
		"of 2 vus began at 2025-11-24 15":                         merged(t, at.Add(-time.Hour), 2, 100, 100),
	} {
		ramp, err := continueRamp(first, level, 64, nil)
		require.ErrorContains(t, err, want)
		require.Len(t, ramp.Levels, 1)
	}
	other := merged(t, at.Add(time.Minute), 2, 100, 100)
	other.Target = "http://192.0.2.2/"
	_, err = continueRamp(first, other, 64, nil)
	require.ErrorContains(t, err, "not of one experiment: target http://192.0.2.1/ and http://192.0.2.2/")
	_, err = continueRamp(Result{}, merged(t, at, 2, 100), 64, nil)
	require.ErrorContains(t, err, "a level of 2 vus cannot be the next of the ramp: want 1")
}
