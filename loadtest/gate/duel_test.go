package gate_test

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"rampart/loadtest/gate"
	"rampart/loadtest/inject"
	"rampart/loadtest/internal/race"
	"rampart/loadtest/report"
	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

// simulated makes a duel of n blocks whose candidate takes a factor longer; both scatter by a
// share.
func simulated(random *rand.Rand, n int, factor, scatter float64) result.Duel {
	d := result.Duel{
		Version: "v1.2.3", Started: time.Date(2026, 11, 24, 12, 0, 0, random.IntN(1e9), time.UTC), Baseline: "./old {addr}",
		Candidate: "./new {addr}", Target: "/", Machine: result.Machine{OS: "linux", Arch: "amd64", CPUs: 1 + random.IntN(4)},
		Seed: random.Uint64(), VUs: 1 + random.IntN(8), Slice: time.Millisecond, Plan: result.Plan{Looks: []int{8, 12, 16, 24}, Alpha: 0.05},
	}
	each := []int64{1, 20}[random.IntN(2)] // requests: too few for a tail to be judged, or enough
	for i := range n {
		b := result.Block{Number: i + 1, CandidateFirst: random.IntN(2) == 1}
		weather := math.Exp(0.2 * random.NormFloat64())
		for side := range b.Sides {
			mean := 5e5 * weather * math.Exp(scatter*random.NormFloat64())
			if side == 1 {
				mean *= factor
			}
			h := hdrhistogram.New(1, 100_000, 3)
			var sum time.Duration
			for j := range 100 {
				latency := time.Duration(mean * -math.Log((float64(j)+0.5)/100))
				sum += time.Duration(each) * latency
				_ = h.RecordValues(max(1, latency.Microseconds()), each)
			}
			b.Sides[side] = result.Side{
				Measurement: inject.Measurement{
					VUs: d.VUs, Requests: uint64(100 * each), Completed: uint64(100*each + 10), Bodies: (100*each + 10) * 70, LatencySum: sum, Latency: h, Strain: inject.Strain{Busy: random.Float64() / 2},
				},
				ServerCPU: &result.CPU{Used: time.Duration(110 * float64(each) * mean * 0.9), Elapsed: time.Second},
				Warmth:    result.Warmth{Load: 200 * time.Millisecond, Steady: time.Duration(1+i%2) * 40 * time.Millisecond},
			}
			used := b.Sides[side].ServerCPU.Used
			b.Sides[side].FirstHalf = &result.Part{Requests: uint64(50 * each), Busy: sum / 2, CPU: used / 2}
		}
		d.Blocks = append(d.Blocks, b)
	}
	if n > 0 {
		d.Plan.Choose(nil, d.Blocks[0])
	}
	return d
}

// files are those of a duel, parsed.
func files(t testing.TB, d result.Duel) (sides [2]gate.Results) {
	t.Helper()
	for side, text := range texts(t, d) {
		var err error
		sides[side], err = gate.Parse([2]string{d.Baseline, d.Candidate}[side], []byte(text))
		require.NoError(t, err)
	}
	return sides
}

func texts(t testing.TB, d result.Duel) (sides [2]string) {
	t.Helper()
	for side := range sides {
		var b bytes.Buffer
		require.NoError(t, report.DuelBench(&b, d, side))
		sides[side] = b.String()
	}
	return sides
}

// judgedThreeWays judges a duel in memory, read again from its document, and read again from its
// two files: every word and number must be the same.
func judgedThreeWays(t testing.TB, d result.Duel) gate.Report {
	t.Helper()
	judged := judgedTwoWays(t, d)
	var document, again bytes.Buffer
	require.NoError(t, report.DuelJSON(&document, d, judged))
	text := document.String()
	read, err := result.ReadDuelJSON(&document)
	require.NoError(t, err)
	if diff := cmp.Diff(judged, gate.JudgeDuel(read)); diff != "" {
		require.Empty(t, diff, "document of %+v", d.Plan)
	}
	require.NoError(t, report.DuelJSON(&again, read, judged))
	require.Equal(t, text, again.String(), "nothing is lost in the document")
	return judged
}

