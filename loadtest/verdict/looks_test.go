package verdict

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/internal/race"
)

// chance enumerates how often a test at this level, where nothing changed, is significant at any of
// the looks: exactly, over all words of signs and all places of every new difference.
func chance(each float64, looks ...int) float64 {
	critical := make(map[int]int)
	for _, n := range looks {
		critical[n] = signedRank(n).critical(each)
	}
	words := []float64{1} // probability of each word of n signs, not significant so far
	for n := 1; n <= looks[len(looks)-1]; n++ {
		next := make([]float64, 2*len(words))
		for word, p := range words {
			for place := range n {
				for bit := range uint64(2) {
					next[insert(uint64(word), place, bit)] += p / float64(2*n)
				}
			}
		}
		words = next
		if at, ok := critical[n]; ok {
			for word := range words {
				if rankSumOf(uint64(word)) >= at {
					words[word] = 0
				}
			}
		}
	}
	left := 0.0
	for _, p := range words {
		left += p
	}
	return 1 - left
}

// growing enumerates the same for differences of which each is larger than all before: over all
// words of signs.
func growing(each float64, looks ...int) float64 {
	critical := make(map[int]int)
	for _, n := range looks {
		critical[n] = signedRank(n).critical(each)
	}
	last, errs := looks[len(looks)-1], 0
	for word := range uint64(1) << last {
		for _, n := range looks {
			if rankSumOf(word&(1<<n-1)) >= critical[n] {
				errs++
				break
			}
		}
	}
	return float64(errs) / float64(uint64(1)<<last)
}

// TestEachAlphaEnumerated holds that levels are such that the error over all looks is at most
// alpha, by enumeration of both orders of sizes, and that the next higher level would exceed it in
// one of them, but for the reserve of the simulation.
func TestEachAlphaEnumerated(t *testing.T) {
	for _, looks := range [][]int{{8}, {6, 8, 10, 12}, {8, 10, 12, 16}, {5, 6, 7, 8, 9, 10, 11, 12}, {8, 12, 16, 20}} {
		plan, err := NewLooks(looks...)
		require.NoError(t, err)
		for _, alpha := range []float64{0.2, 0.05, 0.05 / 4, 0.05 / 24, 0.0001} {
			each := plan.EachAlpha(alpha)
			same, grow := chance(each, looks...), growing(each, looks...)
			t.Logf("looks %v, alpha %.4g: level %.4g, error %.5g, growing %.5g", looks, alpha, each, same, grow)
			require.InDelta(t, grow, plan.errsGrowing(each), 1e-12)
			require.LessOrEqual(t, same, alpha*rounding)
			require.LessOrEqual(t, grow, alpha*rounding)
			require.GreaterOrEqual(t, each, alpha/float64(len(looks)))
			if alpha < 0.001 {
				continue // too few of the paths to be sharp
			}
			// The next level that makes a difference is the next attainable P of any look.
			next := math.Inf(1)
			for _, n := range looks {
				d := signedRank(n)
				next = min(next, d.tail(d.critical(each)-1))
			}
			require.Greater(t, max(chance(next, looks...)/0.85, growing(next, looks...)), alpha, "the level could be higher")
		}
	}
}

// TestUsualLooks enumerates the looks of a duel in both orders of sizes.
func TestUsualLooks(t *testing.T) {
	looks := []int{9, 12, 16, 24}
	plan, err := NewLooks(looks...)
	require.NoError(t, err)
	require.InDelta(t, 0.0592, plan.errsGrowing(0.0196), 0.0001, "what exchangeable sizes would allow")
	each := plan.EachAlpha(0.05)
	same, grow := chance(each, looks...), plan.errsGrowing(each)
	t.Logf("level %.4g, error %.5g, growing %.5g", each, same, grow)
	require.InDelta(t, 0.0170, each, 0.0001)
	require.LessOrEqual(t, same, 0.05)
	require.LessOrEqual(t, grow, 0.05)
}

// TestGrowingIsTheWorstOrder goes through every order of sizes in time: in none do looks err more
// often than where each difference is larger than all before.
func TestGrowingIsTheWorstOrder(t *testing.T) {
	looks := []int{4, 6, 7}
	last := looks[len(looks)-1]
	plan, err := NewLooks(looks...)
	require.NoError(t, err)
	for _, each := range []float64{1.0 / 16, 2.0 / 16, 3.0 / 16} {
		worst := 0.0
		order := make([]int, last) // order[i] is the size of the i-th difference
		for i := range order {
			order[i] = i
		}
		permute(order, 0, func() { worst = max(worst, errs(order, each, looks)) })
		t.Logf("level %.4f: growing %.4f, worst of all orders %.4f", each, plan.errsGrowing(each), worst)
		require.InDelta(t, worst, plan.errsGrowing(each), 1e-12)
	}
}

