package capacity

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// play searches on a server to the end.
func play(t *testing.T, plan Plan, serve func(vus int) Window) (*Search, []int) {
	t.Helper()
	s := NewSearch(plan)
	var order []int
	for vus := s.Next(); vus > 0; vus = s.Next() {
		w := serve(vus)
		w.VUs = vus
		if w.Seconds == 0 {
			w.Seconds = 0.1
		}
		s.Add(w)
		order = append(order, vus)
		if len(order)%16 == 0 {
			s.Estimate() // at any time
		}
		require.Less(t, len(order), 100000)
	}
	return s, order
}

func (s *Search) vus() []int {
	var all []int
	for _, l := range s.levels {
		all = append(all, l.vus)
	}
	return all
}

// slots is a server that serves so many requests at a time.
func slots(n int) func(int) Window {
	return func(vus int) Window { return Window{Throughput: 100 * float64(min(vus, n))} }
}

func TestSearch(t *testing.T) {
	plan := Plan{MaxVUs: 4096, Seconds: 3, Seed: 1}
	for _, tt := range []struct {
		name   string
		plan   func(*Plan)
		serve  func(int) Window
		stop   StopReason
		levels []int
		want   Estimate // without Rounds
	}{
		{
			name: "one slot", serve: slots(1), stop: Knee, levels: []int{1, 2, 4},
			want: Estimate{VUs: 1, Throughput: 100, Knee: 1, KneeLower: 1, KneeUpper: 1, Accepted: []int{1}},
		},
		{
			name: "two slots", serve: slots(2), stop: Knee, levels: []int{1, 2, 4, 8},
			want: Estimate{VUs: 2, Throughput: 200, Knee: 2, KneeLower: 2, KneeUpper: 2, Accepted: []int{1, 2}},
		},
		{
			name: "a knee between doublings", serve: slots(11), stop: Knee,
			want: Estimate{
				VUs: 12, Throughput: 1100, Knee: 12, KneeLower: 11, KneeUpper: 12, Accepted: []int{1, 2, 4, 8, 10, 12},
			},
		},
		{
			name: "a single VU is allowed", plan: func(p *Plan) { p.MaxVUs = 1 }, serve: slots(8),
			stop: MaxVUs, levels: []int{1},
			want: Estimate{VUs: 1, Throughput: 100, Accepted: []int{1}},
		},
		{
			name: "grows up to the most VUs", plan: func(p *Plan) { p.MaxVUs = 11 }, serve: slots(100), stop: MaxVUs,
			levels: []int{1, 2, 4, 8},
			want:   Estimate{VUs: 8, Throughput: 800, Accepted: []int{1, 2, 4, 8}},
		},
		{
			name: "a dip of a level", stop: Knee,
			serve: func(vus int) Window {
				x := map[int]float64{1: 50, 2: 100, 4: 94, 8: 101, 16: 115, 32: 118, 64: 118}[vus]
				if x == 0 {
					x = 105
				}
				return Window{Throughput: x}
			},
			want: Estimate{
				VUs: 32, Throughput: 118, Knee: 16, KneeLower: 15, KneeUpper: 16, Accepted: []int{1, 2, 4, 8, 12, 14, 16, 32},
			},
		},
		{
			name: "failures", stop: RequestsFailed, levels: []int{1, 2, 4, 8},
			serve: func(vus int) Window {
				w := slots(100)(vus)
				w.Failures = uint64(max(vus-4, 0))
				return w
			},
			want: Estimate{VUs: 4, Throughput: 400, Accepted: []int{1, 2, 4}},
		},
		{
			name: "failures that a goal bounds", stop: Knee, levels: []int{1, 2, 4, 8},
			plan: func(p *Plan) { p.Goals, p.Bounded = []float64{0.01}, true },
			serve: func(vus int) Window {
				w := slots(2)(vus)
				w.Failures = 1
				w.Goals = []Share{{1, 1000}}
				return w
			},
			want: Estimate{VUs: 2, Throughput: 200, Knee: 2, KneeLower: 2, KneeUpper: 2, Accepted: []int{1, 2}},
		},
		{
			name: "a goal that many VUs break", stop: SLO, plan: func(p *Plan) { p.Goals = []float64{0.01} },
			levels: []int{1, 2, 4, 8, 16, 32, 40, 44, 46, 47, 48, 64},
			serve: func(vus int) Window {
				w := slots(100)(vus)
				w.Goals = []Share{{max(0, float64(vus-46)), 1000}}
				if vus > 46 {
					w.Goals[0].Part += 15
				}
				return w
			},
			want: Estimate{VUs: 46, Throughput: 4600, Accepted: []int{1, 2, 4, 8, 16, 32, 40, 44, 46}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := plan
			if tt.plan != nil {
				tt.plan(&p)
			}
			s, _ := play(t, p, tt.serve)
			reason, detail := s.Stop()
			require.Equal(t, tt.stop, reason, detail)
			require.NotEmpty(t, detail)
			if len(tt.levels) > 0 {
				require.Equal(t, tt.levels, s.vus())
			}
			e, ok := s.Estimate()
			require.True(t, ok)
			require.GreaterOrEqual(t, e.Rounds, 8)
			require.InDelta(t, tt.want.Throughput, e.Lower, 1e-6, "a server without noise")
			require.InDelta(t, tt.want.Throughput, e.Upper, 1e-6)
			e.Rounds, e.Lower, e.Upper = 0, 0, 0
			e.Throughput = math.Round(e.Throughput*1e6) / 1e6
			require.Empty(t, cmp.Diff(tt.want, e))
			total, passed := s.Seconds()
			require.Equal(t, p.Seconds*float64(len(s.levels)), total)
			require.InDelta(t, total, passed, 0.1*float64(len(s.levels)), "all of the time is used, and no more")
			require.LessOrEqual(t, passed, total)
		})
	}
}

