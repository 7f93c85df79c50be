package chart

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// What the drawing keeps free, in pixels.
const (
	leastWidth = 400
	leastData  = 220 // width of the area of the data
	edge       = 4   // around the drawing
	inset      = 10  // between the frame of the data and their utmost points, whose marks are whole
	gap        = 6   // between a mark or an axis and its name
	lineHeight = 18
	swatch     = 26 // width of the sample of a series in the legend
	height     = 200
)

// px is a length in the drawing. A tenth of a pixel cannot be seen.
type px float64

func (x px) String() string { return strconv.FormatFloat(math.Round(float64(x)*10)/10, 'f', -1, 64) }

// drawing is a chart with everything in its place.
type drawing struct {
	Width, Height px
	Name          string
	Titles        []label
	Legend        []entry
	Names         []label // of axes and ticks
	Frame         box
	Grid          []segment
	Rules         []segment
	Series        []shape
}

type label struct {
	X, Y   px // of the base line
	Anchor string
	Size   int
	Text   string
}

type box struct{ X, Y, Width, Height px }

type segment struct{ X1, Y1, X2, Y2 px }

// entry is a line of the legend.
type entry struct {
	Class        string
	Line, Filled bool
	Bar          bool
	Rule         bool
	X, Y         px // the middle of the left end of its sample
	Mark         string
	Name         label
}

// End is the right end of the sample.
func (e entry) End() px { return e.X + swatch }

// Top is that of a sample of bars.
func (e entry) Top() px { return e.Y - 5 }

// Middle is that of the sample.
func (e entry) Middle() px { return e.X + swatch/2 }

// shape is a series.
type shape struct {
	Class  string
	Path   string // of its line
	Marks  []mark
	Bars   []bar
	Errors []segment
}

type mark struct {
	X, Y   px
	Path   string
	Hollow bool
	Title  string
}

type bar struct {
	box
	Title string
}

// paths of marks around 0, 0.
var paths = map[Mark]string{
	Circle:   "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
	Square:   "M-3.5 -3.5h7v7h-7z",
	Diamond:  "M0 -5l5 5l-5 5l-5 -5z",
	Triangle: "M0 -5l5 8.5h-10z",
	Cross:    "M-4 -4l8 8M-4 4l8 -8",
}

// quietPath is that of the points of a quiet series.
const quietPath = "M-2 0a2 2 0 1 0 4 0a2 2 0 1 0 -4 0z"

func (c Chart) layOut() (drawing, bool) {
	var xs, ys []float64
	for _, s := range c.Series {
		for _, p := range s.Points {
			if !(scale{log: c.X.Log}).has(p.X) || !(scale{log: c.Y.Log}).has(p.Y) {
				continue
			}
			xs, ys = append(xs, p.X), append(ys, p.Y)
			if low, high, ok := span(p.XRange); ok {
				xs = append(xs, low, high)
			}
			if low, high, ok := span(p.YRange); ok {
				ys = append(ys, low, high)
			}
		}
	}
	if len(xs) == 0 {
		return drawing{}, false
	}
	for _, r := range c.Rules {
		if r.OfX {
			xs = append(xs, r.At)
		} else {
			ys = append(ys, r.At)
		}
	}
	x, xTicks, _ := c.X.scale(xs)
	y, yTicks, _ := c.Y.scale(ys)

	d := drawing{Name: c.Title}
	widest := func(ticks []Tick) (w float64) {
		for _, t := range ticks {
			w = max(w, TextWidth(t.Name, textSize))
		}
		return w
	}
	side := edge + max(0, widest(xTicks)/2-inset) // the names of the utmost ticks stand on both sides of them
	left, right := max(side, edge+widest(yTicks)+gap), side
	width := max(leastWidth, left+leastData+right, 2*edge+longest(c.Title, titleSize),
		2*edge+longest(c.X.Label, textSize), 2*edge+longest(c.Y.Label, textSize))
	bars := 0
	for i, s := range c.Series {
		if s.Form == Bars {
			bars++
		}
		if s.Name != "" {
			e := entry{Class: s.class(i), Line: s.Form == Joined || s.Form == Line, Bar: s.Form == Bars, Mark: s.mark(i)}
			d.Legend = append(d.Legend, e.named(s.Name))
		}
	}
	for _, r := range c.Rules {
		if r.Name != "" && x.hasRule(y, r) {
			d.Legend = append(d.Legend, entry{Class: "rule", Rule: true}.named(r.Name))
		}
	}
	for _, e := range d.Legend {
		width = max(width, 2*edge+swatch+gap+TextWidth(e.Name.Text, textSize))
	}

	top := d.head(c, width)
	d.Width = px(width)
	bottom := top + 2*inset + height
	if c.Height > 0 {
		bottom = top + 2*inset + c.Height
	}
	d.Frame = box{px(left), px(top), px(width - right - left), px(bottom - top)}
	x.from, x.to = left+inset, width-right-inset
	half := c.barWidth(x) / 2 // of the first and the last bars, which are whole
	x.from, x.to = x.from+half, x.to-half
	y.from, y.to = bottom-inset, top+inset
	d.foot(c, left, width-right, d.ticks(x, xTicks, y, yTicks))

	for _, r := range c.Rules {
		switch {
		case !x.hasRule(y, r):
		case r.OfX:
			d.Rules = append(d.Rules, segment{px(x.at(r.At)), px(top), px(x.at(r.At)), px(bottom)})
		default:
			d.Rules = append(d.Rules, segment{px(left), px(y.at(r.At)), px(width - right), px(y.at(r.At))})
		}
	}
	row := barRow{of: bars, width: c.barWidth(x)}
	for i, s := range c.Series {
		d.Series = append(d.Series, s.draw(i, x, y, row))
		if s.Form == Bars {
			row.number++
		}
	}
	return d, true
}

