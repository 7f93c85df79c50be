package verdict

import (
	"regexp"
	"strconv"
	"strings"
)

// percentile is how golang.org/x/benchmarks and rampart name percentiles of latency. p999 is the
// 99.9th.
var percentile = regexp.MustCompile(`^p(\d+(?:\.\d+)?)(?:-[a-z]+)*-(?:ns|sec)$`)

// Floor returns what is added to both sides' values of a unit before they are compared, so that
// hardly anything is not many times as much as nothing: one slow request in a thousand. 0: nothing
// is added.
func Floor(unit string) float64 {
	if unit == "slow/op" {
		return 0.001
	}
	return 0
}

// UsualMargin returns by what fraction of the baseline a unit may become worse where the user does
// not say it; ok is false for a unit that nobody gates unasked. Percentiles are the noisier the
// further out, so that a closer margin would only be inconclusive: of 10000 independent latencies
// that spread exponentially, the standard deviation of the 50th is 1.4 %, of the 99th 2.2 %, of the
// 99.9th 4.6 %. One request of many is timed less often than all of them. slow/op is how many
// requests lie beyond the 99th: half as many more is what a tail that spreads exponentially has
// where its times are a tenth longer.
func UsualMargin(unit string) (fraction float64, ok bool) {
	if m := percentile.FindStringSubmatch(unit); m != nil {
		switch p, _ := strconv.ParseFloat(m[1], 64); {
		case p <= 75:
			return 0.05, true
		case p <= 99:
			return 0.1, true
		}
		return 0.2, true
	}
	switch unit {
	case "request-p50-ns", "request-p50-sec":
		return 0.1, true
	case "slow/op":
		return 0.5, true
	case "server-mem-bytes":
		return 0.1, true
	case "ns/op", "sec/op", "B/op", "allocs/op":
		return 0.03, true
	}
	for _, end := range []string{"/s", "-ns/op", "-sec/op"} {
		if strings.HasSuffix(unit, end) {
			return 0.03, true
		}
	}
	return 0, false
}
