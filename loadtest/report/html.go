package report

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"rampart/loadtest/inject"
	"rampart/loadtest/report/chart"
	"rampart/loadtest/result"
)

//go:embed *.html.tmpl
var templates embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"number":       number,
	"milliseconds": milliseconds,
	"failures":     failures,
	"statuses":     func(m inject.Measurement) string { return statuses(m.Answers.Statuses()) },
	"doubt":        result.Side.Doubt,
	"brief":        brief,
	"interval":     interval,
	"chartStyle":   func() template.CSS { return chart.Style },
	"microseconds": func(c *result.CPU, l result.Level) string {
		if c == nil || l.Requests == 0 {
			return ""
		}
		return number(float64(c.PerRequest(l.Throughput())) / float64(time.Microsecond))
	},
}).ParseFS(templates, "*.html.tmpl"))

// HTML writes the result as one page with charts, which needs nothing else, no network either.
func HTML(w io.Writer, r result.Result) error {
	data := rampPage{Result: r}
	var err error
	if data.Charts, err = draw(throughputChart(r), latencyChart(r), roundsChart(r)); err != nil {
		return err
	}
	return writePage(w, "report.html.tmpl", data)
}

// rampPage is what the page of levels shows.
type rampPage struct {
	result.Result
	Charts []template.HTML
}

// Facts are what the page says first.
func (p rampPage) Facts() []fact { return headline(p.Result) }

// Reservations are what to hold against what was measured.
func (p rampPage) Reservations() []string { return reservations(p.Result) }

// Model says what the scalability model tells, or why there is none; empty: nobody asked.
func (p rampPage) Model() string {
	switch m := p.Scalability; {
	case m == nil:
		return ""
	case m.Refused != "":
		return "There is no scalability model: " + m.Refused + "."
	case m.NoPeak != "":
		return fmt.Sprintf("Scalability model: %s; it predicts no most: %s.", model(*m), m.NoPeak)
	default:
		return "Scalability model: " + model(*m) + "."
	}
}

// draw draws charts.
func draw(charts ...chart.Chart) (all []template.HTML, err error) {
	for _, c := range charts {
		svg, err := c.SVG()
		if err != nil {
			return nil, fmt.Errorf("chart %s: %w", c.Title, err)
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

func throughputChart(r result.Result) chart.Chart {
	axis := chart.Axis{Label: "requests per second", Cover: []float64{0}}
	c := levelChart(r, chart.Chart{Title: "Throughput", Y: axis}, curve{
		unit: "requests/s", of: result.Level.Throughput,
		span: func(l result.Level) [2]float64 { return [2]float64{l.Lower, l.Upper} },
	})
	if m := r.Scalability; m != nil && m.Refused == "" && len(c.X.Ticks) > 1 {
		c.Series[0].Name, c.Series[0].Form = "measured", chart.Loose
		law := chart.Series{Name: "model", Form: chart.Line}
		const points = 60
		from, to := c.X.Ticks[0].At, c.X.Ticks[len(c.X.Ticks)-1].At
		for i := range points + 1 {
			n := from * math.Pow(to/from, float64(i)/points)
			law.Points = append(law.Points, chart.Point{X: n, Y: m.At(n)})
		}
		c.Series = append(c.Series, law)
	}
	return c
}

func latencyChart(r result.Result) chart.Chart {
	at := func(name string, q float64) curve {
		return curve{name: name, unit: "ms", of: func(l result.Level) float64 {
			if l.Requests == 0 {
				return math.NaN()
			}
			return float64(l.Quantile(q)) / float64(time.Millisecond)
		}}
	}
	return levelChart(r, chart.Chart{Title: "Latency", Y: chart.Axis{Label: "milliseconds", Log: true}},
		at("p99", 0.99), at("p95", 0.95), at("p50", 0.50))
}

// curve is something that is known of each level.
type curve struct {
	name string // in the legend; empty: it is the only one
	unit string
	of   func(result.Level) float64
	span func(result.Level) [2]float64 // its interval, zero where there is none; nil: it has none
}

// levelChart adds curves over the number of VUs, which doubles from level to level: a logarithmic
// axis.
func levelChart(r result.Result, c chart.Chart, all ...curve) chart.Chart {
	levels := slices.SortedStableFunc(slices.Values(r.Levels), func(a, b result.Level) int { return a.VUs - b.VUs })
	c.X = chart.Axis{Label: "virtual users", Log: true}
	for i, l := range levels {
		if i == 0 || levels[i-1].VUs != l.VUs {
			c.X.Ticks = append(c.X.Ticks, chart.Tick{At: float64(l.VUs), Name: strconv.Itoa(l.VUs)})
		}
	}
	for _, q := range all {
		s := chart.Series{Name: q.name}
		for _, l := range levels {
			y := q.of(l)
			var span [2]float64
			more := ""
			if q.span != nil {
				span, more = q.span(l), interval(l)
			}
			about := []string{strings.TrimSpace(
				fmt.Sprintf("%s at %d VUs: %s %s %s", q.name, l.VUs, number(y), q.unit, more))}
			left := r.Kind == result.KindRamp && !l.Accepted
			if left {
				about = append(about, "not accepted by the stop rule")
			}
			for _, d := range l.Doubts {
				about = append(about, d.Text)
			}
			s.Points = append(s.Points, chart.Point{
				X: float64(l.VUs), Y: y, YRange: span, Title: strings.Join(about, "\n"), Hollow: left,
			})
		}
		c.Series = append(c.Series, s)
	}
	if knee, ok := r.Knee(); ok {
		c.Rules = []chart.Rule{{Name: "knee", At: float64(knee), OfX: true}}
	}
	return c
}

// roundPoints is how many points a level has in the chart of rounds, at most: each is the mean of
// windows that followed each other.
const roundPoints = 40

// roundsChart shows how the ramp went: what the windows of the level of the capacity gave, one
// after the other, and small those of the others. It is empty for what has no rounds.
func roundsChart(r result.Result) chart.Chart {
	c := chart.Chart{
		Title: "Rounds", X: chart.Axis{Label: "seconds since the start"},
		Y: chart.Axis{Label: "requests per second", Cover: []float64{0}},
	}
	if r.Estimate == nil {
		return c
	}
	others := chart.Series{Name: "other levels", Form: chart.Loose, Quiet: true}
	best := chart.Series{Name: "at " + vus(r.Estimate.VUs), Color: 1, Mark: chart.Circle}
	for _, l := range r.Levels {
		each := (len(l.Rounds) + roundPoints - 1) / roundPoints
		for from := 0; from < len(l.Rounds); from += each {
			windows := l.Rounds[from:min(from+each, len(l.Rounds))]
			var p chart.Point
			for _, w := range windows {
				p.X += w.At.Seconds() / float64(len(windows))
				p.Y += w.Throughput / float64(len(windows))
			}
			if l.VUs != r.Estimate.VUs {
				others.Points = append(others.Points, p)
				continue
			}
			p.Title = fmt.Sprintf("after %.1f s: %s requests/s, in %d windows", p.X, short(p.Y), len(windows))
			best.Points = append(best.Points, p)
		}
	}
	c.Series = []chart.Series{others, best}
	if e := r.Estimate; e.Upper > 0 {
		c.Rules = []chart.Rule{{Name: "interval of the capacity", At: e.Lower}, {At: e.Upper}}
	}
	return c
}