// hasRule reports whether a rule has a place on x, or on y, whichever it is of.
func (s scale) hasRule(y scale, r Rule) bool {
	if r.OfX {
		return s.has(r.At)
	}
	return y.has(r.At)
}

func (e entry) named(name string) entry {
	e.Name = label{Anchor: "start", Size: textSize, Text: name}
	return e
}

// head places what is above the data, and returns where these begin: the title, the legend in as
// many rows as it needs, and the label of the Y axis, which is easier to read there than upright.
func (d *drawing) head(c Chart, width float64) (top float64) {
	top = edge
	for _, line := range wrap(c.Title, titleSize, width-2*edge) {
		top += lineHeight
		d.Titles = append(d.Titles, label{edge, px(top - 4), "start", titleSize, line})
	}
	at := width
	for i := range d.Legend {
		e := &d.Legend[i]
		w := swatch + gap + TextWidth(e.Name.Text, textSize)
		if at+w > width-edge {
			at = edge
			top += lineHeight
		}
		e.X, e.Y = px(at), px(top-lineHeight/2+1)
		e.Name.X, e.Name.Y = px(at+swatch+gap), px(top-4)
		at += w + 2*gap
	}
	for _, line := range wrap(c.Y.Label, textSize, width-2*edge) {
		top += lineHeight
		d.Names = append(d.Names, label{edge, px(top - 4), "start", textSize, line})
	}
	return top + gap
}

// ticks places the marks of both axes, as lines across the data, and their names. It returns where
// the names end.
func (d *drawing) ticks(x scale, xTicks []Tick, y scale, yTicks []Tick) (bottom float64) {
	left, top := float64(d.Frame.X), float64(d.Frame.Y)
	right, bottom := left+float64(d.Frame.Width), top+float64(d.Frame.Height)
	for _, t := range apart(yTicks, func(t Tick) (float64, float64) {
		return -y.at(t.At) - lineHeight/2, -y.at(t.At) + lineHeight/2
	}) {
		at := px(y.at(t.At))
		d.Grid = append(d.Grid, segment{px(left), at, px(right), at})
		d.Names = append(d.Names, label{px(left - gap), at + textSize/3, "end", textSize, t.Name})
	}
	bottom += lineHeight
	for _, t := range apart(xTicks, func(t Tick) (float64, float64) {
		half := TextWidth(t.Name, textSize)/2 + gap
		return x.at(t.At) - half, x.at(t.At) + half
	}) {
		at := px(x.at(t.At))
		d.Grid = append(d.Grid, segment{at, px(top), at, px(top + float64(d.Frame.Height))})
		d.Names = append(d.Names, label{at, px(bottom - 3), "middle", textSize, t.Name})
	}
	return bottom
}