// judgedTwoWays leaves the document out, which takes longest.
func judgedTwoWays(t testing.TB, d result.Duel) gate.Report {
	t.Helper()
	judged := gate.JudgeDuel(d)
	sides := files(t, d)
	again, err := gate.Judge(sides[0], sides[1], gate.Options{})
	require.NoError(t, err)
	if diff := cmp.Diff(judged, again); diff != "" {
		require.Empty(t, diff, "files of %+v", d.Plan)
	}
	return judged
}

var (
	duels     = flag.Int("duels", 300/race.Slowness, "simulated duels that are judged in all ways")
	documents = flag.Bool("documents", false, "read the documents of all simulated duels again, and not of each sixteenth")
)

// kinds counts simulated duels.
type kinds struct {
	verdicts                           map[verdict.Verdict]int
	blocks                             map[int]int
	failing, doubted, between, written int
	cold                               int
}

// TestDuelIsJudgedTheSameEverywhere simulates duels of all kinds. 2000 of them, each with its
// document, take minutes: -args -duels 2000 -documents.
func TestDuelIsJudgedTheSameEverywhere(t *testing.T) {
	const shards = 4
	var all [shards]kinds
	t.Run("duels", func(t *testing.T) {
		for i := range shards {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				all[i] = judgeSimulated(t, rand.New(rand.NewPCG(7, uint64(i))), *duels/shards)
			})
		}
	})
	sum := kinds{verdicts: map[verdict.Verdict]int{}, blocks: map[int]int{}}
	for _, k := range all {
		for v, n := range k.verdicts {
			sum.verdicts[v] += n
		}
		for b, n := range k.blocks {
			sum.blocks[b] += n
		}
		sum.failing += k.failing
		sum.doubted += k.doubted
		sum.cold += k.cold
		sum.between += k.between
		sum.written += k.written
	}
	t.Logf("%+v", sum)
	for _, n := range []int{sum.verdicts[verdict.Pass], sum.verdicts[verdict.Regressed], sum.verdicts[verdict.Inconclusive],
		sum.failing, sum.doubted, sum.cold, sum.between, sum.written, sum.blocks[8], sum.blocks[12], sum.blocks[16], sum.blocks[24]} {
		require.Greater(t, n, *duels/40)
	}
}

// chill makes a side cold in a share of the blocks: its warm-up says so, or it takes a factor
// longer in the first half of the slices.
func chill(d *result.Duel, side int, share, factor float64) {
	for i := range d.Blocks {
		s := &d.Blocks[i].Sides[side]
		switch {
		case float64(i) >= share*float64(len(d.Blocks)):
		case factor == 1:
			s.Warmth.Cold = "the latency of a request fell by 12 % in the last 3.3s of load"
		default:
			s.FirstHalf.Busy = time.Duration(float64(s.FirstHalf.Busy) * factor)
		}
	}
}

func judgeSimulated(t *testing.T, random *rand.Rand, duels int) kinds {
	k := kinds{verdicts: map[verdict.Verdict]int{}, blocks: map[int]int{}}
	for i := range duels {
		n := []int{8, 12, 16, 24, 8, 12, 16, 24, 1 + random.IntN(24)}[random.IntN(9)]
		d := simulated(random, n, []float64{0.9, 1, 1, 1.02, 1.05, 1.2}[random.IntN(6)], []float64{0.002, 0.01, 0.05}[random.IntN(3)])
		if random.IntN(3) == 0 {
			d.Plan.Margins = map[string]float64{"p99-ns": 0.3 * random.Float64(), "req/s": 0.1 * random.Float64()}
		}
		if random.IntN(3) == 0 {
			d.Plan.Alpha = 0.001 + 0.2*random.Float64()
		}
		asked := [][]string{nil, nil, {"req/s"}, {"p50-ns", "p99-ns"}, {}}[random.IntN(5)]
		if random.IntN(6) == 0 {
			s := &d.Blocks[random.IntN(n)].Sides[random.IntN(2)]
			s.ServerCPU, s.NoServerCPU = nil, "it is not on this machine"
		}
		d.Plan.Choose(asked, d.Blocks[0])
		if random.IntN(4) == 0 { // some fail
			for i := range d.Blocks {
				for side := range d.Blocks[i].Sides {
					if random.IntN(8) == 0 || side == 1 && random.IntN(3) == 0 {
						d.Blocks[i].Sides[side].Failures[inject.Status] = uint64(1 + random.IntN(20))
					}
				}
			}
			k.failing++
		}
		if random.IntN(10) == 0 {
			d.Blocks[random.IntN(n)].Sides[random.IntN(2)].Strain.Busy = 0.97
			k.doubted++
		}
		if random.IntN(10) == 0 {
			chill(&d, random.IntN(2), random.Float64(), []float64{1, 1.1}[random.IntN(2)])
			k.cold++
		}
		ways := judgedTwoWays
		if i%16 == 0 || *documents {
			ways = judgedThreeWays
			k.written++
		}
		r := ways(t, d)
		k.verdicts[r.Verdict]++
		k.blocks[n]++
		if n%4 != 0 || n == 4 || n == 20 {
			k.between++
			require.NotContains(t, []verdict.Verdict{verdict.Pass, verdict.Regressed}, r.Verdict)
		}
	}
	return k
}

