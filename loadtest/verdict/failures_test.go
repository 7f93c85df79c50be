package verdict

import (
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFisher(t *testing.T) {
	for name, tt := range map[string]struct {
		baseline, candidate Count
		want, within        float64
	}{
		// Fisher's lady, who tells 3 or 4 of 4 cups rightly (The Design of Experiments, 1935,
		// chapter II).
		"three cups": {Count{3, 1}, Count{1, 3}, 17.0 / 70, 1e-12},
		"four cups":  {Count{4, 0}, Count{0, 4}, 1.0 / 70, 1e-12},
		// Fisher's twins of criminals, as fisher.test of R has it: "p-value = 0.0004652".
		"twins":     {Count{15, 2}, Count{3, 10}, 0.0004652, 5e-8},
		"none":      {Count{100, 0}, Count{100, 0}, 1, 1e-12},
		"all":       {Count{0, 100}, Count{0, 100}, 1, 1e-12},
		"one":       {Count{300, 0}, Count{99, 1}, 0.25, 1e-12},
		"no sample": {Count{}, Count{}, 1, 0},
		"one side":  {Count{}, Count{3, 2}, 1, 1e-12},
	} {
		t.Run(name, func(t *testing.T) { require.InDelta(t, tt.want, Fisher(tt.baseline, tt.candidate), tt.within) })
	}
}

// TestFisherByCounting compares with ratios of whole numbers of any size.
func TestFisherByCounting(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		baseline := Count{random.Uint64N(400), random.Uint64N(40)}
		candidate := Count{random.Uint64N(400), random.Uint64N(40)}
		choose := func(n, k uint64) *big.Int { return new(big.Int).Binomial(int64(n), int64(k)) }
		failed, tail := baseline.Failed+candidate.Failed, new(big.Int)
		for i := candidate.Failed; i <= min(failed, candidate.Total()); i++ {
			tail.Add(tail, new(big.Int).Mul(choose(candidate.Total(), i), choose(baseline.Total(), failed-i)))
		}
		want, _ := new(big.Rat).SetFrac(tail, choose(baseline.Total()+candidate.Total(), failed)).Float64()
		require.InEpsilon(t, want, Fisher(baseline, candidate), 1e-9, "%v %v", baseline, candidate)
	}
	// Of large numbers, the one failure on a side of a quarter of all requests.
	require.InEpsilon(t, 0.25, Fisher(Count{3e9, 0}, Count{1e9 - 1, 1}), 1e-9)
	require.Less(t, Fisher(Count{1e6, 0}, Count{9e5, 1e5}), 1e-300)
	require.InDelta(t, 1, Fisher(Count{9e5, 1e5}, Count{1e6, 0}), 1e-12)
}

func TestFailures(t *testing.T) {
	same := func(n int, c Count) (all []Count) {
		for range n {
			all = append(all, c)
		}
		return all
	}
	none, some := Count{1000, 0}, Count{990, 10}
	burst := append(same(7, none), Count{500, 500})
	for name, tt := range map[string]struct {
		baseline, candidate []Count
		want                Verdict
	}{
		"none":                        {same(8, none), same(8, none), Pass},
		"no block":                    {nil, nil, Inconclusive},
		"only the candidate":          {same(8, none), same(8, some), Regressed},
		"only the baseline":           {same(8, some), same(8, none), Inconclusive},
		"both alike":                  {same(8, some), same(8, some), Inconclusive},
		"candidate more":              {same(8, some), same(8, Count{950, 50}), Regressed},
		"few blocks":                  {same(4, none), same(4, some), Inconclusive},
		"one burst":                   {same(8, none), burst, Inconclusive},
		"one request":                 {same(8, none), append(same(7, none), Count{999, 1}), Inconclusive},
		"more requests, as many fail": {same(8, some), same(8, Count{1980, 20}), Inconclusive},
		// shares count, not numbers
		"fewer requests, more fail": {same(8, Count{9980, 20}), same(8, Count{900, 30}), Regressed},
		"a hair more in each block": {same(8, Count{900, 100}), same(8, Count{899, 101}), Inconclusive},
		"not one request":           {same(8, Count{}), same(8, Count{}), Pass},
	} {
		t.Run(name, func(t *testing.T) {
			f := Rule{Alpha: 0.05}.CompareFailures(tt.baseline, tt.candidate)
			require.Equal(t, tt.want, f.Verdict, "%+v", f)
			require.Len(t, tt.baseline, f.Blocks)
		})
	}
	f := Rule{Alpha: 0.05}.CompareFailures(same(8, none), same(8, some))
	require.Equal(t, FailureComparison{8, Count{8000, 0}, Count{7920, 80}, 1.0 / 256, 0.05, Regressed}, f)
	looks, err := NewLooks(8, 12, 16, 24)
	require.NoError(t, err)
	f = Rule{Alpha: 0.05, Looks: looks}.CompareFailures(same(8, none), same(8, some))
	require.Equal(t, Regressed, f.Verdict, "clear cases end at the first look")
	require.Equal(t, looks.EachAlpha(0.05), f.Needed)
}

// TestFalseAlarmsOfFailures holds that a server is seldom said to fail more often than itself,
// whether requests fail one by one or in bursts.
func TestFalseAlarmsOfFailures(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for name, fail := range map[string]func() Count{
		"one by one": func() (c Count) {
			for range 300 {
				if random.IntN(100) == 0 {
					c.Failed++
				}
			}
			c.Succeeded = 300 - c.Failed
			return c
		},
		"bursts": func() Count {
			if random.IntN(4) == 0 {
				return Count{200, 100}
			}
			return Count{300, 0}
		},
		"bad starts": func() Count {
			bad := random.Uint64N(200)
			return Count{300 - bad, bad}
		},
	} {
		t.Run(name, func(t *testing.T) {
			const runs = 4000
			alarms := 0
			for range runs {
				var sides [2][]Count
				for range 8 {
					sides[0], sides[1] = append(sides[0], fail()), append(sides[1], fail())
				}
				if (Rule{Alpha: 0.05}).CompareFailures(sides[0], sides[1]).Verdict == Regressed {
					alarms++
				}
			}
			t.Logf("%d of %d", alarms, runs)
			require.LessOrEqual(t, alarms, runs*5/100+4*14) // four standard deviations of the simulation
		})
	}
}
