// Package chart draws charts as SVG elements of HTML pages. A [Chart] says what is to be seen, and
// [Chart.SVG] draws it. A page includes [Style], which has the colors for light and dark screens
// and for paper.
//
// A drawing scales with its page and is made to be read from 400 pixels on. Its names and its
// legend stand beside the data and never on them, and nothing is cut: where a text needs more room,
// the drawing becomes wider.
package chart

import (
	_ "embed"
	"html/template"
	"math"
	"strings"
)

// Style is the style sheet of charts. It defines the colors --ink, --muted, --rule and --paper,
// which are the page's to use as well, and --series-1 and so on, one for each of [Colors].
//
//go:embed style.css
var Style template.CSS

// Colors is how many series of a chart have a color of their own.
const Colors = 6

// Chart is one chart: series of points over two axes.
type Chart struct {
	Title  string
	X, Y   Axis
	Series []Series
	Rules  []Rule
	Height float64 // of the area of the data, in pixels of a drawing 400 wide; 0: 200
}

// Axis is one axis. The zero value is linear, and covers what is drawn.
type Axis struct {
	Label string
	Log   bool      // logarithmic; what is not above 0 has no place on it, and is not drawn
	Cover []float64 // values that the axis has to reach, besides those of the points
	// Ticks are where the axis is marked, in rising order; nil: at round values. Names that would
	// touch each other are left out.
	Ticks []Tick
}

// Tick is a mark of an axis with its name.
type Tick struct {
	At   float64
	Name string
}

// Series is a row of points that belong together. The zero value of Form: points, joined by a line.
type Series struct {
	Name   string // in the legend; empty: it is not there
	Form   Form
	Mark   Mark
	Color  int  // from 1 to Colors; 0: that of its place among the series
	Quiet  bool // small and grey instead of its color
	Points []Point
}

// Form is how the points of a series are drawn.
type Form int

// The forms of a series.
const (
	Joined Form = iota // marks, joined by a line in the order of the points
	Loose              // marks
	Line               // a line without marks, such as that of a model
	Bars               // bars that stand on the lower end of the axis, or on 0 where the axis has it
)

// Mark is the shape of a point.
type Mark int

// The shapes of points.
const (
	ByPlace Mark = iota // that of the place of the series, so that series differ without colors, too
	Circle
	Square
	Diamond
	Triangle
	Cross
)

// Point is a point of a series. A point with a coordinate that is no number is not drawn, and
// interrupts the line.
type Point struct {
	X, Y           float64
	XRange, YRange [2]float64 // from, to: drawn as error bars; zero: none
	Title          string     // what a pointer over the point shows
	Hollow         bool       // to be told apart from the others, such as a level that was not accepted
}

// Rule is a line across the chart at a value of one axis. A name is shown in the legend.
type Rule struct {
	Name string
	At   float64
	OfX  bool // the value is one of the X axis, so the line is vertical
}

// SVG returns the chart as an svg element. It is empty where no point can be drawn.
func (c Chart) SVG() (template.HTML, error) {
	d, ok := c.layOut()
	if !ok {
		return "", nil
	}
	var b strings.Builder
	if err := svg.Execute(&b, d); err != nil {
		return "", err
	}
	return template.HTML(b.String()), nil
}

//go:embed chart.svg.tmpl
var svgText string

var svg = template.Must(template.New("svg").Parse(svgText))

// number reports whether a coordinate can be drawn. The limit keeps differences and quotients of
// two finite.
func number(x float64) bool { return math.Abs(x) < largest }

const largest = 1e150

// span is the range of an error bar, and false where there is none.
func span(r [2]float64) (low, high float64, ok bool) {
	if r == [2]float64{} || !number(r[0]) || !number(r[1]) {
		return 0, 0, false
	}
	return min(r[0], r[1]), max(r[0], r[1]), true
}