// apart leaves out ticks whose names would touch those before them. The last one stays, because it
// says where the axis ends.
func apart(ticks []Tick, ends func(Tick) (from, to float64)) (kept []Tick) {
	for i, t := range ticks {
		from, _ := ends(t)
		for len(kept) > 0 {
			_, to := ends(kept[len(kept)-1])
			if from >= to || i < len(ticks)-1 {
				break
			}
			kept = kept[:len(kept)-1]
		}
		if len(kept) > 0 {
			if _, to := ends(kept[len(kept)-1]); from < to {
				continue
			}
		}
		kept = append(kept, t)
	}
	return kept
}

// foot places the label of the X axis below its names, in the middle of the data as far as there is
// room.
func (d *drawing) foot(c Chart, left, right, bottom float64) {
	width := float64(d.Width)
	for _, line := range wrap(c.X.Label, textSize, width-2*edge) {
		half := TextWidth(line, textSize) / 2
		bottom += lineHeight
		at := max(edge+half, min((left+right)/2, width-edge-half))
		d.Names = append(d.Names, label{px(at), px(bottom - 4), "middle", textSize, line})
	}
	d.Height = px(bottom + edge)
}

// class is that of a series, by which the style sheet gives it a color.
func (s Series) class(place int) string {
	if s.Quiet {
		return "quiet"
	}
	return fmt.Sprint("s", (s.color(place)-1)%Colors+1)
}

func (s Series) color(place int) int {
	if s.Color > 0 {
		return s.Color
	}
	return place + 1
}

// mark is the path of a mark of a series; empty: it has none.
func (s Series) mark(place int) string {
	m := s.Mark
	switch {
	case s.Form == Line, s.Form == Bars:
		return ""
	case s.Quiet && m == ByPlace:
		return quietPath
	case m == ByPlace:
		m = Circle + Mark(place)%(Cross-Circle)
	}
	return paths[m]
}

// barRow is the place of a series among those that are drawn as bars, which stand beside each
// other.
type barRow struct {
	number, of int
	width      float64 // of all together
}

// barWidth is how wide the bars at one X may be together: most of the way to the next.
func (c Chart) barWidth(x scale) float64 {
	var at []float64
	for _, s := range c.Series {
		if s.Form == Bars {
			for _, p := range s.Points {
				if x.has(p.X) {
					at = append(at, x.at(p.X))
				}
			}
		}
	}
	if at == nil {
		return 0
	}
	width := x.to - x.from
	for i := range at {
		for j := range i {
			if d := math.Abs(at[i] - at[j]); d > 0.5 {
				width = min(width, d)
			}
		}
	}
	return min(0.8*width, 60)
}

func (s Series) draw(place int, x, y scale, row barRow) shape {
	drawn := shape{Class: s.class(place)}
	var path strings.Builder
	command := "M"
	for _, p := range s.Points {
		if !x.has(p.X) || !y.has(p.Y) {
			command = "M"
			continue
		}
		atX, atY := x.at(p.X), y.at(p.Y)
		if s.Form == Bars {
			atX += row.width * ((float64(row.number)+0.5)/float64(row.of) - 0.5)
			w := row.width / float64(row.of)
			foot := y.from
			if y.has(0) && y.low <= 0 && y.high >= 0 {
				foot = y.at(0)
			}
			drawn.Bars = append(drawn.Bars, bar{
				box{px(atX - w/2), px(min(atY, foot)), px(w), px(math.Abs(foot - atY))}, p.Title})
		}
		if low, high, ok := span(p.XRange); ok {
			drawn.Errors = append(drawn.Errors, segment{px(x.clamped(low)), px(atY), px(x.clamped(high)), px(atY)})
		}
		if low, high, ok := span(p.YRange); ok {
			drawn.Errors = append(drawn.Errors, segment{px(atX), px(y.clamped(low)), px(atX), px(y.clamped(high))})
		}
		if s.Form == Joined || s.Form == Line {
			fmt.Fprintf(&path, "%s%s %s", command, px(atX), px(atY))
			command = "L"
		}
		if m := s.mark(place); m != "" {
			drawn.Marks = append(drawn.Marks, mark{px(atX), px(atY), m, p.Hollow, p.Title})
		}
	}
	drawn.Path = path.String()
	return drawn
}
