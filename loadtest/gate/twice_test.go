package gate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/verdict"
)

// TestCopiesAreNoSamples: what is in a file twice, or in both files, proves nothing.
func TestCopiesAreNoSamples(t *testing.T) {
	file := func(n int, by float64) (b string) {
		for i := range n {
			b += fmt.Sprintf("BenchmarkX-8 100 %.0f ns/op 16 B/op\n", by*(100_000+41*float64(i*7%10)))
		}
		return b
	}
	few, slower := file(4, 1), file(4, 1.05)
	const copied, appended = "a copy is no further sample", "it was appended to them"
	for _, tt := range []struct {
		name, old, candidate string
		want                 verdict.Verdict
		says                 string
	}{
		{"once", few, slower, verdict.Regressed, ""},
		{"the baseline five times", strings.Repeat(few, 5), slower, Unjudged, copied},
		{"the candidate twice, with text between", few, slower + "PASS\n" + slower, Unjudged, copied},
		{"appended to the baseline", few, few + slower, Unjudged, appended},
		{"the baseline appended to", slower + few, slower, Unjudged, appended},
		{"another benchmark after the same", few + strings.ReplaceAll(slower, "X", "Y"), few, verdict.Inconclusive,
			"Y-8 is only in the baseline"},
		{"both the same, with other text", few, "# x\n" + few, verdict.Pass, "both files have the same results"},
		{"three results again", file(3, 1) + file(3, 1), file(6, 1), verdict.Pass, ""},
		{"one result again and again", strings.Repeat(file(1, 1), 8), strings.Repeat(file(1, 1), 16), verdict.Pass, ""},
		{"sizes", sizes() + sizes(), sizes() + sizes(), verdict.Pass, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x, err := Parse("old", []byte(tt.old))
			require.NoError(t, err)
			y, err := Parse("new", []byte(tt.candidate))
			require.NoError(t, err)
			r, err := Judge(x, y, Options{})
			require.NoError(t, err)
			require.Equal(t, tt.want, r.Verdict, r.Meaning)
			require.Contains(t, r.Meaning+strings.Join(r.Notes, "\n"), tt.says)
		})
	}
}

// sizes are results that are the same each time.
func sizes() (b string) {
	for i := range 6 {
		b += strings.Repeat(fmt.Sprintf("BenchmarkSize/of=%d 1 %d B/op\n", i, 4096<<i), 4)
	}
	return b
}