func TestJudgeDuel(t *testing.T) {
	for name, tt := range map[string]struct {
		factor float64
		blocks int
		change func(*result.Duel)
		want   verdict.Verdict
		says   string
		notes  []string
	}{
		"equal":  {factor: 1, blocks: 8, want: verdict.Pass},
		"faster": {factor: 0.9, blocks: 8, want: verdict.Pass},
		"slower": {factor: 1.1, blocks: 8, want: verdict.Regressed},
		"slower, but allowed": {factor: 1.1, blocks: 8, change: func(d *result.Duel) {
			d.Plan.Units, d.Plan.Margins = []string{"req/s"}, map[string]float64{"req/s": 0.2}
		}, want: verdict.Pass},
		"nothing is asked": {factor: 1.1, blocks: 8, change: func(d *result.Duel) { d.Plan.Units = []string{} }, want: gate.Unjudged},
		"too few":          {factor: 1, blocks: 3, want: verdict.Inconclusive, says: "between its looks"},
		"one failed": {factor: 1, blocks: 8, change: func(d *result.Duel) { d.Blocks[4].Sides[0].Failures[inject.EOF] = 1 },
			want: verdict.Inconclusive, says: "requests failed"},
		"slower, and one failed": {factor: 1.1, blocks: 12, change: func(d *result.Duel) {
			d.Blocks[4].Sides[1].Failures[inject.EOF] = 1
		}, want: verdict.Regressed},
		"the candidate fails": {factor: 1, blocks: 8, change: func(d *result.Duel) {
			for i := range d.Blocks {
				d.Blocks[i].Sides[1].Failures[inject.Status] = 20
			}
		}, want: verdict.Regressed, says: "fails more often"},
		"the injector is saturated": {factor: 1, blocks: 8, change: func(d *result.Duel) { d.Blocks[0].Sides[0].Strain.Busy = 0.91 },
			want: verdict.Inconclusive},
		"a side is cold":            {factor: 1, blocks: 8, change: func(d *result.Duel) { chill(d, 1, 0.4, 1) }, want: verdict.Inconclusive},
		"both sides are cold alike": {factor: 1, blocks: 8, change: func(d *result.Duel) { chill(d, 0, 1, 1); chill(d, 1, 1, 1) }, want: verdict.Inconclusive},
		"slower, and cold":          {factor: 1.1, blocks: 8, change: func(d *result.Duel) { chill(d, 0, 1, 1) }, want: verdict.Inconclusive},
		"cold in a block": {factor: 1, blocks: 8, change: func(d *result.Duel) { chill(d, 1, 0.25, 1) }, want: verdict.Pass,
			notes: []string{"2 of 8 blocks began while a server was cold: too few to change a verdict"}},
		"falls while it is measured": {factor: 1, blocks: 12, change: func(d *result.Duel) { chill(d, 1, 1, 1.2) }, want: verdict.Inconclusive},
		"both fall alike": {factor: 1, blocks: 12, change: func(d *result.Duel) { chill(d, 0, 1, 1.2); chill(d, 1, 1, 1.2) },
			want: verdict.Inconclusive},
		"falls in most blocks": {factor: 1, blocks: 12, change: func(d *result.Duel) { chill(d, 1, 0.9, 1.2) }, want: verdict.Pass},
		"CPU is unknown from the start": {factor: 1, blocks: 8, change: func(d *result.Duel) {
			for i := range d.Blocks {
				d.Blocks[i].Sides[1].ServerCPU, d.Blocks[i].Sides[1].NoServerCPU = nil, "docker-proxy\npasses on"
			}
			d.Plan.Choose(nil, d.Blocks[0])
		}, want: verdict.Pass, notes: []string{
			"server CPU of the candidate is not known in 8 of 8 blocks; in block 1: docker-proxy passes on"}},
		"CPU is unknown in a later block": {factor: 1, blocks: 8, change: func(d *result.Duel) { d.Blocks[3].Sides[1].ServerCPU = nil },
			want: verdict.Inconclusive, says: "block 4 is only in the baseline"},
		"CPU of neither is known in a later block": {factor: 1, blocks: 8, change: func(d *result.Duel) {
			d.Blocks[3].Sides[0].ServerCPU, d.Blocks[3].Sides[1].ServerCPU = nil, nil
		}, want: verdict.Inconclusive, says: "server-cpu-ns/op is in only 7 of 8 lines of the baseline"},
		"CPU is asked for and never known": {factor: 1, blocks: 8, change: func(d *result.Duel) {
			for i := range d.Blocks {
				d.Blocks[i].Sides[0].ServerCPU, d.Blocks[i].Sides[1].ServerCPU = nil, nil
			}
		}, want: verdict.Inconclusive, says: "server-cpu-ns/op: neither side could tell it"},
		"no request was timed": {factor: 1, blocks: 8, change: func(d *result.Duel) {
			d.Blocks[3].Sides[1].Requests = 0
			d.Blocks[3].Sides[1].Latency = nil
		}, want: verdict.Inconclusive, says: "1 block without a result, though no request failed"},
	} {
		t.Run(name, func(t *testing.T) {
			d := simulated(rand.New(rand.NewPCG(1, 2)), tt.blocks, tt.factor, 0.001)
			if tt.change != nil {
				tt.change(&d)
			}
			r := judgedThreeWays(t, d)
			require.Equal(t, tt.want, r.Verdict, r.Meaning)
			require.Contains(t, r.Meaning, tt.says)
			if tt.notes != nil {
				require.Equal(t, tt.notes, r.Notes)
			}
		})
	}
}

