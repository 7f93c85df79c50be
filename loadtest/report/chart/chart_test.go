package chart_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/report/chart"
	"rampart/loadtest/report/chart/charttest"
)

func points(pairs ...float64) (all []chart.Point) {
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, chart.Point{X: pairs[i], Y: pairs[i+1], Title: fmt.Sprintf("%v at %v", pairs[i+1], pairs[i])})
	}
	return all
}

// series is one series with a name.
func series(form chart.Form, points []chart.Point) []chart.Series {
	return []chart.Series{{Name: "the name", Form: form, Points: points}}
}

var logarithmic = chart.Axis{Log: true}

// levels are ticks at doublings, and more between them than there is room for.
func levels() (ticks []chart.Tick) {
	for vus := 1; vus <= 4096; vus *= 2 {
		for _, n := range []int{vus, vus + vus/4, vus + vus/2} {
			ticks = append(ticks, chart.Tick{At: float64(n), Name: strconv.Itoa(n)})
		}
	}
	return ticks
}

func TestNothingIsCutOrCovered(t *testing.T) {
	curve := points(1, 4497.8, 2, 10602.6, 4, 9895, 8, 9000, 4096, 8000)
	withRanges := points(0, 10, 1, 20, 2, 15)
	for i := range withRanges {
		withRanges[i].YRange = [2]float64{withRanges[i].Y - 12, withRanges[i].Y + 30}
		withRanges[i].XRange = [2]float64{withRanges[i].X - 0.5, withRanges[i].X + 2}
		withRanges[i].Hollow = i == 2
	}
	many := make([]chart.Series, 12)
	for i := range many {
		many[i] = chart.Series{Name: strings.Repeat("name ", i+1), Points: points(1, float64(i), 2, float64(i*i))}
	}
	for name, c := range map[string]chart.Chart{
		"a ramp": {
			Title: "Throughput", X: chart.Axis{Label: "virtual users", Log: true, Ticks: levels()},
			Y: chart.Axis{Label: "requests per second", Cover: []float64{0}}, Series: series(chart.Joined, curve),
		},
		"one point":   {Series: series(chart.Joined, points(1, 1))},
		"one at zero": {Series: series(chart.Joined, points(0, 0))},
		"one, log":    {X: logarithmic, Y: logarithmic, Series: series(chart.Joined, points(3, 5))},
		"negative":    {Series: series(chart.Joined, points(-30, -1e-5, -20, -3e-5))},
		"far apart": {
			X: logarithmic, Y: logarithmic,
			Series: series(chart.Joined, points(1e-140, 1e140, 1, 1, 1e140, 1e-140)),
		},
		"decades": {
			Y:      chart.Axis{Log: true, Label: "milliseconds"},
			Series: series(chart.Joined, points(0, 0.02, 1, 0.9, 2, 7)),
		},
		"close":       {Series: series(chart.Joined, points(1e9, 1e9, 1e9+1, 1e9+1))},
		"large":       {Series: series(chart.Joined, points(1e6, 12345678, 2e6, 87654321))},
		"ranges":      {Series: series(chart.Loose, withRanges)},
		"ranges, log": {Y: logarithmic, Series: series(chart.Joined, withRanges)},
		"long legend": {Title: "Many", Series: many},
		"bars": {Series: []chart.Series{
			{Name: "a", Form: chart.Bars, Points: points(1, 3, 2, -4, 9, 5)},
			{Name: "b", Form: chart.Bars, Points: points(1, 3, 2, 4)},
		}},
		"bars, log": {Y: logarithmic, Series: series(chart.Bars, points(1, 3, 2, 400))},
		"one bar":   {Series: series(chart.Bars, points(7, 3))},
		"rules": {
			Series: series(chart.Line, curve),
			Rules:  []chart.Rule{{Name: "the knee", At: 3, OfX: true}, {At: 5e4}},
		},
		"rows": {
			Height: 120, Series: series(chart.Loose, points(3, 0, -2, 1)),
			Y: chart.Axis{
				Cover: []float64{-0.5, 1.5},
				Ticks: []chart.Tick{{At: 0, Name: "server-cpu-ns/op"}, {At: 1, Name: "req/s"}},
			},
		},
		"long texts": {
			Title: strings.Repeat("a long title ", 9), X: chart.Axis{Label: strings.Repeat("W", 60)},
			Y:      chart.Axis{Label: strings.Repeat("label ", 40)},
			Series: []chart.Series{{Name: strings.Repeat("m", 70), Points: curve}},
		},
		"long ticks": {
			X: chart.Axis{Ticks: []chart.Tick{
				{At: 1, Name: strings.Repeat("left", 9)}, {At: 4096, Name: strings.Repeat("right", 9)},
			}},
			Series: series(chart.Joined, curve),
		},
		"what is HTML": {
			Title: "<script>&\"'", X: chart.Axis{Label: "</svg>"},
			Series: []chart.Series{{Name: "<b>", Points: []chart.Point{{X: 1, Y: 2, Title: "<i>&"}}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			svg, err := c.SVG()
			require.NoError(t, err)
			d := charttest.Check(t, string(svg))
			require.NotContains(t, svg, "<b>")
			if !strings.HasPrefix(name, "long") {
				require.EqualValues(t, 400, d.Width, "what needs no more room is as wide as its page expects")
			}
		})
	}
}

func TestTooltips(t *testing.T) {
	c := chart.Chart{Series: []chart.Series{
		{Points: points(1, 5, 2, math.NaN(), 3, 7)},
		{Form: chart.Bars, Points: points(1, 2)},
		{Form: chart.Line, Points: points(1, 2, 2, 3)},
	}}
	svg, err := c.SVG()
	require.NoError(t, err)
	d := charttest.Check(t, string(svg))
	require.Equal(t, []string{"5 at 1", "7 at 3", "2 at 1"}, d.Titles)
	require.Equal(t, 3, d.Points)
	require.Regexp(t, `d="M[\d. ]+M[\d. ]+"`, svg, "what is no number interrupts a line")
}

func TestNothingToDraw(t *testing.T) {
	for _, c := range []chart.Chart{
		{},
		{Title: "no point", Series: []chart.Series{{Name: "a"}}, Rules: []chart.Rule{{At: 1}}},
		{Series: []chart.Series{{Points: points(math.NaN(), 1, 1, math.Inf(1))}}},
		{X: chart.Axis{Log: true}, Series: []chart.Series{{Points: points(0, 1, -1, 1)}}},
	} {
		svg, err := c.SVG()
		require.NoError(t, err)
		require.Empty(t, svg)
	}
}

func TestTicks(t *testing.T) {
	for _, test := range []struct {
		axis   chart.Axis
		values []float64
		want   string
	}{
		{chart.Axis{}, []float64{0, 10602.6}, "0 5000 10\u202f000 15\u202f000"},
		{chart.Axis{}, []float64{0, 4}, "0 1 2 3 4"},
		{chart.Axis{}, []float64{-3, 1.2}, "−3 −2 −1 0 1 2"},
		{chart.Axis{}, []float64{0.1, 0.3}, "0.10 0.15 0.20 0.25 0.30"},
		{chart.Axis{}, []float64{5, 5}, "2 3 4 5 6 7 8"},
		{chart.Axis{}, []float64{0, 1.5e6}, "0 500\u202f000 1\u202f000\u202f000 1\u202f500\u202f000"},
		{chart.Axis{Log: true}, []float64{0.3, 4}, "0.2 0.5 1 2 5"},
		{chart.Axis{Log: true}, []float64{1, 1000}, "1 10 100 1000"},
		{chart.Axis{Log: true}, []float64{0.02, 70000}, "0.01 0.1 1 10 100 1000 10\u202f000 100\u202f000"},
		{chart.Axis{Cover: []float64{0}}, []float64{8, 9}, "0 2 4 6 8 10"},
		{chart.Axis{Ticks: []chart.Tick{{1, "one"}, {2, "two"}}}, []float64{1.2, 7}, "one two"},
	} {
		c := chart.Chart{X: chart.Axis{Ticks: []chart.Tick{}}, Y: test.axis, Series: []chart.Series{{}}}
		for _, y := range test.values {
			c.Series[0].Points = append(c.Series[0].Points, chart.Point{Y: y})
		}
		svg, err := c.SVG()
		require.NoError(t, err)
		require.Equal(t, test.want, strings.Join(charttest.Check(t, string(svg)).Texts, " "), "%v", test.values)
	}
}

// FuzzChart draws charts of any numbers.
func FuzzChart(f *testing.F) {
	seeds := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		b := make([]byte, 16*seeds.IntN(12))
		for i := range b {
			b[i] = byte(seeds.Uint32())
		}
		f.Add(b, seeds.Uint32())
		for i := 0; i+8 <= len(b); i += 8 { // numbers as they are measured
			binary.LittleEndian.PutUint64(b[i:], math.Float64bits(math.Exp(12*seeds.NormFloat64())))
		}
		f.Add(b, seeds.Uint32())
	}
	f.Fuzz(func(t *testing.T, b []byte, how uint32) {
		bit := func(n int) bool { return how>>n&1 == 1 }
		c := chart.Chart{Title: "any", X: chart.Axis{Log: bit(0)}, Y: chart.Axis{Log: bit(1), Label: "numbers"}}
		for len(b) >= 16 {
			if len(c.Series) == 0 || b[0]%4 == 0 {
				c.Series = append(c.Series, chart.Series{
					Name: "a name", Form: chart.Form(b[1] % 4), Mark: chart.Mark(b[2] % 6),
				})
			}
			p := chart.Point{
				X: math.Float64frombits(binary.LittleEndian.Uint64(b)),
				Y: math.Float64frombits(binary.LittleEndian.Uint64(b[8:])),
			}
			if bit(2) {
				p.YRange = [2]float64{p.X, p.Y}
			}
			s := &c.Series[len(c.Series)-1]
			s.Points = append(s.Points, p)
			b = b[16:]
		}
		svg, err := c.SVG()
		require.NoError(t, err)
		if svg != "" {
			charttest.Check(t, string(svg))
		}
	})
}

// TestContrast holds that text can be read and lines can be seen on both papers (WCAG 2, 1.4.3 and
// 1.4.11).
func TestContrast(t *testing.T) {
	roots := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllStringSubmatch(string(chart.Style), -1)
	require.Len(t, roots, 2, "light and dark")
	for _, root := range roots {
		colors := make(map[string]float64)
		for _, m := range regexp.MustCompile(`--([\w-]+): #(\w+);`).FindAllStringSubmatch(root[1], -1) {
			colors[m[1]] = luminance(t, m[2])
		}
		contrast := func(name string) float64 {
			require.Contains(t, colors, name)
			a, b := colors[name], colors["paper"]
			return (max(a, b) + 0.05) / (min(a, b) + 0.05)
		}
		require.Greater(t, contrast("ink"), 7.0)
		require.Greater(t, contrast("muted"), 4.5)
		for i := range chart.Colors {
			require.Greater(t, contrast(fmt.Sprint("series-", i+1)), 4.5)
		}
	}
}

// luminance is the relative one of WCAG 2.
func luminance(t *testing.T, hex string) (sum float64) {
	if len(hex) == 3 {
		hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
	}
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		require.NoError(t, err)
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}
