package result

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBenchDuelJSON(t *testing.T) {
	d := BenchDuel{
		Version: JSONVersion, Kind: KindBenchDuel, Started: time.Unix(1e9, 0).UTC(), Seed: 1<<64 - 1,
		Plan: BenchPlan{Looks: []int{9}, Alpha: 0.05},
		Benchmarks: []Benchmark{{Package: "p", Name: "BenchmarkX-2", Iterations: 3, Blocks: []BenchBlock{{
			Number: 1, Layouts: [2]int{1, 2}, Took: time.Second,
			Sides: [2][]Metric{{{12.5, "ns/op"}, {0, "B/op"}}, {{13, "ns/op"}}},
		}}}},
	}
	text, err := json.Marshal(d)
	require.NoError(t, err)
	require.Contains(t, string(text), `"sides":[[["ns/op",12.5],["B/op",0]],[["ns/op",13]]]`)
	back, err := ReadBenchDuelJSON(strings.NewReader(string(text)))
	require.NoError(t, err)
	require.Equal(t, d, back)

	for wrong, want := range map[string]string{
		`{"version":1,"kind":"duel"}`:        `kind "duel" is no duel of benchmarks`,
		`{"version":99,"kind":"benchmarks"}`: "version 99: want 1",
		`{`:                                  "duel.json: unexpected EOF",
	} {
		_, err := ReadBenchDuelJSON(strings.NewReader(wrong))
		require.ErrorContains(t, err, want)
	}
}

func TestMetricJSON(t *testing.T) {
	for _, m := range []Metric{{1, "x"}, {math.Inf(1), "x"}, {0, "B/op"}} {
		text, err := json.Marshal(m)
		require.NoError(t, err)
		var back Metric
		require.NoError(t, json.Unmarshal(text, &back))
		require.Equal(t, m, back)
	}
	text, err := json.Marshal(Metric{math.NaN(), "x"})
	require.NoError(t, err)
	require.Equal(t, `["x","NaN"]`, string(text))
	var m Metric
	for _, wrong := range []string{`["x"]`, `5`, `["x","y"]`, `[1,2]`} {
		require.Error(t, json.Unmarshal([]byte(wrong), &m), wrong)
	}
}