// TestNoVerdictBetweenLooks holds why: who may end a duel of two equal servers when it looks worse,
// errs far more often than planned.
func TestNoVerdictBetweenLooks(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	looks, err := verdict.NewLooks(8, 12)
	require.NoError(t, err)
	level := looks.EachAlpha(0.05)
	const runs = 4000
	planned, anywhere := 0, 0
	for range runs {
		var x, y []float64
		atLook, ever := false, false
		for n := 1; n <= 12; n++ {
			x, y = append(x, math.Exp(random.NormFloat64())), append(y, math.Exp(random.NormFloat64()))
			c, err := verdict.Rule{Alpha: 0.05}.Pairs(x, y, verdict.Lower)
			require.NoError(t, err)
			if c.P <= level {
				ever = true
				atLook = atLook || n == 8 || n == 12
			}
		}
		if atLook {
			planned++
		}
		if ever {
			anywhere++
		}
	}
	t.Logf("of %d: %d at looks, %d anywhere", runs, planned, anywhere)
	require.LessOrEqual(t, planned, runs*5/100+4*14)
	require.Greater(t, anywhere, runs*6/100)

	for n := 1; n < 24; n += race.Slowness { // to 16 at least, where a look is
		d := simulated(random, n, 2, 0.001)
		want := verdict.Inconclusive
		if n == 8 || n == 12 || n == 16 {
			want = verdict.Regressed
		}
		require.Equal(t, want, judgedThreeWays(t, d).Verdict, "%d blocks", n)
		for i := range d.Blocks {
			d.Blocks[i].Sides[1].Failures[inject.Status] = 50
		}
		require.Equal(t, want, judgedThreeWays(t, d).Verdict, "%d blocks with failures", n)
	}
}