func TestNothingIsAccepted(t *testing.T) {
	for name, serve := range map[string]func(int) Window{
		"failures": func(int) Window { return Window{Throughput: 10, Failures: 1, Goals: []Share{{0, 10}}} },
		"slo":      func(int) Window { return Window{Throughput: 10, Goals: []Share{{5, 10}}} },
	} {
		s, order := play(t, Plan{MaxVUs: 4096, Seconds: 3, Goals: []float64{0.1}}, serve)
		reason, _ := s.Stop()
		require.Equal(t, StopReason(name), reason)
		_, ok := s.Estimate()
		require.False(t, ok)
		require.Less(t, len(order), 10, "it is no use to go on")
	}
}

// TestFailureInALaterRound: a request that fails when it was known how far to double takes its
// level, and those above it, out of the result.
func TestFailureInALaterRound(t *testing.T) {
	n := 0
	s, _ := play(t, Plan{MaxVUs: 4096, Seconds: 3}, func(vus int) Window {
		w := slots(2)(vus)
		if vus == 4 {
			if n++; n == 20 {
				w.Failures = 3
			}
		}
		return w
	})
	reason, detail := s.Stop()
	require.Equal(t, RequestsFailed, reason)
	require.Equal(t, "3 requests failed at 4 vus", detail)
	e, _ := s.Estimate()
	require.Equal(t, []int{1, 2}, e.Accepted)
}

func TestTimeIsShort(t *testing.T) {
	t.Run("for the next level", func(t *testing.T) {
		s, _ := play(t, Plan{MaxVUs: 4096, Seconds: 3, Limit: 5}, slots(1000))
		reason, detail := s.Stop()
		require.Equal(t, Deadline, reason)
		require.Contains(t, detail, "no time is left to measure")
		_, passed := s.Seconds()
		require.LessOrEqual(t, passed, 5.0)
		_, ok := s.Estimate()
		require.True(t, ok)
	})
	t.Run("for many windows", func(t *testing.T) {
		s, order := play(t, Plan{MaxVUs: 4096, Seconds: 3}, func(vus int) Window {
			w := slots(4)(vus)
			w.Seconds = 2
			return w
		})
		reason, detail := s.Stop()
		require.Equal(t, Knee, reason)
		require.Contains(t, detail, "from 4 vus to 8: throughput +0.0 %, needed +5 %; the time did not suffice to be sure")
		require.Equal(t, []int{1, 2, 4, 8, 16}, s.vus())
		require.LessOrEqual(t, len(order), 2*len(s.levels))
		e, _ := s.Estimate()
		require.Equal(t, 4, e.VUs)
		require.Equal(t, 400.0, e.Throughput)
	})
}

