package main

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"rampart/loadtest/gate"
)

func TestMargins(t *testing.T) {
	m := margins{}
	require.NoError(t, m.Set("req/s=3%,p99-ns=12.5%"))
	require.NoError(t, m.Set(" ns/op=1% , allocs/op=0%,x/op=-0%"))
	require.Empty(t, cmp.Diff(margins{"req/s": 0.03, "p99-sec": 0.125, "sec/op": 0.01, "allocs/op": 0, "x/op": 0}, m))
	require.ErrorContains(t, m.Set("req/s=4%"), `"req/s=4%": a margin of that unit for a second time; want one of each`)
	require.ErrorContains(t, m.Set("sec/op=4%"), "for a second time", "of ns/op under another name")
}

// FuzzMargin accepts only fractions from 0 to below 1, whatever is written.
func FuzzMargin(f *testing.F) {
	for _, s := range []string{"req/s=3%", "req/s=3%,p99-ns=15%", "=3%", "a=b=3%", "x=1e-9%", "x=NaN%", "x=0x1p-2%", ","} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m := margins{}
		if m.Set(s) != nil {
			return
		}
		require.NotEmpty(t, m)
		for unit, fraction := range m {
			require.NotEmpty(t, unit)
			require.True(t, fraction >= 0 && fraction < 1, "%q: %v", s, fraction)
		}
	})
}

// TestHelpIsTrue holds the help to the defaults that it names.
// TestFirstOfSeveralErrors holds that of several wrong flags the same one is named each time.
func TestFirstOfSeveralErrors(t *testing.T) {
	for range 20 {
		_, _, _, err := parseDuel([]string{"-baseline", "a:1", "-candidate", "b:1",
			"-request-timeout", "-1s", "-slice", "-1s", "-side", "-1s"})
		require.EqualError(t, err, "-side -1s: want a duration such as 500ms")
	}
}

func TestHelpIsTrue(t *testing.T) {
	for _, unit := range []string{"req/s", "ns/op", "p50-ns", "p90-ns", "p99-ns", "p99.9-ns"} {
		require.Contains(t, help, unit)
	}
	require.Contains(t, help, fmt.Sprintf("default %v", gate.DefaultAlpha))
}
