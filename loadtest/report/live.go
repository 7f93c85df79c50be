package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"rampart/loadtest/result"
)

// Live returns what a ramp has so far as a table for a terminal, with what is left of its time.
func Live(r result.Result) string {
	rows := [][]string{{"", "vus", "requests/s", "", "p95 ms"}}
	best, _ := r.Capacity()
	rounds := 0
	for _, l := range r.Levels {
		mark := ""
		if l.VUs == best.VUs {
			mark = ">"
		}
		rows = append(rows,
			[]string{mark, fmt.Sprint(l.VUs), short(l.Throughput()), interval(l), milliseconds(l.Quantile(0.95))})
		rounds = max(rounds, len(l.Rounds))
	}
	var b strings.Builder
	for _, row := range aligned(rows) {
		b.WriteString(row + "\n")
	}
	if best.VUs > 0 {
		fmt.Fprintf(&b, "capacity so far: %s requests/s%s at %s\n", short(r.CapacityThroughput()), half(r), vus(best.VUs))
	}
	fmt.Fprintf(&b, "%d rounds, %v of about %v\n", rounds, r.Elapsed.Round(time.Second),
		(r.Elapsed + r.Left).Round(time.Second))
	return b.String()
}

// half is half the interval of the capacity; empty: there is none.
func half(r result.Result) string {
	e := r.Estimate
	if e == nil || e.Upper == 0 {
		return ""
	}
	return fmt.Sprintf(" ± %.2g %%", 100*(e.Upper-e.Lower)/2/e.Throughput)
}

// aligned makes lines of rows, with columns that end below each other.
func aligned(rows [][]string) (lines []string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+min(i, 1)*2) + cell)
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	return lines
}

// The drawing of [Plot].
const (
	plotHeight = 5 // lines
	barCells   = 3 // width of a bar
	eighths    = " ▁▂▃▄▅▆▇█"
)

// Plot draws the throughputs of levels as bars for a terminal, as many levels as fit into a width
// in cells; empty: there is nothing to draw.
func Plot(r result.Result, width int) string {
	var levels []result.Level
	highest := 0.0
	for _, l := range r.Levels {
		if l.Requests > 0 {
			levels = append(levels, l)
			highest = max(highest, l.Throughput())
		}
	}
	if highest == 0 || math.IsInf(highest, 0) {
		return ""
	}
	slices.SortStableFunc(levels, func(a, b result.Level) int { return a.VUs - b.VUs })
	top := short(highest)
	cell := max(barCells, len(fmt.Sprint(levels[len(levels)-1].VUs))) + 1
	if most := (width - len(top) - 2) / cell; len(levels) > most {
		levels = levels[:max(most, 0)]
	}
	if len(levels) == 0 {
		return ""
	}
	steps := []rune(eighths)
	var b strings.Builder
	for row := plotHeight - 1; row >= 0; row-- {
		name := ""
		switch row {
		case plotHeight - 1:
			name = top
		case 0:
			name = "0"
		}
		line := fmt.Sprintf("%*s ", len(top), name)
		for _, l := range levels {
			filled := l.Throughput()/highest*plotHeight - float64(row)
			step := min(max(int(math.Round(filled*8)), 0), 8)
			line += strings.Repeat(" ", cell-barCells) + strings.Repeat(string(steps[step]), barCells)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	line := strings.Repeat(" ", len(top)+1)
	for _, l := range levels {
		line += fmt.Sprintf("%*d", cell, l.VUs)
	}
	return b.String() + line + " vus\n"
}
