package gate_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

// TestAnswersAreAlike has sides that are equally fast and answer with bodies of other lengths.
func TestAnswersAreAlike(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	always := func(size float64) func(int) float64 { return func(int) float64 { return size } }
	for _, tt := range []struct {
		name                string
		baseline, candidate func(block int) float64
		want                verdict.Verdict
	}{
		{"the same", always(5200), always(5200), verdict.Pass},
		{"nothing", always(0), always(0), verdict.Pass},
		{"a short page of errors", always(5200), always(23), verdict.Inconclusive},
		{"more than before", always(5200), always(5400), verdict.Inconclusive},
		{"a few bytes of many", always(5200), always(5210), verdict.Pass},
		{"nothing in place of something", always(5200), always(0), verdict.Inconclusive},
		{"a tenth of them errors", always(5200), always(5200*0.9 + 2.3), verdict.Inconclusive},
		{"errors in one block of twelve", always(5200), func(block int) float64 {
			if block == 7 {
				return 23
			}
			return 5200
		}, verdict.Inconclusive},
		{"of any length, on both sides", func(int) float64 { return 5000 * (1 + 0.02*random.NormFloat64()) },
			func(int) float64 { return 5000 * (1 + 0.02*random.NormFloat64()) }, verdict.Pass},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := simulated(random, 12, 1, 0.001)
			for i := range d.Blocks {
				for side, size := range [2]func(int) float64{tt.baseline, tt.candidate} {
					s := &d.Blocks[i].Sides[side]
					s.Bodies = int64(size(i) * float64(s.Completed))
				}
			}
			r := judgedThreeWays(t, d)
			require.Equal(t, tt.want, r.Verdict, r.Meaning)
			d.Plan.AnyAnswer = true
			d.Plan.Choose(nil, d.Blocks[0])
			require.Equal(t, verdict.Pass, judgedThreeWays(t, d).Verdict)
			require.NotContains(t, d.Plan.Units, result.BodySize)
		})
	}
}