// permute calls f with every order of what stands from place from on.
func permute(order []int, from int, f func()) {
	if from == len(order)-1 {
		f()
		return
	}
	for i := from; i < len(order); i++ {
		order[from], order[i] = order[i], order[from]
		permute(order, from+1, f)
		order[from], order[i] = order[i], order[from]
	}
}

// errs enumerates the error of all looks for one order of sizes.
func errs(order []int, each float64, looks []int) float64 {
	significant := 0
	for signs := range uint64(1) << len(order) {
		for _, n := range looks {
			sum := 0
			for i, size := range order[:n] {
				if signs>>i&1 == 0 {
					continue
				}
				for _, other := range order[:n] {
					if other <= size {
						sum++
					}
				}
			}
			if sum >= signedRank(n).critical(each) {
				significant++
				break
			}
		}
	}
	return float64(significant) / float64(uint64(1)<<len(order))
}

// TestOneLook: with a single look the level spends alpha as the exact test does.
func TestOneLook(t *testing.T) {
	plan, err := NewLooks(12)
	require.NoError(t, err)
	require.Equal(t, signedRank(12).critical(0.05), signedRank(12).critical(plan.EachAlpha(0.05)))
}

// TestLooksRefused has plans that are none.
func TestLooksRefused(t *testing.T) {
	for _, looks := range [][]int{nil, {0}, {-1}, {8, 8}, {10, 8}, {65}, {8, 100}} {
		_, err := NewLooks(looks...)
		require.Error(t, err, looks)
	}
}

// TestSequential runs whole comparisons that end as soon as there is a verdict. Without spending
// alpha, six looks would raise more than twice as many false alarms as they should.
func TestSequential(t *testing.T) {
	const alpha, runs = 0.05, 4000 / race.Slowness
	looks := []int{8, 10, 12, 16, 20, 30}
	plan, err := NewLooks(looks...)
	require.NoError(t, err)
	t.Logf("level %.4g", plan.EachAlpha(alpha))
	random := rand.New(rand.NewPCG(7, 8))
	margin := Lower.Margin(0.03)

	// run compares servers of which the candidate is slower by a factor; noise is large enough for
	// all looks to be used.
	run := func(rule Rule, slower float64) (Verdict, int) {
		var x, y []float64
		for _, n := range looks {
			for len(x) < n {
				machine := math.Exp(0.2 * random.NormFloat64())
				x = append(x, machine*math.Exp(0.04*random.NormFloat64()))
				y = append(y, machine*slower*math.Exp(0.04*random.NormFloat64()))
			}
			c, err := rule.Pairs(x, y, Lower)
			require.NoError(t, err)
			if v, _ := rule.Judge([]Row{{Comparison: c, Margin: margin}}); v != Inconclusive {
				return v, n
			}
		}
		return Inconclusive, looks[len(looks)-1]
	}
	rate := func(rule Rule, slower float64, v Verdict) float64 {
		hits, blocks := 0, 0
		for range runs {
			got, n := run(rule, slower)
			blocks += n
			if got == v {
				hits++
			}
		}
		t.Logf("looks %v, slower by %.1f %%: %s %d/%d, %.1f blocks on average", rule.Looks != nil, 100*(slower-1), v, hits,
			runs,
			float64(blocks)/runs)
		return float64(hits) / runs
	}
	spent := Rule{Alpha: alpha, Looks: plan}
	require.LessOrEqual(t, rate(spent, 1, Regressed), alpha)
	require.LessOrEqual(t, rate(spent, 1.03, Pass), alpha)
	require.Greater(t, rate(spent, 1.1, Regressed), 0.99)
	require.Greater(t, rate(Rule{Alpha: alpha}, 1, Regressed), 1.8*alpha, "looking often without paying for it")
}

func ExampleLooks_EachAlpha() {
	looks, err := NewLooks(8, 10, 12, 16, 20, 30)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%.4f\n", looks.EachAlpha(0.05))
	// Output: 0.0120
}

func BenchmarkNewLooks(b *testing.B) {
	for b.Loop() {
		if _, err := NewLooks(8, 10, 12, 16, 20, 30); err != nil {
			b.Fatal(err)
		}
	}
}
