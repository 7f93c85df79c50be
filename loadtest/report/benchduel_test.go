package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rampart/loadtest/gate"
	"rampart/loadtest/result"
)

func someBenchDuel() result.BenchDuel {
	d := result.BenchDuel{
		Version: result.JSONVersion, Kind: result.KindBenchDuel, Started: time.Unix(1e9, 0).UTC(),
		Seed: 5, Baseline: "old <b>",
		Plan: result.BenchPlan{Looks: []int{9}, Alpha: 0.05}, Missing: []string{"BenchmarkGone is only in the baseline"},
	}
	for n, pkg := range []string{"example.org/x", "example.org/y"} {
		b := result.Benchmark{Package: pkg, Name: "BenchmarkX-2", Iterations: 10}
		for i := range 9 {
			ns := 100 + float64(i) + 50*float64(n)
			b.Blocks = append(b.Blocks, result.BenchBlock{Number: i + 1, Took: time.Second, Sides: [2][]result.Metric{
				{{Value: ns, Unit: "ns/op"}, {Value: 2, Unit: "allocs/op"}},
				{{Value: 1.1 * ns, Unit: "ns/op"}, {Value: 2, Unit: "allocs/op"}},
			}})
		}
		d.Benchmarks = append(d.Benchmarks, b)
	}
	return d
}

func TestBenchDuelLine(t *testing.T) {
	d := someBenchDuel()
	require.Equal(t, "BenchmarkX-2 regressed after 9 blocks: ns/op +10.00% (+10.00% to +10.00%), allocs/op same",
		BenchDuelLine(d.Benchmarks[0], gate.JudgeBenchDuel(result.BenchDuel{Plan: d.Plan, Benchmarks: d.Benchmarks[:1]})))
}

func TestBenchDuelJSON(t *testing.T) {
	d := someBenchDuel()
	var b bytes.Buffer
	require.NoError(t, BenchDuelJSON(&b, d, gate.JudgeBenchDuel(d)))
	require.Contains(t, b.String(), `"verdict": "regressed"`)
	back, err := result.ReadBenchDuelJSON(&b)
	require.NoError(t, err)
	require.Equal(t, d, back)
}

func TestBenchDuelHTML(t *testing.T) {
	d := someBenchDuel()
	var b bytes.Buffer
	require.NoError(t, BenchDuelHTML(&b, d, gate.JudgeBenchDuel(d)))
	page := b.String()
	require.Equal(t, 4, strings.Count(page, "<svg "), "one for each row")
	require.Equal(t, 4*10, strings.Count(page, "<circle "), "nine blocks and the estimate")
	require.Contains(t, page, "example.org/y X-2")
	require.Contains(t, page, "old &lt;b&gt;")
	require.Contains(t, page, "missing: BenchmarkGone is only in the baseline")
	require.NotContains(t, page, "http")
	for svg := range strings.SplitSeq(page, "<svg ") {
		if picture, _, ok := strings.Cut("<svg "+svg, "</svg>"); ok {
			for x := xml.NewDecoder(strings.NewReader(picture + "</svg>")); ; {
				if _, err := x.Token(); errors.Is(err, io.EOF) {
					break
				} else {
					require.NoError(t, err)
				}
			}
		}
	}
}
