package capacity

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func measured(vus, throughputs []float64) (all []Measured) {
	for i := range vus {
		all = append(all, Measured{VUs: int(vus[i]), Throughput: throughputs[i]})
	}
	return all
}

func upTo(n int) (all []float64) {
	for i := 1; i <= n; i++ {
		all = append(all, float64(i))
	}
	return all
}

// TestFitOfPublishedData has data sets whose coefficients were published, found by other programs
// with the least squares of the throughputs, too.
func TestFitOfPublishedData(t *testing.T) {
	for _, tt := range []struct {
		name                                 string
		vus, throughputs                     []float64
		lambda, sigma, kappa, peak, atItsTop float64
		noPeak                               string
	}{
		{
			// SPEC SDM 91 of a SPARCcenter 2000. Gunther has it in "Guerrilla Capacity Planning";
			// coefficients of package usl for R (S. Moeding), version 3.
			"SPEC SDM", []float64{1, 18, 36, 72, 108, 144, 216},
			[]float64{64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775.0, 1702.2},
			89.9952331, 0.0277285, 0.0001044, 96.5, 1883.76, "",
		},
		{
			// A ray tracer on an SGI Origin 2000, from the same book. No κ fits better than none.
			"ray tracer", []float64{1, 4, 8, 12, 16, 20, 24, 28, 32, 48, 64},
			[]float64{20, 78, 130, 170, 190, 200, 210, 230, 260, 280, 310},
			21.848843, 0.057771, 0, 0, 0, "it levels off and does not fall",
		},
		{
			// MySQL on a Cisco UCS server, from B. Schwartz and E. Fortune, "Forecasting MySQL
			// Scalability with the Universal Scalability Law", Percona 2010.
			"MySQL", upTo(32),
			[]float64{
				955.16, 1878.91, 2688.01, 3548.68, 4315.54, 5130.43, 5931.37, 6531.08, 7219.8, 7867.61, 8278.71, 8646.7,
				9047.84, 9426.55, 9645.37, 9897.24, 10097.6, 10240.5, 10532.39, 10798.52, 11151.43, 11518.63, 11806, 12089.37,
				12075.41, 12177.29, 12211.41, 12158.93, 12155.27, 12118.04, 12140.4, 12074.39,
			},
			995.6486, 0.02671591, 7.690945e-4, 0, 0, "it would be at 36 vus, outside of the 1 to 32 that were measured",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := Fit(measured(tt.vus, tt.throughputs))
			require.Empty(t, s.Refused, "nothing is known of the errors")
			require.InEpsilon(t, tt.lambda, s.Lambda.Value, 1e-5)
			require.InEpsilon(t, tt.sigma, s.Sigma.Value, 2e-5)
			require.InDelta(t, tt.kappa, s.Kappa.Value, 1e-3*tt.kappa)
			require.Equal(t, tt.noPeak, s.NoPeak)
			require.InDelta(t, tt.peak, s.Peak.Value, 0.05)
			require.InDelta(t, tt.atItsTop, s.PeakThroughput.Value, 0.005*tt.atItsTop)
			require.Zero(t, s.Lambda.Upper)
		})
	}
}

// lawful is a server that keeps the law, with its peak at 40 VUs.
func lawful(vus int) float64 {
	const lambda, sigma, kappa = 100, 0.04, 0.0006
	n := float64(vus)
	return lambda * n / (1 + sigma*(n-1) + kappa*n*(n-1))
}

