package gate_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/gate"
	"rampart/loadtest/inject"
	"rampart/loadtest/report"
	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

// answersOf makes the counts of answers. Each has an example.
func answersOf(what map[string]uint64) (c inject.Census) {
	for w, n := range what {
		if w == "others" {
			c.Others = n
		} else if n > 0 {
			c.Seen = append(c.Seen, inject.Seen{What: w, Answers: n, Example: fmt.Sprintf("%q", "a body of "+w)})
		}
	}
	slices.SortFunc(c.Seen, func(a, b inject.Seen) int { return strings.Compare(a.What, b.What) })
	return c
}

type counts = map[string]uint64

// answering makes a duel of equals in which the answers of each side, in each block, are these.
func answering(random *rand.Rand, n int, strict bool, kinds, lengths, bodies func(side, block int) counts) result.Duel {
	d := simulated(random, n, 1, 0.001)
	d.Plan.Strict = strict
	usual := func(what string) func(side, block int) counts {
		return func(int, int) counts { return counts{what: 1000} }
	}
	for i := range d.Blocks {
		for side := range d.Blocks[i].Sides {
			for _, of := range []struct {
				to    *inject.Census
				given func(side, block int) counts
				usual string
			}{
				{&d.Blocks[i].Sides[side].Answers.Kinds, kinds, "200 text/plain"},
				{&d.Blocks[i].Sides[side].Answers.Lengths, lengths, "3100"},
				{&d.Blocks[i].Sides[side].Answers.Bodies, bodies, "ab12"},
			} {
				if of.given == nil {
					of.given = usual(of.usual)
				}
				*of.to = answersOf(of.given(side, i))
			}
		}
	}
	return d
}

// each returns for each side the same answers in all blocks.
func each(baseline, candidate counts) func(side, block int) counts {
	return func(side, _ int) counts { return [2]counts{baseline, candidate}[side] }
}

// varied are answers of five lengths, the last of which are rare.
func varied(random *rand.Rand) counts {
	c := counts{}
	for range 1000 {
		switch x := random.Float64(); {
		case x < 0.6:
			c["70"]++
		case x < 0.99:
			c["71"]++
		case x < 0.9985:
			c["69"]++
		case x < 0.9998:
			c["68"]++
		default:
			c["67"]++
		}
	}
	return c
}

// TestAnswersOfAllBlocksAreCompared has all ways in which a candidate may answer otherwise than its
// baseline does, and those in which a server differs from itself.
func TestAnswersOfAllBlocksAreCompared(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 12))
	with := func(c counts, what string, n uint64) counts { c[what] += n; return c }
	for _, tt := range []struct {
		name                   string
		strict                 bool
		kinds, lengths, bodies func(side, block int) counts
		says                   []string // empty: a pass
	}{
		{name: "alike"},
		{name: "alike, and strictly", strict: true},
		{name: "another type", kinds: each(counts{"200 text/plain": 1000}, counts{"200 text/html": 1000}),
			says: []string{"answers of one kind: 12000 of 12000 answers of the candidate",
				`12000 × "200 text/html", such as "a body of`}},
		{name: "one other status", kinds: func(side, block int) counts {
			if side == 1 && block == 11 {
				return counts{"200 text/plain": 999, "204": 1}
			}
			return counts{"200 text/plain": 1000}
		},
			says: []string{`answers of one kind: 1 of 12000 answers of the candidate are of a kind of which ` +
				`the baseline has none: 1 × "204"`}},
		{name: "one short answer", lengths: func(side, block int) counts {
			if side == 1 && block == 3 {
				return counts{"3100": 999, "23": 1}
			}
			return counts{"3100": 1000}
		}, says: []string{`1 × 23 bytes, such as "a body of 23"; those of the baseline: 12000 × 3100 bytes`}},
		{name: "empty at times", lengths: each(counts{"3100": 1000}, counts{"3100": 990, "0": 10}),
			says: []string{"120 × 0 bytes"}},
		{name: "the baseline is wrong", lengths: each(counts{"3100": 990, "23": 10}, counts{"3100": 1000}),
			says: []string{"120 of 12000 answers of the baseline are of a length of which the candidate has none"}},
		{name: "of any length on both sides", lengths: func(int, int) counts { return varied(random) }},
		{name: "of any length, and a hundredth is wrong", lengths: func(side, _ int) counts {
			return with(varied(random), "23", uint64(10*side))
		}, says: []string{"120 × 23 bytes"}},
		{name: "of any length, and wrong in one block", lengths: func(side, block int) counts {
			if side == 1 && block == 5 {
				return counts{"23": 1000}
			}
			return varied(random)
		}, says: []string{"1000 × 23 bytes"}},
		{name: "of another length in each block, on both sides", lengths: func(_, block int) counts {
			return counts{fmt.Sprint(100 + block): 1000}
		}},
		{name: "a number of the process in them", lengths: func(side, _ int) counts {
			return counts{fmt.Sprint(random.IntN(1e6)): 1000}
		}},
		{name: "more lengths than there is room for", lengths: func(int, int) counts {
			return with(varied(random), "others",
				500)
		}},
		{name: "more lengths than there is room for, and most are wrong", lengths: func(side, _ int) counts {
			return with(with(varied(random), "others", 20), "23", uint64(800*side))
		}, says: []string{"9600 × 23 bytes"}},
		{name: "two kinds in the same shares", kinds: func(int, int) counts {
			n := uint64(random.Float64() * 40)
			return counts{"200": 500 + n, "304": 500 - n}
		}},
		{name: "two kinds in other shares", kinds: each(counts{"200": 500, "304": 500}, counts{"200": 440, "304": 560}),
			says: []string{`50 % of the baseline's are "200"`, "and 44 % of the candidate's"}},
		{name: "two kinds in slightly other shares", kinds: each(counts{"200": 500, "304": 500}, counts{"200": 470,
			"304": 530}),
			says: []string{"and 47 % of the candidate's"}},
		{name: "another content, which nobody asked for", bodies: each(counts{"ab": 1000}, counts{"cd": 1000})},
		{name: "another content", strict: true, bodies: each(counts{"ab": 1000}, counts{"cd": 1000}),
			says: []string{"answers of one content: 12000 of 12000",
				`such as "a body of cd"; those of the baseline: 12000 × such as "a body of ab"`}},
		{name: "another content once", strict: true, bodies: func(side, block int) counts {
			if side == 1 && block == 0 {
				return counts{"ab": 999, "cd": 1}
			}
			return counts{"ab": 1000}
		}, says: []string{"1 of 12000 answers of the candidate are of a content of which the baseline has none"}},
		{name: "three requests in turns", strict: true, bodies: each(counts{"a": 334, "b": 333, "c": 333}, counts{"a": 333,
			"b": 334, "c": 333})},
		{name: "one of three requests", strict: true, bodies: each(counts{"a": 334, "b": 333, "c": 333}, counts{"a": 333,
			"b": 334, "d": 333}),
			says: []string{"3996 of 12000 answers of the candidate are of a content of which the baseline has none"}},
		{name: "the time in each", strict: true, bodies: func(side, block int) counts {
			return counts{fmt.Sprint(side, block, 1): 500, fmt.Sprint(side, block, 2): 500}
		},
			says: []string{"they cannot be compared, because those of the baseline differ from one to the next, 12000 of 12000",
				"-expect 'body~REGEXP'"}},
		{name: "another content in each", strict: true, bodies: each(counts{"ab": 1, "others": 999}, counts{"ab": 1,
			"others": 999}),
			says: []string{"they cannot be compared"}},
		{name: "the time in those of the candidate", strict: true, bodies: func(side, block int) counts {
			if side == 0 {
				return counts{"ab": 1000}
			}
			return counts{fmt.Sprint(block, 1): 500, fmt.Sprint(block, 2): 500}
		}, says: []string{"12000 of 12000 answers of the candidate are of a content of which the baseline has none"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := answering(random, 12, tt.strict, tt.kinds, tt.lengths, tt.bodies)
			r := judgedThreeWays(t, d)
			if len(tt.says) == 0 {
				require.Equal(t, verdict.Pass, r.Verdict, r.Meaning)
				require.Empty(t, report.DuelAnswers(d, r))
				return
			}
			require.Equal(t, verdict.Inconclusive, r.Verdict)
			for _, says := range tt.says {
				require.Contains(t, r.Meaning, says)
			}
			require.NotEmpty(t, report.DuelAnswers(d, r))
			d.Plan.AnyAnswer, d.Plan.Strict = true, false
			require.Equal(t, verdict.Pass, judgedThreeWays(t, d).Verdict)
		})
	}
}

