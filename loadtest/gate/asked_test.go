package gate_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/gate"
	"rampart/loadtest/inject"
	"rampart/loadtest/internal/race"
	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

// mixed makes a duel of n blocks that ask so many requests, of which the candidate takes the times
// of some as many times as long. Each scatters as the median of its requests does, beside what all
// of a side of a block have in common.
func mixed(random *rand.Rand, n, requests int, slower map[int]float64) result.Duel {
	const each = 200
	all := 0.0
	for i := range requests {
		times := 1.0
		if f, ok := slower[i]; ok {
			times = f
		}
		all += times / float64(requests)
	}
	d := simulated(random, n, all, 0.003)
	for b := range d.Blocks {
		for side := range d.Blocks[b].Sides {
			s := &d.Blocks[b].Sides[side]
			common := math.Exp(0.01 * random.NormFloat64())
			for i := range requests {
				times := 1.0
				if f, ok := slower[i]; ok && side == 1 {
					times = f
				}
				p50 := 2e5 * float64(1+i%5) * times * common * math.Exp(0.5/math.Sqrt(each)*random.NormFloat64())
				s.Asked = append(s.Asked, inject.Asked{
					Name: fmt.Sprintf("GET /%d?q={seq}", i), Requests: each, Completed: each + 3,
					LatencySum: time.Duration(each * p50), P50: time.Duration(p50).Round(time.Microsecond),
				})
			}
		}
	}
	d.Plan.Looks = []int{9, 12, 16, 24}
	d.Plan.Choose(nil, d.Blocks[0])
	return d
}

// TestOneSlowRequestIsFound holds that one of twenty requests, of which all together pass, does not
// get slower in secret.
func TestOneSlowRequestIsFound(t *testing.T) {
	for _, n := range []int{12, 16} {
		d := mixed(rand.New(rand.NewPCG(1, uint64(n))), n, 20, map[int]float64{13: 1.3})
		require.Equal(t, len(d.Plan.Units)-1+20, d.Plan.Rows(), "%+v", d.Plan)
		r := judgedThreeWays(t, d)
		require.Equal(t, verdict.Regressed, r.Verdict, r.Meaning)
		require.Regexp(t, `in 1 of 2[45] rows: GET /13\?q=\{seq\} request-p50-ns by \+`, r.Meaning)
		requests := 0
		for _, row := range r.Rows {
			if row.Request == "" {
				if row.Unit != "slow/op" { // which the weather of a simulated duel makes uncertain
					require.Equal(t, verdict.Pass, row.Verdict, "%+v", row)
				}
				continue
			}
			requests++
			require.Equal(t, row.Request == "GET /13?q={seq}", row.Verdict == verdict.Regressed, "%+v", row)
			require.InDelta(t, 0.1, row.Allowed, 1e-9)
		}
		require.Equal(t, 20, requests)
	}
}

// TestMoreRequestsNeedMoreBlocks holds that one alpha is that of all rows.
func TestMoreRequestsNeedMoreBlocks(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 3))
	of := func(blocks, requests int) gate.Row {
		r := judgedTwoWays(t, mixed(random, blocks, requests, map[int]float64{0: 2}))
		for _, row := range r.Rows {
			if row.Request == "GET /0?q={seq}" {
				return row
			}
		}
		t.Fatalf("no row in %+v", r.Rows)
		return gate.Row{}
	}
	require.Equal(t, verdict.Regressed, of(9, 2).Verdict)
	row := of(9, 50)
	require.Equal(t, verdict.Inconclusive, row.Verdict)
	require.Regexp(t, `9 pairs, at least 1[12] needed for a verdict among 5[345] rows: [23] more`, row.Reason)
	require.Equal(
		t,
		verdict.Regressed,
		of(12, 50).Verdict,
		"the second of the usual looks suffices for all rows that there can be",
	)
}

