package report

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"rampart/loadtest/inject"
)

// csvHeader is the first line of the original's table.
const csvHeader = "vus,rps,resp_time,req_failed"

// Line returns the line that the original printed after each level. resp_time is the 95th percentile in milliseconds.
func Line(l Level) string {
	return fmt.Sprintf("Injecting with %d vus. rps=%s resp_time=%s res_failed=%d",
		l.VUs, number(l.Throughput()), milliseconds(l.Quantile(0.95)), l.Failures.Total())
}

// CSV writes the original's table: a header, and a row for each accepted level.
func CSV(w io.Writer, r Result) error {
	var b strings.Builder
	b.WriteString(csvHeader + "\n")
	for _, l := range r.Accepted() {
		fmt.Fprintf(&b, "%d,%s,%s,%d\n",
			l.VUs, number(l.Throughput()), milliseconds(l.Quantile(0.95)), l.Failures.Total())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// number prints x as the original's Python did, shortest, but without digits that no measurement has: two decimals, or
// four significant digits where that is more.
func number(x float64) string {
	decimals := 2.0
	if x != 0 {
		decimals = max(decimals, 3-math.Floor(math.Log10(math.Abs(x))))
	}
	scale := math.Pow(10, decimals)
	return strconv.FormatFloat(math.Round(x*scale)/scale, 'f', -1, 64)
}

func milliseconds(d time.Duration) string { return number(float64(d) / float64(time.Millisecond)) }

// Summary returns what a person wants to know beyond the lines of the levels: why the ramp stopped, capacity, knee, and
// every doubt.
func Summary(r Result) string {
	var b strings.Builder
	if r.Stop.Reason != "" {
		fmt.Fprintf(&b, "stop reason: %s (%s)\n", r.Stop.Reason, r.Stop.Detail)
	}
	if best, ok := r.Capacity(); ok && r.Kind == KindRamp {
		fmt.Fprintf(&b, "capacity: %s requests/s at %d vus, p95 %s ms", number(best.Throughput()), best.VUs,
			milliseconds(best.Quantile(0.95)))
		if knee, ok := r.Knee(); ok {
			fmt.Fprintf(&b, "; knee at %d vus", knee)
		}
		b.WriteString("\n")
	}
	for _, l := range r.Levels {
		if n := l.Failures.Total(); n > 0 {
			fmt.Fprintf(&b, "failures at %d vus: %s\n", l.VUs, failures(l.Failures))
		}
		for _, d := range l.Doubts {
			fmt.Fprintf(&b, "doubt at %d vus: %s\n", l.VUs, d.Text)
		}
	}
	return b.String()
}

// failures lists the classes of failures with their counts.
func failures(f inject.Failures) string {
	byName := f.ByName()
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, byName[name]))
	}
	return strings.Join(parts, ", ")
}
