package gobench

import (
	"regexp"
	"strconv"
	"strings"

	"rampart/loadtest/result"
)

// Measurement is what package testing printed of one run of a benchmark.
type Measurement struct {
	Iterations int
	Metrics    []result.Metric // in the order of printing
}

// numbers is the end of a line of results, from the number of iterations on.
var numbers = regexp.MustCompile(`(?:^|\t) *(\d+)\t((?:\s*[-+.\da-zA-Z]+ [^\s\d]\S*)+)\n?$`)

// parseNumbers reads what package testing prints after the name of a benchmark.
func parseNumbers(text string) (m Measurement, ok bool) {
	parts := numbers.FindStringSubmatch(text)
	if parts == nil {
		return m, false
	}
	var err error
	if m.Iterations, err = strconv.Atoi(parts[1]); err != nil || m.Iterations < 1 {
		return m, false
	}
	fields := strings.Fields(parts[2])
	for i := 0; i+1 < len(fields); i += 2 {
		x, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return m, false
		}
		m.Metrics = append(m.Metrics, result.Metric{Value: x, Unit: fields[i+1]})
	}
	return m, true
}

// Find returns the value of a unit.
func (m Measurement) Find(unit string) (value float64, ok bool) {
	for _, x := range m.Metrics {
		if x.Unit == unit {
			return x.Value, true
		}
	}
	return 0, false
}

// kind is what a piece of the output of a test binary is.
type kind int

// The kinds.
const (
	other   kind = iota // what the code under test prints, or package testing between results
	opening             // the name of the benchmark, before it is measured
	numeric             // its numbers
	failing             // it failed; the reason follows in the same piece
)

// reader tells the pieces of the output of one benchmark apart: packets, or lines where there are
// no packets. The code under test may print amid a line.
type reader struct {
	printed string // name of the benchmark
	opened  bool   // the name has come, and its numbers have not
}

// read says what a piece is.
func (r *reader) read(piece string) (kind, Measurement) {
	if i := strings.Index(piece, "--- FAIL: "); i >= 0 {
		r.opened = false
		return failing, Measurement{}
	}
	named := r.names(piece)
	if named || r.opened {
		if m, ok := parseNumbers(piece); ok {
			r.opened = false
			return numeric, m
		}
	}
	if named {
		r.opened = true
		return opening, Measurement{}
	}
	return other, Measurement{}
}

// names reports whether a piece has the name of the benchmark, filled up with blanks and a tab, as
// it is printed before the numbers.
func (r *reader) names(piece string) bool {
	i := strings.LastIndex(piece, r.printed)
	if i < 0 {
		return false
	}
	rest := strings.TrimLeft(piece[i+len(r.printed):], " ")
	return strings.HasPrefix(rest, "\t")
}

func (m Measurement) String() string {
	var b strings.Builder
	b.WriteString(strconv.Itoa(m.Iterations) + ":")
	for _, x := range m.Metrics {
		b.WriteString(" " + strconv.FormatFloat(x.Value, 'g', -1, 64) + " " + x.Unit)
	}
	return b.String()
}
