package prove

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/verdict"
)

// equals simulates duels of a server with itself whose blocks scatter by so much.
func equals(random *rand.Rand, duels, blocks int, sd float64) (all []Values) {
	for range duels {
		var v Values
		for range blocks {
			v[0] = append(v[0], 100)
			v[1] = append(v[1], 100*math.Exp(sd*random.NormFloat64()))
		}
		all = append(all, v)
	}
	return all
}

// TestNoise holds that of fresh duels about nine in ten pass at the margin that is said to be
// supported, and that the scatter is the one that was made.
func TestNoise(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	planned := []int{9, 12, 16, 24}
	looks, err := verdict.NewLooks(planned...)
	require.NoError(t, err)
	each := looks.EachAlpha(0.05)
	for _, unit := range []string{"req/s", "p50-ns"} {
		for _, sd := range []float64{0.005, 0.03, 0.2} {
			n, ok := noiseOf(unit, equals(random, 20, 12, sd), planned, each)
			require.True(t, ok)
			require.InEpsilon(t, sd, n.SD, 0.15)
			better := directionOf(unit)
			passed := 0
			const runs = 300
			for _, v := range equals(random, runs, 24, sd) {
				for _, look := range planned {
					c, err := verdict.Rule{Alpha: each}.Pairs(v[0][:look], v[1][:look], better)
					require.NoError(t, err)
					if max(c.Upper, c.Together) < better.Margin(n.Supported) {
						passed++
						break
					}
				}
			}
			require.InDelta(t, 0.9, float64(passed)/runs, 0.08, "%s, %v", unit, sd)
		}
	}
}

func TestNoiseWithoutAnswer(t *testing.T) {
	_, ok := noiseOf("req/s", nil, []int{9}, 0.05)
	require.False(t, ok)
	_, ok = noiseOf("req/s", []Values{{{1}, {1}}}, []int{9}, 0.05)
	require.False(t, ok, "one block")
	_, ok = noiseOf("req/s", []Values{{{1, 2}, {1}}}, []int{9}, 0.05)
	require.False(t, ok, "a side could not know it in each block")
	_, ok = noiseOf("nonsense", []Values{{{1, 2}, {1, 2}}}, []int{9}, 0.05)
	require.False(t, ok, "no direction")

	n, ok := noiseOf("req/s", []Values{{{1, 1}, {1, 1}}}, []int{3}, 0.05)
	require.True(t, ok)
	require.Zero(t, n.Supported, "no bound from so few blocks: no margin is supported")
	n, ok = noiseOf("slow/op", []Values{{{0, 0}, {0, 0}}}, []int{9}, 0.05)
	require.True(t, ok)
	require.Zero(t, n.SD)
	require.InDelta(t, 0.0005, n.Supported, 1e-9, "no noise: the smallest that is printed")
}