// TestAlikeAnswersAreRarelyCalledOthers counts duels of equals whose answers differ by chance.
func TestAlikeAnswersAreRarelyCalledOthers(t *testing.T) {
	random := rand.New(rand.NewPCG(13, 14))
	const duels = 200
	gaps := 0
	for range duels {
		p := random.Float64()
		d := answering(random, 9, true, func(int, int) counts {
			c := counts{}
			for range 1000 {
				if random.Float64() < p {
					c["200"]++
				} else {
					c["304"]++
				}
			}
			return c
		}, func(int, int) counts { return varied(random) }, func(int, int) counts { return varied(random) })
		if len(gate.Gaps(d)) > 0 {
			gaps++
		}
	}
	t.Logf("%d of %d", gaps, duels)
	require.LessOrEqual(t, gaps, duels*2/100)
}

// TestStatusesAreInTheReport holds that all answers by status are in the files, and what is no list
// of them is named.
func TestStatusesAreInTheReport(t *testing.T) {
	random := rand.New(rand.NewPCG(15, 16))
	d := answering(random, 8, false, each(counts{"200 a/b": 1000, "304": 5}, counts{"200 a/b": 990, "200": 10, "304": 5}),
		nil, nil)
	r := judgedThreeWays(t, d)
	require.Equal(t, &gate.StatusRow{Blocks: 8, Baseline: counts{"200": 8000, "304": 40}, Candidate: counts{"200": 8000,
		"304": 40}},
		r.Statuses)
	var b bytes.Buffer
	require.NoError(t, report.GateText(&b, r))
	require.Regexp(t, `(?m)^all requests +statuses +200: 8000, 304: 40 +200: 8000, 304: 40 +8 blocks *$`, b.String())

	for _, bad := range []string{"", "200", "200:x", "20:5", "200:5,200:6", "200:-1"} {
		text := strings.ReplaceAll(texts(t, d)[0], "statuses=200:1000,304:5", "statuses="+bad)
		x, err := gate.Parse("x.txt", []byte(text))
		require.NoError(t, err)
		r, err := gate.Judge(x, files(t, d)[1], gate.Options{})
		require.NoError(t, err)
		require.Equal(t, gate.Unjudged, r.Verdict)
		require.Contains(t, r.Meaning, "want such as 200:1000,503:7", bad)
	}
}
