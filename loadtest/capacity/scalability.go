package capacity

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Measured is the throughput of a level, with what is known of its error.
type Measured struct {
	VUs        int
	Throughput float64 // above 0
	Error      float64 // standard error; 0: not known, and as large as that of any other level
	Freedom    float64 // degrees of freedom of Error; 0: it cannot say whether a model fits
}

// Parameter is an estimate with its 95 % interval; both ends are 0 where nothing is known of it.
type Parameter struct{ Value, Lower, Upper float64 }

// Scalability is a fit of the Universal Scalability Law, by which N virtual users get a throughput
// of
//
//	X(N) = λN / (1 + σ(N−1) + κN(N−1))
//
// (N. J. Gunther, "Guerrilla Capacity Planning", Springer 2007, chapter 4).
type Scalability struct {
	Lambda Parameter // λ: requests per second of one virtual user
	Sigma  Parameter // σ: the share of the work for which all wait for each other
	Kappa  Parameter // κ: the share that each adds for every other one

	// Peak is how many VUs give most, and PeakThroughput what they give, where that lies within
	// what was measured, with its interval; else NoPeak says why not.
	Peak, PeakThroughput Parameter
	NoPeak               string

	// Refused says why nothing follows from the model, and then there is nothing else; empty: it
	// fits.
	Refused string
}

// At is the throughput that the model predicts for so many virtual users, in requests per second.
func (s Scalability) At(vus float64) float64 {
	return s.Lambda.Value * vus / (1 + s.Sigma.Value*(vus-1) + s.Kappa.Value*vus*(vus-1))
}

// coefficients are those of N/X, which is linear in them: 1/λ of 1, σ/λ of N−1 and κ/λ of N(N−1).
type coefficients []float64

func (c coefficients) lambda() float64 { return 1 / c[0] }
func (c coefficients) sigma() float64  { return c[1] / c[0] }
func (c coefficients) kappa() float64  { return c[2] / c[0] }

func (c coefficients) at(vus float64) float64 { return vus / dot(lawRow(vus), c) }

// peak is where the throughput is highest; infinite: it only grows.
func (c coefficients) peak() float64 {
	if c[2] == 0 {
		return math.Inf(1)
	}
	return math.Sqrt(max(c[0]-c[1], 0) / c[2])
}

func lawRow(vus float64) []float64 { return []float64{1, vus - 1, vus * (vus - 1)} }

const (
	fewestLevels = 4    // three coefficients, and one level to show that they fit
	lackOfFit    = 0.05 // a model that fits is refused this often
	resamples    = 200
	gaussNewton  = 8    // steps; published data take 5
	exactly      = 1e-4 // no throughput is known better, as a share of it
)

// Fit fits the law to levels, by least squares of their throughputs, each weighted by its error,
// with no coefficient below 0. It refuses where the levels scatter around the law by more than
// their errors explain: the F test for lack of fit against pure error (N. R. Draper and H. Smith,
// "Applied Regression Analysis", 3rd ed., section 2.1). Intervals come from fits to levels that
// differ from these by their errors (B. Efron and R. J. Tibshirani, "An Introduction to the
// Bootstrap", 1993, section 6.5).
func Fit(levels []Measured) Scalability {
	levels = slices.Clone(levels)
	slices.SortFunc(levels, func(a, b Measured) int { return a.VUs - b.VUs })
	if len(levels) < fewestLevels {
		return Scalability{Refused: fmt.Sprintf("%d levels are too few for a model of three coefficients: want %d or more",
			len(levels), fewestLevels)}
	}
	c, ok := fit(levels)
	if !ok {
		return Scalability{Refused: "no model of this kind has such throughputs"}
	}
	if why := lack(levels, c); why != "" {
		return Scalability{Refused: why}
	}
	s := Scalability{
		Lambda: Parameter{Value: c.lambda()}, Sigma: Parameter{Value: c.sigma()}, Kappa: Parameter{Value: c.kappa()},
	}
	peak := Parameter{Value: c.peak()}
	height := Parameter{Value: c.at(peak.Value)}
	if levels[0].Freedom > 0 {
		bootstrap(levels, c, []*Parameter{&s.Lambda, &s.Sigma, &s.Kappa, &peak, &height})
	}
	most, least := float64(levels[len(levels)-1].VUs), float64(levels[0].VUs)
	switch highest := max(peak.Value, peak.Upper); {
	case math.IsInf(peak.Value, 1):
		s.NoPeak = "it levels off and does not fall"
	case peak.Value > most || peak.Value < least:
		s.NoPeak = fmt.Sprintf("it would be at %.0f vus, outside of the %.0f to %.0f that were measured", peak.Value, least,
			most)
	case highest > most:
		s.NoPeak = fmt.Sprintf("it may be anywhere from %.0f vus on, and %.0f are the most that were measured",
			peak.Lower, most)
	default:
		s.Peak, s.PeakThroughput = peak, height
	}
	return s
}