// TestRequestsErrRarely holds that many rows give no more false alarms than one, at all looks
// together.
func TestRequestsErrRarely(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 5))
	duels := 120 / race.Slowness
	alarms, passes := 0, 0
	for range duels {
		whole := mixed(random, 24, 20, nil)
		for _, n := range whole.Plan.Looks {
			d := whole
			d.Blocks = whole.Blocks[:n]
			switch r := gate.JudgeDuel(d); r.Verdict {
			case verdict.Regressed:
				alarms++
			case verdict.Pass:
				passes++
			default:
				continue
			}
			break
		}
	}
	t.Logf("%d alarms and %d passes in %d duels", alarms, passes, duels)
	p := 0.05
	require.LessOrEqual(t, float64(alarms), p*float64(duels)+4*math.Sqrt(p*(1-p)*float64(duels)))
	require.Greater(t, passes, duels/2, "a verdict of so many rows is possible")
}

// TestOneFailingRequestIsFound holds that a request that now fails always is not hidden by another
// one that does no more.
func TestOneFailingRequestIsFound(t *testing.T) {
	failing := func(blocks int, fails [2]int) result.Duel {
		d := mixed(rand.New(rand.NewPCG(6, 7)), blocks, 50, nil)
		for b := range d.Blocks {
			for side, i := range fails {
				s := &d.Blocks[b].Sides[side]
				a := &s.Asked[i]
				a.Failures[inject.Status] = a.Completed
				a.Completed, a.Requests, a.LatencySum, a.P50 = 0, 0, 0, 0
				s.Failures[inject.Status] = a.Failures[inject.Status]
			}
		}
		return d
	}
	r := judgedThreeWays(t, failing(16, [2]int{3, 42}))
	require.Equal(t, verdict.Regressed, r.Verdict, r.Meaning)
	require.Equal(t, verdict.Inconclusive, r.Failures.Verdict, "all together tell nothing")
	require.Contains(
		t,
		r.Meaning,
		"the candidate fails more often in 1 of 50 requests: GET /42?q={seq} (3248 of 3248 failed, and "+
			"0 of 3248 of the baseline)",
	)
	require.Len(t, r.RequestFailures, 2)
	require.Equal(t, "GET /3?q={seq}", r.RequestFailures[0].Request)
	require.Equal(t, verdict.Inconclusive, r.RequestFailures[0].Verdict)

	r = judgedThreeWays(t, failing(16, [2]int{42, 42}))
	require.Equal(t, verdict.Inconclusive, r.Verdict, r.Meaning)
	r = judgedThreeWays(t, failing(13, [2]int{3, 42}))
	require.Equal(t, verdict.Inconclusive, r.Verdict, "between looks there is no verdict")
	require.NotContains(t, r.Meaning, "GET /42")
}

// TestRequestsWithoutARow holds that it is said which requests are not judged, and why.
func TestRequestsWithoutARow(t *testing.T) {
	why := func(r gate.Report) (all []string) {
		for _, n := range r.NotGated {
			if n.Unit == result.RequestP50 {
				all = append(all, n.Why)
			}
		}
		return all
	}
	few := mixed(rand.New(rand.NewPCG(8, 9)), 16, 3, nil)
	for b := range few.Blocks {
		few.Blocks[b].Sides[1].Asked[1].Requests = 99
	}
	few.Plan.Choose(nil, few.Blocks[0])
	require.Equal(t, verdict.Pass, judgedThreeWays(t, few).Verdict)
	require.Equal(
		t,
		[]string{"of 1 of 3 requests the first block had too few for it, GET /1?q={seq}; -side makes blocks longer"},
		why(gate.JudgeDuel(few)),
	)

	few.Plan.Choose([]string{"req/s", result.RequestP50}, few.Blocks[0])
	require.Empty(t, why(judgedThreeWays(t, few)), "who asks for it gets it")
	few.Plan.Choose([]string{"req/s"}, few.Blocks[0])
	r := judgedThreeWays(t, few)
	require.Equal(t, verdict.Pass, r.Verdict, r.Meaning)
	require.Equal(t, []string{"not in -unit"}, why(r))

	most := mixed(rand.New(rand.NewPCG(10, 11)), 16, 3, nil)
	for b := range most.Blocks {
		for side := range most.Blocks[b].Sides {
			a := &most.Blocks[b].Sides[side].Asked[2]
			a.Name, a.Others = "950 other requests", 950
		}
	}
	most.Plan.Choose(nil, most.Blocks[0])
	r = judgedThreeWays(t, most)
	require.Equal(t, verdict.Pass, r.Verdict, r.Meaning)
	require.Equal(
		t,
		[]string{"950 other requests have no row of their own, since those that are drawn most often have one; whether " +
			"they fail is judged, of all of them together"},
		why(r),
	)

	// Who asks for what there is not is told so.
	one := simulated(rand.New(rand.NewPCG(12, 13)), 16, 1, 0.003)
	one.Plan.Choose([]string{"req/s", result.RequestP50}, one.Blocks[0])
	r = judgedThreeWays(t, one)
	require.Equal(t, verdict.Inconclusive, r.Verdict)
	require.Contains(t, r.Gaps, "request-p50-ns: neither side could tell it")
}

