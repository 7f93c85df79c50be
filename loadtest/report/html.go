package report

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/vgsvg"

	"gonum.org/v1/plot/vg/draw"
)

//go:embed *.html.tmpl
var templates embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"number":       number,
	"milliseconds": milliseconds,
	"failures":     failures,
	"doubt":        Side.doubt,
	"brief":        brief,
	"microseconds": func(c *CPU, l Level) string {
		if c == nil || l.Requests == 0 {
			return ""
		}
		return number(float64(c.PerRequest(l.Throughput())) / float64(time.Microsecond))
	},
}).ParseFS(templates, "*.html.tmpl"))

// HTML writes the result as one page with plots, which needs nothing else, no network either.
func HTML(w io.Writer, r Result) error {
	data := struct {
		Result
		Summary string
		Plots   []template.HTML
	}{Result: r, Summary: Summary(r)}
	var err error
	if data.Plots, err = plots(r.Levels, plotThroughput, plotLatency); err != nil {
		return err
	}
	return writePage(w, "report.html.tmpl", data)
}

// plots draws rows in each way; none where there are none.
func plots[T any](rows []T, draws ...func([]T) (*plot.Plot, error)) ([]template.HTML, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	var all []template.HTML
	for _, draw := range draws {
		p, err := draw(rows)
		if err != nil {
			return nil, fmt.Errorf("plot: %w", err)
		}
		svg, err := render(p)
		if err != nil {
			return nil, fmt.Errorf("plot: %w", err)
		}
		all = append(all, svg)
	}
	return all, nil
}

// writePage writes the page that a template makes of data, or nothing of it.
func writePage(w io.Writer, name string, data any) error {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, data); err != nil {
		return err
	}
	_, err := b.WriteTo(w)
	return err
}

func plotThroughput(levels []Level) (*plot.Plot, error) {
	return plotLevels("Throughput", "requests per second", levels, series{"throughput", Level.Throughput})
}

func plotLatency(levels []Level) (*plot.Plot, error) {
	at := func(q float64) func(Level) float64 {
		return func(l Level) float64 { return float64(l.Quantile(q)) / float64(time.Millisecond) }
	}
	return plotLevels("Latency", "milliseconds", levels,
		series{"p99", at(0.99)}, series{"p95", at(0.95)}, series{"p50", at(0.50)})
}

// series is a value of each level, with its name.
type series struct {
	name  string
	value func(Level) float64
}

// plotLevels plots values over the number of VUs, which doubles from level to level: a logarithmic axis.
func plotLevels(title, unit string, levels []Level, all ...series) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = title
	p.X.Label.Text = "virtual users"
	p.Y.Label.Text = unit
	p.Y.Min = 0
	p.X.Scale = plot.LogScale{}
	p.Add(plotter.NewGrid())
	for i, s := range all {
		points := make(plotter.XYs, len(levels))
		for j, l := range levels {
			points[j] = plotter.XY{X: float64(l.VUs), Y: s.value(l)}
		}
		if err := addSeries(p, i, s.name, points); err != nil {
			return nil, err
		}
	}
	p.Legend.Top, p.Legend.Left = true, true
	p.X.Tick.Marker = levelTicks(levels)
	p.X.Min, p.X.Max = float64(levels[0].VUs), float64(levels[0].VUs)
	for _, l := range levels {
		p.X.Min, p.X.Max = min(p.X.Min, float64(l.VUs)), max(p.X.Max, float64(l.VUs))
	}
	if p.X.Min == p.X.Max { // one level: an axis needs a length
		p.X.Max *= 2
	}
	return p, nil
}

// addSeries adds the points of the series with number i, joined by a line, and its name.
func addSeries(p *plot.Plot, i int, name string, points plotter.XYs) error {
	line, dots, err := plotter.NewLinePoints(points)
	if err != nil {
		return err
	}
	line.Color, dots.Color = plotutil.Color(i), plotutil.Color(i)
	dots.Shape = draw.CircleGlyph{}
	p.Add(line, dots)
	p.Legend.Add(name, line, dots)
	return nil
}

// levelTicks marks the VUs of each level.
type levelTicks []Level

// Ticks implements plot.Ticker.
func (t levelTicks) Ticks(float64, float64) []plot.Tick {
	var ticks []plot.Tick
	for _, l := range t {
		ticks = append(ticks, plot.Tick{Value: float64(l.VUs), Label: fmt.Sprint(l.VUs)})
	}
	return ticks
}

// render draws a plot as an SVG element. Inside a page an XML declaration would be an error.
func render(p *plot.Plot) (template.HTML, error) {
	canvas := vgsvg.New(14*vg.Centimeter, 9*vg.Centimeter)
	p.Draw(draw.New(canvas))
	var b strings.Builder
	if _, err := canvas.WriteTo(&b); err != nil {
		return "", err
	}
	svg := b.String()
	return template.HTML(svg[strings.Index(svg, "<svg"):]), nil
}
