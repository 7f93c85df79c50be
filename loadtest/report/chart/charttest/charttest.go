// Package charttest checks what is promised of every chart: that nothing is cut, and that nothing
// covers the data.
package charttest

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/report/chart"
)

// Drawing is what a test may ask of a chart that was checked.
type Drawing struct {
	Width  float64
	Texts  []string
	Titles []string // of points and bars
	Points int
}

// Page checks all charts of a page.
func Page(t testing.TB, page string) (all []Drawing) {
	t.Helper()
	for part := range strings.SplitSeq(page, "<svg") {
		if inner, _, ok := strings.Cut(part, "</svg>"); ok {
			all = append(all, Check(t, "<svg"+inner+"</svg>"))
		}
	}
	return all
}

// Check fails the test where a text lies outside of the drawing or on another text, where the
// legend or a title reaches into the data, or where a point lies outside of them.
func Check(t testing.TB, svg string) Drawing {
	t.Helper()
	var d Drawing
	var view, frame box
	var texts, above, marks []box
	var names []string // classes of the elements around
	var size, x, y float64
	var anchor string
	for decoder := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err, svg)
		switch token := token.(type) {
		case xml.StartElement:
			a := attributes(token)
			names = append(names, token.Name.Local+"."+a["class"])
			around := " " + strings.Join(names, " ") + " "
			switch {
			case token.Name.Local == "svg":
				_, err := fmt.Sscan(a["viewBox"], &view.left, &view.top, &view.right, &view.bottom)
				require.NoError(t, err)
				d.Width = view.right
			case a["class"] == "frame":
				frame = rectangle(t, a)
			case token.Name.Local == "text":
				x, y, size, anchor = number(t, a["x"]), number(t, a["y"]), number(t, a["font-size"]), a["text-anchor"]
			case a["class"] == "bar" && !strings.Contains(around, " g.legend "):
				marks = append(marks, rectangle(t, a))
			case strings.HasSuffix(a["class"], "point"):
				var x, y float64
				_, err := fmt.Sscanf(a["transform"], "translate(%f %f)", &x, &y)
				require.NoError(t, err)
				marks = append(marks, box{x - 5, y - 5, x + 5, y + 5})
			case token.Name.Local == "line" && strings.Contains(around, " g.error "):
				x1, y1, x2, y2 := number(t, a["x1"]), number(t, a["y1"]), number(t, a["x2"]), number(t, a["y2"])
				marks = append(marks, box{min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)})
			}
		case xml.EndElement:
			names = names[:len(names)-1]
		case xml.CharData:
			text := string(token)
			if len(names) == 0 || strings.TrimSpace(text) == "" {
				continue
			}
			switch around := strings.Join(names, " "); {
			case strings.HasSuffix(around, "title."):
				d.Titles = append(d.Titles, text)
			case strings.HasSuffix(around, "text."):
				width := chart.TextWidth(text, size)
				at := map[string]float64{"start": x, "middle": x - width/2, "end": x - width}[anchor]
				b := box{at, y - 0.75*size, at + width, y + 0.25*size}
				require.True(t, b.within(view), "%q lies at %v and the drawing ends at %v", text, b, view)
				for i, other := range texts {
					require.False(t, b.meets(other), "%q lies on %q", text, d.Texts[i])
				}
				require.False(t, b.meets(frame), "%q at %v lies on the data at %v", text, b, frame)
				texts, d.Texts = append(texts, b), append(d.Texts, text)
				if strings.Contains(around, "g.legend ") || strings.Contains(around, "g.title ") {
					above = append(above, b)
				}
			}
		}
	}
	require.True(t, frame.right > frame.left && frame.bottom > frame.top && frame.within(view),
		"the data have no place: %v", frame)
	for _, b := range above {
		require.LessOrEqual(t, b.bottom, frame.top, "what is above the data reaches into them")
	}
	for _, m := range marks {
		require.True(t, m.within(frame), "what is at %v lies outside of the data at %v", m, frame)
	}
	d.Points = len(marks)
	return d
}

type box struct{ left, top, right, bottom float64 }

// within allows for rounding.
func (b box) within(o box) bool {
	const e = 0.11
	return b.left >= o.left-e && b.right <= o.right+e && b.top >= o.top-e && b.bottom <= o.bottom+e
}

func (b box) meets(o box) bool {
	const e = 0.11
	return b.left < o.right-e && o.left < b.right-e && b.top < o.bottom-e && o.top < b.bottom-e
}

func rectangle(t testing.TB, a map[string]string) box {
	x, y := number(t, a["x"]), number(t, a["y"])
	return box{x, y, x + number(t, a["width"]), y + number(t, a["height"])}
}

func attributes(e xml.StartElement) map[string]string {
	all := make(map[string]string)
	for _, a := range e.Attr {
		all[a.Name.Local] = a.Value
	}
	return all
}

func number(t testing.TB, s string) float64 {
	x, err := strconv.ParseFloat(s, 64)
	require.NoError(t, err)
	require.False(t, math.IsNaN(x) || math.IsInf(x, 0), s)
	return x
}
