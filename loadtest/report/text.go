// Package report writes what was measured and what it was judged to be, for people and for tools:
// the original's lines and CSV ([Line], [CSV]), the Go benchmark format ([Bench]), pages with
// charts ([HTML]), and verdicts ([GateText]). It decides nothing.
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

	"rampart/loadtest/capacity"
	"rampart/loadtest/inject"
	"rampart/loadtest/result"
)

// csvHeader is the first line of the original's table.
const csvHeader = "vus,rps,resp_time,req_failed"

// Line returns the line that the original printed after each level. resp_time is the 95th
// percentile in milliseconds.
func Line(l result.Level) string {
	return fmt.Sprintf("Injecting with %d vus. rps=%s resp_time=%s res_failed=%d",
		l.VUs, number(l.Throughput()), milliseconds(l.Quantile(0.95)), l.Failures.Total())
}

// CSV writes the original's table: a header, and a row for each accepted level.
func CSV(w io.Writer, r result.Result) error {
	var b strings.Builder
	b.WriteString(csvHeader + "\n")
	for _, l := range r.Accepted() {
		fmt.Fprintf(&b, "%d,%s,%s,%d\n",
			l.VUs, number(l.Throughput()), milliseconds(l.Quantile(0.95)), l.Failures.Total())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// number prints x as the original's Python did, shortest, but without digits that no measurement
// has: two decimals, or four significant digits where that is more.
func number(x float64) string {
	decimals := 2.0
	if x != 0 {
		decimals = max(decimals, 3-math.Floor(math.Log10(math.Abs(x))))
	}
	scale := math.Pow(10, decimals)
	return strconv.FormatFloat(math.Round(x*scale)/scale, 'f', -1, 64)
}

func milliseconds(d time.Duration) string { return number(float64(d) / float64(time.Millisecond)) }

// Summary returns what a person wants to know beyond the lines of the levels: why the ramp stopped,
// capacity, knee, every doubt, and single requests where there are several.
func Summary(r result.Result) string {
	var b strings.Builder
	if r.Stop.Reason != "" {
		fmt.Fprintf(&b, "stop reason: %s (%s)\n", r.Stop.Reason, r.Stop.Detail)
	}
	if best, ok := r.Capacity(); ok && r.Kind == result.KindRamp {
		fmt.Fprintf(
			&b,
			"capacity: %s requests/s%s at %d vus, p95 %s ms",
			number(r.CapacityThroughput()),
			margin(r.Estimate),
			best.VUs,
			milliseconds(best.Quantile(0.95)),
		)
		if knee, ok := r.Knee(); ok {
			fmt.Fprintf(&b, "; knee at %d vus%s", knee, kneeRange(r.Estimate))
		}
		b.WriteString("\n")
	}
	if m := r.Scalability; m != nil && m.Refused == "" {
		fmt.Fprintf(&b, "scalability: %s\n", model(*m))
	}
	for _, line := range reservations(r) {
		b.WriteString(line + "\n")
	}
	b.WriteString(asked(levelOfAsked(r)))
	return b.String()
}

// reservations are what to hold against a result, a line each: failures, doubts, what is not known.
func reservations(r result.Result) (lines []string) {
	for _, l := range r.Levels {
		if n := l.Failures.Total(); n > 0 {
			line := fmt.Sprintf("failures at %d vus: %s", l.VUs, failures(l.Failures))
			if of := failuresOf(l.Asked); of != "" {
				line += "; of " + of
			}
			lines = append(lines, line)
		}
		if all := statuses(l.Answers.Statuses()); all != "" {
			lines = append(lines, fmt.Sprintf("answers at %d vus: %s", l.VUs, all))
		}
		if r.Estimate == nil {
			for _, d := range l.Doubts {
				lines = append(lines, fmt.Sprintf("doubt at %d vus: %s", l.VUs, d.Text))
			}
		}
	}
	if r.Estimate != nil {
		lines = append(lines, doubtsByKind(r.Levels)...)
	}
	for _, d := range r.Doubts {
		lines = append(lines, "doubt: "+d.Text)
	}
	return append(lines, noServerCPU(r.Levels)...)
}

// model says what a scalability model that fits tells.
func model(m capacity.Scalability) string {
	text := fmt.Sprintf("contention σ %s, crosstalk κ %s", coefficient(m.Sigma), coefficient(m.Kappa))
	if m.NoPeak == "" {
		text += fmt.Sprintf("; most at %.0f vus (%.0f to %.0f): %s requests/s", m.Peak.Value, m.Peak.Lower, m.Peak.Upper,
			number(m.PeakThroughput.Value))
	}
	return text
}

// coefficient writes a parameter with its interval, in per cent.
func coefficient(p capacity.Parameter) string {
	return fmt.Sprintf("%.3g %% (%.3g to %.3g)", 100*p.Value, 100*p.Lower, 100*p.Upper)
}

// margin is the interval of a capacity, for people; empty: there is none.
func margin(e *capacity.Estimate) string {
	if e == nil || e.Upper == 0 {
		return ""
	}
	return fmt.Sprintf(" ± %.2g %% (%s to %s)", 100*(e.Upper-e.Lower)/2/e.Throughput, number(e.Lower), number(e.Upper))
}

// kneeRange is where a knee may be, for people; empty: it is nowhere else.
func kneeRange(e *capacity.Estimate) string {
	if e == nil || e.KneeLower == e.KneeUpper {
		return ""
	}
	return fmt.Sprintf(" (%d to %d)", e.KneeLower, e.KneeUpper)
}

// doubtsByKind says each kind of doubt once, with its levels and the text of the last one.
func doubtsByKind(levels []result.Level) (lines []string) {
	var kinds []string
	at, text := make(map[string][]string), make(map[string]string)
	for _, l := range levels {
		for _, d := range l.Doubts {
			if at[d.Kind] == nil {
				kinds = append(kinds, d.Kind)
			}
			at[d.Kind] = append(at[d.Kind], strconv.Itoa(l.VUs))
			text[d.Kind] = d.Text
		}
	}
	for _, kind := range kinds {
		lines = append(lines, fmt.Sprintf("doubt at %s vus: %s", strings.Join(at[kind], ", "), text[kind]))
	}
	return lines
}

// noServerCPU says why the processor time of the server is not known, each reason once, with its
// levels.
func noServerCPU(levels []result.Level) (lines []string) {
	var reasons []string
	at := make(map[string][]string)
	for _, l := range levels {
		if reason := l.NoServerCPU; reason != "" {
			if at[reason] == nil {
				reasons = append(reasons, reason)
			}
			at[reason] = append(at[reason], strconv.Itoa(l.VUs))
		}
	}
	for _, reason := range reasons {
		lines = append(lines,
			fmt.Sprintf("server CPU is not known at %s vus: %s", strings.Join(at[reason], ", "), oneLine(reason)))
	}
	return lines
}

// statuses lists the statuses of answers with their counts, where there are several; else it is
// empty.
func statuses(counts map[string]uint64) string {
	if len(counts) < 2 {
		return ""
	}
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", status, counts[status]))
	}
	return strings.Join(parts, ", ")
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
