package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

func TestTrials(t *testing.T) {
	var names []name
	for i := range 50 {
		names = append(names, name{"bytes", string(rune('A' + i))})
	}
	names = append(names, name{ours, "X"}, name{ours, "Y"})
	p := plan{Equals: 50, N: 12, Usual: 4, Seed: 1}
	all := p.trials(names)
	require.Equal(t, all, p.trials(names), "drawn from the seed")
	require.Len(t, all, 50+12+2*4+2*4)
	compared := map[name]int{}
	neighbours := 0
	for _, x := range all {
		neighbours += one(x.Neighbour)
		if !x.Usual && x.More == 0 {
			compared[x.name]++
			require.NotEqual(t, ours, x.Package)
		}
		if x.More > 0 {
			require.Equal(t, ours, x.Package)
		}
	}
	require.Len(t, compared, 50, "each once")
	require.Equal(t, len(all)/2, neighbours)
}

func TestTable(t *testing.T) {
	var all []outcome
	for i := range 10 {
		add := func(o outcome) { all = append(all, o) }
		n := name{"bytes", string(rune('A' + i))}
		add(outcome{trial: trial{name: n}, Verdict: "pass", Low: -0.01, High: 0.01, Blocks: 9, Seconds: 4})
		add(outcome{trial: trial{name: n, Neighbour: true}, Verdict: "inconclusive", Low: -0.1, High: 0.1, Seconds: 9})
		add(outcome{trial: trial{name: n, More: 5}, Verdict: "regressed", Estimate: 0.05, Low: 0.04, High: 0.06, Seconds: 5})
		add(outcome{trial: trial{name: n, Usual: true}, Verdict: "regressed", Plain: "pass", Estimate: 0.03, Seconds: 4})
	}
	var b bytes.Buffer
	writeTable(&b, all)
	golden := filepath.Join("..", "..", "testdata", "benchproof", "table.md")
	if *update {
		require.NoError(t, os.WriteFile(golden, b.Bytes(), 0o666))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String())
}

func TestFlags(t *testing.T) {
	var out bytes.Buffer
	require.ErrorContains(t, run(t.Context(), []string{"-n", "0"}, &out, &out), "want -equals 1 or more")
	require.ErrorContains(t, run(t.Context(), []string{"extra"}, &out, &out), "no other arguments")
}
