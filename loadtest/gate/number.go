package gate

import (
	"fmt"
	"math"
	"strconv"
)

// rounded takes off the digits that converting a unit there and back added.
func rounded(x float64) float64 {
	x, _ = strconv.ParseFloat(strconv.FormatFloat(x, 'g', 12, 64), 64)
	return x
}

// Percent prints a change. Far out there is nothing to be read from digits.
func Percent(change *float64) string {
	switch {
	case change == nil || *change > 1e4:
		return "+∞"
	case math.Abs(*change) < 0.00005:
		return "0.00%"
	}
	return fmt.Sprintf("%+.2f%%", 100**change)
}

// chance prints a probability that somebody chose.
func chance(p float64) string { return strconv.FormatFloat(100*p, 'g', 4, 64) + "%" }

// probability prints one that came out.
func probability(p float64) string {
	if p < 0.0001 {
		return strconv.FormatFloat(p, 'e', 1, 64)
	}
	return strconv.FormatFloat(p, 'f', 4, 64)
}
