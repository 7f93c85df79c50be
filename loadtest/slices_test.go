//go:build !load

package loadtest

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/inject"
)

func TestSliceLength(t *testing.T) {
	for p50, want := range map[time.Duration]time.Duration{
		20 * time.Microsecond:  time.Millisecond,
		333 * time.Microsecond: time.Millisecond,
		time.Millisecond:       3 * time.Millisecond,
		50 * time.Millisecond:  150 * time.Millisecond,
	} {
		require.Equal(t, want, sliceLength(p50))
	}
	require.Equal(t, 500, pairsFor(500*time.Millisecond, time.Millisecond))
	require.Equal(t, 84, pairsFor(250*time.Millisecond, 3*time.Millisecond), "rounded up")
	require.Equal(t, fewestPairs, pairsFor(500*time.Millisecond, 150*time.Millisecond))
}

// TestKeep holds that a disturbance costs both sides the same pairs, whichever it hit.
func TestKeep(t *testing.T) {
	took := func(d time.Duration) inject.Slice { return inject.Slice{Requests: 10, Busy: 10 * d} }
	var pairs []pair
	for range 18 {
		pairs = append(pairs, pair{took(100 * time.Microsecond), took(200 * time.Microsecond)})
	}
	hit := []pair{
		{took(300 * time.Microsecond), took(200 * time.Microsecond)}, // 3 times as slow
		{took(100 * time.Microsecond), took(600 * time.Microsecond)},
	}
	pairs = append(append(hit[:1:1], pairs...), hit[1])
	kept := keep(pairs)
	require.Len(t, pairs, 20, "left as they were")
	require.Len(t, kept, 18)
	for _, p := range kept {
		require.Equal(t, pair{took(100 * time.Microsecond), took(200 * time.Microsecond)}, p)
	}
	require.Len(t, keep(pairs[:5]), 5, "too few to drop any")
	require.Len(t, keep([]pair{{}, {}}), 2, "without a request")
}

// TestTurnsAreDrawn holds that either side goes first about as often: always starting with the same one favours the other.
func TestTurnsAreDrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []int
		var sessions [2]*inject.Session
		for side := range sessions {
			s, err := inject.Open(t.Context(), Func(func(context.Context) error {
				order = append(order, side)
				time.Sleep(time.Millisecond)
				return nil
			}), 1, time.Second)
			require.NoError(t, err)
			defer s.Close()
			sessions[side] = s
		}
		const n = 200
		pairs, err := Duel{Timeout: time.Second}.takeTurns(sessions, rand.New(rand.NewPCG(1, 2)), time.Millisecond, n)
		require.NoError(t, err)
		require.Len(t, pairs, n)
		require.Len(t, order, 4*n, "two requests a slice")
		candidateFirst := 0
		for i := 0; i < len(order); i += 4 {
			require.Equal(t, order[i], order[i+1])
			require.NotEqual(t, order[i], order[i+2], "both sides of a pair")
			require.Equal(t, order[i+2], order[i+3])
			candidateFirst += order[i]
		}
		require.InDelta(t, n/2, candidateFirst, 30)
	})
}
