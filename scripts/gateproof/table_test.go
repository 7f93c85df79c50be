package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

// TestFactor holds that the factor for a loss is the one from which that loss follows.
func TestFactor(t *testing.T) {
	c := costs{Loss: 0.057}
	require.InDelta(t, 1.1, c.factor(0.057), 1e-9)
	require.InDelta(t, 1, c.factor(0), 1e-9)
	require.Less(t, c.factor(-0.05), 1.0)
	require.Greater(t, c.factor(0.1), 1.1)
}

func TestTable(t *testing.T) {
	var all []outcome
	for i := range 10 {
		v := "pass"
		if i == 3 {
			v = "inconclusive"
		}
		all = append(all,
			outcome{trial: trial{Kind: commented}, Verdict: "pass", Estimate: -0.001, Low: -0.01, High: 0.01, Blocks: 8,
				Seconds: 16},
			outcome{trial: trial{}, Verdict: v, Estimate: 0.001, Low: -0.01, High: 0.01, Blocks: 8, Seconds: 16},
			outcome{trial: trial{Loss: 0.015, Neighbour: true}, Verdict: "regressed", Estimate: 0.05, Low: 0.04, High: 0.06,
				Seconds: 17},
			outcome{trial: trial{Usual: true}, Verdict: "regressed", Plain: "pass", Estimate: 0.03, Low: 0.03, High: 0.03,
				Seconds: 9},
			outcome{trial: trial{Kind: "every 40th sleeps"}, Verdict: "regressed", Estimate: 0.4, Low: 0.38, High: 0.42,
				Worse: [][]string{{"slow/op", "req/s"}, {"slow/op"}}[i%2], Again: "regressed", Same: true})
	}
	all[0].Again = "inconclusive" // one of the files was judged otherwise
	var b bytes.Buffer
	writeTable(&b, all, beginning{Plan: plan{N: 10, Blocks: 40}, Comparisons: 60, Costs: costs{0.057, 0.054, 0.06},
		Five: costs{0.0502, 0.049, 0.052}})
	path := filepath.Join("..", "..", "testdata", "gateproof", "table.md")
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
		require.NoError(t, os.WriteFile(path, b.Bytes(), 0o666))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(string(want), b.String()))
}