// TestMarksThatContradict changes the files of a duel in the ways in which files come to grief.
// None may give another verdict.
func TestMarksThatContradict(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	d, other := simulated(random, 8, 1.1, 0.001), simulated(random, 8, 1, 0.001)
	twin := simulated(random, 8, 1, 0.001)
	twin.Seed = d.Seed
	longer := simulated(random, 12, 1, 0.001)
	good := texts(t, d)
	lines := func(s string) []string { return strings.SplitAfter(s, "\n") }
	without := func(s, part string) string {
		var b strings.Builder
		for _, l := range lines(s) {
			if !strings.Contains(l, part) {
				b.WriteString(l)
			}
		}
		return b.String()
	}
	both := func(change func(string) string) [2]string { return [2]string{change(good[0]), change(good[1])} }
	replaced := func(old, new string) [2]string {
		return both(func(s string) string {
			require.Contains(t, s, old)
			return strings.ReplaceAll(s, old, new)
		})
	}
	for name, tt := range map[string]struct {
		files [2]string
		says  string
	}{
		"no plan in one file":  {[2]string{good[0], without(good[1], "duel plan ")}, "is not in the file: it was cut"},
		"no plan in both":      {both(func(s string) string { return without(s, "duel plan ") }), "is not in the file: it was cut"},
		"no marks in one file": {[2]string{good[0], without(good[1], "# rampart duel")}, "no plan of a duel, as the other file has"},
		"no mark of a block":   {both(func(s string) string { return without(s, "block=5 ") }), "block 6 where block 5 should be"},
		"no mark of the last":  {both(func(s string) string { return without(s, "block=8 ") }), "7 blocks of the duel's 8 are in the file: it was cut"},
		"cut": {both(func(s string) string {
			return s[:strings.Index(s, "# rampart duel seed="+fmt.Sprint(d.Seed)+" block=7")]
		}), "6 blocks of the duel's 8"},
		"only the plan":            {both(func(s string) string { return s[:strings.Index(s, " block=1 ")-20] }), ""},
		"two duels":                {[2]string{good[0] + texts(t, other)[0], good[1] + texts(t, other)[1]}, "a second duel, or the same again"},
		"twice the same":           {[2]string{good[0] + good[0], good[1] + good[1]}, "a second duel, or the same again"},
		"two duels, same seed":     {[2]string{good[0], texts(t, twin)[1]}, "are of two duels"},
		"of two duels":             {[2]string{good[0], texts(t, other)[1]}, "are of two duels"},
		"other duel's blocks":      {[2]string{good[0], good[1] + without(texts(t, twin)[1], "duel plan ")}, "is not of the duel in line"},
		"looks edited":             {replaced("looks=8,12,16,24", "looks=8"), "it was edited or cut"},
		"alpha edited":             {replaced("alpha=0.05", "alpha=0.2"), "it was edited or cut"},
		"units edited":             {replaced("units=req/s,", "units="), "it was edited or cut"},
		"blocks edited":            {replaced("blocks=8", "blocks=12"), "it was edited or cut"},
		"a newer version":          {replaced("plan v=1", "plan v=2"), `version "2": this program knows 1`},
		"seed of a block edited":   {replaced("block=3 ", "block=3 plan=0 "), "plan twice"},
		"count of a block edited":  {replaced("requests=110 failures=0 ", "requests=110 "), "want both requests=1000 and failures=0"},
		"failures twice":           {replaced("failures=0", "failures=3 failures=0"), "failures twice"},
		"text before the marks":    {replaced("# rampart duel", "12:00:00 # rampart duel"), "with something before it"},
		"blanks before the marks":  {replaced("# rampart duel", "  # rampart duel"), "with something before it"},
		"another benchmark":        {[2]string{good[0] + "BenchmarkX 1 1 ns/op\n", good[1] + "BenchmarkX 1 2 ns/op\n"}, "is no result of the duel"},
		"a line twice":             {both(func(s string) string { l := lines(s); return s + l[len(l)-2] }), "a second result in block 8"},
		"swapped":                  {[2]string{good[1], good[0]}, "old.txt is the candidate of the duel, and new.txt its baseline"},
		"one side twice":           {[2]string{good[1], good[1]}, "old.txt and new.txt are both the candidate of the duel"},
		"a file of a longer state": {[2]string{texts(t, longer)[0], good[1]}, "are of two duels"},
	} {
		t.Run(name, func(t *testing.T) {
			x, err := gate.Parse("old.txt", []byte(tt.files[0]))
			require.NoError(t, err)
			y, err := gate.Parse("new.txt", []byte(tt.files[1]))
			require.NoError(t, err)
			r, err := gate.Judge(x, y, gate.Options{})
			require.NoError(t, err)
			require.Equal(t, gate.Unjudged, r.Verdict, r.Meaning)
			require.Equal(t, gate.ExitUnjudged, r.Exit)
			require.Contains(t, strings.Join(r.Problems, "\n"), tt.says)
			require.Empty(t, r.Rows)
		})
	}
}

