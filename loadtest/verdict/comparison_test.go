package verdict

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// relate makes pairs whose d, where less is better, are the given ones.
func relate(d ...float64) (baseline, candidate []float64) {
	for i, v := range d {
		common := 100 * float64(i+1) // what a pair shares must not matter
		baseline, candidate = append(baseline, common), append(candidate, common*math.Exp(v))
	}
	return baseline, candidate
}

// TestByHand has sums small enough to be checked on paper.
func TestByHand(t *testing.T) {
	// Ranks of the sizes 1 to 5; only the smallest is negative, so T+ is 14. Of 32 patterns, two reach
	// 14.
	baseline, candidate := relate(-0.01, 0.02, 0.03, 0.04, 0.05)
	c, err := Rule{Alpha: 1.0 / 32}.Pairs(baseline, candidate, Lower)
	require.NoError(t, err)
	require.InDelta(t, 2.0/32, c.P, 1e-12)
	// The averages of two are -1, 0.5, 1, 1.5, 2, 2, 2.5, 3, 3, 3.5, 3.5, 4, 4, 4.5, 5: the median is
	// the eighth.
	require.InDelta(t, 0.03, c.Estimate, 1e-9)
	require.InDelta(t, -0.01, c.Lower, 1e-9, "at 1/32 only the least average is far enough out")
	require.InDelta(t, 0.05, c.Upper, 1e-9)

	// Of six orders of four values, one has the candidate's two on top.
	c, err = Rule{Alpha: 0.2}.Groups([]float64{100, 110}, []float64{120, 150}, Lower)
	require.NoError(t, err)
	require.InDelta(t, 1.0/6, c.P, 1e-12)
	require.InDelta(t, math.Log(120.0/110), c.Lower, 1e-9)
	require.InDelta(t, math.Log(150.0/100), c.Upper, 1e-9)
	require.InDelta(t, (math.Log(120.0/100)+math.Log(150.0/110))/2, c.Estimate, 1e-9)
}

