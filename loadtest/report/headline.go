package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"rampart/loadtest/result"
)

// fact is one of the few things that a page says first.
type fact struct {
	What, Value, More string
	Class             string // of the value
}

// headline returns what a ramp found, in four facts; nil: it found no capacity.
func headline(r result.Result) []fact {
	best, ok := r.Capacity()
	if !ok || r.Kind != result.KindRamp {
		return nil
	}
	capacity := fact{What: "capacity", Value: short(r.CapacityThroughput()) + " requests/s", More: vus(best.VUs)}
	if e := r.Estimate; e != nil && e.Upper > 0 {
		capacity.More = fmt.Sprintf("± %.2g %%, from %s to %s, at %s", 100*(e.Upper-e.Lower)/2/e.Throughput, short(e.Lower),
			short(e.Upper), vus(best.VUs))
	}
	knee := fact{What: "knee", Value: "not reached", More: "the ramp ended before"}
	if n, ok := r.Knee(); ok {
		knee.Value, knee.More = vus(n), "more give no more worth mentioning"
		if e := r.Estimate; e != nil && e.KneeLower != e.KneeUpper {
			knee.More = fmt.Sprintf("it may be anywhere from %d to %s", e.KneeLower, vus(e.KneeUpper))
		}
	}
	latency := fact{
		What: "latency there", Value: milliseconds(best.Quantile(0.95)) + " ms in 95 %",
		More: fmt.Sprintf("median %s ms, 99 %% within %s ms", milliseconds(best.Quantile(0.50)),
			milliseconds(best.Quantile(0.99))),
	}
	return []fact{capacity, knee, latency, trust(r)}
}

// trust says how many doubts there are.
func trust(r result.Result) fact {
	doubts := 0
	for _, line := range reservations(r) {
		if strings.HasPrefix(line, "doubt") {
			doubts++
		}
	}
	f := fact{What: "trust", Value: "no doubts", More: "stopped: " + string(r.Stop.Reason), Class: "pass"}
	if r.Stop.Reason == "" {
		f.More = "the ramp goes on"
	}
	switch doubts {
	case 0:
	case 1:
		f.Value, f.Class = "1 doubt", "regressed"
	default:
		f.Value, f.Class = fmt.Sprintf("%d doubts", doubts), "regressed"
	}
	return f
}

func vus(n int) string {
	if n == 1 {
		return "1 VU"
	}
	return strconv.Itoa(n) + " VUs"
}

// short writes a throughput with the digits that a person remembers: four, or all before the point.
func short(x float64) string {
	digits := 3
	if x > 0 {
		digits = max(0, min(3, 3-int(math.Floor(math.Log10(x)))))
	}
	return strconv.FormatFloat(x, 'f', digits, 64)
}

// interval is half the interval of a level, for people; empty: it has none.
func interval(l result.Level) string {
	x := l.Throughput()
	if l.Upper == 0 || x == 0 {
		return ""
	}
	return fmt.Sprintf("± %.2g %%", 100*(l.Upper-l.Lower)/2/x)
}