// TestLinesThatAreMissing: a result that was taken out of both files is not missed by pairs, but by
// the plan.
func TestLinesThatAreMissing(t *testing.T) {
	d := simulated(rand.New(rand.NewPCG(5, 6)), 8, 1, 0.001)
	var sides [2]gate.Results
	for side, text := range texts(t, d) {
		l := strings.SplitAfter(text, "\n")
		var err error
		sides[side], err = gate.Parse("x.txt", []byte(strings.Join(l[:len(l)-2], "")))
		require.NoError(t, err)
	}
	r, err := gate.Judge(sides[0], sides[1], gate.Options{})
	require.NoError(t, err)
	require.Equal(t, verdict.Inconclusive, r.Verdict)
	require.Contains(t, r.Meaning, "1 block without a result")
}

// TestFlagsBesideAPlan: what the user says counts, and the report says that the duel was planned
// otherwise; looks stay, and so does the row of answers.
func TestFlagsBesideAPlan(t *testing.T) {
	d := simulated(rand.New(rand.NewPCG(1, 2)), 8, 1.01, 0.001)
	sides := files(t, d)
	looks, err := verdict.NewLooks(d.Plan.Looks...)
	require.NoError(t, err)
	for name, tt := range map[string]struct {
		options gate.Options
		note    string
		each    float64
		rows    int
	}{
		"none":               {gate.Options{}, "", looks.EachAlpha(0.05), 4},
		"the same":           {gate.Options{Alpha: 0.05, Units: []string{"p50-ns", "req/s", "server-cpu-ns/op"}}, "", looks.EachAlpha(0.05), 4},
		"alpha":              {gate.Options{Alpha: 0.1}, "-alpha 0.1 counts here; the duel was planned with 0.05", looks.EachAlpha(0.1), 4},
		"unit":               {gate.Options{Units: []string{"req/s"}}, "-unit req/s counts here; the duel was planned for req/s,server-cpu-ns/op,p50-ns", looks.EachAlpha(0.05), 2},
		"margin":             {gate.Options{Margins: map[string]float64{"req/s": 0.005}}, "-margin req/s=0.5% counts here; the duel was planned with 3%", looks.EachAlpha(0.05), 4},
		"margin of another":  {gate.Options{Margins: map[string]float64{"p99-sec": 0.2}}, "it is judged, too; the duel was planned without it", looks.EachAlpha(0.05), 5},
		"unpaired":           {gate.Options{Pairing: gate.PairingOff}, "", 0.05 / 4, 4},
		"paired by the user": {gate.Options{Pairing: gate.PairingForced}, "", looks.EachAlpha(0.05), 4},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := gate.Judge(sides[0], sides[1], tt.options)
			require.NoError(t, err)
			require.Equal(t, tt.each, r.AlphaEach)
			require.Equal(t, d.Plan.Looks, r.Looks)
			require.Len(t, r.Rows, tt.rows)
			if tt.note == "" {
				require.Empty(t, r.Notes)
			} else {
				require.Contains(t, strings.Join(r.Notes, "\n"), tt.note)
			}
		})
	}
}

// TestFilesOfOlderVersions have marks of blocks and no plan: they are judged as if nobody had
// looked before, and the report says so.
func TestFilesOfOlderVersions(t *testing.T) {
	d := simulated(rand.New(rand.NewPCG(1, 2)), 8, 1, 0.001)
	var sides [2]gate.Results
	for side, text := range texts(t, d) {
		i := strings.Index(text, "# rampart duel plan ")
		old := text[:i] + text[i+strings.Index(text[i:], "\n")+1:]
		plan := text[i+strings.Index(text[i:], " id=")+4 : i+strings.Index(text[i:], "\n")]
		old = regexp.MustCompile(` \S+ slow/op|Unit slow/op.*\n`).ReplaceAllString(old, "") // which they do not know
		var err error
		sides[side], err = gate.Parse("x.txt", []byte(strings.ReplaceAll(old, " plan="+plan, "")))
		require.NoError(t, err)
	}
	r, err := gate.Judge(sides[0], sides[1], gate.Options{})
	require.NoError(t, err)
	require.Equal(t, verdict.Pass, r.Verdict, r.Meaning)
	require.Equal(t, 0.05, r.AlphaEach)
	require.Contains(t, strings.Join(r.Notes, "\n"), "each look was another chance to err")
}