// TestSignsEnumerated gives every pattern of signs to every kind of sizes, with ties and zeros.
// Each pattern has the same chance where nothing changed, so the share of those with P <= a must be
// a at most, and where there are no ties exactly what the distribution says.
func TestSignsEnumerated(t *testing.T) {
	for name, sizes := range map[string][]float64{
		"no ties":    {0.011, 0.02, 0.033, 0.047, 0.052, 0.06, 0.075, 0.081, 0.099, 0.2},
		"ties":       {0.01, 0.01, 0.01, 0.02, 0.02, 0.03, 0.03, 0.03, 0.03, 0.04},
		"zeros":      {0, 0, 0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07},
		"all equal":  {0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01},
		"all zero":   {0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"one jumps":  {0.01, 0.011, 0.012, 0.013, 0.014, 0.015, 0.016, 0.017, 0.018, 9},
		"very close": {1e-13, 2e-13, 3e-13, 1e-10, 2e-10, 3e-10, 1e-9, 2e-9, 3e-9, 4e-9},
	} {
		t.Run(name, func(t *testing.T) {
			n := len(sizes)
			var ps []float64
			for pattern := range 1 << n {
				d := make([]float64, n)
				for i := range d {
					d[i] = sizes[i]
					if pattern>>i&1 == 0 {
						d[i] = -d[i]
					}
				}
				baseline, candidate := relate(d...)
				c, err := Rule{Alpha: 0.05}.Pairs(baseline, candidate, Lower)
				require.NoError(t, err)
				require.Equal(t, c.Lower > 0, c.P <= 0.05, "bound and test agree: %+v", c)
				ps = append(ps, c.P)
			}
			enumerated(t, ps, name == "no ties")
		})
	}
}

// TestGroupsEnumerated does the same with all ways to deal values into two groups.
func TestGroupsEnumerated(t *testing.T) {
	for name, values := range map[string][]float64{
		"no ties":   {100, 101, 103, 106, 110, 115, 121, 128, 136, 145, 155},
		"ties":      {100, 100, 100, 101, 101, 102, 103, 103, 103, 103, 104},
		"all equal": {100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100},
		"zeros":     {0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 5},
	} {
		t.Run(name, func(t *testing.T) {
			var ps []float64
			for pattern := range 1 << len(values) {
				if bits.OnesCount(uint(pattern)) != 5 {
					continue
				}
				var groups [2][]float64
				for i, v := range values {
					side := pattern >> i & 1
					groups[side] = append(groups[side], v)
				}
				c, err := Rule{Alpha: 0.05}.Groups(groups[0], groups[1], Higher)
				require.NoError(t, err)
				require.Equal(t, c.Lower > 0, c.P <= 0.05, "bound and test agree: %+v", c)
				ps = append(ps, c.P)
			}
			require.Len(t, ps, 462)
			enumerated(t, ps, name == "no ties")
		})
	}
}

// enumerated checks p-values of outcomes that have equal chances.
func enumerated(t *testing.T, ps []float64, exact bool) {
	t.Helper()
	for _, a := range ps {
		atMost := 0
		for _, p := range ps {
			if p <= a*rounding {
				atMost++
			}
		}
		share := float64(atMost) / float64(len(ps))
		require.LessOrEqual(t, share, a*rounding)
		if exact {
			require.InDelta(t, a, share, 1e-12)
		}
	}
}

// TestSymmetries: the two sides, the two directions and the scale are conventions.
func TestSymmetries(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	rule := Rule{Alpha: 0.05}
	for range 200 {
		n := 1 + random.IntN(15)
		x, y := make([]float64, n), make([]float64, n)
		for i := range x {
			x[i], y[i] = float64(90+random.IntN(20)), float64(95+random.IntN(20))
		}
		for _, compare := range []func(x, y []float64, b Better) (Comparison, error){rule.Pairs, rule.Groups} {
			c, err := compare(x, y, Lower)
			require.NoError(t, err)
			require.LessOrEqual(t, c.Lower, c.Estimate)
			require.LessOrEqual(t, c.Estimate, c.Upper)

			swapped, err := compare(y, x, Higher)
			require.NoError(t, err)
			require.Equal(t, c.Estimate, swapped.Estimate, "swapping sides and direction changes nothing")
			require.Equal(t, c.P, swapped.P)

			mirrored, err := compare(x, y, Higher)
			require.NoError(t, err)
			require.Equal(t, [3]float64{-c.Upper, -c.Estimate, -c.Lower},
				[3]float64{mirrored.Lower, mirrored.Estimate, mirrored.Upper})
			require.GreaterOrEqual(t, c.P+mirrored.P, 1.0-1e-9, "not both worse and better")

			scaled := make([]float64, n)
			for i := range scaled {
				scaled[i] = y[i] * 3e-9
			}
			small := make([]float64, n)
			for i := range small {
				small[i] = x[i] * 3e-9
			}
			again, err := compare(small, scaled, Lower)
			require.NoError(t, err)
			require.InDelta(t, c.Estimate, again.Estimate, 1e-11)
		}
	}
}

// TestOrderOfSamples: pairs must stay pairs, and nothing else about the order matters; the caller's
// slices stay as they are.
func TestOrderOfSamples(t *testing.T) {
	rule := Rule{Alpha: 0.05}
	x, y := []float64{5, 1, 4, 2, 3}, []float64{5.1, 1.2, 4.3, 2.4, 3.5}
	c, err := rule.Pairs(x, y, Lower)
	require.NoError(t, err)
	require.Equal(t, []float64{5, 1, 4, 2, 3}, x)
	require.InDelta(t, 1.0/32, c.P, 1e-12, "every pair is worse")
	g, err := rule.Groups(x, y, Lower)
	require.NoError(t, err)
	require.Greater(t, g.P, 0.2, "what pairs share is noise to groups")
	require.Equal(t, []float64{5.1, 1.2, 4.3, 2.4, 3.5}, y)
}

func TestFewSamples(t *testing.T) {
	c, err := Rule{Alpha: 0.05}.Pairs([]float64{100, 100, 100, 100}, []float64{110, 110, 110, 110}, Lower)
	require.NoError(t, err)
	require.Equal(t, 1.0/16, c.P)
	require.InDelta(t, math.Log(1.1), c.Estimate, 1e-9)
	require.True(t, math.IsInf(c.Lower, -1))
	require.True(t, math.IsInf(c.Upper, 1))
}

// TestManySamples has sizes for which nothing is listed or exact.
func TestManySamples(t *testing.T) {
	const n = 20000
	x, y := make([]float64, n), make([]float64, n)
	random := rand.New(rand.NewPCG(5, 6))
	for i := range x {
		x[i], y[i] = math.Exp(0.1*random.NormFloat64()), 1.01*math.Exp(0.1*random.NormFloat64())
	}
	for _, compare := range []func(x, y []float64, b Better) (Comparison, error){Rule{Alpha: 0.05}.Pairs,
		Rule{Alpha: 0.05}.Groups} {
		c, err := compare(x, y, Lower)
		require.NoError(t, err)
		require.InDelta(t, math.Log(1.01), c.Estimate, 0.005)
		require.InDelta(t, 2*1.645*0.1*math.Sqrt(2.0/n), c.Upper-c.Lower, 0.0005)
		require.Less(t, c.P, 1e-6)
	}
}

func TestZeros(t *testing.T) {
	rule := Rule{Alpha: 0.05}
	none, some := make([]float64, 6), []float64{1, 1, 2, 1, 1, 3}
	c, err := rule.Pairs(none, none, Lower)
	require.NoError(t, err)
	require.Equal(t, [4]float64{0, 0, 0, 1}, [4]float64{c.Lower, c.Estimate, c.Upper, c.P})
	c, err = rule.Pairs(none, some, Lower)
	require.NoError(t, err)
	require.Greater(t, c.Lower, 700.0, "beyond every margin")
	c, err = rule.Groups(some, none, Lower)
	require.NoError(t, err)
	require.Less(t, c.Upper, -700.0)
}

func TestRefused(t *testing.T) {
	good := []float64{1, 2, 3}
	for want, f := range map[string]func() (Comparison, error){
		"2 and 3 samples are not pairs": func() (Comparison, error) { return Rule{Alpha: 0.05}.Pairs(good[:2], good, Lower) },
		"no samples":                    func() (Comparison, error) { return Rule{Alpha: 0.05}.Pairs(nil, nil, Lower) },
		"no samples: want":              func() (Comparison, error) { return Rule{Alpha: 0.05}.Groups(good, nil, Lower) },
		"no direction":                  func() (Comparison, error) { return Rule{Alpha: 0.05}.Groups(good, good, 0) },
		"alpha 0":                       func() (Comparison, error) { return Rule{}.Groups(good, good, Lower) },
		"alpha 0.5":                     func() (Comparison, error) { return Rule{Alpha: 0.5}.Pairs(good, good, Lower) },
		"alpha NaN": func() (Comparison, error) {
			return Rule{Alpha: math.NaN()}.Pairs(good, good, Lower)
		},
		"value NaN": func() (Comparison, error) {
			return Rule{Alpha: 0.05}.Pairs(good, []float64{1, math.NaN(), 3}, Lower)
		},
		"value +Inf": func() (Comparison, error) { return Rule{Alpha: 0.05}.Groups([]float64{math.Inf(1)}, good, Lower) },
		"value -1":   func() (Comparison, error) { return Rule{Alpha: 0.05}.Groups(good, []float64{-1}, Higher) },
	} {
		_, err := f()
		require.ErrorContains(t, err, want)
	}
}

func TestMarginAndChange(t *testing.T) {
	for _, b := range []Better{Lower, Higher} {
		require.InDelta(t, float64(-b)*0.03, b.Change(b.Margin(0.03)), 1e-12, "the margin is a change for the worse")
		require.Equal(t, 0.0, b.Margin(0))
	}
	require.InDelta(t, math.Log(100.0/97), Higher.Margin(0.03), 1e-12)
	require.InDelta(t, math.Log(1.03), Lower.Margin(0.03), 1e-12)
	require.Equal(t, -1.0, Higher.Change(math.Inf(1)))
}

// TestFewPairsAreNotOutvoted has a candidate that is as fast as the baseline in most pairs and many
// times slower in a few. Ranks see no difference, so the verdict must not rest on them alone.
func TestFewPairsAreNotOutvoted(t *testing.T) {
	rule := Rule{Alpha: 0.05}
	for _, better := range []Better{Lower, Higher} {
		x, y := make([]float64, 24), make([]float64, 24)
		for i := range x {
			x[i], y[i] = 100, 100+0.1*float64(i%7-3)
			if i%8 == 0 {
				y[i] = 100 * math.Pow(4, -float64(better)) // four times as bad
			}
		}
		c, err := rule.Pairs(x, y, better)
		require.NoError(t, err)
		require.Less(t, c.Upper, 0.01)
		require.InDelta(t, math.Log(1+3.0*3/24), c.Together, 0.001)
		v, judgements := rule.Judge([]Row{{Comparison: c, Margin: better.Margin(0.03)}})
		require.Equal(t, Inconclusive, v)
		require.True(t, judgements[0].Outvoted)
		c, err = rule.Groups(x, y, better)
		require.NoError(t, err)
		require.Less(t, c.Upper, 0.01)
		_, judgements = rule.Judge([]Row{{Comparison: c, Margin: better.Margin(0.03)}})
		require.True(t, judgements[0].Outvoted)
	}
	c, err := rule.Pairs([]float64{0, 0}, []float64{0, 0}, Lower)
	require.NoError(t, err)
	require.Zero(t, c.Together)
	c, err = rule.Pairs([]float64{1, 1e-300}, []float64{1e300, 1e300}, Higher)
	require.NoError(t, err)
	require.False(t, math.IsNaN(c.Together) || math.IsInf(c.Together, 0))
}
