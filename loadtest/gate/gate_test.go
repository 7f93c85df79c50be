package gate

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/internal/race"
	"rampart/loadtest/verdict"
)

func judged(t *testing.T, old, candidate string) Report {
	t.Helper()
	x, err := Parse("old", []byte(old))
	require.NoError(t, err)
	y, err := Parse("new", []byte(candidate))
	require.NoError(t, err)
	r, err := Judge(x, y, Options{})
	require.NoError(t, err)
	return r
}

// TestUnitThatSomeLinesLack is no pass: what is not there may have been what was worse. It hides no
// proof.
func TestUnitThatSomeLinesLack(t *testing.T) {
	const lines = 10
	file := func(marked bool, size int, lacking ...int) string {
		var b strings.Builder
		for i := range lines {
			if marked {
				fmt.Fprintf(&b, "# rampart duel seed=42 block=%d\n", i+1)
			}
			fmt.Fprintf(&b, "BenchmarkX 1000 %d ns/op", 100_000+i*7%10)
			has := true
			for _, l := range lacking {
				has = has && l != i
			}
			if has {
				fmt.Fprintf(&b, " %d B/op", size)
			}
			b.WriteString("\n")
		}
		return b.String()
	}
	for _, tt := range []struct {
		name           string
		old, candidate string
		want           verdict.Verdict
		gaps           []string
	}{
		{"none", file(false, 5000), file(false, 5000), verdict.Pass, nil},
		{
			"the candidate", file(false, 5000), file(false, 5000, 3, 4), verdict.Inconclusive,
			[]string{"X: B/op is in only 8 of 10 lines of the candidate"},
		},
		{
			"the baseline", file(false, 5000, 0), file(false, 5000), verdict.Inconclusive,
			[]string{"X: B/op is in only 9 of 10 lines of the baseline"},
		},
		{"both, in the same block", file(true, 5000, 9), file(true, 5000, 9), verdict.Inconclusive, []string{
			"X: B/op is in only 9 of 10 lines of the baseline", "X: B/op is in only 9 of 10 lines of the candidate",
		}},
		{"one, in a block", file(true, 5000), file(true, 5000, 9), verdict.Inconclusive, []string{
			"X: B/op is in only 9 of 10 lines of the candidate", "X: block 10 is only in the baseline",
		}},
		{
			"and it is worse", file(false, 5000), file(false, 6000, 3), verdict.Regressed,
			[]string{"X: B/op is in only 9 of 10 lines of the candidate"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := judged(t, tt.old, tt.candidate)
			require.Equal(t, tt.want, r.Verdict, r.Meaning)
			require.ElementsMatch(t, tt.gaps, r.Gaps)
			if tt.want == verdict.Inconclusive {
				require.Contains(t, r.Meaning, "something is missing: "+r.Gaps[0])
			}
		})
	}
}

// TestAdviceIsWhatHelps: more samples give no more digits, and mend no doubt.
func TestAdviceIsWhatHelps(t *testing.T) {
	const (
		longer = "Measure again, longer"
		digits = "needs more digits"
		mend   = "A row in doubt needs something else"
	)
	file := func(head, format string, step int) string {
		b := strings.Builder{}
		b.WriteString(head)
		for i := range 10 {
			fmt.Fprintf(&b, "BenchmarkX/vus=2 1000 "+format+"\n", 100_000+i*7%10*step)
		}
		return b.String()
	}
	const doubt = "# doubt at vus=2: the injector was busy\n"
	for name, tt := range map[string]struct {
		old, candidate string
		want           []string
	}{
		"noise":           {file("", "%d ns/op", 9000), file("", "%d ns/op", 9900), []string{longer}},
		"coarse":          {file("", "0.02 MB/s %d x", 1), file("", "0.01 MB/s %d x", 1), []string{digits}},
		"doubt":           {file(doubt, "%d ns/op", 1), file("", "%d ns/op", 1), []string{mend}},
		"doubt and noise": {file("", "%d ns/op", 9000), file(doubt, "%d ns/op", 9900), []string{mend}},
		"coarse and noise": {
			file("", "0.02 MB/s %d p99-ns", 9000), file("", "0.01 MB/s %d p99-ns", 20000),
			[]string{longer, digits},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := judged(t, tt.old, tt.candidate)
			require.Equal(t, verdict.Inconclusive, r.Verdict, r.Meaning)
			var got []string
			for _, advice := range []string{longer, digits, mend} {
				if strings.Contains(r.Advice, advice) {
					got = append(got, advice)
				}
			}
			require.Equal(t, tt.want, got, r.Advice)
		})
	}
}

// TestFirstDoubtIsSaid, whether it is about a benchmark or a part of many.
func TestFirstDoubtIsSaid(t *testing.T) {
	d := index([]doubt{
		{part: "/vus=8", text: "a"}, {benchmark: "X/vus=4", text: "b"},
		{part: "/vus=4", text: "c"}, {benchmark: "X/vus=8", text: "d"},
	})
	for name, want := range map[string]string{"X/vus=8": "a", "X/vus=4": "b", "Y/vus=4-2": "c", "Y/vus=80": "", "X": ""} {
		text, ok := d.about(name)
		require.Equal(t, want, text, name)
		require.Equal(t, want != "", ok, name)
	}
}

// TestManyFaultsTakeNoLonger each than one: a file of a million lines may have as many.
func TestManyFaultsTakeNoLonger(t *testing.T) {
	const many, rows = 100_000 / race.Slowness, 3000
	lines := func(n int, format string, args ...any) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, append([]any{i}, args...)...)
		}
		return b.String()
	}
	for name, tt := range map[string]struct {
		old, candidate string
		count          func(Report) int
	}{
		"problems": {
			lines(many, "loading BenchmarkX%d 1 5 ns/op\n"), lines(many, "loading BenchmarkX%d 1 5 ns/op\n"),
			func(r Report) int { return len(r.Problems) / 2 },
		},
		"gaps": {
			lines(many, "BenchmarkX%d 1 5 ns/op\n"), "BenchmarkY 1 5 ns/op\n",
			func(r Report) int { return len(r.Gaps) },
		},
		"doubts": {
			lines(many, "# doubt at vus=%d: %[1]d\n") + lines(rows, "BenchmarkX/vus=%d 1 5 ns/op\n"),
			lines(rows, "BenchmarkX/vus=%d 1 5 ns/op\n"),
			func(r Report) int { return many - rows + len(r.Rows) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			r := judged(t, tt.old, tt.candidate)
			require.Equal(t, many, tt.count(r))
			require.NotEqual(t, verdict.Pass, r.Verdict)
			require.Less(t, time.Since(began), 20*time.Second, "each with each takes minutes")
		})
	}
}