// fit fits the coefficients: first in N/X, in which the law is linear, and then in steps of Gauss
// and Newton to the least squares of the throughputs themselves. Each step is a linear problem
// again: what N/X would be if the throughput were off by as much as it is, on the tangent of the
// last fit. It reports whether there is one.
func fit(levels []Measured) (coefficients, bool) {
	rows := make([][]float64, len(levels))
	y, weights := make([]float64, len(levels)), make([]float64, len(levels))
	weight := func(i int, x float64) float64 {
		w := x * x / float64(levels[i].VUs)
		if e := levels[i].Error; e > 0 {
			w /= e
		}
		return w * w
	}
	for i, l := range levels {
		rows[i] = lawRow(float64(l.VUs))
		y[i] = float64(l.VUs) / l.Throughput
		weights[i] = weight(i, l.Throughput)
	}
	var best coefficients
	least := math.Inf(1)
	for range gaussNewton {
		c := coefficients(nonNegative(rows, y, weights))
		if c[0] <= 0 {
			break
		}
		sum := 0.0
		for i, l := range levels {
			x := c.at(float64(l.VUs))
			y[i] = float64(l.VUs) / x * (2 - l.Throughput/x)
			weights[i] = weight(i, x)
			d := l.Throughput - x
			if l.Error > 0 {
				d /= l.Error
			}
			sum += d * d
		}
		if sum < least {
			best, least = c, sum
		}
	}
	return best, best != nil
}

// lack says why a fit does not explain the levels; empty: it does, or nobody knows their errors.
func lack(levels []Measured, c coefficients) string {
	freedom := math.Inf(1)
	sum, worst, off := 0.0, 0, 0.0
	for i, l := range levels {
		freedom = min(freedom, l.Freedom)
		if l.Error <= 0 {
			return ""
		}
		d := (l.Throughput - c.at(float64(l.VUs))) / l.Error
		sum += d * d
		if math.Abs(d) > off {
			worst, off = i, math.Abs(d)
		}
	}
	left := len(levels)
	for _, v := range c {
		if v > 0 {
			left--
		}
	}
	if freedom < 1 || left < 1 {
		return ""
	}
	p := 1 - distuv.F{D1: float64(left), D2: freedom}.CDF(sum/float64(left))
	if p >= lackOfFit {
		return ""
	}
	l := levels[worst]
	return fmt.Sprintf("it does not fit: at %d vus it is %+.1f %% off, and the rounds scatter by %.1f %% (p = %.2g)",
		l.VUs, 100*(c.at(float64(l.VUs))/l.Throughput-1), 100*l.Error/l.Throughput, p)
}

