package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"rampart/loadtest/gate"
	"rampart/loadtest/result"
	"rampart/loadtest/verdict"
)

// judgedBenchDuel is the document of a duel of Go benchmarks with its verdict.
type judgedBenchDuel struct {
	Verdict   verdict.Verdict `json:"verdict"`
	Exit      int             `json:"exit"`
	Meaning   string          `json:"meaning"`
	Advice    string          `json:"advice,omitempty"`
	AlphaEach float64         `json:"alpha_each"`
	Pairing   string          `json:"pairing"`
	Rows      []gate.Row      `json:"rows"`
	Problems  []string        `json:"problems"`
	Gaps      []string        `json:"gaps"`
	NotGated  []gate.NotGated `json:"not_gated"`
	Notes     []string        `json:"notes"`
	result.BenchDuel
}

// BenchDuelJSON writes a duel of Go benchmarks and its verdict as one document, which
// [result.ReadBenchDuelJSON] reads; loadtest/README.md describes it.
func BenchDuelJSON(w io.Writer, d result.BenchDuel, r gate.Report) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	return enc.Encode(judgedBenchDuel{
		Verdict: r.Verdict, Exit: r.Exit, Meaning: r.Meaning, Advice: r.Advice, AlphaEach: r.AlphaEach, Pairing: r.Pairing,
		Rows: r.Rows, Problems: r.Problems, Gaps: r.Gaps, NotGated: r.NotGated, Notes: r.Notes, BenchDuel: d,
	})
}

// BenchDuelLine says in a line what is known of a benchmark after some blocks.
func BenchDuelLine(b result.Benchmark, r gate.Report) string {
	var rows []string
	for _, row := range r.Rows {
		change := gate.Percent(row.Change)
		switch {
		case row.Exact && row.Change != nil && *row.Change == 0:
			change = "same"
		case row.Exact:
		case row.ChangeLowest == nil || row.ChangeHighest == nil:
			change += " (too few blocks)"
		default:
			change += fmt.Sprintf(" (%s to %s)", gate.Percent(row.ChangeLowest), gate.Percent(row.ChangeHighest))
		}
		rows = append(rows, row.Unit+" "+change)
	}
	return fmt.Sprintf("%s %s after %s: %s", b.Name, r.Verdict, gate.Plural(len(b.Blocks), "block"),
		strings.Join(rows, ", "))
}

// BenchDuelHTML writes the duel and its verdict as one page, which needs nothing else, no network
// either.
func BenchDuelHTML(w io.Writer, d result.BenchDuel, r gate.Report) error {
	page := benchPage{BenchDuel: d, Report: r}
	blocks := make(map[[3]string][]float64)
	for _, b := range d.Benchmarks {
		changes := make(map[string][]float64)
		for _, block := range b.Blocks {
			for _, before := range block.Sides[0] {
				for _, after := range block.Sides[1] {
					change := 100 * (after.Value/before.Value - 1)
					if after.Unit == before.Unit && !math.IsNaN(change) && !math.IsInf(change, 0) {
						changes[before.Unit] = append(changes[before.Unit], change)
					}
				}
			}
		}
		for unit, c := range changes {
			blocks[[3]string{b.Package, strings.TrimPrefix(b.Name, "Benchmark"), unit}] = c
		}
	}
	several := slices.ContainsFunc(d.Benchmarks, func(b result.Benchmark) bool {
		return b.Package != d.Benchmarks[0].Package
	})
	for _, row := range r.Rows {
		pkg := row.Config
		if !several && len(d.Benchmarks) > 0 {
			pkg = d.Benchmarks[0].Package
		}
		page.Table = append(page.Table, benchPageRow{row, blocks[[3]string{pkg, row.Benchmark, row.Unit}]})
	}
	slices.SortStableFunc(page.Table, func(a, b benchPageRow) int { return gateRank(a.Verdict) - gateRank(b.Verdict) })
	return writePage(w, "benchduel.html.tmpl", page)
}

// benchPage is what the page shows.
type benchPage struct {
	result.BenchDuel
	Report gate.Report
	Table  []benchPageRow
}

// Remarks are what is said below the table of the verdict.
func (p benchPage) Remarks() []string { return duelPage{Report: p.Report}.Remarks() }

// Measured is how each benchmark was.
func (p benchPage) Measured() (total time.Duration) {
	for _, b := range p.Benchmarks {
		for _, block := range b.Blocks {
			total += block.Took
		}
	}
	return total.Round(time.Second)
}

// benchPageRow is how a unit of a benchmark compares, with what each block said of it, in per cent.
type benchPageRow struct {
	gate.Row
	Changes []float64
}

// Name is that of the benchmark.
func (r benchPageRow) Name() string {
	if r.Config != "" {
		return r.Config + " " + r.Benchmark
	}
	return r.Benchmark
}

// Cells are the numbers of the table, as people read them.
func (r benchPageRow) Cells() []string { return gateRow(r.Row)[2:8] }

// figureWidth is how wide the figure of a row is; its height is in the template.
const figureWidth = 260.0

// Figure is the interval of a row as a picture: from -limit to +limit per cent.
func (r benchPageRow) Figure() *benchFigure {
	if r.Change == nil || r.ChangeLowest == nil || r.ChangeHighest == nil {
		return nil
	}
	low, high, allowed := 100**r.ChangeLowest, 100**r.ChangeHighest, 100*r.Allowed
	limit := max(2*math.Abs(allowed), 1.1*math.Abs(low), 1.1*math.Abs(high), 2)
	at := func(percent float64) float64 {
		return math.Round(10*figureWidth*(max(-limit, min(limit, percent))/limit+1)/2) / 10
	}
	f := &benchFigure{Zero: at(0), Low: at(low), High: at(high), Estimate: at(100 * *r.Change), Allowed: at(allowed)}
	for _, c := range r.Changes {
		f.Blocks = append(f.Blocks, at(c))
	}
	return f
}

// benchFigure is where things are from left to right.
type benchFigure struct {
	Zero, Low, High, Estimate, Allowed float64
	Blocks                             []float64
}
