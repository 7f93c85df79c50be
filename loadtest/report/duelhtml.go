package report

import (
	"cmp"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strconv"

	"rampart/loadtest/gate"
	"rampart/loadtest/report/chart"
	"rampart/loadtest/result"
)

// DuelHTML writes the duel and its verdict as one page with charts, which needs nothing else, no
// network either.
func DuelHTML(w io.Writer, d result.Duel, r gate.Report) error {
	data := duelPage{Duel: d, Report: r}
	samples := [2][]result.Sample{d.Samples(0), d.Samples(1)}
	for _, row := range r.Rows {
		switch {
		case row.Change == nil:
		case row.Request != "":
			data.Requests = append(data.Requests, duelPageRow{Row: row})
		default:
			data.Table = append(data.Table, newDuelPageRow(row, samples))
		}
	}
	slices.SortStableFunc(data.Requests, func(a, b duelPageRow) int {
		return cmp.Compare(gateRank(a.Verdict), gateRank(b.Verdict))
	})
	var err error
	if data.Charts, err = draw(changesChart(data.Table), blocksChart(data.Table)); err != nil {
		return err
	}
	return writePage(w, "duel.html.tmpl", data)
}

// duelPage is what the page of a duel shows.
type duelPage struct {
	result.Duel
	Report   gate.Report
	Table    []duelPageRow // of all requests together
	Requests []duelPageRow // of single ones, failing ones first
	Charts   []template.HTML
}

// Remarks are what is said below the table of the verdict.
func (p duelPage) Remarks() (all []string) {
	for _, remark := range gateRemarks(p.Report) {
		for _, line := range remark.lines {
			all = append(all, remark.what+": "+line)
		}
	}
	return all
}

// RequestFailureTexts say which of several requests failed.
func (p duelPage) RequestFailureTexts() (all []string) {
	for _, f := range p.Report.RequestFailures {
		all = append(all, fmt.Sprintf("%s: %d of %d failed, and %d of %d of the baseline: %s", f.Request,
			f.CandidateFailed, f.CandidateRequests, f.BaselineFailed, f.BaselineRequests, f.Verdict))
	}
	return all
}

// FailureText says which requests failed; empty: none.
func (p duelPage) FailureText() string {
	f := p.Report.Failures
	if f == nil || f.BaselineFailed+f.CandidateFailed == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d requests of the candidate failed, and %d of %d of the baseline", f.CandidateFailed,
		f.CandidateRequests,
		f.BaselineFailed, f.BaselineRequests)
}

// LimitTexts say what the candidate has to keep, and whether it does.
func (p duelPage) LimitTexts() (all []string) {
	for _, l := range p.Report.Limits {
		all = append(all, fmt.Sprintf("%s: the candidate has %s (%s), and the baseline %s: %s", l.Objective, l.Texts[1],
			l.Texts[2],
			l.Texts[0], l.Verdict))
	}
	return all
}

// duelPageRow is how a unit compares, with what each block said of it.
type duelPageRow struct {
	gate.Row
	Numbers []int     // of the blocks that count
	Changes []float64 // of the candidate in these, in per cent of the baseline
}

func newDuelPageRow(r gate.Row, samples [2][]result.Sample) duelPageRow {
	row := duelPageRow{Row: r}
	for i := range samples[0] {
		values := [2]float64{math.NaN(), math.NaN()}
		for side := range samples {
			for _, m := range samples[side][i].Metrics {
				if m.Unit == r.Unit {
					values[side] = m.Value
				}
			}
		}
		if change := 100 * (values[1]/values[0] - 1); !math.IsNaN(change) && !math.IsInf(change, 0) {
			row.Numbers = append(row.Numbers, samples[0][i].Block)
			row.Changes = append(row.Changes, change)
		}
	}
	return row
}

// brief prints four digits, or all before the point.
func brief(x float64) string { return quantity(&x) }

// Medians are those of the sides, as a person reads them.
func (r duelPageRow) Medians() [2]string {
	return [2]string{quantity(r.BaselineMedian), quantity(r.CandidateMedian)}
}