// TestScalabilityOfASearch searches on servers that keep the law, and on ones that do not, on a
// machine that wanders.
func TestScalabilityOfASearch(t *testing.T) {
	const runs = 20
	find := func(random *rand.Rand, at func(int) float64) Scalability {
		machine := weathers[len(weathers)-1].weather(random, 4000)
		n := 0
		s, _ := play(t, Plan{MaxVUs: 256, Seconds: 10, Seed: random.Uint64()}, func(vus int) Window {
			n++
			return Window{Throughput: at(vus) * machine[n] * max(0.1, 1+0.05*random.NormFloat64())}
		})
		return s.Scalability()
	}
	random := rand.New(rand.NewPCG(9, 9))
	var refused, peaks, sigmas, kappas, tops int
	in := func(p Parameter, truth float64) int {
		if p.Lower <= truth && truth <= p.Upper {
			return 1
		}
		return 0
	}
	for range runs {
		s := find(random, lawful)
		if s.Refused != "" {
			refused++
			continue
		}
		sigmas += in(s.Sigma, 0.04)
		kappas += in(s.Kappa, 0.0006)
		if s.NoPeak == "" {
			peaks++
			tops += in(s.Peak, 40)
			require.InEpsilon(t, lawful(40), s.PeakThroughput.Value, 0.3, "the machine wanders by 10 %")
		}
		require.InEpsilon(t, s.Lambda.Value*lawful(64)/100, s.At(64), 0.1)
	}
	// 5 % of each may go wrong.
	require.LessOrEqual(t, refused, 5)
	held := runs - refused
	t.Logf("of %d: %d refused, interval of σ holds it %d times, of κ %d, of %d peaks %d", runs, refused, sigmas, kappas,
		peaks, tops)
	require.GreaterOrEqual(t, sigmas, held-5)
	require.GreaterOrEqual(t, kappas, held-5)
	require.GreaterOrEqual(t, peaks, held-5, "the peak is among what is measured")
	require.GreaterOrEqual(t, tops, peaks-5)

	for _, c := range curves {
		switch c.name {
		case "plateau", "dip":
			refused := 0
			for range 10 {
				if s := find(random, c.at); s.Refused != "" {
					require.Contains(t, s.Refused, "it does not fit: at ")
					require.Zero(t, s.Lambda, "nothing follows from it")
					refused++
				}
			}
			require.GreaterOrEqual(t, refused, 8, c.name)
		}
	}
}

func TestScalabilityIsRefused(t *testing.T) {
	few := Fit(measured([]float64{1, 2, 4}, []float64{10, 19, 30}))
	require.Equal(t, "3 levels are too few for a model of three coefficients: want 4 or more", few.Refused)

	exact := []Measured{}
	for _, vus := range []int{1, 2, 4, 8, 16, 32, 64, 128} {
		exact = append(exact, Measured{VUs: vus, Throughput: lawful(vus), Error: 0.01 * lawful(vus), Freedom: 15})
	}
	s := Fit(exact)
	require.Empty(t, s.Refused)
	require.InDelta(t, 40, s.Peak.Value, 1e-6)
	require.Less(t, s.Peak.Lower, 39.5)
	require.Greater(t, s.Peak.Upper, 40.5)
	require.Equal(t, s, Fit(exact), "the same levels have the same intervals")
	exact[3].Throughput *= 1.2
	s = Fit(exact)
	require.Regexp(t, `^it does not fit: at 8 vus it is -\d+\.\d % off, and the rounds scatter by 0\.8 % \(p = `,
		s.Refused)

	var below []Measured
	for _, vus := range []int{1, 2, 4, 8, 16} {
		below = append(below, Measured{VUs: vus, Throughput: lawful(vus), Error: 0.001 * lawful(vus), Freedom: 15})
	}
	s = Fit(below)
	require.Empty(t, s.Refused)
	require.Zero(t, s.Peak)
	require.Equal(t, "it would be at 40 vus, outside of the 1 to 16 that were measured", s.NoPeak)
	require.InEpsilon(t, 0.04, s.Sigma.Value, 1e-6)

	// Levels that were measured one after the other are not compared.
	search, _ := play(t, Plan{MaxVUs: 4096, Seconds: 3}, func(vus int) Window {
		return Window{Throughput: slots(4)(vus).Throughput, Seconds: 2}
	})
	require.NotEmpty(t, search.Scalability().Refused)
	require.NotEmpty(t, NewSearch(Plan{MaxVUs: 8, Seconds: 1}).Scalability().Refused)
	require.False(t, math.IsNaN(s.At(1)))
}