// TestRequestThatIsCutOut holds that no request can be taken out of the files of a duel.
func TestRequestThatIsCutOut(t *testing.T) {
	d := mixed(rand.New(rand.NewPCG(14, 15)), 16, 20, map[int]float64{3: 1.3})
	sides := texts(t, d)
	judge := func(change func(string) string) gate.Report {
		var parsed [2]gate.Results
		for side, text := range sides {
			var err error
			parsed[side], err = gate.Parse(result.SideNames[side], []byte(change(text)))
			require.NoError(t, err)
		}
		r, err := gate.Judge(parsed[0], parsed[1], gate.Options{})
		require.NoError(t, err)
		return r
	}
	require.Equal(t, verdict.Regressed, judge(func(s string) string { return s }).Verdict)
	name := regexp.QuoteMeta("/request=GET%20%2F3?q={seq}")
	r := judge(func(s string) string {
		return regexp.MustCompile(`(?m)^Benchmark\S*`+name+`\S*[ \t].*\n`).ReplaceAllString(s, "")
	})
	require.Equal(t, verdict.Inconclusive, r.Verdict, r.Meaning)
	require.Contains(
		t,
		strings.Join(r.Gaps, "\n"),
		"baseline: 16 blocks without a result of GET /3?q={seq}, though no request failed",
	)
	for what, change := range map[string]func(string) string{
		"its id is not": func(s string) string {
			return strings.Replace(s, "GET%20%2F3?q={seq}", "GET%20%2F3?q={seq}:few", 1)
		},
		"block 1 says nothing of the 20 requests": func(s string) string {
			return regexp.MustCompile(` asked=\S+`).ReplaceAllString(s, "")
		},
		"is no result of the duel": func(s string) string {
			return regexp.MustCompile(`(/request=GET%20%2F)3(\?q=\{seq\}\S*[ \t])`).ReplaceAllString(s, "${1}33$2")
		},
		"a second result in block 1": func(s string) string {
			return regexp.MustCompile(`(/request=GET%20%2F)3(\?q=\{seq\}\S*[ \t])`).ReplaceAllString(s, "${1}4$2")
		},
		"want two numbers of each request": func(s string) string {
			return regexp.MustCompile(` asked=\d+`).ReplaceAllString(s, " asked=many")
		},
	} {
		r := judge(change)
		require.Equal(t, gate.Unjudged, r.Verdict, what)
		require.Contains(t, strings.Join(r.Problems, "\n"), what)
	}
}

// TestNamesOfRequestsAreKept holds that any name comes out of a file as it went in, on any number
// of processors.
func TestNamesOfRequestsAreKept(t *testing.T) {
	for _, cpus := range []int{1, 2} {
		d := mixed(rand.New(rand.NewPCG(16, 17)), 9, 7, nil)
		d.Machine.CPUs = cpus
		names := []string{
			"GET /a-3",
			"GET /vus=1/request=2-2",
			"POST /ü?a=%20&b=\"x,y:z\" (t.txt:7)",
			"PUT /Benchmark 5 ns/op",
			"…",
			"DELETE /{vu}/-1",
			"GET /#\t|<>'\\",
		}
		for b := range d.Blocks {
			for side := range d.Blocks[b].Sides {
				for i := range names {
					d.Blocks[b].Sides[side].Asked[i].Name = names[i]
				}
			}
		}
		d.Plan.Choose(nil, d.Blocks[0])
		var got []string
		r := judgedThreeWays(t, d)
		for _, row := range r.Rows {
			if row.Request != "" {
				got = append(got, row.Request)
			}
		}
		require.Equal(t, names, got, r.Problems)
	}
}
