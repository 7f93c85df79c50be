package report

import (
	"fmt"
	"html/template"
	"image/color"
	"io"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// DuelHTML writes the duel as one page with plots, which needs nothing else, no network either.
func DuelHTML(w io.Writer, d Duel) error {
	data := duelPage{Duel: d}
	for _, r := range d.Rows {
		data.Table = append(data.Table, newDuelPageRow(d, r))
	}
	var err error
	if data.Plots, err = plots(data.Table, plotChanges, plotBlocks); err != nil {
		return err
	}
	return writePage(w, "duel.html.tmpl", data)
}

// duelPage is what the page of a duel shows.
type duelPage struct {
	Duel
	Table []duelPageRow
	Plots []template.HTML
}

// duelPageRow is how a unit compares, with what each block said of it.
type duelPageRow struct {
	DuelRow
	Medians [2]string // of the sides, as a person reads them
	Blocks  []int     // the numbers of those that count
	Changes []float64 // of the candidate in these, in per cent of the baseline
}

func newDuelPageRow(d Duel, r DuelRow) duelPageRow {
	row := duelPageRow{DuelRow: r}
	at := slices.IndexFunc(duelUnits, func(u duelUnit) bool { return u.unit == r.Unit })
	sides := d.samples(duelUnits[at].value)
	for side, samples := range sides {
		row.Medians[side] = brief(median(samples))
	}
	for i, b := range d.whole() {
		row.Blocks = append(row.Blocks, b.Number)
		row.Changes = append(row.Changes, 100*(sides[1][i]/sides[0][i]-1))
	}
	return row
}

func median(samples []float64) float64 {
	s := slices.Sorted(slices.Values(samples))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// brief prints four digits, or all before the point.
func brief(x float64) string {
	if math.Abs(x) >= 1000 {
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.4g", x)
}

// Change is the estimate in per cent of the baseline.
func (r duelPageRow) Change() string { return percent(100 * r.Better.Change(r.Estimate)) }

// Interval is that of the change.
func (r duelPageRow) Interval() string {
	low, high := r.interval()
	if math.IsInf(r.Row.Lower, 0) || math.IsInf(r.Upper, 0) {
		return "too few blocks"
	}
	return percent(low) + " to " + percent(high)
}

// interval is that of the change in per cent, lowest first.
func (r duelPageRow) interval() (low, high float64) {
	low, high = 100*r.Better.Change(r.Row.Lower), 100*r.Better.Change(r.Upper)
	return min(low, high), max(low, high)
}

// Allowed is the margin as a change.
func (r duelPageRow) Allowed() string { return percent(100 * r.Better.Change(r.Margin)) }

func percent(x float64) string { return fmt.Sprintf("%+.2f %%", x) }

// plotChanges plots estimate, interval and margin of each unit, one above the other, over what the blocks said.
func plotChanges(rows []duelPageRow) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = "Change of the candidate"
	p.X.Label.Text = "per cent of the baseline"
	p.Add(plotter.NewGrid())
	var names []string
	for i, r := range rows {
		y := float64(len(rows) - 1 - i)
		names = append([]string{r.Unit}, names...)
		var blocks plotter.XYs
		for _, change := range r.Changes {
			blocks = append(blocks, plotter.XY{X: change, Y: y - 0.2})
		}
		estimate := 100 * r.Better.Change(r.Estimate)
		bars := plotter.XYs{{X: estimate, Y: y}}
		if low, high := r.interval(); !math.IsInf(r.Row.Lower, 0) && !math.IsInf(r.Upper, 0) {
			bars = plotter.XYs{{X: low, Y: y}, {X: estimate, Y: y}, {X: high, Y: y}}
		}
		line, err := plotter.NewLine(bars)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = plotutil.Color(i), vg.Points(2)
		p.Add(line)
		for _, dots := range []struct {
			at     plotter.XYs
			color  color.Color
			shape  draw.GlyphDrawer
			radius vg.Length
		}{
			{blocks, color.Gray{160}, draw.CircleGlyph{}, vg.Points(1.5)},
			{plotter.XYs{{X: estimate, Y: y}}, plotutil.Color(i), draw.CircleGlyph{}, vg.Points(3)},
			{plotter.XYs{{X: 100 * r.Better.Change(r.Margin), Y: y}}, color.Black, draw.CrossGlyph{}, vg.Points(4)},
		} {
			s, err := plotter.NewScatter(dots.at)
			if err != nil {
				return nil, err
			}
			s.Color, s.Shape, s.Radius = dots.color, dots.shape, dots.radius
			p.Add(s)
		}
	}
	zero, err := plotter.NewLine(plotter.XYs{{X: 0, Y: -0.5}, {X: 0, Y: float64(len(rows)) - 0.5}})
	if err != nil {
		return nil, err
	}
	p.Add(zero)
	p.NominalY(names...)
	p.Y.Min, p.Y.Max = -0.5, float64(len(rows))-0.5
	p.Y.Padding = vg.Points(10)
	edge := 0.04 * (p.X.Max - p.X.Min)
	p.X.Min, p.X.Max = p.X.Min-edge, p.X.Max+edge
	return p, nil
}

// plotBlocks plots the changes of each unit from block to block: a machine that changes in the middle shows here.
func plotBlocks(rows []duelPageRow) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = "Change in each block"
	p.X.Label.Text = "block"
	p.Y.Label.Text = "per cent of the baseline"
	p.Add(plotter.NewGrid())
	for i, r := range rows {
		var points plotter.XYs
		for j, change := range r.Changes {
			points = append(points, plotter.XY{X: float64(r.Blocks[j]), Y: change})
		}
		if err := addSeries(p, i, r.Unit, points); err != nil {
			return nil, err
		}
	}
	p.Legend.Top, p.Legend.Left = true, true
	p.Y.Max += 0.3 * (p.Y.Max - p.Y.Min) // for the legend
	p.X.Tick.Marker = plot.TickerFunc(func(low, high float64) []plot.Tick {
		var ticks []plot.Tick
		for n := math.Ceil(low); n <= high; n++ {
			ticks = append(ticks, plot.Tick{Value: n, Label: fmt.Sprint(n)})
		}
		return ticks
	})
	if p.X.Min == p.X.Max { // one block: an axis needs a length
		p.X.Max++
	}
	return p, nil
}
