package gate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/verdict"
)

func TestUnits(t *testing.T) {
	for _, tt := range []struct {
		unit   string
		better verdict.Better
		margin float64 // 0: none
	}{
		{"ns/op", verdict.Lower, 0.03},
		{"sec/op", verdict.Lower, 0.03},
		{"req/s", verdict.Higher, 0.03},
		{"ops/s", verdict.Higher, 0.03},
		{"MB/s", verdict.Higher, 0.03},
		{"B/op", verdict.Lower, 0.03},
		{"allocs/op", verdict.Lower, 0.03},
		{"server-cpu-ns/op", verdict.Lower, 0.03},
		{"user-sec/op", verdict.Lower, 0.03},
		{"p50-ns", verdict.Lower, 0.05},
		{"p75-ns", verdict.Lower, 0.05},
		{"p90-ns", verdict.Lower, 0.1},
		{"p95-ns", verdict.Lower, 0.1},
		{"p99-ns", verdict.Lower, 0.1},
		{"p99-latency-ns", verdict.Lower, 0.1},
		{"p99-sec", verdict.Lower, 0.1},
		{"p99.9-ns", verdict.Lower, 0.2},
		{"p999-ns", verdict.Lower, 0.2},
		{"max-ns", verdict.Lower, 0},
		{"mean-latency-ns", verdict.Lower, 0},
		{"gc-ns/s", 0, 0.03},
		{"knee-vus", 0, 0},
		{"widgets", 0, 0},
		{"widgets/op", 0, 0},
		{"MB", 0, 0},
		{"p99", 0, 0},
		{"p99-ms", 0, 0},
		{"", 0, 0},
	} {
		t.Run(tt.unit, func(t *testing.T) {
			require.Equal(t, tt.better, betterByName(Tidy(tt.unit)))
			margin, ok := verdict.UsualMargin(Tidy(tt.unit))
			require.Equal(t, tt.margin, margin)
			require.Equal(t, tt.margin > 0, ok)
		})
	}
}

func TestMayBeZero(t *testing.T) {
	for unit, want := range map[string]bool{"ns/op": false, "req/s": false, "p99-ns": false, "allocs/op": true,
		"B/op": true, "errors": true} {
		require.Equal(t, want, mayBeZero(Tidy(unit)), unit)
	}
}

// TestSameAs: two units say the same only where one follows from the other in each line, not where
// they are just near.
func TestSameAs(t *testing.T) {
	file := func(format string, pairs ...[2]float64) []line {
		var b strings.Builder
		for _, p := range pairs {
			fmt.Fprintf(&b, format+"\n", p[0], p[1])
		}
		r, err := Parse("file", []byte(b.String()))
		require.NoError(t, err)
		require.Len(t, r.lines, len(pairs))
		return r.lines
	}
	for _, tt := range []struct {
		name, unit, want string
		lines            []line
	}{
		{"reciprocal, rounded", "sec/op", "req/s",
			file("BenchmarkX 1 %v ns/op %v req/s", [2]float64{357143, 2800}, [2]float64{370.4e3, 2700})},
		{"but not the rate", "req/s", "", file("BenchmarkX 1 %v ns/op %v req/s", [2]float64{357143, 2800},
			[2]float64{370.4e3, 2700})},
		{"bytes follow from time", "B/s", "sec/op",
			file("BenchmarkX 1 %v ns/op %v MB/s", [2]float64{1000, 409.6}, [2]float64{1024, 400})},
		{"time does not follow from bytes", "sec/op", "",
			file("BenchmarkX 1 %v ns/op %v MB/s", [2]float64{1000, 409.6}, [2]float64{1024, 400})},
		{"near", "sec/op", "", file("BenchmarkX 1 %v ns/op %v req/s", [2]float64{357143, 2800}, [2]float64{370370, 2690})},
		{"no rate", "sec/op", "", file("BenchmarkX 1 %v ns/op %v B/op", [2]float64{1000, 48}, [2]float64{1000, 48})},
		{"zero", "sec/op", "", file("BenchmarkX 1 %v ns/op %v req/s", [2]float64{1000, 0}, [2]float64{1000, 0})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := chooser{better: map[string]verdict.Better{}}
			for _, unit := range units(tt.lines) {
				c.better[unit] = betterByName(unit)
			}
			other, ok := c.sameAs(tt.unit, units(tt.lines), tt.lines)
			require.Equal(t, tt.want != "", ok)
			if ok {
				require.Equal(t, tt.want, other)
			}
		})
	}
}