// bootstrap fills in the intervals of λ, σ, κ, the peak and its throughput. The seed is fixed: the
// same levels have the same intervals.
func bootstrap(levels []Measured, c coefficients, parameters []*Parameter) {
	random := rand.New(rand.NewPCG(1, 1))
	found := make([][]float64, len(parameters))
	drawn := make([]Measured, len(levels))
	for range resamples {
		for i, l := range levels {
			t := distuv.StudentsT{Mu: 0, Sigma: l.Error, Nu: l.Freedom, Src: random}
			drawn[i] = l
			drawn[i].Throughput = max(c.at(float64(l.VUs))+t.Rand(), l.Throughput/resamples)
		}
		again, ok := fit(drawn)
		if !ok {
			continue
		}
		peak := again.peak()
		height := again.at(peak)
		if math.IsInf(peak, 1) {
			height = again.at(1e9)
		}
		for i, v := range []float64{again.lambda(), again.sigma(), again.kappa(), peak, height} {
			found[i] = append(found[i], v)
		}
	}
	for i, p := range parameters {
		if len(found[i]) == 0 {
			continue
		}
		slices.Sort(found[i])
		tail := int((1 - confidence) / 2 * float64(len(found[i])))
		p.Lower = min(found[i][tail], p.Value)
		p.Upper = max(found[i][len(found[i])-1-tail], p.Value)
	}
}

// widen adds to an interval what all of the ramp has in common: the share by which another ramp may
// find all of it more or less.
func (p *Parameter) widen(share float64) {
	if p.Value == 0 {
		return
	}
	p.Lower = max(p.Value-math.Hypot(p.Value-p.Lower, share*p.Value), 0)
	p.Upper = p.Value + math.Hypot(p.Upper-p.Value, share*p.Value)
}

// Scalability fits the Universal Scalability Law to what was found so far. It takes the rounds in
// which several levels were measured, so that the moods of the machine are no part of the error.
func (s *Search) Scalability() Scalability {
	e, ok := s.Estimate()
	levels := slices.DeleteFunc(together(s.sound()), func(l *level) bool { return len(l.x) == 0 })
	if !ok || len(levels) == 0 {
		return Scalability{Refused: "no levels were measured in the same rounds"}
	}
	rates := means(levels, s.round+1, 0, 0)
	machine, cells := moods(levels, rates, s.round+1)
	// The fit of the rates took one parameter for each round, and one for each level.
	rounds := 0
	for _, g := range machine {
		if g > 0 {
			rounds++
		}
	}
	free := cells - rounds - len(levels) + 1
	if free < 1 {
		return Scalability{Refused: "there were too few rounds to tell how much they scatter"}
	}
	hidden := math.Sqrt(float64(cells) / float64(free))
	var measured []Measured
	scale := 0.0
	for i, l := range levels {
		if l.vus == e.VUs {
			scale = e.Throughput / rates[i]
		}
	}
	if scale == 0 {
		return Scalability{Refused: "the level of the capacity was not measured together with others"}
	}
	for i, l := range levels {
		if len(l.x) < fewestAgain || rates[i] <= 0 {
			continue
		}
		given := make([]float64, len(l.rounds))
		for k, r := range l.rounds {
			given[k] = machine[r]
		}
		r := ratio(l.x, given, reported)
		freedom := min(len(l.x), batches) - 1
		measured = append(measured, Measured{
			VUs: l.vus, Throughput: scale * rates[i], Freedom: float64(freedom),
			Error: scale * max(hidden*(r.upper-r.mean)/reported[freedom], exactly*rates[i]),
		})
	}
	found := Fit(measured)
	if found.Refused == "" && e.Upper > 0 {
		drift := (e.Upper - e.Lower) / 2 / e.Throughput
		found.Lambda.widen(drift)
		found.PeakThroughput.widen(drift)
	}
	return found
}

// moods is what the machine gave in each round, as a multiple of what rates say, and of how many
// windows.
func moods(levels []*level, rates []float64, rounds int) (gave []float64, windows int) {
	gave, of := make([]float64, rounds), make([]float64, rounds)
	for i, l := range levels {
		for k, r := range l.rounds {
			gave[r] += l.x[k]
			of[r] += rates[i]
			windows++
		}
	}
	for r := range gave {
		if of[r] > 0 {
			gave[r] /= of[r]
		}
	}
	return gave, windows
}
