package gate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/verdict"
)

// TestPrintedNumbersAreNoFinerThanTheirDigits: what is cut or rounded proves no more than its last
// digit.
func TestPrintedNumbersAreNoFinerThanTheirDigits(t *testing.T) {
	file := func(format string, iterations, more int) Results {
		var b strings.Builder
		for i := range 10 {
			fmt.Fprintf(&b, "BenchmarkX \t%d\t"+format+"\n", iterations, 295480+31*(i*7%10)+more)
		}
		r, err := Parse("file", []byte(b.String()))
		require.NoError(t, err)
		require.Len(t, r.lines, 10)
		return r
	}
	for _, tt := range []struct {
		name           string
		old, candidate Results
		unit           string // of the row in question; empty: no such row
		want, all      verdict.Verdict
	}{
		{"9 to 10, other iterations", file("%d ns/op 9 allocs/op", 3378, 0), file("%d ns/op 10 allocs/op", 3372, 9),
			"allocs/op", verdict.Inconclusive, verdict.Inconclusive},
		{"0 to 1, other iterations", file("%d ns/op 0 B/op", 3378, 0), file("%d ns/op 1 B/op", 3372, 9), "B/op",
			verdict.Inconclusive, verdict.Inconclusive},
		{"9 to 10, same iterations", file("%d ns/op 9 allocs/op", 1000, 0), file("%d ns/op 10 allocs/op", 1000, 9),
			"allocs/op", verdict.Regressed, verdict.Regressed},
		{"9 to 11", file("%d ns/op 9 allocs/op", 3378, 0), file("%d ns/op 11 allocs/op", 3372, 9), "allocs/op",
			verdict.Regressed, verdict.Regressed},
		{"9 and 9", file("%d ns/op 9 allocs/op", 3378, 0), file("%d ns/op 9 allocs/op", 3372, 9), "allocs/op", verdict.Pass,
			verdict.Pass},
		{"0 and 0", file("%d ns/op 0 allocs/op", 3378, 0), file("%d ns/op 0 allocs/op", 3372, 9), "allocs/op", verdict.Pass,
			verdict.Pass},
		{"10 to 9", file("%d ns/op 10 allocs/op", 3378, 0), file("%d ns/op 9 allocs/op", 3372, 9), "allocs/op", verdict.Pass,
			verdict.Pass},
		{"8211 to 8214", file("%d ns/op 8211 B/op", 3378, 0), file("%d ns/op 8214 B/op", 3372, 9), "B/op", verdict.Pass,
			verdict.Pass},
		{"MB/s of two digits beside ns/op", file("%d ns/op 0.02 MB/s", 3378, 0), file("%d ns/op 0.01 MB/s", 3372, 3000),
			"MB/s", "", verdict.Pass},
		{"MB/s of nothing beside ns/op", file("%d ns/op 0.00 MB/s", 3378, 0), file("%d ns/op 0.00 MB/s", 3372, 3000), "MB/s",
			"", verdict.Pass},
		{"MB/s of nothing beside a loss", file("%d ns/op 0.00 MB/s", 3378, 0), file("%d ns/op 0.00 MB/s", 3372, 100_000),
			"MB/s", "", verdict.Regressed},
		{"MB/s that is another", file("%d ns/op 0.04 MB/s", 3378, 0), file("%d ns/op 0.02 MB/s", 3372, 0), "MB/s",
			verdict.Regressed, verdict.Regressed},
		{"coarse req/s", file("%d ns/op 0.02 req/s", 3378, 0), file("%d ns/op 0.01 req/s", 3372, 3000), "req/s", "",
			verdict.Pass},
		{"rates alone", file("0.02 MB/s %d x", 3378, 0), file("0.01 MB/s %d x", 3372, 0), "MB/s", verdict.Inconclusive,
			verdict.Inconclusive},
		{"equal rates alone", file("0.02 MB/s %d x", 3378, 0), file("0.02 MB/s %d x", 3372, 0), "MB/s", verdict.Inconclusive,
			verdict.Inconclusive},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Judge(tt.old, tt.candidate, Options{Alpha: 0.05})
			require.NoError(t, err)
			require.Equal(t, tt.all, r.Verdict, r.Meaning)
			var got verdict.Verdict
			for _, row := range r.Rows {
				if row.Unit == tt.unit {
					got = row.Verdict
					if got == verdict.Inconclusive {
						require.Contains(t, row.Reason, "printed too coarsely")
					}
					if row.ChangeLowest != nil && row.ChangeHighest != nil && got == verdict.Regressed {
						require.Less(t, *row.ChangeLowest, *row.ChangeHighest)
					}
				}
			}
			require.Equal(t, tt.want, got)
		})
	}
}

func TestLastDigit(t *testing.T) {
	for text, want := range map[string]float64{"9": 1, "0.02": 0.01, "123.4": 0.1, "1e+06": 1e6, "1.50e-3": 1e-5,
		"0x1p-2": 0, "-5": 1} {
		require.InEpsilon(t, 1+want, 1+lastDigit(text), 1e-12, text)
	}
}