// FuzzMarks changes the files of a duel: whatever comes out, it is not another verdict than that of
// the duel without a word.
func FuzzMarks(f *testing.F) {
	d := simulated(rand.New(rand.NewPCG(1, 2)), 8, 1.1, 0.001)
	sides := texts(f, d)
	want := gate.JudgeDuel(d)
	f.Add(uint(100), uint(10), []byte("8"), false)
	f.Add(uint(strings.Index(sides[0], "looks=")), uint(16), []byte("looks=8"), true)
	f.Add(uint(strings.Index(sides[0], "alpha=")), uint(10), []byte("alpha=0.4"), true)
	f.Add(uint(strings.Index(sides[0], "block=3")), uint(7), []byte("block=4"), true)
	f.Add(uint(strings.Index(sides[0], "units=")), uint(0), []byte("units=p50-ns "), true)
	f.Fuzz(func(t *testing.T, at, length uint, by []byte, inBoth bool) {
		var parsed [2]gate.Results
		for side, text := range sides {
			if side == 0 || inBoth {
				// Only marks are changed: what was measured, everybody can write as they like.
				i := strings.Index(text, "# rampart duel plan ")
				end := i + strings.Index(text[i:], "\n")
				from := i + int(at)%(end-i)
				to := min(end, from+int(length%64))
				text = text[:from] + string(by) + text[to:]
			}
			var err error
			if parsed[side], err = gate.Parse("x.txt", []byte(text)); err != nil {
				return
			}
		}
		r, err := gate.Judge(parsed[0], parsed[1], gate.Options{})
		require.NoError(t, err)
		if r.Verdict != want.Verdict {
			require.Equal(t, gate.Unjudged, r.Verdict, r.Meaning)
			require.NotEmpty(t, r.Problems)
			return
		}
		require.Equal(t, want.Alpha, r.Alpha)
		require.Equal(t, want.Looks, r.Looks)
		require.Equal(t, len(want.Rows), len(r.Rows))
	})
}

// TestDocumentsAreNotMixedUp: each reader refuses the document of the other, which would read as
// one without levels or blocks.
func TestDocumentsAreNotMixedUp(t *testing.T) {
	d := simulated(rand.New(rand.NewPCG(1, 2)), 1, 1, 0.001)
	var duel, levels bytes.Buffer
	require.NoError(t, report.DuelJSON(&duel, d, gate.JudgeDuel(d)))
	_, err := result.ReadJSON(&duel)
	require.ErrorContains(t, err, `a document of kind "duel" is no result of levels: want result.json`)
	require.NoError(t, result.JSON(&levels, result.Result{Kind: result.KindLevels}))
	_, err = result.ReadDuelJSON(&levels)
	require.ErrorContains(t, err, `a document of kind "levels" is no duel: want duel.json`)
	for text, want := range map[string]string{
		`{"version":2,"kind":"duel"}`:              "duel.json of version 2: want 1",
		`{"version":1,"kind":"duel"}`:              "duel.json of an older version, without a plan",
		`{"version":1,"kind":"duel","plan":{}} {}`: "something comes after the result",
		`{"version":1,"kind":"duel","plan":{},"blocks":[{"block":1,"candidate":{"failures":{"odd":1}}}]}`: `block 1, candidate: class of failure "odd"`,
	} {
		_, err := result.ReadDuelJSON(strings.NewReader(text))
		require.ErrorContains(t, err, want)
	}
}

// TestPlanThatCannotBe judges nothing, and says why: whoever makes a duel by hand learns it.
func TestPlanThatCannotBe(t *testing.T) {
	d := simulated(rand.New(rand.NewPCG(1, 2)), 8, 1, 0.001)
	for _, looks := range [][]int{nil, {8, 8}, {65}} {
		d.Plan.Looks = looks
		r := gate.JudgeDuel(d)
		require.Equal(t, gate.Unjudged, r.Verdict)
		require.Contains(t, r.Meaning, "looks")
	}
	d.Plan.Looks, d.Plan.Alpha = []int{8}, 0.7
	require.Equal(t, gate.Unjudged, gate.JudgeDuel(d).Verdict)
	d.Plan.Alpha = 0
	require.Equal(t, gate.Unjudged, gate.JudgeDuel(d).Verdict)
}
