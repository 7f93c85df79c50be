package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"rampart/scripts/proof"
)

// TestRecordGoesOn holds that a proof in parts has what all parts found, and goes on only with what
// was planned.
func TestRecordGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	begin := beginning{Plan: plan{N: 6, Usual: 2, Blocks: 40, Seed: 7}, Costs: costs{Loss: 0.09}, Five: costs{Loss: 0.05},
		Comparisons: 30}
	outcomes := []outcome{
		{Verdict: "regressed", Estimate: 0.049, Seconds: 17, Worse: []string{"req/s"}, Open: []string{"p50-ns"},
			Again: "regressed", Same: true},
		{Verdict: "pass", Blocks: 8},
	}
	for i, next := range begin.Plan.trials()[:2] {
		outcomes[i].trial = next
	}
	r, err := proof.Open[beginning, outcome](path)
	require.NoError(t, err)
	require.NoError(t, r.Begin(begin))
	for _, o := range outcomes {
		require.NoError(t, r.Add(o))
	}
	require.NoError(t, r.Close())

	r, err = proof.Open[beginning, outcome](path)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Empty(t, cmp.Diff(&begin, r.Beginning))
	require.Empty(t, cmp.Diff(outcomes, r.Outcomes, cmp.AllowUnexported(outcome{})))

	require.NoError(t, begin.planned(r.Outcomes))
	r.Outcomes[1].Kind = "of another version"
	require.ErrorContains(t, begin.planned(r.Outcomes), "comparison 2 (")

	err = run(t.Context(), []string{"-n", "60", "-usual", "2", "-log", path}, io.Discard, io.Discard)
	require.ErrorContains(t, err, "it has -n 6 -usual 2 -blocks 40 -seed 7")
}

// TestReadme holds that the table on the page of perfgate is what the outcomes in testdata give.
func TestReadme(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "..", "testdata", "gateproof", "proof.jsonl"))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "log") // it is opened for writing
	require.NoError(t, os.WriteFile(path, content, 0o666))
	r, err := proof.Open[beginning, outcome](path)
	require.NoError(t, err)
	defer r.Close()
	require.Equal(t, "-n 60 -usual 10 -blocks 40", r.Beginning.Plan.flags(), "as by default")
	require.NoError(t, r.Beginning.planned(r.Outcomes))
	var table bytes.Buffer
	writeTable(&table, r.Outcomes, *r.Beginning)
	readme, err := os.ReadFile(filepath.Join("..", "perfgate", "README.md"))
	require.NoError(t, err)
	require.Contains(t, string(readme), table.String())
}
