package chart

import (
	"math"
	"strconv"
	"strings"
)

// scale places the values of an axis in the drawing.
type scale struct {
	low, high float64 // values
	log       bool
	from, to  float64 // where these are, in pixels
}

// has reports whether a value has a place.
func (s scale) has(x float64) bool { return number(x) && (!s.log || x > 1/largest) }

func (s scale) at(x float64) float64 {
	low, high := s.low, s.high
	if s.log {
		low, high, x = math.Log(low), math.Log(high), math.Log(x)
	}
	return s.from + (x-low)/(high-low)*(s.to-s.from)
}

// clamped is at for the end of an error bar, which stops where the axis ends.
func (s scale) clamped(x float64) float64 {
	if !s.has(x) {
		return s.from
	}
	return s.at(x)
}

// scale is that of an axis with these values, without its place in the drawing, and the marks on
// it. It is false where no value has a place.
func (a Axis) scale(values []float64) (scale, []Tick, bool) {
	s := scale{low: math.Inf(1), high: math.Inf(-1), log: a.Log}
	if !includes(&s, values) {
		return s, nil, false
	}
	includes(&s, a.Cover)
	for _, t := range a.Ticks {
		includes(&s, []float64{t.At})
	}
	s.widen()
	if a.Ticks != nil {
		var ticks []Tick
		for _, t := range a.Ticks {
			if s.has(t.At) {
				ticks = append(ticks, t)
			}
		}
		return s, ticks, true
	}
	if s.log {
		return s, s.logTicks(), true
	}
	return s, s.linearTicks(), true
}

// includes stretches a scale to values that have a place on it, and reports whether there are any.
func includes(s *scale, values []float64) (any bool) {
	for _, x := range values {
		if s.has(x) {
			s.low, s.high, any = min(s.low, x), max(s.high, x), true
		}
	}
	return any
}

// widen gives a length to an axis whose values are all the same, or so near to each other that
// marks between them could not be told apart.
func (s *scale) widen() {
	switch {
	case s.log && s.high/s.low < 1+1e-6:
		s.low, s.high = s.low/2, s.high*2
	case s.log:
	case max(math.Abs(s.low), math.Abs(s.high)) < 1/largest:
		s.high = 1
	case s.high-s.low < 1e-6*max(math.Abs(s.low), math.Abs(s.high)):
		d := max(math.Abs(s.low), math.Abs(s.high)) / 2
		s.low, s.high = s.low-d, s.high+d
	}
}

// linearTicks marks about five round values, and stretches the axis to the first and the last of
// them.
func (s *scale) linearTicks() (ticks []Tick) {
	step := roundUp((s.high - s.low) / 5)
	first, last := math.Floor(s.low/step+1e-9), math.Ceil(s.high/step-1e-9)
	for i := first; i <= last; i++ {
		ticks = append(ticks, Tick{At: i * step, Name: name(i*step, step)})
	}
	s.low, s.high = min(s.low, first*step), max(s.high, last*step)
	return ticks
}

// logTicks marks 1, 2, 5 and 10, or powers of ten where that would be many, and stretches the axis
// to the first and the last of them.
func (s *scale) logTicks() (ticks []Tick) {
	x, end := roundDown(s.low), roundUp(s.high)
	every := math.Ceil(math.Log10(end/x) / 8) // decades between marks
	if every == 1 && math.Log10(end/x) < 3 {
		for ; x < end*(1+1e-9); x = roundUp(x * 1.5) {
			ticks = append(ticks, Tick{At: x, Name: name(x, x)})
		}
	} else {
		first, last := math.Floor(math.Log10(x)+1e-9), math.Ceil(math.Log10(end)-1e-9)
		for e := first; e < last+every; e += every {
			x := math.Pow(10, e)
			ticks = append(ticks, Tick{At: x, Name: name(x, x)})
		}
	}
	s.low, s.high = min(s.low, ticks[0].At), max(s.high, ticks[len(ticks)-1].At)
	return ticks
}

// roundUp gives the least number of 1, 2 or 5 times a power of ten that is not below x > 0.
func roundUp(x float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, digit := range []float64{1, 2, 5} {
		if x <= digit*power*(1+1e-9) {
			return digit * power
		}
	}
	return 10 * power
}

// roundDown gives the greatest such number that is not above x > 0.
func roundDown(x float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(x)+1e-9))
	for _, digit := range []float64{5, 2} {
		if x >= digit*power*(1-1e-9) {
			return digit * power
		}
	}
	return power
}

// name writes a value with the digits of a step, and groups of three digits where there are many.
// The space between them is narrow, and no line breaks there.
func name(x, step float64) string {
	digits := -math.Floor(math.Log10(step) + 1e-9)
	if digits > 6 || math.Abs(x) >= 1e15 {
		return strconv.FormatFloat(x, 'g', 4, 64)
	}
	text := strconv.FormatFloat(math.Abs(x), 'f', int(max(digits, 0)), 64)
	whole, rest, _ := strings.Cut(text, ".")
	if len(whole) > 4 {
		for i := len(whole) - 3; i > 0; i -= 3 {
			whole = whole[:i] + "\u202f" + whole[i:]
		}
	}
	if rest != "" {
		whole += "." + rest
	}
	if x < 0 && strings.ContainsAny(whole, "123456789") {
		whole = "−" + whole
	}
	return whole
}
