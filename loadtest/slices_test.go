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

// TestTurnsAreDrawn holds that either side goes first about as often: always starting with the same
// one favours the other.
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
		sums, whole, err := Duel{Timeout: time.Second}.takeTurns(sessions, rand.New(rand.NewPCG(1, 2)), time.Millisecond, n)
		require.NoError(t, err)
		require.True(t, whole)
		require.EqualValues(t, n, sums[0].Requests)
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
