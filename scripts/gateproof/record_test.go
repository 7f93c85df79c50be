package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// TestRecordGoesOn holds that a proof in parts has what all parts found, also after a line that was
// only half written.
func TestRecordGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	p := plan{N: 6, Usual: 2, Blocks: 40}
	outcomes := []outcome{
		{Verdict: "regressed", Estimate: 0.049, Seconds: 17, Worse: []string{"req/s"}, Open: []string{"p50-ns"},
			Again: "regressed", Same: true},
		{Verdict: "pass", Blocks: 8},
	}
	for i, next := range (plan{N: 6, Usual: 2, Seed: 7}).trials()[:2] {
		outcomes[i].trial = next
	}
	r, err := openRecord(path, p)
	require.NoError(t, err)
	require.False(t, r.begun())
	begin := beginning{Plan: plan{N: 6, Usual: 2, Blocks: 40, Seed: 7}, Costs: costs{Loss: 0.09}, Five: costs{Loss: 0.05},
		Comparisons: 30}
	require.NoError(t, r.begin(begin))
	require.NoError(t, r.add(outcomes[0]))
	require.NoError(t, r.Close())

	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`{"Kind":"`)
	require.NoError(t, err)
	require.NoError(t, f.Close())

	r, err = openRecord(path, p)
	require.NoError(t, err)
	require.True(t, r.begun())
	require.NoError(t, r.add(outcomes[1]))
	require.NoError(t, r.Close())

	r, err = openRecord(path, p)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Empty(t, cmp.Diff(begin, r.beginning))
	require.Empty(t, cmp.Diff(outcomes, r.outcomes, cmp.AllowUnexported(outcome{})))

	require.NoError(t, r.check())
	r.outcomes[1].Kind = "of another version"
	require.ErrorContains(t, r.check(), "comparison 2 (")

	_, err = openRecord(path, plan{N: 60, Usual: 2, Blocks: 40})
	require.ErrorContains(t, err, "it has -n 6 -usual 2 -blocks 40 -seed 7")
}

func TestRecordOfSomethingElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.WriteFile(path, []byte("BenchmarkX 1 2 ns/op\n"), 0o666))
	_, err := openRecord(path, plan{N: 6})
	require.ErrorContains(t, err, "want a file that gateproof wrote")
}

// TestReadme holds that the table on the page of perfgate is what the outcomes in testdata give.
func TestReadme(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "..", "testdata", "gateproof", "proof.jsonl"))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "log") // it is opened for writing
	require.NoError(t, os.WriteFile(path, content, 0o666))
	r, err := openRecord(path, plan{N: 60, Usual: 10, Blocks: 40})
	require.NoError(t, err)
	defer r.Close()
	require.NoError(t, r.check())
	var table bytes.Buffer
	writeTable(&table, r.outcomes, r.beginning)
	readme, err := os.ReadFile(filepath.Join("..", "perfgate", "README.md"))
	require.NoError(t, err)
	require.Contains(t, string(readme), table.String())
}