// Estimate is the change in per cent of the baseline.
func (r duelPageRow) Estimate() string { return percent(100 * *r.Change) }

// Interval is that of the change.
func (r duelPageRow) Interval() string {
	low, high, ok := r.interval()
	if !ok {
		return "too few blocks"
	}
	return percent(low) + " to " + percent(high)
}

// interval is that of the change in per cent, lowest first; ok is false where there are too few
// blocks for one.
func (r duelPageRow) interval() (low, high float64, ok bool) {
	if r.ChangeLowest == nil || r.ChangeHighest == nil {
		return 0, 0, false
	}
	return 100 * *r.ChangeLowest, 100 * *r.ChangeHighest, true
}

// Limit is the margin as a change.
func (r duelPageRow) Limit() string { return percent(100 * r.Allowed) }

func percent(x float64) string { return fmt.Sprintf("%+.2f %%", x) }

// changesChart shows estimate, interval and margin of each unit, one above the other, over what the
// blocks said.
func changesChart(rows []duelPageRow) chart.Chart {
	estimates := chart.Series{Name: "estimate and interval", Form: chart.Loose, Mark: chart.Circle}
	blocks := chart.Series{Name: "a block", Form: chart.Loose, Quiet: true}
	allowed := chart.Series{Name: "allowed", Form: chart.Loose, Mark: chart.Cross}
	c := chart.Chart{
		Title:  "Change of the candidate",
		X:      chart.Axis{Label: "per cent of the baseline"},
		Y:      chart.Axis{Cover: []float64{-0.5, float64(len(rows)) - 0.5}},
		Rules:  []chart.Rule{{Name: "no change", At: 0, OfX: true}},
		Height: float64(50 * len(rows)),
	}
	for i := range rows {
		r, y := rows[len(rows)-1-i], float64(i) // the first row is the uppermost
		c.Y.Ticks = append(c.Y.Ticks, chart.Tick{At: y, Name: r.Unit})
		estimate := chart.Point{
			X: 100 * *r.Change, Y: y, Title: fmt.Sprintf("%s: %s (%s)", r.Unit, r.Estimate(), r.Interval()),
		}
		if low, high, ok := r.interval(); ok {
			estimate.XRange = [2]float64{low, high}
		}
		estimates.Points = append(estimates.Points, estimate)
		allowed.Points = append(allowed.Points,
			chart.Point{X: 100 * r.Allowed, Y: y, Title: fmt.Sprintf("%s: %s is allowed", r.Unit, r.Limit())})
		for j, change := range r.Changes {
			blocks.Points = append(blocks.Points, chart.Point{X: change, Y: y - 0.25, Title: r.blockTitle(j)})
		}
	}
	c.Series = []chart.Series{estimates, blocks, allowed}
	return c
}

// blockTitle is what a pointer over a block shows.
func (r duelPageRow) blockTitle(i int) string {
	return fmt.Sprintf("block %d, %s: %s", r.Numbers[i], r.Unit, percent(r.Changes[i]))
}

// blocksChart shows the changes of each unit from block to block: a machine that changes in the
// middle shows here.
func blocksChart(rows []duelPageRow) chart.Chart {
	c := chart.Chart{
		Title: "Change in each block",
		X:     chart.Axis{Label: "block"},
		Y:     chart.Axis{Label: "per cent of the baseline"},
		Rules: []chart.Rule{{At: 0}},
	}
	last := 0
	for _, r := range rows {
		s := chart.Series{Name: r.Unit}
		for j, change := range r.Changes {
			last = max(last, r.Numbers[j])
			s.Points = append(s.Points, chart.Point{X: float64(r.Numbers[j]), Y: change, Title: r.blockTitle(j)})
		}
		c.Series = append(c.Series, s)
	}
	for n := 1; n <= last; n++ {
		c.X.Ticks = append(c.X.Ticks, chart.Tick{At: float64(n), Name: strconv.Itoa(n)})
	}
	return c
}