// TestOrderIsDrawn holds that each level of a round is measured once, and comes first about as
// often.
func TestOrderIsDrawn(t *testing.T) {
	_, order := play(t, Plan{MaxVUs: 2, Seconds: 20.01, Seed: 7}, slots(1))
	require.Len(t, order, 400)
	first := 0
	for i := 0; i < len(order); i += 2 {
		require.NotEqual(t, order[i], order[i+1])
		first += order[i] - 1
	}
	require.InDelta(t, 100, first, 30)
	_, same := play(t, Plan{MaxVUs: 2, Seconds: 20.01, Seed: 7}, slots(1))
	require.Equal(t, order, same)
	_, other := play(t, Plan{MaxVUs: 2, Seconds: 20.01, Seed: 8}, slots(1))
	require.NotEqual(t, order, other)
}

// TestGoalsAreFound has shares that scatter: the last level that keeps a goal is found within 5 %.
func TestGoalsAreFound(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	const runs = 20
	near := 0
	for range runs {
		s, _ := play(t, Plan{MaxVUs: 4096, Seconds: 3, Seed: random.Uint64(), Goals: []float64{0.01}}, func(vus int) Window {
			// 1 % are slow at 100 VUs, half as many at 80.
			share := 0.01 * math.Exp2((float64(vus)-100)/20)
			slow := 0.0
			for range 500 {
				if random.Float64() < share {
					slow++
				}
			}
			return Window{Throughput: 50 * float64(vus), Goals: []Share{{slow, 500}}, Seconds: 0.05}
		})
		reason, _ := s.Stop()
		require.Equal(t, SLO, reason)
		e, ok := s.Estimate()
		require.True(t, ok)
		if math.Abs(e.Throughput/5000-1) <= 0.05 {
			near++
		}
	}
	require.GreaterOrEqual(t, near, 18)
}

func TestAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		x    []float64
		want interval
	}{
		"nothing to tell from": {[]float64{4, 6}, interval{5, math.Inf(-1), math.Inf(1)}},
		"all alike":            {[]float64{5, 5, 5, 5}, interval{5, 5, 5}},
		// The standard error of three is 1, and √2 times as much between two means; t with 2
		// degrees of freedom is 4.303.
		"three": {
			[]float64{10 - math.Sqrt(3), 10, 10 + math.Sqrt(3)},
			interval{10, 10 - 4.303*math.Sqrt2, 10 + 4.303*math.Sqrt2},
		},
	} {
		got := again(tt.x)
		require.Equal(t, tt.want.mean, got.mean, name)
		if math.IsInf(tt.want.upper, 0) {
			require.Equal(t, tt.want, got, name)
			continue
		}
		require.InDelta(t, tt.want.lower, got.lower, 0.001, name)
		require.InDelta(t, tt.want.upper, got.upper, 0.001, name)
	}
}

// TestAgainHoldsTheNext draws two series, one right after the other, of noises of all kinds: the
// interval of the first holds the mean of the second.
func TestAgainHoldsTheNext(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	white := func(n int) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = random.NormFloat64()
		}
		return x
	}
	// A sum of walks that forget at all scales has flicker.
	flicker := func(n int) []float64 {
		x := white(n)
		for _, memory := range []float64{3, 10, 30, 100, 300, 1000} {
			kept := math.Exp(-1 / memory)
			now := random.NormFloat64()
			for i := range x {
				now = kept*now + math.Sqrt(1-kept*kept)*random.NormFloat64()
				x[i] += now
			}
		}
		return x
	}
	for name, tt := range map[string]struct {
		draw func(int) []float64
		n    int
		want float64
	}{
		"white, 6":     {white, 6, 0.95},
		"white, 40":    {white, 40, 0.93},
		"white, 300":   {white, 300, 0.94},
		"flicker, 40":  {flicker, 40, 0.89},
		"flicker, 300": {flicker, 300, 0.89},
	} {
		const runs = 300
		held := 0
		for range runs {
			x := tt.draw(2 * tt.n)
			for i := range x {
				x[i] += 100
			}
			got, next := again(x[:tt.n]), again(x[tt.n:]).mean
			if got.lower <= next && next <= got.upper {
				held++
			}
		}
		t.Logf("%s: %.3f", name, float64(held)/runs)
		require.Greater(t, float64(held)/runs, tt.want-4*math.Sqrt(tt.want*(1-tt.want)/runs), name)
	}
}
