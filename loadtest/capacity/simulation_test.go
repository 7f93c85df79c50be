package capacity

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var simulations = flag.Bool("simulations", false,
	"simulate 1000 ramps of each kind and keep the table, which takes minutes, and not 20")

// curves are servers: the throughput at so many VUs, of which the highest is 100.
var curves = []struct {
	name string
	at   func(vus int) float64
}{
	{"plateau", func(vus int) float64 { return min(100, 100*float64(vus)/16) }},
	{"gradual knee", func(vus int) float64 { return 100 * (1 - math.Exp(-float64(vus)/6)) }},
	{"retrograde", func(vus int) float64 { // Universal Scalability Law with its peak at 16 VUs
		const s, k = 0.05, 0.95 / 256
		n := float64(vus)
		at := func(n float64) float64 { return n / (1 + s*(n-1) + k*n*(n-1)) }
		return 100 * at(n) / at(16)
	}},
	{"dip", func(vus int) float64 { // the bundled server on two shared cores
		x := []float64{45, 87, 82, 88, 95, 98.5, 100, 100}
		n := math.Log2(float64(vus))
		i := min(int(n), len(x)-2)
		if n >= float64(len(x)-1) {
			return 100
		}
		return x[i] + (n-float64(i))*(x[i+1]-x[i])
	}},
}

// weather is what the machine gives, 1 on average, in one window after the other.
type weather func(r *rand.Rand, windows int) []float64

func calm(_ *rand.Rand, windows int) []float64 {
	w := make([]float64, windows)
	for i := range w {
		w[i] = 1
	}
	return w
}

// A window takes 50 ms: 60 of them are a DURATION of 3 s, 600 the usual one.
var weathers = []struct {
	name    string
	noise   float64 // of each window
	windows int     // for each level
	weather weather
}{
	{"noise of 1 %", 0.01, 60, calm},
	{"noise of 3 %", 0.03, 60, calm},
	{"noise of 10 %", 0.10, 60, calm},
	{"noise of 10 %", 0.10, 600, calm},
	{"noise of 30 %", 0.30, 60, calm},
	{"noise of 30 %", 0.30, 600, calm},
	{"drift of 20 %", 0.03, 60, func(r *rand.Rand, windows int) []float64 {
		w := calm(r, windows)
		slope := 0.2 * float64(2*r.IntN(2)-1)
		for i := range w {
			w[i] += slope * (float64(i)/float64(windows) - 0.5)
		}
		return w
	}},
	{"steps of 20 %", 0.03, 60, func(r *rand.Rand, windows int) []float64 {
		w := calm(r, windows)
		now := 1.0
		for i := range w {
			if r.IntN(100) == 0 {
				now = 0.9 + 0.2*float64(r.IntN(2))
			}
			w[i] = now
		}
		return w
	}},
	{"wandering by 10 %", 0.05, 60, func(r *rand.Rand, windows int) []float64 {
		w := calm(r, windows)
		const kept = 0.98
		now := 0.1 * r.NormFloat64()
		for i := range w {
			now = kept*now + 0.1*math.Sqrt(1-kept*kept)*r.NormFloat64()
			w[i] += now
		}
		return w
	}},
}

// outcome is what a simulated search found.
type outcome struct {
	Estimate
	truth  float64 // what the best level gave without its noise, in the rounds that measured the capacity
	levels int
}

const simulatedVUs = 1024

func simulate(random *rand.Rand, at func(int) float64, noise float64, windows int, w weather) outcome {
	machine := w(random, 16*windows)
	s := NewSearch(Plan{MaxVUs: simulatedVUs, Seconds: float64(windows), Seed: random.Uint64()})
	was := make(map[int]float64) // what the machine gave in each round
	n := 0
	for vus := s.Next(); vus > 0; vus = s.Next() {
		was[s.round] = machine[n]
		s.Add(Window{VUs: vus, Throughput: at(vus) * machine[n] * max(0, 1+noise*random.NormFloat64()), Seconds: 1})
		n++
	}
	o := outcome{levels: len(s.levels)}
	o.Estimate, _ = s.Estimate()
	for _, l := range s.levels {
		if l.vus == o.VUs {
			for _, r := range l.rounds {
				o.truth += 100 * was[r] / float64(len(l.rounds))
			}
		}
	}
	return o
}

// kneeOf is the fewest VUs that give 95 % of the highest.
func kneeOf(at func(int) float64) int {
	vus := 1
	for at(vus) < kneeShare*100 {
		vus++
	}
	return vus
}

