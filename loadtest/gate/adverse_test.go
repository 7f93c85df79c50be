package gate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/verdict"
)

// TestNoLossHides has candidates that are slower, in files that could look as if they were not.
func TestNoLossHides(t *testing.T) {
	times := func(format string, n int, by float64) (b string) {
		for i := range n {
			ns := by * (100_000 + 37*float64(i*7%10))
			values := strings.NewReplacer("NS", fmt.Sprintf("%.0f", ns), "RATE", fmt.Sprintf("%.3f", 6e9/ns))
			b += values.Replace(format) + "\n"
		}
		return b
	}
	const plain = "BenchmarkX-8 100 NS ns/op"
	old := times(plain, 10, 1)
	for _, tt := range []struct {
		name, old, candidate string
		options              Options
		want                 verdict.Verdict
		says                 string
	}{
		{"two of ten samples", old, times(plain, 8, 1) + times(plain, 2, 10), Options{}, verdict.Inconclusive,
			"a few of 10 samples of each side are so much worse"},
		{"two of ten samples on both sides", old + times(plain, 2, 10), old + times(plain, 2, 10), Options{},
			verdict.Pass, ""},
		{"behind a rate of which less is better", "Unit gc/s better=lower\n" + times(plain+" RATE gc/s", 10, 1),
			"Unit gc/s better=lower\n" + times(plain+" RATE gc/s", 10, 1.5), Options{}, verdict.Regressed, "X-8 ns/op by +50"},
		{"behind a rate of nobody knows what", times(plain+" RATE gc-ns/s", 10, 1), times(plain+" RATE gc-ns/s", 10, 1.5),
			Options{}, verdict.Regressed, "X-8 ns/op by +50"},
		{"with other configuration", "state: ok\n" + old,
			"state: ok\n" + times(plain, 5, 1) + "state: slow\n" + times(plain, 5, 2), Options{},
			verdict.Inconclusive, "X-8 (state: slow) is only in the candidate"},
		{"with more configuration", "mode: a\n" + old,
			"mode: a\n" + times(plain, 10, 1.001) + "mode: b\n" + times(plain, 5, 2), Options{}, verdict.Pass, ""},
		{"on other cores", old, times(plain, 5, 1) + times("BenchmarkX-4 100 NS ns/op", 5, 2), Options{},
			verdict.Inconclusive,
			"X-4 is only in the candidate"},
		{"behind the candidate's word that more is better", old, "Unit ns/op better=higher\n" + times(plain, 10, 1.5),
			Options{}, Unjudged, "only one file says better=higher, and the name says the opposite"},
		{"behind a direction that is none", "Unit ns/op better=Lower\n" + times(plain+" 5 B/op", 10, 1),
			times(plain+" 5 B/op", 10, 1.5), Options{}, Unjudged, "ns/op: better=Lower says no direction"},
		{"as pairs that are none",
			"# rampart duel seed=1 block=1\n" + times(plain, 1, 1) + "# rampart duel seed=1 block=2\n" +
				times(plain, 1, 1), "# rampart duel seed=1 block=2\n" + times(plain, 1, 1) + "# rampart duel seed=1 block=3\n" +
				times(plain, 1, 1), Options{Pairing: PairingForced}, Unjudged,
			"-paired: sample 1 is of block 1 in the baseline and of block 2 in the candidate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x, err := Parse("old", []byte(tt.old))
			require.NoError(t, err)
			y, err := Parse("new", []byte(tt.candidate))
			require.NoError(t, err)
			r, err := Judge(x, y, tt.options)
			require.NoError(t, err)
			said := r.Meaning
			for _, row := range r.Rows {
				said += "\n" + row.Reason
			}
			require.Equal(t, tt.want, r.Verdict, said)
			require.Contains(t, said, tt.says)
		})
	}
}

// TestOneMoreByteIsNoTail: of counts that are cut, 1 beside nine times 0 is no stall.
func TestOneMoreByteIsNoTail(t *testing.T) {
	const none = "BenchmarkX 100 0 B/op\n"
	x, err := Parse("old", []byte(strings.Repeat(none, 10)))
	require.NoError(t, err)
	for last, want := range map[string]verdict.Verdict{"1": verdict.Pass, "4096": verdict.Inconclusive} {
		y, err := Parse("new", []byte(strings.Repeat(none, 9)+"BenchmarkX 101 "+last+" B/op\n"))
		require.NoError(t, err)
		r, err := Judge(x, y, Options{})
		require.NoError(t, err)
		require.Equal(t, want, r.Verdict, "%s: %s", last, r.Meaning)
	}
}
