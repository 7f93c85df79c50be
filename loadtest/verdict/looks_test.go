package verdict

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// chance enumerates how often a test at this level, where nothing changed, is significant at any of the looks: exactly,
// over all words of signs and all places of every new difference.
func chance(level float64, looks ...int) float64 {
	critical := make(map[int]int)
	for _, n := range looks {
		critical[n] = signedRank(n).critical(level)
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

// TestLevelEnumerated holds that the simulation gives levels whose error over all looks is at most alpha, and that the
// next higher level would exceed it but for the reserve of the simulation.
func TestLevelEnumerated(t *testing.T) {
	for _, looks := range [][]int{{8}, {6, 8, 10, 12}, {8, 10, 12, 16}, {5, 6, 7, 8, 9, 10, 11, 12}} {
		plan, err := NewLooks(looks...)
		require.NoError(t, err)
		for _, alpha := range []float64{0.2, 0.05, 0.05 / 4, 0.05 / 24, 0.0001} {
			level := plan.Level(alpha)
			got := chance(level, looks...)
			t.Logf("looks %v, alpha %.4g: level %.4g, error %.5g", looks, alpha, level, got)
			require.LessOrEqual(t, got, alpha*rounding)
			require.GreaterOrEqual(t, level, alpha/float64(len(looks)))
			if alpha < 0.001 {
				continue // too few of the paths to be sharp
			}
			// The next level that makes a difference is the next attainable P of any look.
			next := math.Inf(1)
			for _, n := range looks {
				d := signedRank(n)
				next = min(next, d.tail(d.critical(level)-1))
			}
			require.Greater(t, chance(next, looks...), alpha*0.85, "the level could be higher")
		}
	}
}

// TestOneLook: with a single look the level spends alpha as the exact test does.
func TestOneLook(t *testing.T) {
	plan, err := NewLooks(12)
	require.NoError(t, err)
	require.Equal(t, signedRank(12).critical(0.05), signedRank(12).critical(plan.Level(0.05)))
}

// TestLooksRefused has plans that are none.
func TestLooksRefused(t *testing.T) {
	for _, looks := range [][]int{nil, {0}, {-1}, {8, 8}, {10, 8}, {65}, {8, 100}} {
		_, err := NewLooks(looks...)
		require.Error(t, err, looks)
	}
}

// TestSequential runs whole comparisons that end as soon as there is a verdict. Without spending alpha, six looks would
// raise more than twice as many false alarms as they should.
func TestSequential(t *testing.T) {
	const alpha, runs = 0.05, 8000
	looks := []int{8, 10, 12, 16, 20, 30}
	plan, err := NewLooks(looks...)
	require.NoError(t, err)
	t.Logf("level %.4g", plan.Level(alpha))
	random := rand.New(rand.NewPCG(7, 8))
	margin := Lower.Margin(0.03)

	// run compares servers of which the candidate is slower by a factor; noise is large enough for all looks to be used.
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
		t.Logf("looks %v, slower by %.1f %%: %s %d/%d, %.1f blocks on average", rule.Looks != nil, 100*(slower-1), v, hits, runs,
			float64(blocks)/runs)
		return float64(hits) / runs
	}
	spent := Rule{Alpha: alpha, Looks: plan}
	require.LessOrEqual(t, rate(spent, 1, Regressed), alpha)
	require.LessOrEqual(t, rate(spent, 1.03, Pass), alpha)
	require.Greater(t, rate(spent, 1.1, Regressed), 0.99)
	require.Greater(t, rate(Rule{Alpha: alpha}, 1, Regressed), 1.8*alpha, "looking often without paying for it")
}

func ExampleLooks_Level() {
	looks, err := NewLooks(8, 10, 12, 16, 20, 30)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%.4f\n", looks.Level(0.05))
	// Output: 0.0168
}

func BenchmarkNewLooks(b *testing.B) {
	for b.Loop() {
		if _, err := NewLooks(8, 10, 12, 16, 20, 30); err != nil {
			b.Fatal(err)
		}
	}
}