// simulateClassic is the original's rule on the same server: one window of all the time that a
// level gets.
func simulateClassic(
	random *rand.Rand, at func(int) float64, noise float64, windows int, w weather,
) (x float64, knee int) {
	machine := w(random, 16*windows)
	var prev Level
	for vus, n := 1, 0; ; {
		sum := 0.0
		for range windows {
			sum += at(vus) * machine[n] * max(0, 1+noise*random.NormFloat64()) / float64(windows)
			n++
		}
		this := Level{VUs: vus, Throughput: sum}
		d := Classic(prev, this, simulatedVUs)
		if d.Accepted {
			x, knee = max(x, sum), vus
		}
		if d.Stop != "" {
			return x, knee
		}
		prev, vus = this, d.Next
	}
}

// TestSimulation searches the capacity of servers that are known, on machines that are not calm.
// With -simulations it does so a thousand times each, and keeps the table.
func TestSimulation(t *testing.T) {
	runs := 20
	if *simulations {
		runs = 1000
	}
	table := "| server | machine | windows a level | interval holds the truth | bias | CV | half the interval | " +
		"99 % of halves below | " +
		"knee within a doubling | levels | classic: bias | CV | knee within a doubling |\n" +
		strings.Repeat("|---", 13) + "|\n"
	for _, c := range curves {
		for _, w := range weathers {
			if w.windows > 60 && !*simulations {
				continue
			}
			var found, classic tries
			random := rand.New(rand.NewPCG(3, 4))
			for range runs {
				o := simulate(random, c.at, w.noise, w.windows, w.weather)
				found.add(o.Throughput/o.truth, o.Knee, kneeOf(c.at))
				found.levels += o.levels
				found.halves = append(found.halves, (o.Upper-o.Lower)/2/o.Throughput)
				if o.Lower <= o.truth && o.truth <= o.Upper {
					found.held++
				}
				x, knee := simulateClassic(random, c.at, w.noise, w.windows, w.weather)
				classic.add(x/100, knee, kneeOf(c.at))
			}
			n := float64(runs)
			bias, cv := found.moments()
			held, near := float64(found.held)/n, float64(found.near)/n
			classicBias, classicCV := classic.moments()
			table += fmt.Sprintf("| %s | %s | %d | %.1f %% | %+.2f %% | %.1f %% | %.1f %% | %.1f %% | %.1f %% | %.1f |",
				c.name, w.name, w.windows, 100*held, 100*bias, 100*cv, 100*average(found.halves), 100*found.most(0.99),
				100*near, float64(found.levels)/n)
			table += fmt.Sprintf(" %+.1f %% | %.1f %% | %.0f %% |\n",
				100*classicBias, 100*classicCV, 100*float64(classic.near)/n)
			// A few runs scatter: four standard errors are allowed.
			name := fmt.Sprintf("%s, %s, %d windows a level", c.name, w.name, w.windows)
			require.Greater(t, held, 0.93-4*math.Sqrt(0.93*0.07/n)*few(runs), name)
			require.Less(t, math.Abs(bias), 0.01+4*cv/math.Sqrt(n)*few(runs), name)
			if w.noise < 0.3 || w.windows > 60 {
				require.Greater(t, near, 0.95-4*math.Sqrt(0.95*0.05/n)*few(runs), name)
			}
		}
	}
	t.Log("\n" + table)
	path := filepath.Join("..", "..", "testdata", "capacity", "simulation.md")
	if *simulations {
		require.NoError(t, os.WriteFile(path, []byte(table), 0o666))
	}
}

// few is 0 where there are so many runs that nothing is allowed for their scatter.
func few(runs int) float64 {
	if runs >= 1000 {
		return 0
	}
	return 1
}

// tries sums up what many runs found.
type tries struct {
	ratios     []float64 // found / true
	held, near int
	levels     int
	halves     []float64 // half of each interval, as a share
}

// most is what a share of all halves are not above.
func (t *tries) most(share float64) float64 {
	return slices.Sorted(slices.Values(t.halves))[int(share*float64(len(t.halves)-1))]
}

func (t *tries) add(ratio float64, knee, trueKnee int) {
	t.ratios = append(t.ratios, ratio)
	if knee > 0 && knee <= 2*trueKnee && trueKnee <= 2*knee {
		t.near++
	}
}

func (t *tries) moments() (bias, sd float64) {
	n := float64(len(t.ratios))
	for _, v := range t.ratios {
		bias += (v - 1) / n
	}
	for _, v := range t.ratios {
		sd += (v - 1 - bias) * (v - 1 - bias) / (n - 1)
	}
	return bias, math.Sqrt(sd)
}
